package verdict

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"simctl.dev/simctl/sim/history"
)

// stopped says who had a pod's containers stopped before they ended: a taint and who
// put it there, an eviction, a deletion; nil if they ended by themselves.
func (t *timeline) stopped(p *pod) []Link {
	if p.stopSeq == 0 || p.overSeq != 0 && p.overSeq < p.stopSeq {
		return nil
	}
	if c := firstFailure(p); c == nil || c.seq < p.stopSeq {
		return nil
	}
	stop, found := t.entry(p.stopSeq)
	if !found {
		return nil
	}
	at := fmt.Sprintf("deletion asked for by %s at %.0f s", stop.Actor, stop.T)
	reason := ""
	if s, err := t.state(p.stopSeq + 1); err == nil {
		if o := s.Live("Pod", p.namespace, p.name); o != nil {
			var message string
			_, reason, message = condition(o, "DisruptionTarget")
			if reason != "" {
				at += "; DisruptionTarget: " + reason + ": " + message
			}
			if reason == "DeletionByTaintManager" {
				at += "; the pod's tolerations: " + cmp.Or(o.JSON("spec", "tolerations"), "none")
			}
		}
	}
	switch {
	case reason == "DeletionByTaintManager":
		links := []Link{podTaint.link(p.object(), clip(at), p.title(t), p.node)}
		taints := "NoExecute"
		if s, err := t.state(p.stopSeq); err == nil {
			if n := s.Live("Node", "", p.node); n != nil {
				taints = n.JSON("spec", "taints")
			}
		}
		return append(links, t.tainted(p.node, taints, p.stopSeq)...)
	case reason == "EvictionByEvictionAPI":
		return []Link{podEvicted.link(p.object(), clip(at), p.title(t), p.node)}
	case reason == "PreemptionByScheduler":
		return t.preemptedPod(p, t.end())
	case strings.HasPrefix(stop.Actor, "kubelet") || strings.HasPrefix(stop.Actor, "tekton"):
		return nil // the kubelet's own evictions and a cancelled run are told by others
	}
	return []Link{podDeleted.link(p.object(), clip(at), p.title(t), stop.Actor)}
}

// retriesUsed says that a task failed in each of its attempts, and how each ended; nil
// of a task without retries.
func (t *timeline) retriesUsed(r *taskRun) []Link {
	o := t.lastState.Get(history.Ref{Kind: "TaskRun", Namespace: r.namespace, Name: r.name})
	if o == nil || len(r.pods) < 2 {
		return nil
	}
	retries, _ := o.Field("spec", "retries").(float64)
	if int(retries) == 0 || len(r.pods) <= int(retries) {
		return nil
	}
	var said []string
	for _, p := range r.pods {
		links := t.failure(p)
		if len(links) == 0 {
			said = append(said, p.object()+": nothing is known of its end")
			continue
		}
		// Who did it, where that is known.
		how := links[0]
		if len(links) > 1 {
			how = links[1]
		}
		said = append(said, how.What)
	}
	return []Link{taskRetriesUsed.link(r.object(), clip(strings.Join(said, "\n")), r.task, len(r.pods), int(retries))}
}

// takenAway says of a step that did not find a file which task took it away, and
// whether that task ran again since its TaskRun was deleted.
func (t *timeline) takenAway(p *pod, c *container) []Link {
	path, ok := strings.CutSuffix(c.data.Message, ": No such file or directory")
	if !ok {
		return nil
	}
	claims := t.claimsOf(p)
	for _, d := range slices.Backward(t.deleted) {
		if d.seq > c.seq || !within(path, d.data.Path) || !slices.Contains(claims, d.data.Claim) {
			continue
		}
		links := []Link{fileTakenAway.link(fmt.Sprintf("PersistentVolumeClaim %s/%s", p.namespace, d.data.Claim), fmt.Sprintf("%s deleted at %.0f s", d.data.Path, d.t), d.data.Task, d.data.Path)}
		for _, a := range slices.Backward(t.remade) {
			if a.Task == d.data.Task && a.T <= d.t {
				return append(links, taskMadeAgain.link(a.Object, fmt.Sprintf("deletion of the TaskRun asked for by %s at %.0f s, made again at %.0f s", a.DeletedBy, a.DeletedT, a.T), a.Task, a.Object, a.DeletedBy))
			}
		}
		return links
	}
	return nil
}

// claimsOf are the claims that a pod mounts, by its last state.
func (t *timeline) claimsOf(p *pod) []string {
	o := t.lastState.Get(history.Ref{Kind: "Pod", Namespace: p.namespace, Name: p.name})
	if o == nil {
		return nil
	}
	var spec corev1.Pod
	if o.Decode(&spec) != nil {
		return nil
	}
	return claimNames(&spec)
}

// resultsLost says that Tekton could not read a task's results from its sidecar's log,
// by the Event that it leaves, so that a later task finds them missing.
func (t *timeline) resultsLost(run *pipelineRun) []Link {
	for _, e := range t.events {
		if e.kind != "TaskRun" || e.reason != "InternalError" {
			continue
		}
		r := t.taskRun(e.namespace, e.name)
		if r == nil || !slices.Contains(run.taskRuns, r) {
			continue
		}
		return []Link{logUnreadable.link(r.object(), fmt.Sprintf("Event InternalError at %.0f s: %s", e.t, clip(e.message)), r.task)}
	}
	return nil
}

// killed is the exit code of what SIGKILL ended.
const killed = 137

// stepsWait says that a step was killed with its entrypoint, so that the steps after it
// wait for a file that nobody writes; nil if none was.
func (t *timeline) stepsWait(p *pod) []Link {
	for _, c := range p.containers {
		if c.data.Step == "" || c.data.ExitCode != killed || p.stopSeq != 0 && c.seq > p.stopSeq {
			continue
		}
		return []Link{stepWaits.link(p.object(), fmt.Sprintf("Step %s: %s, at %.0f s", c.data.Step, c.data.Reason, c.t), p.title(t), c.data.Step)}
	}
	return nil
}

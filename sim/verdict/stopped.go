package verdict

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/timeline"
	"simctl.dev/simctl/sim/wellknown"
)

// stopped says who had a pod's containers stopped before they ended: a taint and who
// put it there, an eviction, a deletion; nil if they ended by themselves.
func (t *judging) stopped(p *timeline.Pod) []Link {
	stop, found := t.Entry(p.StopSeq)
	if c := firstFailure(p); !found || c == nil || c.Seq < p.StopSeq {
		return nil
	}
	return t.sentAway(p, stop)
}

// sentAway says who asked for a pod's deletion, and why: a taint and who put it there, an
// eviction, a hand; nil if it was the kubelet or Tekton.
func (t *judging) sentAway(p *timeline.Pod, stop history.Entry) []Link {
	at := fmt.Sprintf("deletion asked for by %s at %.0f s", stop.Actor, stop.T)
	reason := ""
	if o := t.Before(p.StopSeq+1).Live("Pod", p.Namespace, p.Name); o != nil {
		var message string
		_, reason, message = timeline.Condition(o, "DisruptionTarget")
		if reason != "" {
			at += "; DisruptionTarget: " + reason + ": " + message
		}
		if reason == "DeletionByTaintManager" {
			at += "; the pod's tolerations: " + cmp.Or(o.JSON("spec", "tolerations"), "none")
		}
	}
	switch {
	case reason == "DeletionByTaintManager":
		return append([]Link{podTaint.link(p.Object(), clip(at), t.Title(p), p.Node)}, t.tainted(p.Node, p.StopSeq)...)
	case reason == "EvictionByEvictionAPI":
		return []Link{podEvicted.link(p.Object(), clip(at), t.Title(p), p.Node)}
	case reason == "PreemptionByScheduler":
		return t.preemptedPod(p, t.End())
	case strings.HasPrefix(stop.Actor, "kubelet") || strings.HasPrefix(stop.Actor, "tekton"):
		return nil // the kubelet's own evictions and a cancelled run are told by others
	}
	return []Link{podDeleted.link(p.Object(), clip(at), t.Title(p), stop.Actor)}
}

// retriesUsed says that a task failed in each of its attempts, and how each ended; nil
// of a task without retries.
func (t *judging) retriesUsed(r *timeline.TaskRun) []Link {
	o := t.Now().Get("TaskRun", r.Namespace, r.Name)
	if o == nil {
		return nil
	}
	retries, _ := o.Field("spec", "retries").(float64)
	if int(retries) == 0 || len(r.Pods) <= int(retries) {
		return nil
	}
	var said []string
	for _, p := range r.Pods {
		links := t.failure(p)
		if len(links) == 0 {
			said = append(said, p.Object()+": nothing is known of its end")
			continue
		}
		// Who did it, where that is known.
		how := links[0]
		if len(links) > 1 {
			how = links[1]
		}
		said = append(said, how.What)
	}
	return []Link{taskRetriesUsed.link(r.Object(), clip(strings.Join(said, "\n")), r.Task, len(r.Pods), int(retries))}
}

// oomKilled says how much memory a container was allowed that was killed for more.
func (t *judging) oomKilled(p *timeline.Pod, c *timeline.Fact[history.Container]) []Link {
	if c.Data.Reason != wellknown.OOMKilled {
		return nil
	}
	limit := "it has no limit"
	if spec, ok := timeline.Decode[corev1.Pod](t.Before(c.Seq), "Pod", p.Namespace, p.Name); ok {
		for _, of := range spec.Spec.Containers {
			if m, ok := of.Resources.Limits[corev1.ResourceMemory]; ok && of.Name == c.Data.Name {
				limit = "its limit is " + m.String()
			}
		}
	}
	return []Link{containerOOM.link(p.Object(), wellknown.OOMKilled, c.Data.Name, limit)}
}

// takenAway says of a step that did not find a file which task took it away, and
// whether that task ran again since its TaskRun was deleted.
func (t *judging) takenAway(p *timeline.Pod, c *timeline.Fact[history.Container]) []Link {
	path, ok := strings.CutSuffix(c.Data.Message, ": No such file or directory")
	if !ok {
		return nil
	}
	var d *timeline.Fact[history.File]
	for _, claim := range t.claimsOf(p) {
		deleted := t.FilesDeleted(claim)
		for i := range deleted {
			if at := &deleted[i]; at.Seq <= c.Seq && within(path, at.Data.Path) && (d == nil || at.Seq > d.Seq) {
				d = at
			}
		}
	}
	if d == nil {
		return nil
	}
	links := []Link{fileTakenAway.link(fmt.Sprintf("PersistentVolumeClaim %s/%s", p.Namespace, d.Data.Claim), fmt.Sprintf("%s deleted at %.0f s", d.Data.Path, d.T), d.Data.Task, d.Data.Path)}
	for _, a := range slices.Backward(t.Remade) {
		if r := a.TaskRun; r.Task == d.Data.Task && a.T <= d.T {
			return append(links, taskMadeAgain.link(r.Object(), fmt.Sprintf("deletion of the TaskRun asked for by %s at %.0f s, made again at %.0f s", a.DeletedBy, a.DeletedT, a.T), r.Task, r.Object(), a.DeletedBy))
		}
	}
	return links
}

// claimsOf are the claims that a pod mounts, by its last state.
func (t *judging) claimsOf(p *timeline.Pod) []string {
	o := t.Now().Get("Pod", p.Namespace, p.Name)
	if o == nil {
		return nil
	}
	return timeline.ClaimsOf(o)
}

// resultsLost says that Tekton could not read a task's results from its sidecar's log,
// by the Event that it leaves, so that a later task finds them missing.
func (t *judging) resultsLost(run *timeline.Run) []Link {
	type said struct {
		timeline.Event
		of *timeline.TaskRun
	}
	var all []said
	for _, r := range run.TaskRuns {
		for _, e := range t.EventsAbout("TaskRun", r.Namespace, r.Name) {
			if e.Reason == "InternalError" {
				all = append(all, said{e, r})
			}
		}
	}
	if len(all) == 0 {
		return nil
	}
	first := slices.MinFunc(all, func(a, b said) int { return cmp.Compare(a.Seq, b.Seq) })
	return []Link{logUnreadable.link(first.of.Object(), fmt.Sprintf("Event InternalError at %.0f s: %s", first.T, clip(first.Message)), first.of.Task)}
}

// killed is the exit code of what SIGKILL ended.
const killed = 137

// stepsWait says that a step was killed with its entrypoint, so that the steps after it
// wait for a file that nobody writes; nil if none was.
func (t *judging) stepsWait(p *timeline.Pod) []Link {
	for _, c := range p.Containers {
		if c.Data.Step == "" || c.Data.ExitCode != killed || past(p.StopSeq, c.Seq) {
			continue
		}
		return []Link{stepWaits.link(p.Object(), fmt.Sprintf("Step %s: %s, at %.0f s", c.Data.Step, c.Data.Reason, c.T), t.Title(p), c.Data.Step)}
	}
	return nil
}

package verdict

import (
	"fmt"
	"regexp"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// preemptor finds the uid in the scheduler's event about a pod that it preempts
// (pkg/scheduler/framework/preemption).
var preemptor = regexp.MustCompile(`^Preempted by pod (\S+) on node`)

// preempted says that a pod of a TaskRun was preempted before an entry by
// one of higher priority; nil if none was.
func (t *timeline) preempted(r *taskRun, before int) []Link {
	for _, p := range slices.Backward(r.pods) {
		if links := t.preemptedPod(p, before); links != nil {
			return links
		}
	}
	return nil
}

// preemptedPod says of one pod that it was preempted before an entry, and by which; nil
// if it was not.
func (t *timeline) preemptedPod(p *pod, before int) []Link {
	e := t.lastEvent("Pod", p.namespace, p.name, before, func(e event) bool { return e.reason == "Preempted" && e.seq > p.createdSeq })
	if e == nil {
		return nil
	}
	put := podPreempted.link(p.object(), clip(e.message), p.title(t))
	m := preemptor.FindStringSubmatch(e.message)
	s, err := t.state(e.seq)
	if m == nil || err != nil {
		return []Link{put}
	}
	victim, ok := decode[corev1.Pod](s, "Pod", p.namespace, p.name)
	if !ok {
		return []Link{put}
	}
	for _, o := range s.All("Pod") {
		if o.Text("metadata", "uid") != m[1] {
			continue
		}
		var pod corev1.Pod
		if o.Decode(&pod) != nil {
			break
		}
		return []Link{put, podPriority.link(o.Ref.String(), fmt.Sprintf("priorityClassName: %q, the other's: %q", pod.Spec.PriorityClassName, victim.Spec.PriorityClassName), o.Ref, priority(&pod), priority(victim))}
	}
	return []Link{put}
}

func priority(p *corev1.Pod) string {
	if p.Spec.Priority == nil {
		return "0"
	}
	return fmt.Sprint(*p.Spec.Priority)
}

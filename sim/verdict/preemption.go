package verdict

import (
	"fmt"
	"regexp"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"simctl.dev/simctl/sim/timeline"
)

// preemptor finds the uid in the scheduler's event about a pod that it preempts
// (pkg/scheduler/framework/preemption).
var preemptor = regexp.MustCompile(`^Preempted by pod (\S+) on node`)

// preempted says that a pod of a TaskRun was preempted before an entry by
// one of higher priority; nil if none was.
func (t *judging) preempted(r *timeline.TaskRun, before int) []Link {
	for _, p := range slices.Backward(r.Pods) {
		if links := t.preemptedPod(p, before); links != nil {
			return links
		}
	}
	return nil
}

// preemptedPod says of one pod that it was preempted before an entry, and by which; nil
// if it was not.
func (t *judging) preemptedPod(p *timeline.Pod, before int) []Link {
	e := t.LastEvent("Pod", p.Namespace, p.Name, before, func(e timeline.Event) bool { return e.Reason == "Preempted" && e.Seq > p.CreatedSeq })
	if e == nil {
		return nil
	}
	put := podPreempted.link(p.Object(), clip(e.Message), t.Title(p))
	m := preemptor.FindStringSubmatch(e.Message)
	s := t.Before(e.Seq)
	if m == nil {
		return []Link{put}
	}
	victim, ok := timeline.Decode[corev1.Pod](s, "Pod", p.Namespace, p.Name)
	if !ok {
		return []Link{put}
	}
	if o := s.WithUID("Pod", m[1]); o != nil {
		if pod, ok := timeline.DecodeObject[corev1.Pod](s, o); ok {
			return []Link{put, podPriority.link(o.Ref.String(), fmt.Sprintf("priorityClassName: %q, the other's: %q", pod.Spec.PriorityClassName, victim.Spec.PriorityClassName), o.Ref, priority(pod), priority(victim))}
		}
	}
	return []Link{put}
}

func priority(p *corev1.Pod) string {
	if p.Spec.Priority == nil {
		return "0"
	}
	return fmt.Sprint(*p.Spec.Priority)
}

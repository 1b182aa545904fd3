package verdict

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/timeline"
	"simctl.dev/simctl/sim/wellknown"
)

// reason is a rule with its function: why a pod that waits waits.
type reason struct {
	rule *Rule
	// explain adds to the graph what the pod waits for, if the rule is why; last says
	// that no other reason is to be looked for.
	explain func(x *explainer, w *waiting) (last bool)
}

// waiting is a pod whose waiting is explained.
type waiting struct {
	id   int64
	pod  *timeline.Pod
	spec *corev1.Pod
	// said is the scheduler's last answer, empty if there was none.
	said string
	// nodes are the nodes' refusals by what they speak of: other pods that are not
	// there, a claim that another pod has, other pods that are there, and the rest,
	// which is the node's own.
	nodes                               []history.NodeRefusal
	byAffinity, byClaim, byPods, byNode []history.NodeRefusal
}

func (x *explainer) waiting(id int64, p *timeline.Pod, spec *corev1.Pod) *waiting {
	w := &waiting{id: id, pod: p, spec: spec}
	last := p.LastUnschedulable(x.before)
	if last != nil {
		w.said = last.Data.Message
	}
	w.nodes = refusals(last)
	for _, n := range w.nodes {
		switch {
		case says(n, reasonRWOP):
			w.byClaim = append(w.byClaim, n)
		case says(n, reasonAntiAffinity):
			w.byPods = append(w.byPods, n)
		case says(n, reasonAffinity):
			w.byAffinity = append(w.byAffinity, n)
		default:
			w.byNode = append(w.byNode, n)
		}
	}
	return w
}

// unplacedReasons are why no node takes a pod, in the order in which they are looked
// for. What concerns the pod and its claims comes before the nodes' refusals; of those,
// the ones that other pods cause hold side by side.
func unplacedReasons() []reason {
	return []reason{
		{otherScheduler, func(x *explainer, w *waiting) bool {
			name := w.spec.Spec.SchedulerName
			if name == "" || name == corev1.DefaultSchedulerName {
				return false
			}
			l := otherScheduler.link(w.pod.Object(), "spec.schedulerName: "+name, w.pod.Object(), name)
			x.end(w.id, Unschedulable, append([]Link{l}, x.fieldOrigin(w.pod, "schedulerName")...)...)
			return true
		}},
		{schedulerIsAway, func(x *explainer, w *waiting) bool {
			s := x.t.UnscheduledAt(x.before)
			if s != nil {
				x.end(w.id, Timeout, schedulerIsAway.link(wellknown.KubeScheduler, fmt.Sprintf("%s at %.0f s", history.FactSchedulerAway, s.Began.T), lasted(*s)))
			}
			return s != nil
		}},
		{podClaimMissing, func(x *explainer, w *waiting) bool {
			return x.firstClaim(w, podClaimMissing, func(name string, pvc *corev1.PersistentVolumeClaim) (evidence string, ok bool) {
				return "spec.volumes: " + compact(w.spec.Spec.Volumes[indexOfClaim(w.spec, name)]), pvc == nil && strings.Contains(w.said, "persistentvolumeclaim")
			}, func(id int64, name string, _ *corev1.PersistentVolumeClaim) {
				x.missingClaim(id, w.pod.Namespace, name)
			})
		}},
		{podClaimDoomed, func(x *explainer, w *waiting) bool {
			return x.firstClaim(w, podClaimDoomed, func(_ string, pvc *corev1.PersistentVolumeClaim) (evidence string, ok bool) {
				return w.said, pvc != nil && pvc.DeletionTimestamp != nil && strings.Contains(w.said, "is being deleted")
			}, func(id int64, name string, pvc *corev1.PersistentVolumeClaim) {
				x.doomedClaim(id, w.pod.Namespace, name, pvc)
			})
		}},
		{podClaimUnbound, func(x *explainer, w *waiting) bool {
			return x.firstClaim(w, podClaimUnbound, func(_ string, pvc *corev1.PersistentVolumeClaim) (evidence string, ok bool) {
				return w.said, pvc != nil && pvc.Spec.VolumeName == "" && strings.Contains(w.said, "unbound immediate PersistentVolumeClaims")
			}, func(id int64, name string, pvc *corev1.PersistentVolumeClaim) {
				x.unboundClaim(id, w.pod.Namespace, name, pvc)
			})
		}},
		{volumeOperation, failedVolume},
		{noNode, func(x *explainer, w *waiting) bool {
			if !strings.HasPrefix(w.said, noNodes) {
				return false
			}
			x.end(w.id, Unschedulable, noNode.link(w.pod.Object(), w.said))
			return true
		}},
		{noPlace, func(x *explainer, w *waiting) bool {
			if len(w.nodes) == 0 || len(w.byNode) < len(w.nodes) {
				return false
			}
			if x.stalled || lasting(w.nodes) {
				x.end(w.id, Unschedulable, append(x.nodeLinks(w.pod, w.spec, w.byNode), x.refusalOrigin(w.pod, w.spec, w.byNode)...)...)
			}
			return true
		}},
		{besideAssistant, func(x *explainer, w *waiting) bool {
			if term, assistant := assistantTerm(w.spec); term != nil && len(w.byAffinity) > 0 {
				x.affinity(w.id, w.pod, w.spec, term, assistant, w.byNode)
			}
			return false
		}},
		{besideNowhere, func(x *explainer, w *waiting) bool {
			if term, _ := assistantTerm(w.spec); term == nil && len(w.byAffinity) > 0 {
				x.foreignAffinity(w.id, w.pod, w.spec)
			}
			return false
		}},
		{needsExclusive, func(x *explainer, w *waiting) bool {
			if len(w.byClaim) > 0 {
				x.exclusive(w.id, w.pod, w.spec)
			}
			return false
		}},
		{awayFromAssistant, func(x *explainer, w *waiting) bool {
			if len(w.byPods) > 0 {
				x.repelled(w.id, w.pod, w.spec, w.byPods)
			}
			return false
		}},
	}
}

// unstartedReasons are why a pod that has a node does not run there.
func unstartedReasons() []reason {
	return []reason{
		{podSilent, func(x *explainer, w *waiting) bool {
			lost := x.t.onSilentNode(w.pod, x.before)
			if lost != nil {
				x.end(w.id, Timeout, lost...)
			}
			return lost != nil
		}},
		{notMade, func(x *explainer, w *waiting) bool {
			links := x.t.notMade(w.pod, x.before)
			if links != nil {
				x.end(w.id, Timeout, links...)
			}
			return links != nil
		}},
		{imageUnpulled, func(x *explainer, w *waiting) bool {
			links := x.t.unpulled(w.pod, x.before)
			if links != nil {
				x.end(w.id, Timeout, links...)
			}
			return links != nil
		}},
		{volumeOperation, failedVolume},
		{multiAttachError, func(x *explainer, w *waiting) bool {
			h := x.holdOf(w.pod, w.spec)
			if h != nil {
				x.heldBy(w.id, w.pod, w.spec, h)
			}
			return h != nil
		}},
		{podWarning, func(x *explainer, w *waiting) bool {
			e := x.t.LastEvent("Pod", w.pod.Namespace, w.pod.Name, x.before, func(e timeline.Event) bool {
				return e.Type == corev1.EventTypeWarning && e.Reason != "FailedScheduling"
			})
			if e != nil {
				x.end(w.id, Timeout, podWarning.link(w.pod.Object(), clip(e.Message), w.pod.Object(), e.Reason))
			}
			return e != nil
		}},
	}
}

// failedVolume explains a pod by a driver that does not do what it needs for a claim.
func failedVolume(x *explainer, w *waiting) bool {
	links := x.t.volumeFailed(w.pod, w.spec, x.before)
	if links != nil {
		x.end(w.id, Timeout, links...)
	}
	return links != nil
}

// unscheduled explains a pod that no node takes.
func (x *explainer) unscheduled(id int64, p *timeline.Pod, spec *corev1.Pod) {
	x.firstReason(unplacedReasons(), x.waiting(id, p, spec))
}

// notStarted explains a pod that has a node and does not run there.
func (x *explainer) notStarted(id int64, p *timeline.Pod, spec *corev1.Pod) {
	x.firstReason(unstartedReasons(), x.waiting(id, p, spec))
}

func (x *explainer) firstReason(list []reason, w *waiting) {
	for _, r := range list {
		if r.explain(x, w) {
			return
		}
	}
}

// firstClaim explains a pod by the first of its claims that is as the rule has it; false
// if none is.
func (x *explainer) firstClaim(w *waiting, rule *Rule, is func(name string, pvc *corev1.PersistentVolumeClaim) (evidence string, ok bool), then func(id int64, name string, pvc *corev1.PersistentVolumeClaim)) bool {
	for _, name := range claimNames(w.spec) {
		pvc, there := timeline.Decode[corev1.PersistentVolumeClaim](x.s, "PersistentVolumeClaim", w.pod.Namespace, name)
		if !there {
			pvc = nil
		}
		evidence, ok := is(name, pvc)
		if !ok {
			continue
		}
		c, _ := x.node(fmt.Sprintf("PersistentVolumeClaim %s/%s", w.pod.Namespace, name))
		x.wait(w.id, c, rule.link(w.pod.Object(), evidence, w.pod.Object(), name))
		then(c, name, pvc)
		return true
	}
	return false
}

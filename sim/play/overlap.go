package play

import (
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"simctl.dev/simctl/sim/clock"
	"simctl.dev/simctl/sim/controlplane"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/kube"
	"simctl.dev/simctl/sim/plane"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/wellknown"
)

// overlap is what one thing at a time would hide: on a cluster a controller reads
// objects as its watches have told it, and its own write comes back to it that way
// too, some milliseconds later. What it is set to work by meanwhile it does on the
// object as it was before. Tekton's reconcilers then meet a conflict and put the
// whole status that they made of the old object in the place of the new one
// (updateStatus of knative's generated reconcilers).
//
// A TaskRun whose pod the pod garbage collector takes is such a case: the pod is set
// to Failed, which Tekton answers with the TaskRun's end, and is deleted some 50 ms
// later, while that end is being written. Either news may be the first to arrive.
type overlap struct {
	// pending says that a TaskRun's end is withheld until its pod is gone.
	pending atomic.Bool
	// told are the pods of which the order is in the history. Only the tap looks at
	// it, one write after the other: an end is sent again after a conflict.
	told map[types.UID]bool
}

// Of three recordings of a TaskRun's end and its pod's, two have the pod's first.
const staleOf3 = 2

// withhold has Tekton's controller not be told at once of the end of those TaskRuns at
// which something is done: it would have acted on it by the time that all is quiet. Nor is
// it told of those whose pods go before it hears of it. That a user has deleted a
// TaskRun, which it makes anew, it hears of last: the pod is gone by then.
func (c *play) withhold(ends map[string]bool) {
	c.Plane.Tap().TellLast(wellknown.TektonController, "taskruns", wellknown.User)
	c.Plane.Tap().Withhold("taskruns", func(object []byte) bool {
		if len(ends) == 0 && !c.Plane.Controllers.Collecting(func(*corev1.Pod) bool { return true }) {
			return false
		}
		u := &unstructured.Unstructured{}
		if u.UnmarshalJSON(object) != nil || !history.Ended(field(u, "status", "conditions")) {
			return false
		}
		overtaken := c.overtaken(u)
		return ends[u.GetLabels()[wellknown.PipelineTaskLabel]] || overtaken
	})
}

// overtaken says whether Tekton's controller hears that a TaskRun's pod is gone
// before it hears of the TaskRun's end, which it is about to write, and records the
// order if it could be either.
func (c *play) overtaken(run *unstructured.Unstructured) bool {
	var pod *corev1.Pod
	if !c.Plane.Controllers.Collecting(func(p *corev1.Pod) bool {
		if p.Namespace == run.GetNamespace() && p.Labels[wellknown.TaskRunLabel] == run.GetName() {
			pod = p
		}
		return pod != nil
	}) {
		return false
	}
	stale := podGoesFirst(c.cell.Spec.Tekton.Overlap, c.Plane.Seed(), plane.PodKey(pod))
	if !c.overlap.told[pod.UID] {
		if c.overlap.told == nil {
			c.overlap.told = map[types.UID]bool{}
		}
		c.overlap.told[pod.UID] = true
		c.log.Record(history.NewFact(wellknown.Simctl, controlplane.RefOf(run), history.FactOverlap, history.Overlap{Pod: pod.Name, Stale: stale}))
	}
	if stale {
		c.overlap.pending.Store(true)
	}
	return stale
}

// podGoesFirst gives the order that a scenario asks for, or the seed's.
func podGoesFirst(order string, seed int64, pod string) bool {
	switch order {
	case scenario.OverlapFresh:
		return false
	case scenario.OverlapStale:
		return true
	}
	return clock.Rand(seed, "overlap", pod).IntN(3) < staleOf3
}

// podFirst has the pod go whose TaskRun's end is withheld, and has what comes of it be
// scheduled, as recorded: the next pod is scheduled before the run's end takes anything
// away. It says whether there was anything to do. Time stands still meanwhile.
func (c *play) podFirst() bool {
	if !c.overlap.pending.Load() {
		return false
	}
	if c.Plane.Scheduler.TryNext() > 0 {
		return true
	}
	for _, e := range c.Plane.Clock.Pending(clock.Work) {
		if e.Key == kube.PodDeletion && !e.At.After(c.Plane.Clock.Now()) {
			return c.Plane.Clock.Step()
		}
	}
	c.overlap.pending.Store(false)
	return false
}

// field gives a field of an object as it is, or nil.
func field(u *unstructured.Unstructured, path ...string) any {
	v, _, _ := unstructured.NestedFieldNoCopy(u.Object, path...)
	return v
}

package node

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	statsapi "k8s.io/kubelet/pkg/apis/stats/v1alpha1"
	evictionapi "k8s.io/kubernetes/pkg/kubelet/eviction/api"

	"simctl.dev/simctl/sim/history"
)

// memory is a machine's memory: what pods take of it, and others.
type memory struct {
	// others is what is taken outside of pods.
	others int64
	// pressed is when a look last found too little, tried the pods that were there when one
	// could do nothing about it.
	pressed time.Time
	tried   string
	pressureReport
}

// memoryState is a memory as it is now.
type memoryState struct{ size, others, pods int64 }

func (s memoryState) free() int64 { return max(0, s.size-s.others-s.pods) }

// memoryUse is what the steps of a pod take now, by the container's name.
func (k *Kubelets) memoryUse(p *pod) map[string]int64 {
	if p.stage != running {
		return nil
	}
	use := map[string]int64{}
	for _, s := range p.steps {
		if !s.began.IsZero() && s.finished.IsZero() {
			// New has checked what the model says.
			use[s.spec.Name], _ = k.model(p).Memory.Bytes()
		}
	}
	return use
}

// memoryOfPod is what the steps of a pod take together.
func (k *Kubelets) memoryOfPod(p *pod) int64 {
	var all int64
	for _, bytes := range k.memoryUse(p) {
		all += bytes
	}
	return all
}

// memoryOf looks at a machine's memory; false if its node is gone.
func (k *Kubelets) memoryOf(m *machine) (memoryState, bool) {
	node, err := k.nodeLister.Get(m.name)
	if err != nil {
		return memoryState{}, false
	}
	size := node.Status.Capacity[corev1.ResourceMemory]
	s := memoryState{size: size.Value(), others: m.memory.others}
	for _, p := range k.podsOn(m) {
		s.pods += k.memoryOfPod(p)
	}
	return s, s.size > 0
}

// memoryReserve is what has to be free of a memory of a size: with less the kubelet is under
// pressure.
func (k *Kubelets) memoryReserve(size int64) int64 {
	return k.most(size, evictionapi.SignalMemoryAvailable)
}

// shortOfMemory says whether the next look of the eviction manager may do something about a
// machine's memory, and whether pressure goes on that has nothing behind it any more.
func (k *Kubelets) shortOfMemory(m *machine) (look, lingers bool) {
	s, ok := k.memoryOf(m)
	if !ok {
		return false, false
	}
	if s.free() < k.memoryReserve(s.size) {
		return m.memory.pressed.IsZero() || m.memory.tried != k.evictable(m), false
	}
	return false, !m.memory.pressed.IsZero()
}

// evictable names the pods on a machine.
func (k *Kubelets) evictable(m *machine) string {
	var names []string
	for _, p := range k.podsOn(m) {
		names = append(names, string(p.uid))
	}
	return strings.Join(names, " ")
}

// memoryStats are those of a machine, for the eviction manager.
func (e *evictions) memoryStats(now time.Time) *statsapi.MemoryStats {
	s, ok := e.k.memoryOf(e.m)
	if !ok {
		return nil // Nobody knows how much there is.
	}
	return memoryStats(now, s.size-s.free(), s.free())
}

func memoryStats(now time.Time, used, free int64) *statsapi.MemoryStats {
	u, f := uint64(max(0, used)), uint64(max(0, free))
	return &statsapi.MemoryStats{Time: metav1.NewTime(now), UsageBytes: &u, WorkingSetBytes: &u, AvailableBytes: &f}
}

// MemoryTaken has something outside of pods take a node's memory until so much is left of it;
// the function that it returns ends that.
func (k *Kubelets) MemoryTaken(ctx context.Context, t history.MemoryTaken) (mend func()) {
	m := k.machine(t.Node)
	s, _ := k.memoryOf(m)
	took := max(0, s.free()-t.Left)
	m.memory.others += took
	k.nodeFact(t.Node, history.FactMemoryTaken, t)
	k.planDisk(ctx, m)
	return func() {
		if k.machines[t.Node] != m || m.memory.others < took {
			return // It is another machine, or has been booted.
		}
		// What the kubelet has found last, at a look that nobody needed.
		if !m.isSilent() && !m.memory.pressed.IsZero() {
			k.lookAtDisk(ctx, m)
		}
		m.memory.others -= took
		k.nodeFact(t.Node, history.FactMemoryBack, t)
		k.planDisk(ctx, m)
	}
}

// memoryFact records what a node's memory held when a pod was evicted for it.
func (k *Kubelets) memoryFact(p *pod) {
	s, ok := k.memoryOf(p.m)
	if !ok {
		return
	}
	f := history.Memory{Node: p.m.name, Task: p.task, Size: s.size, Reserve: k.memoryReserve(s.size), Others: s.others}
	for _, other := range k.podsOn(p.m) {
		if bytes := k.memoryOfPod(other); bytes > 0 {
			f.Pods = append(f.Pods, history.DiskUse{Pod: fmt.Sprintf("%s/%s", other.namespace, other.name), Bytes: bytes})
		}
	}
	slices.SortFunc(f.Pods, func(a, b history.DiskUse) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Pod, b.Pod))
	})
	k.fact(p, history.FactMemory, f)
}

// most is the most of the thresholds of signals that a resource of a size has.
func (k *Kubelets) most(size int64, signals ...evictionapi.Signal) int64 {
	var most int64
	for _, t := range k.thresholds {
		if slices.Contains(signals, t.Signal) {
			q := evictionapi.GetThresholdQuantity(t.Value, resource.NewQuantity(size, resource.BinarySI))
			most = max(most, q.Value())
		}
	}
	return most
}

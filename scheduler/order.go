package scheduler

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"

	"simctl.dev/simctl/sim/clock"
)

// Names of the plugins that take the place of randomness.
const (
	podOrderName        = "PodOrder"
	nodeOrderName       = "NodeOrder"
	nodeOrderCoarseName = "NodeOrderCoarse"
)

// A plugin's score is one of 0 to 100, so a rank among more nodes than that
// takes two digits: NodeOrder is the low one, NodeOrderCoarse the high one.
const (
	rankBase = fwk.MaxScore + 1
	// tieScale is larger than any sum of both digits.
	tieScale = rankBase * rankBase
)

// nodeOrder scores nodes by a seeded shuffle of their names, one per pod.
type nodeOrder struct {
	name string
	// digit picks a rank's digit: 1 for the low one, rankBase for the high one.
	digit int64
	seed  func() int64
	key   func(*corev1.Pod) string
}

var (
	_ fwk.PreScorePlugin = &nodeOrder{}
	_ fwk.ScorePlugin    = &nodeOrder{}
)

// ranks is where each node stands in a pod's order.
type ranks map[string]int64

// Clone implements fwk.StateData; ranks do not change once they are written.
func (r ranks) Clone() fwk.StateData { return r }

func (o *nodeOrder) Name() string { return o.name }

// PreScore implements fwk.PreScorePlugin.
func (o *nodeOrder) PreScore(_ context.Context, state fwk.CycleState, pod *corev1.Pod, nodes []fwk.NodeInfo) *fwk.Status {
	names := make([]string, 0, len(nodes))
	for _, n := range nodes {
		names = append(names, n.Node().Name)
	}
	state.Write(fwk.StateKey(o.name), rank(o.seed(), o.key(pod), names))
	return nil
}

// rank orders the nodes by draws that depend on the seed, the pod's key and
// each node's name.
func rank(seed int64, key string, nodes []string) ranks {
	draws := make(map[string]uint64, len(nodes))
	for _, n := range nodes {
		draws[n] = clock.Rand(seed, "scheduler", key, n).Uint64()
	}
	sorted := slices.Clone(nodes)
	slices.SortFunc(sorted, func(a, b string) int {
		if draws[a] != draws[b] {
			if draws[a] < draws[b] {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	r := make(ranks, len(nodes))
	for i, n := range sorted {
		r[n] = int64(i)
	}
	return r
}

// Score implements fwk.ScorePlugin.
func (o *nodeOrder) Score(_ context.Context, state fwk.CycleState, _ *corev1.Pod, node fwk.NodeInfo) (int64, *fwk.Status) {
	data, err := state.Read(fwk.StateKey(o.name))
	if err != nil {
		return 0, fwk.AsStatus(fmt.Errorf("reading the order of the nodes: %w", err))
	}
	r, ok := data.(ranks)
	if !ok {
		return 0, fwk.AsStatus(fmt.Errorf("the order of the nodes is a %T", data))
	}
	return r[node.Node().Name] / o.digit % rankBase, nil
}

// ScoreExtensions implements fwk.ScorePlugin.
func (*nodeOrder) ScoreExtensions() fwk.ScoreExtensions { return nil }

// podOrder is upstream's PrioritySort, by priority and then by the time a pod
// came to the queue, and after that by name: on virtual time many pods come at
// one moment.
type podOrder struct {
	key func(*corev1.Pod) string
}

var _ fwk.QueueSortPlugin = &podOrder{}

func (*podOrder) Name() string { return podOrderName }

// Less implements fwk.QueueSortPlugin.
func (o *podOrder) Less(a, b fwk.QueuedEntityInfo) bool {
	if pa, pb := a.GetPriority(), b.GetPriority(); pa != pb {
		return pa > pb
	}
	if ta, tb := a.GetTimestamp(), b.GetTimestamp(); !ta.Equal(tb) {
		return ta.Before(tb)
	}
	return o.name(a) < o.name(b)
}

func (o *podOrder) name(e fwk.QueuedEntityInfo) string {
	switch e := e.(type) {
	case *framework.QueuedPodInfo:
		return o.key(e.Pod)
	case framework.QueuedEntityInfo:
		return e.GetNamespace() + "/" + e.GetName()
	}
	return ""
}

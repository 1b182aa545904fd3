package scheduler

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/names"

	"github.com/google/go-cmp/cmp"

	"simctl.dev/simctl/sim/history"
)

func node(name string, taints ...corev1.Taint) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.NodeSpec{Taints: taints}}
}

func taint(key, value string, effect corev1.TaintEffect) corev1.Taint {
	return corev1.Taint{Key: key, Value: value, Effect: effect}
}

var (
	master = taint("node-role.kubernetes.io/master", "", corev1.TaintEffectNoSchedule)
	gpu    = taint("nvidia.com/gpu", "true", corev1.TaintEffectNoSchedule)
	evict  = taint("maintenance", "", corev1.TaintEffectNoExecute)
	soft   = taint("busy", "", corev1.TaintEffectPreferNoSchedule)
)

func refused(plugin string, code fwk.Code, reasons ...string) *fwk.Status {
	return fwk.NewStatus(code, reasons...).WithPlugin(plugin)
}

func byTaint() *fwk.Status {
	return refused(names.TaintToleration, fwk.UnschedulableAndUnresolvable, "node(s) had untolerated taint(s)")
}

func TestExplain(t *testing.T) {
	const affinity = "node(s) didn't match pod affinity rules"
	tests := []struct {
		name        string
		nodes       []*corev1.Node
		tolerations []corev1.Toleration
		statuses    map[string]*fwk.Status
		absent      *fwk.Status
		preFilter   string
		want        []history.NodeRefusal
		perTaint    string
	}{{
		name: "the incident's cluster",
		nodes: []*corev1.Node{
			node("worker-1"), node("worker-0"), node("worker-2"), node("master-0", master),
			node("gpu-0", gpu), node("gpu-1", gpu), node("gpu-2", gpu),
		},
		statuses: map[string]*fwk.Status{
			"master-0": byTaint(), "gpu-0": byTaint(), "gpu-1": byTaint(), "gpu-2": byTaint(),
			"worker-0": refused(names.InterPodAffinity, fwk.UnschedulableAndUnresolvable, affinity),
			"worker-1": refused(names.InterPodAffinity, fwk.UnschedulableAndUnresolvable, affinity),
			"worker-2": refused(names.InterPodAffinity, fwk.UnschedulableAndUnresolvable, affinity),
		},
		want: []history.NodeRefusal{
			{Node: "gpu-0", Plugin: "TaintToleration", Reasons: []string{"node(s) had untolerated taint(s)"}, Taints: []string{"nvidia.com/gpu: true"}, Unresolvable: true},
			{Node: "gpu-1", Plugin: "TaintToleration", Reasons: []string{"node(s) had untolerated taint(s)"}, Taints: []string{"nvidia.com/gpu: true"}, Unresolvable: true},
			{Node: "gpu-2", Plugin: "TaintToleration", Reasons: []string{"node(s) had untolerated taint(s)"}, Taints: []string{"nvidia.com/gpu: true"}, Unresolvable: true},
			{Node: "master-0", Plugin: "TaintToleration", Reasons: []string{"node(s) had untolerated taint(s)"}, Taints: []string{"node-role.kubernetes.io/master: "}, Unresolvable: true},
			{Node: "worker-0", Plugin: "InterPodAffinity", Reasons: []string{affinity}, Unresolvable: true},
			{Node: "worker-1", Plugin: "InterPodAffinity", Reasons: []string{affinity}, Unresolvable: true},
			{Node: "worker-2", Plugin: "InterPodAffinity", Reasons: []string{affinity}, Unresolvable: true},
		},
		perTaint: "0/7 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/master: }, 3 node(s) didn't match pod affinity rules, 3 node(s) had untolerated taint {nvidia.com/gpu: true}.",
	}, {
		name:  "several taints: all are listed, the message names the first",
		nodes: []*corev1.Node{node("a", soft, gpu, evict, master)},
		tolerations: []corev1.Toleration{
			{Key: gpu.Key, Operator: corev1.TolerationOpExists},
			{Key: master.Key, Operator: corev1.TolerationOpEqual, Value: "other"},
		},
		statuses: map[string]*fwk.Status{"a": byTaint()},
		want: []history.NodeRefusal{{
			Node: "a", Plugin: "TaintToleration", Reasons: []string{"node(s) had untolerated taint(s)"},
			Taints: []string{"maintenance: ", "node-role.kubernetes.io/master: "}, Unresolvable: true,
		}},
		perTaint: "0/1 nodes are available: 1 node(s) had untolerated taint {maintenance: }.",
	}, {
		name:  "a node with taints that another plugin refused",
		nodes: []*corev1.Node{node("a", gpu)},
		statuses: map[string]*fwk.Status{
			"a": refused(names.NodeName, fwk.UnschedulableAndUnresolvable, "node(s) didn't match the requested node name"),
		},
		want: []history.NodeRefusal{{
			Node: "a", Plugin: "NodeName", Reasons: []string{"node(s) didn't match the requested node name"}, Unresolvable: true,
		}},
		perTaint: "0/1 nodes are available: 1 node(s) didn't match the requested node name.",
	}, {
		name:     "several reasons on one node, and what preemption could solve",
		nodes:    []*corev1.Node{node("a"), node("b")},
		statuses: map[string]*fwk.Status{"a": refused(names.NodeResourcesFit, fwk.Unschedulable, "Insufficient cpu", "Insufficient memory"), "b": refused(names.NodeResourcesFit, fwk.Unschedulable, "Insufficient cpu")},
		want: []history.NodeRefusal{
			{Node: "a", Plugin: "NodeResourcesFit", Reasons: []string{"Insufficient cpu", "Insufficient memory"}},
			{Node: "b", Plugin: "NodeResourcesFit", Reasons: []string{"Insufficient cpu"}},
		},
		perTaint: "0/2 nodes are available: 1 Insufficient memory, 2 Insufficient cpu.",
	}, {
		name:      "refused before any node was looked at",
		nodes:     []*corev1.Node{node("b"), node("a", gpu)},
		absent:    refused(names.VolumeBinding, fwk.UnschedulableAndUnresolvable, `persistentvolumeclaim "models" not found`),
		preFilter: `persistentvolumeclaim "models" not found`,
		want: []history.NodeRefusal{
			{Node: "a", Plugin: "VolumeBinding", Reasons: []string{`persistentvolumeclaim "models" not found`}, Unresolvable: true},
			{Node: "b", Plugin: "VolumeBinding", Reasons: []string{`persistentvolumeclaim "models" not found`}, Unresolvable: true},
		},
		perTaint: `0/2 nodes are available: persistentvolumeclaim "models" not found.`,
	}, {
		name:     "nodes that a PreFilter plugin left out",
		nodes:    []*corev1.Node{node("a"), node("b"), node("c")},
		statuses: map[string]*fwk.Status{"c": refused(names.NodeResourcesFit, fwk.Unschedulable, "Too many pods")},
		absent:   fwk.NewStatus(fwk.UnschedulableAndUnresolvable, "node(s) didn't satisfy plugin(s) [NodeAffinity VolumeBinding]"),
		want: []history.NodeRefusal{
			{Node: "a", Plugin: "NodeAffinity,VolumeBinding", Reasons: []string{"node(s) didn't satisfy plugin(s) [NodeAffinity VolumeBinding]"}, Unresolvable: true},
			{Node: "b", Plugin: "NodeAffinity,VolumeBinding", Reasons: []string{"node(s) didn't satisfy plugin(s) [NodeAffinity VolumeBinding]"}, Unresolvable: true},
			{Node: "c", Plugin: "NodeResourcesFit", Reasons: []string{"Too many pods"}},
		},
		perTaint: "0/3 nodes are available: 1 Too many pods, 2 node(s) didn't satisfy plugin(s) [NodeAffinity VolumeBinding].",
	}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			absent := tt.absent
			if absent == nil {
				absent = fwk.NewStatus(fwk.UnschedulableAndUnresolvable)
			}
			if tt.statuses == nil {
				tt.statuses = map[string]*fwk.Status{}
			}
			statuses := framework.NewNodeToStatus(tt.statuses, absent)
			pod := &corev1.Pod{Spec: corev1.PodSpec{Tolerations: tt.tolerations}}
			got := Explain(pod, tt.nodes, statuses)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("refusals (-want +got):\n%s", diff)
			}
			if got := PerTaint(len(tt.nodes), tt.preFilter, got); got != tt.perTaint {
				t.Errorf("message\n got %s\nwant %s", got, tt.perTaint)
			}
			// Taints aside the wording must be the scheduler's own.
			own := (&framework.FitError{NumAllNodes: len(tt.nodes), Diagnosis: framework.Diagnosis{NodeToStatus: statuses, PreFilterMsg: tt.preFilter}}).Error()
			var bare []history.NodeRefusal
			for _, r := range got {
				r.Taints = nil
				bare = append(bare, r)
			}
			if got := PerTaint(len(tt.nodes), tt.preFilter, bare); got != own {
				t.Errorf("without taints\n      got %s\nscheduler %s", got, own)
			}
		})
	}
}

func TestRank(t *testing.T) {
	var nodes, back []string
	for i := range 250 {
		nodes = append(nodes, fmt.Sprintf("node-%d", i))
		back = append([]string{nodes[i]}, back...)
	}
	one := rank(1, "ns/pod", nodes)
	seen := map[int64]bool{}
	for _, r := range one {
		if r < 0 || r >= int64(len(nodes)) || seen[r] {
			t.Fatalf("rank %d is out of range or taken", r)
		}
		seen[r] = true
	}
	if diff := cmp.Diff(one, rank(1, "ns/pod", back)); diff != "" {
		t.Errorf("the order of the arguments changes the ranks:\n%s", diff)
	}
	if cmp.Equal(one, rank(2, "ns/pod", nodes)) {
		t.Error("another seed gives the same order")
	}
	if cmp.Equal(one, rank(1, "ns/other", nodes)) {
		t.Error("another pod gives the same order")
	}
}

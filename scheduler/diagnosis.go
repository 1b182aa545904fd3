package scheduler

import (
	"context"
	"errors"
	"reflect"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/wellknown"
)

// DiagnosisName is the name of the plugin that records refusals.
const DiagnosisName = "Diagnosis"

// diagnosis is a PostFilter plugin that runs first and never helps: it takes
// down the nodes' statuses while the scheduling cycle's snapshot of the nodes
// is still the one they were made from. The scheduler's own message is not
// complete before the other PostFilter plugins have run, so the record is
// written by failed, which the scheduler's failure handler calls.
type diagnosis struct {
	recorder func() history.Recorder

	mu    sync.Mutex
	nodes func() []*corev1.Node
	// noted holds the refusals of pods between PostFilter and failed, told
	// what was last recorded of each pod.
	noted map[types.UID][]history.NodeRefusal
	told  map[types.UID]history.Unschedulable
}

var _ fwk.PostFilterPlugin = &diagnosis{}

func newDiagnosis(recorder func() history.Recorder) *diagnosis {
	d := &diagnosis{recorder: recorder}
	d.reset()
	return d
}

func (d *diagnosis) reset() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.noted = map[types.UID][]history.NodeRefusal{}
	d.told = map[types.UID]history.Unschedulable{}
}

func (*diagnosis) Name() string { return DiagnosisName }

// attach gives the plugin the scheduler's snapshot of the nodes.
func (d *diagnosis) attach(h fwk.Handle) {
	d.nodes = func() []*corev1.Node {
		infos, err := h.SnapshotSharedLister().NodeInfos().List()
		if err != nil {
			return nil
		}
		nodes := make([]*corev1.Node, 0, len(infos))
		for _, info := range infos {
			nodes = append(nodes, info.Node())
		}
		return nodes
	}
}

// PostFilter implements fwk.PostFilterPlugin. It gives no reasons, so the
// pod's message stays upstream's.
func (d *diagnosis) PostFilter(_ context.Context, _ fwk.CycleState, pod *corev1.Pod, statuses fwk.NodeToStatusReader) (*fwk.PostFilterResult, *fwk.Status) {
	refusals := Explain(pod, d.nodes(), statuses)
	d.mu.Lock()
	d.noted[pod.UID] = refusals
	d.mu.Unlock()
	return nil, fwk.NewStatus(fwk.Unschedulable)
}

// failed records a failure to place a pod, unless the last record of the pod
// says the same.
func (d *diagnosis) failed(pod *corev1.Pod, status *fwk.Status) {
	u := history.Unschedulable{Message: status.Message(), PerTaint: status.Message()}
	d.mu.Lock()
	defer d.mu.Unlock()
	var fit *framework.FitError
	if errors.As(status.AsError(), &fit) {
		refusals, ok := d.noted[pod.UID]
		if !ok {
			// Refused after the filters (Reserve, Permit): one node is concerned,
			// and none of its taints.
			fit.Diagnosis.NodeToStatus.ForEachExplicitNode(func(node string, s *fwk.Status) {
				refusals = append(refusals, history.NodeRefusal{Node: node, Plugin: s.Plugin(), Reasons: s.Reasons(),
					Unresolvable: s.Code() == fwk.UnschedulableAndUnresolvable})
			})
		}
		u.Nodes = refusals
		u.PerTaint = PerTaint(fit.NumAllNodes, fit.Diagnosis.PreFilterMsg, refusals)
	}
	delete(d.noted, pod.UID)
	if last, ok := d.told[pod.UID]; ok && reflect.DeepEqual(last, u) {
		return
	}
	d.told[pod.UID] = u
	if r := d.recorder(); r != nil {
		r.Record(history.NewFact(wellknown.KubeScheduler,
			history.Ref{APIVersion: "v1", Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name},
			history.FactUnschedulable, u))
	}
}

// bound forgets a pod that was placed.
func (d *diagnosis) bound(uid types.UID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.noted, uid)
	delete(d.told, uid)
}

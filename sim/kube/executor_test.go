package kube

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/volume"
	"k8s.io/kubernetes/pkg/volume/util/operationexecutor"
	volumetypes "k8s.io/kubernetes/pkg/volume/util/types"

	"simctl.dev/simctl/sim/clock"
)

// books are an executor's on which operations are put and stay.
type books struct {
	operationexecutor.OperationExecutor
	pending map[target]bool
}

func (b *books) AttachVolume(_ klog.Logger, v operationexecutor.VolumeToAttach, _ operationexecutor.ActualStateOfWorldAttacherUpdater) error {
	b.pending[target{volume: v.VolumeName}] = true
	return nil
}

func (b *books) DetachVolume(_ klog.Logger, v operationexecutor.AttachedVolume, _ bool, _ operationexecutor.ActualStateOfWorldAttacherUpdater) error {
	b.pending[target{volume: v.VolumeName}] = true
	return nil
}

func (b *books) IsOperationPending(volume corev1.UniqueVolumeName, _ volumetypes.UniquePodName, node types.NodeName) bool {
	return b.pending[target{volume, node}]
}

// TestOffTheBooks has a volume's attach follow its detach from another node so fast
// that nobody saw the books without an operation of this volume: the detach is off
// them all the same. An attach takes virtual time, which would never come.
func TestOffTheBooks(t *testing.T) {
	upstream := &books{pending: map[target]bool{}}
	e := &executor{OperationExecutor: upstream, clock: clock.New(clock.Epoch),
		started: map[target]begun{}, latest: map[target]int{}, failed: map[operation]*failure{}}
	pv := &corev1.PersistentVolume{Spec: corev1.PersistentVolumeSpec{AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}}}
	spec := volume.NewSpecFromPersistentVolume(pv, false)
	if err := e.DetachVolume(klog.Background(), operationexecutor.AttachedVolume{VolumeName: "v", VolumeSpec: spec, NodeName: "a"}, true, nil); err != nil {
		t.Fatal(err)
	}
	off := e.ended("v", "a", nil)
	if off() {
		t.Error("the detach is still on the books, and said to be off")
	}
	upstream.pending = map[target]bool{}
	if !off() {
		t.Error("nothing is on the books any more, and the detach is said to be")
	}
	if err := e.AttachVolume(klog.Background(), operationexecutor.VolumeToAttach{VolumeName: "v", VolumeSpec: spec, NodeName: "b"}, nil); err != nil {
		t.Fatal(err)
	}
	if !off() {
		t.Error("the attach is on the books, and the detach is said to be")
	}
	if e.ended("v", "b", nil)() {
		t.Error("the attach is still on the books, and said to be off")
	}
}

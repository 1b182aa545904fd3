package kube

import (
	"context"
	"fmt"
	"reflect"
	"time"
	"unsafe" // and for linkname

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	attachcache "k8s.io/kubernetes/pkg/controller/volume/attachdetach/cache"
	"k8s.io/kubernetes/pkg/controller/volume/attachdetach/populator"
	"k8s.io/kubernetes/pkg/volume/util"
	"k8s.io/kubernetes/pkg/volume/util/types"

	"simctl.dev/simctl/sim/clock"
	"simctl.dev/simctl/sim/internal/work"
)

// removeDeletedPods is a round of upstream's populator; the receiver comes first, whose
// type upstream keeps to itself.
//
//go:linkname removeDeletedPods k8s.io/kubernetes/pkg/controller/volume/attachdetach/populator.(*desiredStateOfWorldPopulator).findAndRemoveDeletedPods
func removeDeletedPods(populator unsafe.Pointer, logger klog.Logger)

// lookAfterPods is the period at which upstream's attach/detach controller looks
// whether the pods for which it keeps volumes attached are still there
// (DesiredStateOfWorldPopulatorLoopSleepPeriod).
const lookAfterPods = time.Minute

// forgotten has upstream's populator look after pods that are gone, by virtual time. As
// a rule it has nothing to find: the controller hears of a pod's end. It does not
// understand it, though, where the pod's claim is gone by then, as when Tekton takes a
// claim's finalizer off and deletes it together with its assistant. The volume stays
// attached until the populator comes round. Where a pod is left over, its next round is
// put on the clock; others would do nothing.
type forgotten struct {
	inner populator.DesiredStateOfWorldPopulator
	world attachcache.DesiredStateOfWorld
	clock *clock.Clock
	want  func()
}

var _ populator.DesiredStateOfWorldPopulator = (*forgotten)(nil)

// Run implements populator.DesiredStateOfWorldPopulator. Upstream's own loop goes by the
// host's clock. What it finds beyond pods that are gone, claims whose volume came
// late, is looked after when the volume comes.
func (f *forgotten) Run(ctx context.Context) { <-ctx.Done() }

// gone is told of a pod that was deleted after the controller was: if the controller
// keeps its volumes attached all the same, the next round will find it.
func (f *forgotten) gone(obj any) {
	if last, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		obj = last.Obj
	}
	if pod, ok := obj.(*corev1.Pod); ok && f.keeps(pod) {
		f.round(pod)
	}
}

// keeps says whether the controller keeps volumes attached for a pod.
func (f *forgotten) keeps(pod *corev1.Pod) bool {
	for _, kept := range f.world.GetPodToAdd() {
		if kept.Pod.UID == pod.UID {
			return true
		}
	}
	return false
}

// round puts the next round of the populator on the clock.
func (f *forgotten) round(pod *corev1.Pod) {
	d := lookAfterPods - f.clock.Since(f.clock.Start())%lookAfterPods
	f.clock.Schedule(d, clock.Work, fmt.Sprintf("attachdetach-populator/%s/%s", pod.Namespace, work.StableName(pod.Name)), func() {
		removeDeletedPods(reflect.ValueOf(f.inner).UnsafePointer(), klog.Background())
		f.want()
		if f.keeps(pod) {
			f.round(pod) // A round lets go of one volume of each pod.
		}
	})
}

// oneOfEach draws from the seed which of its volumes the populator lets go of for a pod in
// a round. Upstream lists one volume for each pod, the one that a Go map has last.
type oneOfEach struct {
	attachcache.DesiredStateOfWorld
	seed func() int64
}

// GetPodToAdd implements attachcache.DesiredStateOfWorld.
func (o oneOfEach) GetPodToAdd() map[types.UniquePodName]attachcache.PodToAdd {
	out, places := map[types.UniquePodName]attachcache.PodToAdd{}, map[types.UniquePodName]uint64{}
	for _, v := range o.GetVolumesToAttach() {
		for _, pod := range v.ScheduledPods {
			uid := util.GetUniquePodName(pod)
			place := clock.Rand(o.seed(), "populator", pod.Namespace, work.StableName(pod.Name), claimOf(v.VolumeSpec)).Uint64()
			if last, ok := places[uid]; !ok || place < last {
				out[uid], places[uid] = attachcache.PodToAdd{Pod: pod, VolumeName: v.VolumeName, NodeName: v.NodeName}, place
			}
		}
	}
	return out
}

package scheduler

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/component-helpers/storage/ephemeral"
	"k8s.io/component-helpers/storage/volume"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/volumebinding"
	"k8s.io/utils/clock"
)

// bindTimeout is upstream's default for VolumeBindingArgs.BindTimeoutSeconds.
const bindTimeout = 10 * time.Minute

// eventBinder is upstream's volume binder, except that a binding that waits for
// its volumes is over as soon as they are bound: upstream looks once a second
// of real time, and gives up after ten real minutes. Upstream's loop goes on
// beside it and has the last word whenever something has gone wrong.
type eventBinder struct {
	volumebinding.SchedulerVolumeBinder
	clock  clock.WithTicker
	claims corelisters.PersistentVolumeClaimLister
	pvs    corelisters.PersistentVolumeLister
	pods   corelisters.PodLister
	nodes  corelisters.NodeLister

	mu      sync.Mutex
	waiters map[*waiter]struct{}
}

// waiter is one BindPodVolumes call.
type waiter struct {
	pod     *corev1.Pod
	changes []*corev1.PersistentVolumeClaim
	// waits says that the claims wait for somebody else: every request of the
	// scheduler's own has been seen to arrive.
	waits bool
	over  chan error
}

// BindPodVolumes implements volumebinding.SchedulerVolumeBinder.
func (b *eventBinder) BindPodVolumes(ctx context.Context, pod *corev1.Pod, volumes *volumebinding.PodVolumes) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w := &waiter{pod: pod, over: make(chan error, 1)}
	for _, p := range volumes.DynamicProvisions {
		w.changes = append(w.changes, p.PVC)
	}
	upstream := make(chan error, 1)
	go func() { upstream <- b.SchedulerVolumeBinder.BindPodVolumes(ctx, pod, volumes) }()

	b.mu.Lock()
	b.waiters[w] = struct{}{}
	b.check(w)
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.waiters, w)
	}()

	limit := b.clock.NewTimer(bindTimeout)
	defer limit.Stop()
	select {
	case err := <-upstream:
		return err
	case err := <-w.over:
		cancel()
		_ = <-upstream // its error is the cancellation
		return err
	case <-limit.C():
		cancel()
		_ = <-upstream // its error is the cancellation
		return fmt.Errorf("binding volumes: %w", context.DeadlineExceeded)
	}
}

// changed looks at every waiting binding again; the informers' handlers call it.
func (b *eventBinder) changed() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for w := range b.waiters {
		b.check(w)
	}
}

// waiting is how many bindings wait for volumes that others have to supply.
func (b *eventBinder) waiting() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for w := range b.waiters {
		if w.waits {
			n++
		}
	}
	return n
}

// check ends w's wait if its volumes are bound or its pod is gone. Callers hold
// the lock.
func (b *eventBinder) check(w *waiter) {
	w.waits = false
	if _, err := b.pods.Pods(w.pod.Namespace).Get(w.pod.Name); apierrors.IsNotFound(err) {
		w.end(fmt.Errorf("binding volumes: pod does not exist any more: %w", err))
		return
	}
	for _, c := range w.changes {
		now, err := b.claims.PersistentVolumeClaims(c.Namespace).Get(c.Name)
		if err != nil || now.Annotations[volume.AnnSelectedNode] != w.pod.Spec.NodeName {
			// The request that says so is still on its way, or the provisioner
			// took the node back, which upstream's loop finds.
			return
		}
	}
	node, err := b.nodes.Get(w.pod.Spec.NodeName)
	if err != nil {
		return
	}
	for i := range w.pod.Spec.Volumes {
		name := claimName(w.pod, &w.pod.Spec.Volumes[i])
		if name == "" {
			continue
		}
		claim, err := b.claims.PersistentVolumeClaims(w.pod.Namespace).Get(name)
		if err != nil {
			return
		}
		if claim.Spec.VolumeName == "" || claim.Annotations[volume.AnnBindCompleted] == "" {
			w.waits = true
			return
		}
		pv, err := b.pvs.Get(claim.Spec.VolumeName)
		if err != nil {
			w.waits = true
			return
		}
		if volume.CheckNodeAffinity(pv, node.Labels) != nil {
			return
		}
	}
	w.end(nil)
}

func (w *waiter) end(err error) {
	select {
	case w.over <- err:
	default:
	}
}

// claimName is the claim that a pod's volume uses; empty if it uses none.
func claimName(pod *corev1.Pod, v *corev1.Volume) string {
	switch {
	case v.PersistentVolumeClaim != nil:
		return v.PersistentVolumeClaim.ClaimName
	case v.Ephemeral != nil:
		return ephemeral.VolumeClaimName(pod, v)
	}
	return ""
}

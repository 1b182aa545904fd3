package kube

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	coreinformers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/controller/volume/attachdetach"
	attachcache "k8s.io/kubernetes/pkg/controller/volume/attachdetach/cache"
	"k8s.io/kubernetes/pkg/controller/volume/attachdetach/populator"
	"k8s.io/kubernetes/pkg/controller/volume/attachdetach/reconciler"
	"k8s.io/kubernetes/pkg/controller/volume/attachdetach/statusupdater"
	nodeutil "k8s.io/kubernetes/pkg/util/node"
	"k8s.io/kubernetes/pkg/volume"
	"k8s.io/kubernetes/pkg/volume/util/nestedpendingoperations"
	"k8s.io/kubernetes/pkg/volume/util/operationexecutor"

	"simctl.dev/simctl/sim/clock"
	"simctl.dev/simctl/sim/internal/work"
)

const (
	// oncePerRun is a reconciler period that never ends.
	oncePerRun = 100 * 365 * 24 * time.Hour
	// lookAround is upstream's reconciler period. Passes are made when there is
	// something to see; those made at this period find what nobody tells of.
	lookAround = 100 * time.Millisecond
)

// passes runs upstream's attach/detach reconciler one pass at a time.
type passes struct {
	reconciler reconciler.Reconciler
	executor   *executor

	wake chan struct{}

	mu sync.Mutex
	// wanted is how many passes were asked for, made the number of them that a
	// pass has begun and ended after.
	wanted, made int
	// settling is the number of operations that have ended and are not yet off
	// the executor's books.
	settling int
	// cancel ends the reconciler's run of one pass.
	cancel context.CancelFunc
}

var _ reconciler.Reconciler = &passes{}

// want has a pass made.
func (p *passes) want() {
	p.mu.Lock()
	p.wanted++
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// quiet says that every pass that was asked for has been made.
func (p *passes) quiet() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.wanted == p.made && p.settling == 0
}

// over wants a pass as soon as an operation's end is on the executor's books:
// before that the reconciler would leave the volume alone.
func (p *passes) over(volume corev1.UniqueVolumeName, node types.NodeName, err error) {
	p.mu.Lock()
	p.settling++
	p.mu.Unlock()
	off := p.executor.ended(volume, node, err)
	go func() {
		for !off() {
			time.Sleep(20 * time.Microsecond)
		}
		p.want()
		p.mu.Lock()
		p.settling--
		p.mu.Unlock()
	}()
}

// Run implements reconciler.Reconciler.
func (p *passes) Run(ctx context.Context) {
	around := time.NewTicker(lookAround)
	defer around.Stop()
	for {
		p.pass(ctx)
		select {
		case <-ctx.Done():
			return
		case <-p.wake:
		case <-around.C:
		}
	}
}

// pass runs the reconciler until its first pass ends.
func (p *passes) pass(ctx context.Context) {
	once, cancel := context.WithCancel(ctx)
	defer cancel()
	p.mu.Lock()
	wanted := p.wanted
	p.cancel = cancel
	p.mu.Unlock()
	p.reconciler.Run(once)
	p.mu.Lock()
	p.made = wanted
	p.mu.Unlock()
}

// lastStep ends the reconciler's run after the last step of a pass.
type lastStep struct {
	statusupdater.NodeStatusUpdater
	passes *passes
}

// UpdateNodeStatuses implements statusupdater.NodeStatusUpdater.
func (l *lastStep) UpdateNodeStatuses(logger klog.Logger) error {
	err := l.NodeStatusUpdater.UpdateNodeStatuses(logger)
	l.passes.mu.Lock()
	defer l.passes.mu.Unlock()
	l.passes.cancel()
	return err
}

// drawnOrder lists the volumes to attach in an order drawn from the seed.
// Upstream's order is that of a map: which of two nodes gets a volume that both
// wait for is a matter of chance on a cluster, too.
type drawnOrder struct {
	attachcache.DesiredStateOfWorld
	seed func() int64
}

// GetVolumesToAttach implements attachcache.DesiredStateOfWorld.
func (d drawnOrder) GetVolumesToAttach() []attachcache.VolumeToAttach {
	all := d.DesiredStateOfWorld.GetVolumesToAttach()
	type drawn struct {
		volume attachcache.VolumeToAttach
		name   string
		place  uint64
	}
	out := make([]drawn, len(all))
	for i, v := range all {
		name := string(v.NodeName) + " " + claimOf(v.VolumeSpec)
		out[i] = drawn{v, name, clock.Rand(d.seed(), "attach", name).Uint64()}
	}
	slices.SortFunc(out, func(a, b drawn) int {
		return cmp.Or(cmp.Compare(a.place, b.place), strings.Compare(a.name, b.name))
	})
	for i := range out {
		all[i] = out[i].volume
	}
	return all
}

// detachRequests tells in virtual time how long a volume has waited to be
// unmounted by its node. It is asked by the reconciler alone, one pass at a time.
type detachRequests struct {
	attachcache.ActualStateOfWorld
	clock    *clock.Clock
	nodes    corelisters.NodeLister
	want     func()
	patience time.Duration
	made     map[target]*detachRequest
}

type detachRequest struct {
	at time.Time
	// awaited: a pass is to be made when the patience with a lost node is over.
	awaited bool
}

// SetDetachRequestTime implements attachcache.ActualStateOfWorld.
func (d *detachRequests) SetDetachRequestTime(logger klog.Logger, volume corev1.UniqueVolumeName, node types.NodeName) (time.Duration, error) {
	first := true
	for _, v := range d.GetAttachedVolumesForNode(node) {
		first = first && (v.VolumeName != volume || v.DetachRequestedTime.IsZero())
	}
	if _, err := d.ActualStateOfWorld.SetDetachRequestTime(logger, volume, node); err != nil {
		return 0, err
	}
	key := target{volume, node}
	r := d.made[key]
	if r == nil || first {
		r = &detachRequest{at: d.clock.Now()}
		d.made[key] = r
	}
	// Only the volumes of a node that is not there, or not ready, are taken away by force
	// (nodeIsHealthy in pkg/controller/volume/attachdetach/reconciler).
	if n, err := d.nodes.Get(string(node)); (err != nil || !nodeutil.IsNodeReady(n)) && !r.awaited {
		r.awaited = true
		d.clock.Schedule(d.patience+time.Second-d.clock.Since(r.at), clock.Work, "forced-detach/"+string(node), d.want)
	}
	return d.clock.Since(r.at), nil
}

// claimOf names the claim that a volume is bound to: the volume's own name is
// made up anew in every cell.
func claimOf(spec *volume.Spec) string {
	if spec == nil || spec.PersistentVolume == nil || spec.PersistentVolume.Spec.ClaimRef == nil {
		return ""
	}
	ref := spec.PersistentVolume.Spec.ClaimRef
	return ref.Namespace + "/" + work.StableName(ref.Name)
}

// attachDetach makes the attach/detach controller.
func attachDetach(ctx context.Context, client kubernetes.Interface, f informers.SharedInformerFactory, c *clock.Clock, seed func() int64) (func(context.Context), *passes, *retryQueue, error) {
	p := &passes{wake: make(chan struct{}, 1)}
	attachments := f.Storage().V1().VolumeAttachments()
	plugin, err := newCSI(c, attachments.Lister(), f.Core().V1().PersistentVolumes().Lister())
	if err != nil {
		return nil, nil, nil, err
	}
	plugin.over = p.over
	plugin.hope = func(volume corev1.UniqueVolumeName, node types.NodeName) { p.executor.hope(volume, node) }
	if _, err := attachments.Informer().AddEventHandler(plugin.handler()); err != nil {
		return nil, nil, nil, fmt.Errorf("watching attachments: %w", err)
	}
	timers := attachdetach.DefaultTimerConfig
	timers.ReconcilerLoopPeriod = oncePerRun
	core := f.Core().V1()
	left := &forgotten{clock: c, want: p.want}
	claims := &toldInformer{SharedIndexInformer: core.PersistentVolumeClaims().Informer(), told: p.want}
	adc, err := attachdetach.NewAttachDetachController(ctx, client,
		podInformer{&toldInformer{SharedIndexInformer: core.Pods().Informer(), told: p.want, gone: left.gone}, core.Pods().Lister()},
		nodeInformer{&toldInformer{SharedIndexInformer: core.Nodes().Informer(), told: p.want}, core.Nodes().Lister()},
		claimInformer{claims, core.PersistentVolumeClaims().Lister()},
		core.PersistentVolumes(),
		f.Storage().V1().CSINodes(), f.Storage().V1().CSIDrivers(), attachments,
		[]volume.VolumePlugin{plugin}, nil,
		// The sync looks after volumes that were detached behind the
		// controller's back, once a real minute; nobody does that here.
		true, time.Minute, false, timers)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("making the attach/detach controller: %w", err)
	}

	inner, err := field[reconciler.Reconciler](adc, "reconciler")
	if err != nil {
		return nil, nil, nil, err
	}
	books, err := field[operationexecutor.OperationExecutor](adc, "attacherDetacher")
	if err != nil {
		return nil, nil, nil, err
	}
	again, err := field[operationexecutor.OperationExecutor](*inner, "attacherDetacher")
	if err != nil {
		return nil, nil, nil, err
	}
	pending, err := field[nestedpendingoperations.NestedPendingOperations](*books, "pendingOperations")
	if err != nil {
		return nil, nil, nil, err
	}
	*pending = nestedpendingoperations.NewNestedPendingOperations(false)
	updater, err := field[statusupdater.NodeStatusUpdater](*inner, "nodeStatusUpdater")
	if err != nil {
		return nil, nil, nil, err
	}
	wanted, err := field[attachcache.DesiredStateOfWorld](*inner, "desiredStateOfWorld")
	if err != nil {
		return nil, nil, nil, err
	}
	looks, err := field[populator.DesiredStateOfWorldPopulator](adc, "desiredStateOfWorldPopulator")
	if err != nil {
		return nil, nil, nil, err
	}
	left.inner, left.world = *looks, *wanted
	pods, err := field[attachcache.DesiredStateOfWorld](*looks, "desiredStateOfWorld")
	if err != nil {
		return nil, nil, nil, err
	}
	*pods = oneOfEach{*pods, seed}
	*looks = left
	*wanted = drawnOrder{*wanted, seed}
	actual, err := field[attachcache.ActualStateOfWorld](*inner, "actualStateOfWorld")
	if err != nil {
		return nil, nil, nil, err
	}
	*actual = &detachRequests{ActualStateOfWorld: *actual, clock: c, nodes: core.Nodes().Lister(), want: p.want,
		patience: timers.ReconcilerMaxWaitForUnmountDuration, made: map[target]*detachRequest{}}
	*updater = &lastStep{NodeStatusUpdater: *updater, passes: p}
	p.executor = &executor{OperationExecutor: *books, clock: c, want: p.want,
		started: map[target]begun{}, latest: map[target]int{}, failed: map[operation]*failure{}}
	*books, *again = p.executor, p.executor
	p.reconciler = *inner
	*inner = p

	q := newRetryQueue(c, "attachdetach claims", longestBackoff)
	q.done = p.want
	if err := putQueue(adc, "pvcQueue", q); err != nil {
		return nil, nil, nil, err
	}
	// A claim's event may come before its volume is in the cache; upstream finds
	// the volume a minute or three later. Here the claim is looked at again when
	// its volume comes.
	volumeCame := func(obj any) {
		if pv, ok := obj.(*corev1.PersistentVolume); ok && pv.Spec.ClaimRef != nil {
			q.Add(pv.Spec.ClaimRef.Namespace + "/" + pv.Spec.ClaimRef.Name)
		}
	}
	if _, err := core.PersistentVolumes().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: volumeCame, UpdateFunc: func(_, obj any) { volumeCame(obj) },
	}); err != nil {
		return nil, nil, nil, fmt.Errorf("watching volumes: %w", err)
	}
	return adc.Run, p, q, nil
}

// toldInformer is an informer that tells when one of the handlers added through
// it has dealt with an event.
type toldInformer struct {
	cache.SharedIndexInformer
	told func()
	// gone is told of what was deleted, once the handler has dealt with it; nil if nobody
	// wants to know.
	gone func(obj any)
}

// AddEventHandlerWithOptions implements cache.SharedInformer.
func (i *toldInformer) AddEventHandlerWithOptions(h cache.ResourceEventHandler, o cache.HandlerOptions) (cache.ResourceEventHandlerRegistration, error) {
	return i.SharedIndexInformer.AddEventHandlerWithOptions(toldHandler{h, i.told, i.gone}, o)
}

// AddEventHandler implements cache.SharedInformer.
func (i *toldInformer) AddEventHandler(h cache.ResourceEventHandler) (cache.ResourceEventHandlerRegistration, error) {
	return i.SharedIndexInformer.AddEventHandler(toldHandler{h, i.told, i.gone})
}

type toldHandler struct {
	cache.ResourceEventHandler
	told func()
	gone func(obj any)
}

// OnAdd implements cache.ResourceEventHandler.
func (h toldHandler) OnAdd(obj any, initial bool) {
	h.ResourceEventHandler.OnAdd(obj, initial)
	h.told()
}

// OnUpdate implements cache.ResourceEventHandler.
func (h toldHandler) OnUpdate(before, obj any) {
	h.ResourceEventHandler.OnUpdate(before, obj)
	h.told()
}

// OnDelete implements cache.ResourceEventHandler.
func (h toldHandler) OnDelete(obj any) {
	h.ResourceEventHandler.OnDelete(obj)
	if h.gone != nil {
		h.gone(obj)
	}
	h.told()
}

type podInformer struct {
	informer *toldInformer
	lister   corelisters.PodLister
}

func (i podInformer) Informer() cache.SharedIndexInformer { return i.informer }
func (i podInformer) Lister() corelisters.PodLister       { return i.lister }

type nodeInformer struct {
	informer *toldInformer
	lister   corelisters.NodeLister
}

func (i nodeInformer) Informer() cache.SharedIndexInformer { return i.informer }
func (i nodeInformer) Lister() corelisters.NodeLister      { return i.lister }

type claimInformer struct {
	informer *toldInformer
	lister   corelisters.PersistentVolumeClaimLister
}

func (i claimInformer) Informer() cache.SharedIndexInformer             { return i.informer }
func (i claimInformer) Lister() corelisters.PersistentVolumeClaimLister { return i.lister }

var (
	_ coreinformers.PodInformer                   = podInformer{}
	_ coreinformers.NodeInformer                  = nodeInformer{}
	_ coreinformers.PersistentVolumeClaimInformer = claimInformer{}
)

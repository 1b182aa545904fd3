package scheduler

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/events"
	"k8s.io/klog/v2"
	configv1 "k8s.io/kube-scheduler/config/v1"
	fwk "k8s.io/kube-scheduler/framework"
	kubescheduler "k8s.io/kubernetes/pkg/scheduler"
	schedulerapi "k8s.io/kubernetes/pkg/scheduler/apis/config"
	"k8s.io/kubernetes/pkg/scheduler/apis/config/scheme"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/names"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/volumebinding"
	frameworkruntime "k8s.io/kubernetes/pkg/scheduler/framework/runtime"
	"k8s.io/kubernetes/pkg/scheduler/profile"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"

	"simctl.dev/simctl/sim/history"
)

// noFlush is longer than any cell lasts.
const noFlush = 100 * 365 * 24 * time.Hour

// Options says what a scheduler is made of.
type Options struct {
	// Client is what the scheduler talks to the API server with. Its rate
	// limiter should be off.
	Client kubernetes.Interface
	// Clock drives the queue's back-off and the limit on volume binding.
	Clock clock.WithTicker
	// Recorder returns where unschedulable pods are recorded at the moment; it
	// may be nil and may return nil.
	Recorder func() history.Recorder
	// Seed decides between equally good nodes; nil is seed 0. It is asked for
	// every pod, so that it can change from cell to cell.
	Seed func() int64
	// PodKey names a pod for the draw between equally good nodes and for the
	// order of pods that came at once; nil is namespace/name. It is for pods
	// whose names the API server makes up.
	PodKey func(*corev1.Pod) string
	// Hold makes pods wait in the queue for TryNext.
	Hold bool
	// Logger takes the scheduler's log.
	Logger klog.Logger
}

// Scheduler is a kube-scheduler in this process.
type Scheduler struct {
	sched       *kubescheduler.Scheduler
	informers   informers.SharedInformerFactory
	broadcaster events.EventBroadcaster
	diagnosis   *diagnosis
	binder      *eventBinder
	gate        *gate
	logger      klog.Logger
	synced      chan struct{}

	// moves counts every step of a pod through the scheduler.
	moves atomic.Int64
	// cycle says that the loop is in a scheduling cycle, that is, not waiting
	// for the next pod.
	cycle atomic.Bool
	mu    sync.Mutex
	// binding holds the pods that were given a node and are neither bound nor
	// refused yet.
	binding map[types.UID]struct{}
}

// New builds a scheduler; [Scheduler.Run] starts it.
func New(ctx context.Context, o Options) (*Scheduler, error) {
	if o.Client == nil || o.Clock == nil {
		return nil, errors.New("a scheduler needs a client and a clock")
	}
	if o.Recorder == nil {
		o.Recorder = func() history.Recorder { return nil }
	}
	if o.Seed == nil {
		o.Seed = func() int64 { return 0 }
	}
	if o.PodKey == nil {
		o.PodKey = func(p *corev1.Pod) string { return p.Namespace + "/" + p.Name }
	}
	ctx = klog.NewContext(ctx, o.Logger)
	s := &Scheduler{
		informers:   kubescheduler.NewInformerFactory(o.Client, 0, nil),
		broadcaster: events.NewBroadcaster(&events.EventSinkImpl{Interface: o.Client.EventsV1()}),
		diagnosis:   newDiagnosis(o.Recorder),
		gate:        newGate(o.Hold),
		logger:      o.Logger,
		synced:      make(chan struct{}),
		binding:     map[types.UID]struct{}{},
	}
	prof, err := defaultProfile()
	if err != nil {
		return nil, fmt.Errorf("making the scheduler's profile: %w", err)
	}
	plugin := func(forHandle func(fwk.Handle) fwk.Plugin) frameworkruntime.PluginFactory {
		return func(_ context.Context, _ runtime.Object, h fwk.Handle) (fwk.Plugin, error) { return forHandle(h), nil }
	}
	s.sched, err = kubescheduler.New(ctx, o.Client, s.informers, nil, profile.NewRecorderFactory(s.broadcaster),
		kubescheduler.WithProfiles(*prof),
		kubescheduler.WithClock(o.Clock),
		kubescheduler.WithPercentageOfNodesToScore(ptr.To[int32](100)),
		kubescheduler.WithPodMaxInUnschedulablePodsDuration(noFlush),
		// The nodes of a simulated cluster are few: one goroutine is enough, and
		// does not compete with the control plane.
		kubescheduler.WithParallelism(1),
		kubescheduler.WithFrameworkOutOfTreeRegistry(frameworkruntime.Registry{
			DiagnosisName: plugin(func(h fwk.Handle) fwk.Plugin { s.diagnosis.attach(h); return s.diagnosis }),
			podOrderName:  plugin(func(fwk.Handle) fwk.Plugin { return &podOrder{key: o.PodKey} }),
			nodeOrderName: plugin(func(fwk.Handle) fwk.Plugin {
				return &nodeOrder{name: nodeOrderName, digit: 1, seed: o.Seed, key: o.PodKey}
			}),
			nodeOrderCoarseName: plugin(func(fwk.Handle) fwk.Plugin {
				return &nodeOrder{name: nodeOrderCoarseName, digit: rankBase, seed: o.Seed, key: o.PodKey}
			}),
			progressName: plugin(func(fwk.Handle) fwk.Plugin { return &progress{s} }),
		}),
	)
	if err != nil {
		return nil, fmt.Errorf("making the scheduler: %w", err)
	}
	if err := s.bindByEvent(o.Clock); err != nil {
		return nil, err
	}
	pop := s.sched.NextEntity
	s.sched.NextEntity = func(logger klog.Logger) (framework.QueuedEntityInfo, error) {
		s.cycle.Store(false)
		s.moves.Add(1)
		if !s.gate.wait(ctx, s.ready) {
			return nil, nil
		}
		e, err := pop(logger)
		s.cycle.Store(true)
		s.moves.Add(1)
		return e, err
	}
	fail := s.sched.FailureHandler
	s.sched.FailureHandler = func(ctx context.Context, f framework.Framework, pod *framework.QueuedPodInfo, status *fwk.Status, nominated *fwk.NominatingInfo, start time.Time) {
		s.diagnosis.failed(pod.Pod, status)
		fail(ctx, f, pod, status, nominated, start)
		s.leave(pod.Pod.UID)
	}
	return s, nil
}

// defaultProfile is upstream's default profile with our plugins in it and the
// weights scaled.
func defaultProfile() (*schedulerapi.KubeSchedulerProfile, error) {
	var versioned configv1.KubeSchedulerConfiguration
	scheme.Scheme.Default(&versioned)
	var cfg schedulerapi.KubeSchedulerConfiguration
	if err := scheme.Scheme.Convert(&versioned, &cfg, nil); err != nil {
		return nil, fmt.Errorf("converting the default configuration: %w", err)
	}
	if len(cfg.Profiles) != 1 {
		return nil, fmt.Errorf("the default configuration has %d profiles", len(cfg.Profiles))
	}
	p := &cfg.Profiles[0]
	// Diagnosis comes first: an informational PostFilter plugin has to run
	// before one that may help the pod.
	plugins := []schedulerapi.Plugin{{Name: DiagnosisName}}
	for _, pl := range p.Plugins.MultiPoint.Enabled {
		if pl.Name == names.PrioritySort {
			pl.Name = podOrderName
		}
		pl.Weight = max(pl.Weight, 1) * int32(tieScale)
		plugins = append(plugins, pl)
	}
	p.Plugins.MultiPoint.Enabled = append(plugins,
		schedulerapi.Plugin{Name: nodeOrderName, Weight: 1},
		schedulerapi.Plugin{Name: nodeOrderCoarseName, Weight: int32(rankBase)},
		schedulerapi.Plugin{Name: progressName})
	return p, nil
}

// bindByEvent puts an eventBinder in the place of the volume binder.
func (s *Scheduler) bindByEvent(c clock.WithTicker) error {
	core := s.informers.Core().V1()
	s.binder = &eventBinder{
		clock:   c,
		claims:  core.PersistentVolumeClaims().Lister(),
		pvs:     core.PersistentVolumes().Lister(),
		pods:    core.Pods().Lister(),
		nodes:   core.Nodes().Lister(),
		waiters: map[*waiter]struct{}{},
	}
	for _, f := range s.sched.Profiles {
		for _, e := range f.EnqueueExtensions() {
			if v, ok := e.(*volumebinding.VolumeBinding); ok {
				s.binder.SchedulerVolumeBinder = v.Binder
				v.Binder = s.binder
			}
		}
	}
	if s.binder.SchedulerVolumeBinder == nil {
		return errors.New("the scheduler's profile has no VolumeBinding plugin")
	}
	look := cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { s.binder.changed() },
		UpdateFunc: func(any, any) { s.binder.changed() },
		DeleteFunc: func(any) { s.binder.changed() },
	}
	for _, inf := range []cache.SharedIndexInformer{
		core.PersistentVolumeClaims().Informer(), core.PersistentVolumes().Informer(), core.Pods().Informer(),
	} {
		if _, err := inf.AddEventHandler(look); err != nil {
			return fmt.Errorf("watching volumes: %w", err)
		}
	}
	return nil
}

// Run starts the informers, waits until they are in step with the API server
// and schedules until ctx ends.
func (s *Scheduler) Run(ctx context.Context) error {
	ctx = klog.NewContext(ctx, s.logger)
	if err := s.broadcaster.StartRecordingToSinkWithContext(ctx); err != nil {
		return fmt.Errorf("starting the scheduler's events: %w", err)
	}
	defer s.broadcaster.Shutdown()
	s.informers.StartWithContext(ctx)
	defer s.informers.Shutdown()
	s.informers.WaitForCacheSyncWithContext(ctx)
	if err := s.sched.WaitForHandlersSync(ctx); err != nil {
		return fmt.Errorf("waiting for the scheduler's informers: %w", err)
	}
	close(s.synced)
	s.sched.Run(ctx)
	return nil
}

// Synced is closed once Run has the cluster's state and schedules.
func (s *Scheduler) Synced() <-chan struct{} { return s.synced }

// Idle says that no pod is on its way through the scheduler: the queue holds
// none that could be tried now, no scheduling or binding cycle runs but such as
// wait for volumes that others supply ([Scheduler.Waiting]). Pods held back by
// Options.Hold ([Scheduler.Ready]), unschedulable ones and those in back-off do
// not count.
func (s *Scheduler) Idle() bool {
	// A pod moves queue -> cycle -> binding, and back to the queue when it
	// fails. Reading in that order misses none that moves forward; a change of
	// the counter tells of one that moved back.
	before := s.moves.Load()
	if !s.gate.hold && s.ready() > 0 {
		return false
	}
	// A pod in flight was taken from the queue by the loop that has not yet
	// said so.
	if len(s.sched.SchedulingQueue.InFlightPods()) > 0 || !s.gate.done() || s.cycle.Load() {
		return false
	}
	s.mu.Lock()
	n := len(s.binding)
	s.mu.Unlock()
	return n == s.binder.waiting() && s.moves.Load() == before
}

// Waiting is the number of pods that were given a node and wait there for
// volumes to be provisioned or bound.
func (s *Scheduler) Waiting() int { return s.binder.waiting() }

// Backoff is the number of pods whose last attempt met an error and that are
// tried again when (virtual) time has passed.
func (s *Scheduler) Backoff() int { return len(s.sched.SchedulingQueue.PodsInBackoffQ()) - s.eager() }

// Ready is the number of pods that can be tried at once.
func (s *Scheduler) Ready() int { return s.ready() }

func (s *Scheduler) ready() int {
	return len(s.sched.SchedulingQueue.PodsInActiveQ()) + s.eager()
}

// eager is the number of pods in back-off because they were unschedulable: the
// scheduler takes those when it has nothing better to do (feature
// SchedulerPopFromBackoffQ). Pods that met an error sit out their time.
func (s *Scheduler) eager() int {
	q := s.sched.SchedulingQueue
	n := 0
	for _, p := range q.PodsInBackoffQ() {
		if info, ok := q.GetPod(p.Name, p.Namespace, nil); ok && (info.UnschedulablePlugins.Len() > 0 || info.PendingPlugins.Len() > 0) {
			n++
		}
	}
	return n
}

// TryNext lets the first of the pods that are ready be tried, in the queue's
// order, and returns the number of pods let through. Without Options.Hold it does
// nothing. One at a time, because what sees the bindings may not keep their
// order: upstream's attach/detach controller takes pods in the order of a map,
// and of two pods with one volume only the first gets it.
func (s *Scheduler) TryNext() int { return s.gate.letThrough(min(1, s.ready())) }

// RetryAll has every unschedulable pod tried once more, as upstream does after
// five minutes in which nothing happened to it.
func (s *Scheduler) RetryAll() {
	s.sched.SchedulingQueue.MoveAllToActiveOrBackoffQueue(s.logger, framework.EventUnschedulableTimeout, nil, nil, nil)
}

// Reset forgets what was recorded of pods, for the next cell.
func (s *Scheduler) Reset() {
	s.diagnosis.reset()
}

func (s *Scheduler) enter(uid types.UID) {
	s.mu.Lock()
	s.binding[uid] = struct{}{}
	s.mu.Unlock()
	s.moves.Add(1)
}

func (s *Scheduler) leave(uid types.UID) {
	s.moves.Add(1)
	s.mu.Lock()
	delete(s.binding, uid)
	s.mu.Unlock()
}

// progress follows pods from the choice of a node to the binding. Where that
// fails, the failure handler sees it.
type progress struct{ s *Scheduler }

const progressName = "Progress"

var (
	_ fwk.ReservePlugin     = &progress{}
	_ fwk.PostBindPlugin    = &progress{}
	_ fwk.EnqueueExtensions = &progress{}
)

func (*progress) Name() string { return progressName }

// EventsToRegister implements fwk.EnqueueExtensions: the plugin refuses nothing,
// so no event could change its mind.
func (*progress) EventsToRegister(context.Context) ([]fwk.ClusterEventWithHint, error) {
	return nil, nil
}

// Reserve implements fwk.ReservePlugin.
func (p *progress) Reserve(_ context.Context, _ fwk.CycleState, pod *corev1.Pod, _ string) *fwk.Status {
	p.s.enter(pod.UID)
	return nil
}

// Unreserve implements fwk.ReservePlugin; the failure handler comes after it.
func (*progress) Unreserve(context.Context, fwk.CycleState, *corev1.Pod, string) {}

// PostBind implements fwk.PostBindPlugin.
func (p *progress) PostBind(_ context.Context, _ fwk.CycleState, pod *corev1.Pod, _ string) {
	p.s.diagnosis.bound(pod.UID)
	p.s.leave(pod.UID)
}

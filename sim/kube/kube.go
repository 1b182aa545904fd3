package kube

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/quota/v1/generic"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/controller-manager/pkg/informerfactory"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/controller"
	"k8s.io/kubernetes/pkg/controller/garbagecollector"
	"k8s.io/kubernetes/pkg/controller/namespace"
	"k8s.io/kubernetes/pkg/controller/resourcequota"
	"k8s.io/kubernetes/pkg/controller/serviceaccount"
	"k8s.io/kubernetes/pkg/controller/statefulset"
	"k8s.io/kubernetes/pkg/controller/volume/persistentvolume"
	"k8s.io/kubernetes/pkg/controller/volume/pvcprotection"
	"k8s.io/kubernetes/pkg/controller/volume/pvprotection"
	"k8s.io/kubernetes/pkg/features"
	quotainstall "k8s.io/kubernetes/pkg/quota/v1/install"

	"simctl.dev/simctl/sim/clock"
	"simctl.dev/simctl/sim/wellknown"
)

// The controllers' names: the ServiceAccounts in kube-system whose rights
// kube-apiserver's own bootstrap policy grants.
const (
	Deployment      = wellknown.Deployments
	ReplicaSet      = wellknown.ReplicaSets
	DaemonSet       = wellknown.DaemonSets
	EphemeralVolume = wellknown.EphemeralVolumes
	StatefulSet     = wellknown.StatefulSets
	VolumeBinder    = wellknown.VolumeBinder
	AttachDetach    = wellknown.AttachDetach
	PVCProtection   = wellknown.PVCProtection
	PVProtection    = wellknown.PVProtection
	GarbageCollect  = wellknown.GarbageCollector
	ResourceQuota   = wellknown.ResourceQuotas
	Namespace       = wellknown.Namespaces
	ServiceAccount  = wellknown.ServiceAccounts
	// PodGC deletes the pods of nodes that are gone.
	PodGC = wellknown.PodGC
	// Disruption says how many pods of a PodDisruptionBudget may be evicted.
	Disruption = wellknown.Disruption
	// NodeController puts taints on nodes, and evicts pods by them, as upstream has it.
	NodeController = wellknown.NodeController
	// Manager is who the informers read as. It is no ServiceAccount: upstream's
	// user is system:kube-controller-manager.
	Manager = "kube-controller-manager"
)

const (
	// longestBackoff is upstream's for all queues but the namespaces'.
	longestBackoff = 1000 * time.Second
	// discoveryPeriod is how often, in real time, upstream looks for new kinds.
	discoveryPeriod = 30 * time.Second
	workers         = 5
)

// Options says what the controllers are made of.
type Options struct {
	// ConfigFor returns the client configuration of a controller, or of Manager.
	// Its rate limiter should be off.
	ConfigFor func(name string) *rest.Config
	// Clock takes the delays.
	Clock *clock.Clock
	// Seed returns the seed of what upstream leaves to chance; nil is one that is
	// always 0.
	Seed func() int64
	// Logger takes the controllers' logs.
	Logger klog.Logger
}

// Controllers are the running controllers.
type Controllers struct {
	o       Options
	queues  []*retryQueue
	claimsQ *retryQueue
	passes  *passes
	claims  corelisters.PersistentVolumeClaimLister
	gc      *garbagecollector.GarbageCollector
	orphans *orphans
	// NodeHealth watches that kubelets give signs of life.
	NodeHealth *NodeHealth
	wg         sync.WaitGroup
	ears       *ears
	run        []func(context.Context)
	ended      <-chan struct{} // closed when they are to end
}

// setFeatureGates sets those of this process that differ from upstream's defaults.
// The condition Unused of claims, new in 1.36 and beta in 1.37, decides nothing,
// and finding out for it whether a claim is used costs lists of pods whenever a
// pod changes.
var setFeatureGates = sync.OnceValue(func() error {
	return utilfeature.DefaultMutableFeatureGate.Set(string(features.PersistentVolumeClaimUnusedSinceTime) + "=false")
})

// Start starts every controller and waits until they are in step with the API
// server. They run until ctx ends; Wait then waits for them.
func Start(ctx context.Context, o Options) (*Controllers, error) {
	if o.ConfigFor == nil || o.Clock == nil {
		return nil, errors.New("the controllers need client configurations and a clock")
	}
	if err := setFeatureGates(); err != nil {
		return nil, err
	}
	if o.Seed == nil {
		o.Seed = func() int64 { return 0 }
	}
	ctx = klog.NewContext(ctx, o.Logger)
	c := &Controllers{o: o, ended: ctx.Done(), ears: newEars()}
	manager, err := kubernetes.NewForConfig(c.ears.config(o.ConfigFor(Manager)))
	if err != nil {
		return nil, fmt.Errorf("making the informers' client: %w", err)
	}
	meta, err := metadata.NewForConfig(c.ears.config(o.ConfigFor(Manager)))
	if err != nil {
		return nil, fmt.Errorf("making the informers' client: %w", err)
	}
	typed := informers.NewSharedInformerFactory(manager, 0)
	untyped := metadatainformer.NewSharedInformerFactory(meta, 0)
	both := informerfactory.NewInformerFactory(typed, untyped)
	started := make(chan struct{})

	for _, build := range []func(context.Context, informers.SharedInformerFactory) error{
		c.statefulSet, c.deployment, c.replicaSet, c.daemonSet, c.ephemeralVolumes, c.volumeBinder, c.attachDetach, c.protection, c.namespace, c.serviceAccount, c.taintEviction, c.nodeLifecycle, c.podGC, c.disruption,
	} {
		if err := build(ctx, typed); err != nil {
			return nil, err
		}
	}
	if err := c.resourceQuota(ctx, typed, both, started); err != nil {
		return nil, err
	}
	if err := c.garbageCollector(ctx, both, started); err != nil {
		return nil, err
	}

	typed.StartWithContext(ctx)
	untyped.Start(ctx.Done())
	close(started)
	synced := typed.WaitForCacheSyncWithContext(ctx)
	if synced.Err != nil {
		return nil, fmt.Errorf("waiting for the controllers' informers: %w", synced.Err)
	}
	for _, run := range c.run {
		c.wg.Go(func() { run(ctx) })
	}
	if err := c.Rediscover(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

// Wait waits until every controller has ended, after the context of Start has.
func (c *Controllers) Wait() { c.wg.Wait() }

// Rediscover has the garbage collector look for new kinds of objects, as it
// does every half minute, and waits until it watches them. It is to be called
// when CustomResourceDefinitions were made.
func (c *Controllers) Rediscover(ctx context.Context) error {
	d, err := discovery.NewDiscoveryClientForConfig(c.o.ConfigFor(GarbageCollect))
	if err != nil {
		return fmt.Errorf("making the garbage collector's discovery client: %w", err)
	}
	kinds, err := watchable(ctx, d)
	if err != nil {
		return err
	}
	c.ears.look()
	// Sync repeats itself until its context ends. Rounds are wanted until every kind is
	// watched; the last goes on a little after that, waiting for itself.
	once, cancel := context.WithCancel(klog.NewContext(ctx, c.o.Logger))
	done := make(chan struct{})
	c.wg.Go(func() {
		defer close(done)
		c.gc.Sync(once, d, discoveryPeriod)
	})
	c.wg.Go(func() {
		select {
		case <-done:
		case <-c.ended:
		}
		cancel()
	})
	builder := c.gc.GetDependencyGraphBuilder()
	const anew = 50 // 0.1 s
	for round := 1; ; round++ {
		watched := !c.ears.deaf()
		for gvr := range kinds {
			watched = watched && builder.IsResourceSynced(gvr) && !c.ears.lacks(pathOf(gvr))
		}
		if watched {
			time.AfterFunc(discoveryPeriod/2, cancel)
			return nil
		}
		select {
		case <-ctx.Done():
			cancel()
			return fmt.Errorf("waiting for the garbage collector: %w", ctx.Err())
		case <-time.After(2 * time.Millisecond):
		}
		if round%anew == 0 {
			// What is told of types that have just gone may be old.
			if kinds, err = watchable(ctx, d); err != nil {
				cancel()
				return err
			}
			c.ears.look()
		}
	}
}

// watchable returns the kinds of objects that the garbage collector watches, as the API
// server tells of them.
func watchable(ctx context.Context, d discovery.DiscoveryInterface) (map[schema.GroupVersionResource]struct{}, error) {
	kinds, err := garbagecollector.GetDeletableResources(ctx, discovery.ToServerResourcesInterfaceWithContext(d))
	if err != nil {
		return nil, fmt.Errorf("discovering kinds of objects: %w", err)
	}
	for gvr := range kinds {
		if _, ok := garbagecollector.DefaultIgnoredResources()[gvr.GroupResource()]; ok {
			delete(kinds, gvr)
		}
	}
	return kinds, nil
}

// Quiet says that no controller is about to do something without virtual time:
// no key waits for a worker or for a short back-off, the attach/detach
// reconciler has looked at everything, and no informer's watch is down. Work that goes on shows in the requests
// and goroutines that it takes.
func (c *Controllers) Quiet() bool {
	if !c.passes.quiet() || c.ears.deaf() {
		return false
	}
	for _, q := range c.queues {
		if !q.quiet() {
			return false
		}
	}
	return true
}

// Pending is the number of keys, attaches and detaches that back off after a
// failure.
func (c *Controllers) Pending() int {
	n := 0
	for _, q := range c.queues {
		n += q.pending()
	}
	return n + c.passes.executor.waiting()
}

// Nudge has everything that backs off or waits for something tried once more,
// now: it is the last look before it is said that nothing can happen any more.
// It returns the number of things tried.
func (c *Controllers) Nudge() int {
	n := 0
	for _, q := range c.queues {
		n += q.nudge()
	}
	// The binder looks at what it could not bind every 15 seconds.
	claims, err := c.claims.List(labels.Everything())
	if err != nil {
		c.o.Logger.Error(err, "Listing claims")
	}
	for _, claim := range claims {
		if claim.Status.Phase == corev1.ClaimPending {
			c.claimsQ.Add(claim.Namespace + "/" + claim.Name)
			n++
		}
	}
	n += c.passes.executor.nudge()
	c.passes.want()
	return n
}

// Reset forgets the keys that wait, for the next cell.
func (c *Controllers) Reset() {
	for _, q := range c.queues {
		q.reset()
	}
	c.passes.executor.reset()
	c.orphans.reset()
	c.NodeHealth.reset()
}

// queue puts a queue on virtual time into a controller.
func (c *Controllers) queue(controller any, fieldName, name string, longest time.Duration) (*retryQueue, error) {
	q := newRetryQueue(c.o.Clock, name, longest)
	if err := putQueue(controller, fieldName, q); err != nil {
		return nil, fmt.Errorf("putting %s on virtual time: %w", name, err)
	}
	c.queues = append(c.queues, q)
	return q, nil
}

func (c *Controllers) client(name string) (kubernetes.Interface, error) {
	client, err := kubernetes.NewForConfig(c.o.ConfigFor(name))
	if err != nil {
		return nil, fmt.Errorf("making the client of %s: %w", name, err)
	}
	return client, nil
}

// loop is what most of upstream's controllers are.
type loop interface {
	Run(ctx context.Context, workers int)
}

// add has a controller made that acts under an identity, puts its queue on virtual
// time and has it run by so many workers.
func (c *Controllers) add(identity, queue string, longest time.Duration, workers int, build func(kubernetes.Interface) (loop, error)) (loop, *retryQueue, error) {
	client, err := c.client(identity)
	if err != nil {
		return nil, nil, err
	}
	ctl, err := build(client)
	if err != nil {
		return nil, nil, fmt.Errorf("making %s: %w", identity, err)
	}
	q, err := c.queue(ctl, "queue", queue, longest)
	if err != nil {
		return nil, nil, err
	}
	c.run = append(c.run, func(ctx context.Context) { ctl.Run(ctx, workers) })
	return ctl, q, nil
}

func (c *Controllers) statefulSet(ctx context.Context, f informers.SharedInformerFactory) error {
	core, apps := f.Core().V1(), f.Apps().V1()
	_, _, err := c.add(StatefulSet, "statefulset", longestBackoff, workers, func(client kubernetes.Interface) (loop, error) {
		return statefulset.NewStatefulSetController(ctx, core.Pods(), apps.StatefulSets(), core.PersistentVolumeClaims(), apps.ControllerRevisions(), client), nil
	})
	return err
}

func (c *Controllers) volumeBinder(ctx context.Context, f informers.SharedInformerFactory) error {
	client, err := c.client(VolumeBinder)
	if err != nil {
		return err
	}
	core := f.Core().V1()
	ctl, err := persistentvolume.NewController(ctx, persistentvolume.ControllerParameters{
		KubeClient: client,
		// Upstream looks at everything again every 15 seconds, which Nudge does
		// when asked.
		SyncPeriod:                oncePerRun,
		VolumeInformer:            core.PersistentVolumes(),
		ClaimInformer:             core.PersistentVolumeClaims(),
		ClassInformer:             f.Storage().V1().StorageClasses(),
		PodInformer:               core.Pods(),
		NodeInformer:              core.Nodes(),
		EnableDynamicProvisioning: true,
	})
	if err != nil {
		return fmt.Errorf("making the volume binder: %w", err)
	}
	if c.claimsQ, err = c.queue(ctl, "claimQueue", "volume binder claims", longestBackoff); err != nil {
		return err
	}
	if _, err := c.queue(ctl, "volumeQueue", "volume binder volumes", longestBackoff); err != nil {
		return err
	}
	c.claims = core.PersistentVolumeClaims().Lister()
	c.run = append(c.run, ctl.Run)
	return nil
}

func (c *Controllers) attachDetach(ctx context.Context, f informers.SharedInformerFactory) error {
	client, err := c.client(AttachDetach)
	if err != nil {
		return err
	}
	run, passes, queue, err := attachDetach(ctx, client, f, c.o.Clock, c.o.Seed)
	if err != nil {
		return err
	}
	c.passes = passes
	c.queues = append(c.queues, queue)
	c.run = append(c.run, run)
	return nil
}

func (c *Controllers) taintEviction(ctx context.Context, f informers.SharedInformerFactory) error {
	client, err := c.client(NodeController)
	if err != nil {
		return err
	}
	run, err := taintEviction(ctx, client, f, c.o.Clock)
	if err != nil {
		return err
	}
	c.run = append(c.run, run)
	return nil
}

func (c *Controllers) protection(ctx context.Context, f informers.SharedInformerFactory) error {
	core, logger := f.Core().V1(), klog.FromContext(ctx)
	_, _, err := c.add(PVCProtection, "claim protection", longestBackoff, 1, func(client kubernetes.Interface) (loop, error) {
		return pvcprotection.NewPVCProtectionController(logger, core.PersistentVolumeClaims(), core.Pods(), client)
	})
	if err != nil {
		return err
	}
	_, _, err = c.add(PVProtection, "volume protection", longestBackoff, 1, func(client kubernetes.Interface) (loop, error) {
		return pvprotection.NewPVProtectionController(logger, core.PersistentVolumes(), client)
	})
	return err
}

func (c *Controllers) namespace(ctx context.Context, f informers.SharedInformerFactory) error {
	meta, err := metadata.NewForConfig(c.o.ConfigFor(Namespace))
	if err != nil {
		return fmt.Errorf("making the client of %s: %w", Namespace, err)
	}
	_, _, err = c.add(Namespace, "namespace", time.Minute, workers, func(client kubernetes.Interface) (loop, error) {
		return namespace.NewNamespaceController(ctx, client, meta, client.Discovery().ServerPreferredNamespacedResources,
			f.Core().V1().Namespaces(), 0, corev1.FinalizerKubernetes), nil
	})
	return err
}

func (c *Controllers) serviceAccount(ctx context.Context, f informers.SharedInformerFactory) error {
	_, _, err := c.add(ServiceAccount, "serviceaccount", longestBackoff, 1, func(client kubernetes.Interface) (loop, error) {
		return serviceaccount.NewServiceAccountsController(klog.FromContext(ctx), f.Core().V1().ServiceAccounts(), f.Core().V1().Namespaces(),
			client, serviceaccount.DefaultServiceAccountsControllerOptions())
	})
	return err
}

func (c *Controllers) resourceQuota(ctx context.Context, f informers.SharedInformerFactory, both informerfactory.InformerFactory, started <-chan struct{}) error {
	client, err := c.client(ResourceQuota)
	if err != nil {
		return err
	}
	config, err := quotainstall.NewQuotaConfigurationForControllers(generic.ListerFuncForResourceFunc(f.ForResource), f)
	if err != nil {
		return fmt.Errorf("making the quota evaluators: %w", err)
	}
	discover := client.Discovery().ServerPreferredNamespacedResources
	ctl, err := resourcequota.NewController(ctx, &resourcequota.ControllerOptions{
		QuotaClient:               client.CoreV1(),
		ResourceQuotaInformer:     f.Core().V1().ResourceQuotas(),
		ResyncPeriod:              controller.NoResyncPeriodFunc,
		ReplenishmentResyncPeriod: controller.NoResyncPeriodFunc,
		InformerFactory:           both,
		DiscoveryFunc:             discover,
		IgnoredResourcesFunc:      config.IgnoredResources,
		InformersStarted:          started,
		Registry:                  generic.NewRegistry(config.Evaluators()),
		UpdateFilter:              quotainstall.DefaultUpdateFilter(),
	})
	if err != nil {
		return fmt.Errorf("making the quota controller: %w", err)
	}
	for fieldName, name := range map[string]string{"queue": "quota", "missingUsageQueue": "new quota"} {
		if _, err := c.queue(ctl, fieldName, name, longestBackoff); err != nil {
			return err
		}
	}
	c.run = append(c.run,
		func(ctx context.Context) { ctl.Run(ctx, workers) },
		func(ctx context.Context) { ctl.Sync(ctx, discover, discoveryPeriod) })
	return nil
}

func (c *Controllers) garbageCollector(ctx context.Context, both informerfactory.InformerFactory, started <-chan struct{}) error {
	client, err := c.client(GarbageCollect)
	if err != nil {
		return err
	}
	config := c.o.ConfigFor(GarbageCollect)
	meta, err := metadata.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("making the client of %s: %w", GarbageCollect, err)
	}
	// Two discovery clients: the mapper's cache is dropped with every sync.
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(client.Discovery()))
	d, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return fmt.Errorf("making the garbage collector's discovery client: %w", err)
	}
	builder := garbagecollector.NewDependencyGraphBuilder(ctx, meta, mapper, garbagecollector.DefaultIgnoredResources(), both, started)
	c.gc, err = garbagecollector.NewComposedGarbageCollector(ctx, client, meta, mapper, builder)
	if err != nil {
		return fmt.Errorf("making the garbage collector: %w", err)
	}
	c.run = append(c.run,
		func(ctx context.Context) { c.gc.Run(ctx, workers, discoveryPeriod) },
		func(ctx context.Context) { c.gc.Sync(ctx, d, discoveryPeriod) })
	return nil
}

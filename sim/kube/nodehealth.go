package kube

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unsafe"

	"github.com/spf13/pflag"
	"golang.org/x/time/rate"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	coordinationlisters "k8s.io/client-go/listers/coordination/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/flowcontrol"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/kubernetes/cmd/kube-controller-manager/app/options"
	"k8s.io/kubernetes/pkg/controller/nodelifecycle"
	nodelifecycleconfig "k8s.io/kubernetes/pkg/controller/nodelifecycle/config"
	"k8s.io/kubernetes/pkg/controller/nodelifecycle/scheduler"

	"simctl.dev/simctl/sim/clock"
	"simctl.dev/simctl/sim/internal/work"
)

// taintNodes works through the queue of nodes that have changed: a node whose
// conditions speak against it, or that is cordoned, gets the taint that says so.
//
//go:linkname taintNodes k8s.io/kubernetes/pkg/controller/nodelifecycle.(*Controller).doNodeProcessingPassWorker
func taintNodes(c *nodelifecycle.Controller, ctx context.Context) //nolint:revive // the receiver comes first

// markPods works through the queue of pods that have come to a node: one whose node is
// not ready is not ready either.
//
//go:linkname markPods k8s.io/kubernetes/pkg/controller/nodelifecycle.(*Controller).doPodProcessingWorker
func markPods(c *nodelifecycle.Controller, ctx context.Context) //nolint:revive // the receiver comes first

// lookAtHealth is one look at the signs of life of all nodes.
//
//go:linkname lookAtHealth k8s.io/kubernetes/pkg/controller/nodelifecycle.(*Controller).monitorNodeHealth
func lookAtHealth(c *nodelifecycle.Controller, ctx context.Context) error //nolint:revive // the receiver comes first

// taintLost puts the NoExecute taint on nodes whose turn it is.
//
//go:linkname taintLost k8s.io/kubernetes/pkg/controller/nodelifecycle.(*Controller).doNoExecuteTaintingPass
func taintLost(c *nodelifecycle.Controller, ctx context.Context) //nolint:revive // the receiver comes first

// NodeHealth is the part of the node lifecycle controller that watches that kubelets give
// signs of life. Upstream looks every five seconds, and at the nodes that have none every
// tenth of a second; here it looks from the moment at which a kubelet falls silent, or
// speaks again, until another look would find the same. Its methods are called by the
// goroutine that steps the clock.
type NodeHealth struct {
	clock  *clock.Clock
	seed   func() int64
	ctl    *nodelifecycle.Controller
	nodes  corelisters.NodeLister
	config nodelifecycleconfig.NodeLifecycleControllerConfiguration
	ctx    context.Context //nolint:containedctx // of the controllers, for what the clock has it do

	// now is the time of the look that is made.
	now time.Time
	// signs are what kubelets give; nil before the first has fallen silent.
	signs Signs
	// next is the look and turn the turn of nodes to be tainted that are on the clock.
	next, turn *clock.Event
	// found is what the last look came to, same how many have found the same.
	found string
	same  int

	// The controller's own, which begin anew with each cell.
	known  *map[string]*corev1.Node
	states *map[string]nodelifecycle.ZoneState
	zones  *map[string]*scheduler.RateLimitedTimedQueue
	health func()
	retry  *sync.Map
}

// Signs are the signs of life that kubelets give.
type Signs interface {
	// Renewed returns when a node's kubelet has renewed its lease last, as seen at a moment.
	Renewed(node string, now time.Time) time.Time
	// Silent says whether nothing is heard of a node now.
	Silent(node string) bool
}

// settled is how many looks have to find the same before no more are made: what one
// writes is seen by the next.
const settled = 3

// nodeLifecycleConfig returns upstream's settings of the node lifecycle controller: its
// defaults, and those of the flags of kube-controller-manager.
func nodeLifecycleConfig() (nodelifecycleconfig.NodeLifecycleControllerConfiguration, error) {
	o, err := options.NewKubeControllerManagerOptions()
	if err != nil {
		return nodelifecycleconfig.NodeLifecycleControllerConfiguration{}, fmt.Errorf("reading the defaults of kube-controller-manager: %w", err)
	}
	o.NodeLifecycleController.AddFlags(pflag.NewFlagSet("", pflag.ContinueOnError))
	return *o.NodeLifecycleController.NodeLifecycleControllerConfiguration, nil
}

// nodeLifecycle makes the controller that turns conditions of nodes into taints, and
// whose looks at the kubelets' signs of life NodeHealth makes.
func (c *Controllers) nodeLifecycle(ctx context.Context, f informers.SharedInformerFactory) error {
	own := rest.CopyConfig(c.o.ConfigFor(NodeController))
	own.Wrap(func(next http.RoundTripper) http.RoundTripper { return dated{next, c.o.Clock} })
	client, err := kubernetes.NewForConfig(own)
	if err != nil {
		return fmt.Errorf("making the client of %s: %w", NodeController, err)
	}
	config, err := nodeLifecycleConfig()
	if err != nil {
		return err
	}
	core := f.Core().V1()
	ctl, err := nodelifecycle.NewNodeLifecycleController(ctx, f.Coordination().V1().Leases(), core.Pods(), core.Nodes(), f.Apps().V1().DaemonSets(),
		client, config.NodeMonitorPeriod.Duration, config.NodeStartupGracePeriod.Duration, config.NodeMonitorGracePeriod.Duration,
		config.NodeEvictionRate, config.SecondaryNodeEvictionRate, config.LargeClusterSizeThreshold, config.UnhealthyZoneThreshold)
	if err != nil {
		return fmt.Errorf("making the node lifecycle controller: %w", err)
	}
	h := &NodeHealth{clock: c.o.Clock, seed: c.o.Seed, ctl: ctl, nodes: inOrder{core.Nodes().Lister()}, config: config, ctx: ctx}
	c.NodeHealth = h
	events, err := h.take()
	if err != nil {
		return err
	}
	nodes, err := field[workqueue.TypedInterface[string]](ctl, "nodeUpdateQueue")
	if err != nil {
		return err
	}
	(*nodes).ShutDown()
	q := newRetryQueue(c.o.Clock, "node taints", longestBackoff)
	*nodes = q
	c.queues = append(c.queues, q)
	// The keys of this queue have a type of upstream's own.
	unnamed := reflect.ValueOf(ctl).Elem().FieldByName("podUpdateQueue")
	pods, ok := reflect.NewAt(unnamed.Type(), unsafe.Pointer(unnamed.UnsafeAddr())).Elem().Interface().(interface{ ShutDown() })
	if !ok {
		return fmt.Errorf("field podUpdateQueue of the node lifecycle controller is a %s and no queue", unnamed.Type())
	}
	c.run = append(c.run, func(ctx context.Context) {
		events.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: client.CoreV1().Events("")})
		c.wg.Go(func() { taintNodes(ctl, ctx) })
		c.wg.Go(func() { markPods(ctl, ctx) })
		<-ctx.Done()
		q.ShutDown()
		pods.ShutDown()
		events.Shutdown()
	})
	return nil
}

// take puts virtual time, the kubelets' signs of life and an order into the controller,
// and takes hold of what begins anew with each cell.
func (h *NodeHealth) take() (record.EventBroadcaster, error) {
	now, err := field[func() metav1.Time](h.ctl, "now")
	if err != nil {
		return nil, err
	}
	*now = func() metav1.Time { return metav1.NewTime(h.now) }
	lister, err := field[coordinationlisters.LeaseLister](h.ctl, "leaseLister")
	if err != nil {
		return nil, err
	}
	*lister = leases{h: h}
	nodes, err := field[corelisters.NodeLister](h.ctl, "nodeLister")
	if err != nil {
		return nil, err
	}
	*nodes = h.nodes
	// One node after the other, so that their order is not chance.
	workers, err := field[int](h.ctl, "nodeUpdateWorkerSize")
	if err != nil {
		return nil, err
	}
	*workers = 1
	pods, err := field[func(string) ([]*corev1.Pod, error)](h.ctl, "getPodsAssignedToNode")
	if err != nil {
		return nil, err
	}
	unordered := *pods
	*pods = func(node string) ([]*corev1.Pod, error) {
		list, err := unordered(node)
		slices.SortFunc(list, func(a, b *corev1.Pod) int {
			return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(work.StableName(a.Name), work.StableName(b.Name)), cmp.Compare(a.Name, b.Name))
		})
		return list, err
	}
	if h.known, err = field[map[string]*corev1.Node](h.ctl, "knownNodeSet"); err != nil {
		return nil, err
	}
	if h.states, err = field[map[string]nodelifecycle.ZoneState](h.ctl, "zoneStates"); err != nil {
		return nil, err
	}
	if h.zones, err = field[map[string]*scheduler.RateLimitedTimedQueue](h.ctl, "zoneNoExecuteTainter"); err != nil {
		return nil, err
	}
	if h.retry, err = field[sync.Map](h.ctl, "nodesToRetry"); err != nil {
		return nil, err
	}
	// The map's type is upstream's own, and has a lock that is left alone.
	seen := reflect.ValueOf(h.ctl).Elem().FieldByName("nodeHealthMap")
	if seen.Kind() != reflect.Pointer {
		return nil, fmt.Errorf("field nodeHealthMap of the node lifecycle controller is a %s and no pointer", seen.Kind())
	}
	inner := seen.Elem().FieldByName("nodeHealths")
	if inner.Kind() != reflect.Map {
		return nil, fmt.Errorf("field nodeHealths of the node lifecycle controller is a %s and no map", inner.Kind())
	}
	h.health = func() { reflect.NewAt(inner.Type(), unsafe.Pointer(inner.UnsafeAddr())).Elem().Clear() }
	events, err := field[record.EventBroadcaster](h.ctl, "broadcaster")
	if err != nil {
		return nil, err
	}
	return *events, nil
}

// reset forgets what was seen of nodes, for the next cell.
func (h *NodeHealth) reset() {
	h.next, h.turn, h.found, h.same = nil, nil, "", 0
	clear(*h.known)
	clear(*h.states)
	clear(*h.zones)
	h.retry.Clear()
	h.health()
}

// Watch begins to look at the nodes' signs of life, or goes on looking: a kubelet has
// fallen silent at this moment, or speaks again.
func (h *NodeHealth) Watch(signs Signs) error {
	h.signs = signs
	h.found, h.same = "", 0
	if h.next != nil {
		return nil
	}
	// What looks that nobody needed would have seen: the controller has known the nodes for
	// long, and the last renewals of the kubelets.
	nodes, err := h.nodes.List(labels.Everything())
	if err != nil {
		return fmt.Errorf("listing the nodes: %w", err)
	}
	for _, n := range nodes {
		(*h.known)[n.Name] = n
	}
	period := h.config.NodeMonitorPeriod.Duration
	wait := h.untilNext()
	for back := 3; back > 0; back-- {
		if err := h.look(h.clock.Now().Add(wait - time.Duration(back)*period)); err != nil {
			return err
		}
	}
	h.schedule(wait)
	return nil
}

// untilNext is how long it takes to the controller's next look. When in its period it
// looks is the seed's.
func (h *NodeHealth) untilNext() time.Duration {
	period := h.config.NodeMonitorPeriod.Duration
	phase := time.Duration(clock.Rand(h.seed(), "node monitor").Int64N(int64(period/time.Millisecond))) * time.Millisecond
	since := (h.clock.Since(h.clock.Start()) - phase) % period
	if since < 0 {
		since += period
	}
	return period - since
}

func (h *NodeHealth) schedule(wait time.Duration) {
	h.next = h.clock.Schedule(wait, clock.Work, NodeController+"/look", func() {
		h.next = nil
		if h.ctx.Err() != nil {
			return
		}
		if err := h.look(h.clock.Now()); err != nil {
			h.same = settled // The lister reads from memory.
		}
		if h.same < settled {
			h.schedule(h.config.NodeMonitorPeriod.Duration)
		}
	})
}

// look makes one look as of a moment, and has nodes tainted whose turn it is.
func (h *NodeHealth) look(at time.Time) error {
	h.now = at
	if err := lookAtHealth(h.ctl, h.ctx); err != nil {
		return fmt.Errorf("looking at the nodes' signs of life: %w", err)
	}
	waiting := h.limit()
	if waiting && h.turn == nil {
		h.takeTurns(scheduler.NodeEvictionPeriod)
	}
	if found := h.summary(waiting); found == h.found {
		h.same++
	} else {
		h.found, h.same = found, 0
	}
	return nil
}

// takeTurns has the nodes tainted whose turn it is after a while.
func (h *NodeHealth) takeTurns(wait time.Duration) {
	h.turn = h.clock.Schedule(wait, clock.Work, NodeController+"/taint", func() {
		h.turn = nil
		if h.ctx.Err() != nil {
			return
		}
		h.now = h.clock.Now()
		all := *h.zones
		for _, zone := range slices.Sorted(maps.Keys(all)) {
			*h.zones = map[string]*scheduler.RateLimitedTimedQueue{zone: all[zone]}
			taintLost(h.ctl, h.ctx)
		}
		*h.zones = all
		next := time.Duration(0)
		for _, zone := range all {
			if wait, ok := waits(zone); ok && (next == 0 || wait < next) {
				next = wait
			}
		}
		if next > 0 {
			h.takeTurns(next)
		}
	})
}

// limit puts the rates at which nodes of a zone are tainted on virtual time, and reports
// whether a node waits to be tainted.
func (h *NodeHealth) limit() bool {
	waiting := false
	for _, zone := range *h.zones {
		if _, ok := waits(zone); ok {
			waiting = true
		}
		limiter, err := field[flowcontrol.RateLimiter](zone, "limiter")
		if err != nil {
			continue // Seen by a test.
		}
		if _, ours := (*limiter).(*turns); ours || never(*limiter) {
			continue
		}
		qps := (*limiter).QPS()
		t := &turns{h: h, limiter: rate.NewLimiter(rate.Limit(qps), scheduler.EvictionRateLimiterBurst), qps: qps}
		if !(*limiter).TryAccept() {
			t.TryAccept()
		}
		*limiter = t
	}
	return waiting
}

// never says whether nobody has a turn before the rate is another one: while no node of the
// whole cluster gives a sign of life, the controller takes that for a fault of its own.
func never(limiter flowcontrol.RateLimiter) bool {
	return reflect.TypeOf(limiter) == reflect.TypeOf(flowcontrol.NewFakeNeverRateLimiter())
}

// waits says whether a node of a zone waits to be tainted, and how long at least.
func waits(zone *scheduler.RateLimitedTimedQueue) (time.Duration, bool) {
	queue, err := field[scheduler.UniqueQueue](zone, "queue")
	if err != nil {
		return 0, false
	}
	if _, ok := queue.Head(); !ok {
		return 0, false
	}
	limiter, err := field[flowcontrol.RateLimiter](zone, "limiter")
	if err != nil || never(*limiter) {
		return 0, false
	}
	if t, ok := (*limiter).(*turns); ok {
		return max(t.wait(), scheduler.NodeEvictionPeriod), true
	}
	return scheduler.NodeEvictionPeriod, true
}

// summary is all that decides what the next look does: nodes that are silent and not yet
// found so make each look another one.
func (h *NodeHealth) summary(waiting bool) string {
	nodes, err := h.nodes.List(labels.Everything())
	if err != nil {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%v %v", waiting, *h.states)
	for _, n := range nodes {
		ready := corev1.ConditionUnknown
		for _, c := range n.Status.Conditions {
			if c.Type == corev1.NodeReady {
				ready = c.Status
			}
		}
		fmt.Fprintf(&b, "\n%s %s", n.Name, ready)
		for _, t := range n.Spec.Taints {
			fmt.Fprintf(&b, " %s:%s", t.Key, t.Effect)
		}
		if h.signs.Silent(n.Name) && ready != corev1.ConditionUnknown {
			fmt.Fprintf(&b, " silent at %s", h.now)
		}
	}
	return b.String()
}

// turns is a rate in virtual time.
type turns struct {
	h       *NodeHealth
	limiter *rate.Limiter
	qps     float32
}

var _ flowcontrol.RateLimiter = &turns{}

// TryAccept implements flowcontrol.RateLimiter.
func (t *turns) TryAccept() bool { return t.limiter.AllowN(t.h.now, 1) }

// Accept implements flowcontrol.RateLimiter; nobody waits.
func (t *turns) Accept() {}

// Wait implements flowcontrol.RateLimiter; nobody waits.
func (t *turns) Wait(context.Context) error { return nil }

// Stop implements flowcontrol.RateLimiter.
func (t *turns) Stop() {}

// QPS implements flowcontrol.RateLimiter.
func (t *turns) QPS() float32 { return t.qps }

// wait is how long it takes until somebody has his turn.
func (t *turns) wait() time.Duration {
	missing := 1 - t.limiter.TokensAt(t.h.now)
	return time.Duration(max(0, missing) / float64(t.qps) * float64(time.Second)).Round(time.Millisecond)
}

// leases lists the leases that simulated kubelets renew. They are not written: nobody but
// this controller reads them, and a cluster's write one each every ten seconds.
type leases struct {
	coordinationlisters.LeaseNamespaceLister
	h *NodeHealth
}

// Leases implements LeaseLister.
func (s leases) Leases(string) coordinationlisters.LeaseNamespaceLister { return s }

// List implements LeaseLister; nobody asks.
func (s leases) List(labels.Selector) ([]*coordinationv1.Lease, error) { return nil, nil }

// Get implements LeaseNamespaceLister.
func (s leases) Get(name string) (*coordinationv1.Lease, error) {
	at := metav1.NewMicroTime(s.h.signs.Renewed(name, s.h.now))
	if at.IsZero() {
		return nil, apierrors.NewNotFound(coordinationv1.Resource("leases"), name)
	}
	return &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: corev1.NamespaceNodeLease, Name: name},
		Spec: coordinationv1.LeaseSpec{HolderIdentity: &name, RenewTime: &at}}, nil
}

// dated puts the moments at which the controller puts taints on nodes into virtual time: it
// takes them from the host's clock, and nothing goes by them.
type dated struct {
	http.RoundTripper
	clock *clock.Clock
}

// timeAdded is where a patch says when a taint was put on a node.
var timeAdded = regexp.MustCompile(`"timeAdded":"(\d{4})[^"]*"`)

// RoundTrip implements http.RoundTripper.
func (d dated) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method != http.MethodPatch || req.Body == nil {
		return d.RoundTripper.RoundTrip(req)
	}
	sent, err := io.ReadAll(req.Body)
	_ = req.Body.Close()
	if err != nil {
		return nil, fmt.Errorf("reading a patch of a node: %w", err)
	}
	now := `"timeAdded":"` + d.clock.Now().UTC().Format(time.RFC3339) + `"`
	sent = timeAdded.ReplaceAllFunc(sent, func(said []byte) []byte {
		if year, err := strconv.Atoi(string(timeAdded.FindSubmatch(said)[1])); err == nil && year >= clock.Epoch.Year() {
			return said // of a taint that is there
		}
		return []byte(now)
	})
	out := req.Clone(req.Context())
	out.Body, out.ContentLength = io.NopCloser(bytes.NewReader(sent)), int64(len(sent))
	return d.RoundTripper.RoundTrip(out)
}

// inOrder lists nodes in the order of their names; the controller would go by that of a map.
type inOrder struct{ corelisters.NodeLister }

// List implements corelisters.NodeLister.
func (o inOrder) List(selector labels.Selector) ([]*corev1.Node, error) {
	nodes, err := o.NodeLister.List(selector)
	slices.SortFunc(nodes, func(a, b *corev1.Node) int { return cmp.Compare(a.Name, b.Name) })
	return nodes, err
}

package kube

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
	_ "unsafe" // for linkname

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	coreinformers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/kubernetes/pkg/controller/podgc"

	"simctl.dev/simctl/sim/clock"
	"simctl.dev/simctl/sim/internal/work"
)

// Upstream's settings: the pod garbage collector looks around every 20 s, and a
// node that it misses has 40 s to appear (gc_controller.go in
// k8s.io/kubernetes/pkg/controller/podgc).
const (
	podGCPeriod     = 20 * time.Second
	podGCQuarantine = 40 * time.Second
)

// collectPods is one look around of the collector.
//
//go:linkname collectPods k8s.io/kubernetes/pkg/controller/podgc.(*PodGCController).gc
func collectPods(gc *podgc.PodGCController, ctx context.Context) //nolint:revive // the receiver comes first

// orphans calls the pod garbage collector when a pod's node is missing or out of service. Its own
// loop looks around all the time, which in virtual time would never end.
type orphans struct {
	clock *clock.Clock
	nodes corelisters.NodeLister
	pods  corelisters.PodLister
	look  func()

	mu sync.Mutex
	// due says that a look for pods without a node is on the clock's queue, dueSoon one for
	// pods that end on a node out of service; over is closed when the cell is over.
	due, dueSoon bool
	over         chan struct{}
	// collecting are the pods that were set to Failed and are about to be deleted.
	collecting map[types.NamespacedName]types.UID
}

// podGC makes the controller that deletes the pods of nodes that are gone.
func (c *Controllers) podGC(ctx context.Context, f informers.SharedInformerFactory) error {
	core := f.Core().V1()
	o := &orphans{clock: c.o.Clock, nodes: core.Nodes().Lister(), pods: core.Pods().Lister(), over: make(chan struct{}),
		collecting: map[types.NamespacedName]types.UID{}}
	c.orphans = o
	config := rest.CopyConfig(c.o.ConfigFor(PodGC))
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return deletions{next, o} })
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("making the client of %s: %w", PodGC, err)
	}
	// The quarantine and the period are served from the queue of virtual time.
	gc := podgc.NewPodGCInternal(ctx, client, drawnPodInformer{core.Pods(), c.o.Seed}, core.Nodes(), 0, podGCPeriod, 0)
	queue, err := field[workqueue.TypedDelayingInterface[string]](gc, "nodeQueue")
	if err != nil {
		return err
	}
	o.look = func() { c.wg.Go(func() { collectPods(gc, ctx) }) }
	if _, err := core.Nodes().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		DeleteFunc: func(any) { o.allSeen() },
		UpdateFunc: func(_, obj any) {
			if n, ok := obj.(*corev1.Node); ok && outOfService(n) {
				o.allSeen()
			}
		},
	}); err != nil {
		return fmt.Errorf("watching nodes: %w", err)
	}
	if _, err := core.Pods().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: o.podSeen, UpdateFunc: func(_, pod any) { o.podSeen(pod) },
	}); err != nil {
		return fmt.Errorf("watching pods: %w", err)
	}
	c.run = append(c.run, func(ctx context.Context) {
		<-ctx.Done()
		(*queue).ShutDown()
	})
	return nil
}

// podSeen sees to it that the collector looks at a pod without a node, and at one that
// ends on a node that somebody has declared out of service.
func (o *orphans) podSeen(obj any) {
	pod, ok := obj.(*corev1.Pod)
	if !ok || pod.Spec.NodeName == "" {
		return
	}
	switch node, err := o.nodes.Get(pod.Spec.NodeName); {
	case err != nil:
		o.schedule(&o.due, podGCQuarantine)
	case pod.DeletionTimestamp != nil && outOfService(node):
		o.schedule(&o.dueSoon, 0)
	}
}

// outOfService says whether the collector takes the pods that end on a node away by force
// (gcTerminating): the node is not ready, and somebody has said that it stays so.
func outOfService(n *corev1.Node) bool {
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue {
			return false
		}
	}
	return slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool { return t.Key == corev1.TaintNodeOutOfService })
}

func (o *orphans) allSeen() {
	pods, err := o.pods.List(labels.Everything())
	if err != nil {
		return // It reads from memory.
	}
	for _, pod := range pods {
		o.podSeen(pod)
	}
}

// schedule has the collector look around when its own loop would, once a quarantine is
// over. A node that goes while another one's quarantine lasts is looked at with that one.
// It is work: when a pod is gone, others may run.
func (o *orphans) schedule(due *bool, quarantine time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if *due {
		return
	}
	*due = true
	sinceStart := time.Duration(o.clock.Elapsed() * float64(time.Second))
	seen := sinceStart.Truncate(podGCPeriod) + podGCPeriod
	o.clock.Schedule(seen-sinceStart+quarantine, clock.Work, PodGC, func() {
		o.mu.Lock()
		*due = false
		o.mu.Unlock()
		o.look()
	})
}

// reset forgets what waits, for the next cell: its events went with the clock's
// restart.
func (o *orphans) reset() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.due, o.dueSoon = false, false
	close(o.over)
	o.over = make(chan struct{})
	clear(o.collecting)
}

// Collecting says whether the pod garbage collector has set a pod for which match
// says so to Failed, or is about to, and has not deleted it yet.
func (c *Controllers) Collecting(match func(*corev1.Pod) bool) bool {
	o := c.orphans
	o.mu.Lock()
	defer o.mu.Unlock()
	for name := range o.collecting {
		if pod, err := o.pods.Pods(name.Namespace).Get(name.Name); err == nil && match(pod) {
			return true
		}
	}
	return false
}

// PodDeletion is the key of the event that is the deletion of a pod by the pod garbage
// collector, some milliseconds after it has set the pod to Failed.
const PodDeletion = PodGC + "/delete"

// deletions holds up the collector's deletions until everybody has seen that it
// had set the pod to Failed. On a cluster some milliseconds lie between; without
// them it would be chance what Tekton sees.
type deletions struct {
	http.RoundTripper
	orphans *orphans
}

// RoundTrip implements http.RoundTripper.
func (d deletions) RoundTrip(req *http.Request) (*http.Response, error) {
	pod, ok := podOf(req)
	if ok && req.Method == http.MethodPatch {
		d.orphans.mu.Lock()
		d.orphans.collecting[pod] = d.orphans.uid(pod)
		d.orphans.mu.Unlock()
	}
	if req.Method != http.MethodDelete {
		return d.RoundTripper.RoundTrip(req)
	}
	d.orphans.mu.Lock()
	over, uid := d.orphans.over, d.orphans.collecting[pod]
	d.orphans.mu.Unlock()
	if uid != "" {
		var err error
		if req, err = deletionOf(req, uid); err != nil {
			return nil, err
		}
	}
	defer func() {
		d.orphans.mu.Lock()
		delete(d.orphans.collecting, pod)
		d.orphans.mu.Unlock()
	}()
	seen := make(chan struct{})
	d.orphans.clock.Schedule(0, clock.Work, PodDeletion, func() { close(seen) })
	select {
	case <-seen:
		return d.RoundTripper.RoundTrip(req)
	case <-over:
		return nil, errors.New("the cell is over")
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
}

// deletionOf has a deletion be that of the pod with a uid. Upstream goes by the name,
// and comes before there can be another of that name; here the one that a StatefulSet
// makes anew would be there by then.
func deletionOf(req *http.Request, uid types.UID) (*http.Request, error) {
	var options metav1.DeleteOptions
	if req.Body != nil {
		sent, err := io.ReadAll(req.Body)
		_ = req.Body.Close()
		if err == nil && len(sent) > 0 {
			err = json.Unmarshal(sent, &options)
		}
		if err != nil {
			return nil, fmt.Errorf("reading the options of a deletion: %w", err)
		}
	}
	options.Preconditions = &metav1.Preconditions{UID: &uid}
	body, err := json.Marshal(&options)
	if err != nil {
		return nil, fmt.Errorf("writing the options of a deletion: %w", err)
	}
	out := req.Clone(req.Context())
	out.Body, out.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return out, nil
}

// uid returns a pod's uid, empty if there is none of that name.
func (o *orphans) uid(name types.NamespacedName) types.UID {
	pod, err := o.pods.Pods(name.Namespace).Get(name.Name)
	if err != nil {
		return ""
	}
	return pod.UID
}

// podOf returns the pod that a request's path is about.
func podOf(req *http.Request) (types.NamespacedName, bool) {
	parts := strings.Split(strings.Trim(req.URL.Path, "/"), "/")
	if len(parts) < 6 || parts[2] != "namespaces" || parts[4] != "pods" {
		return types.NamespacedName{}, false
	}
	return types.NamespacedName{Namespace: parts[3], Name: parts[5]}, true
}

type drawnPodInformer struct {
	coreinformers.PodInformer
	seed func() int64
}

// Lister implements coreinformers.PodInformer.
func (d drawnPodInformer) Lister() corelisters.PodLister {
	return drawnPods{d.PodInformer.Lister(), d.seed}
}

// drawnPods lists pods in an order drawn from the seed: the collector takes them one
// after the other in the order of a map.
type drawnPods struct {
	corelisters.PodLister
	seed func() int64
}

// List implements corelisters.PodLister.
func (d drawnPods) List(selector labels.Selector) ([]*corev1.Pod, error) {
	pods, err := d.PodLister.List(selector)
	places := map[types.UID]uint64{}
	for _, pod := range pods {
		places[pod.UID] = clock.Rand(d.seed(), "podgc", pod.Namespace, work.StableName(pod.Name)).Uint64()
	}
	slices.SortFunc(pods, func(a, b *corev1.Pod) int {
		return cmp.Or(cmp.Compare(places[a.UID], places[b.UID]), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return pods, err
}

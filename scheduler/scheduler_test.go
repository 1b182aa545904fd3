package scheduler

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/component-helpers/storage/volume"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/ktesting"
	"k8s.io/utils/ptr"

	"simctl.dev/simctl/sim/clock"
	"simctl.dev/simctl/sim/history"
)

// world is a scheduler over client-go's fake API.
type world struct {
	t      *testing.T
	client *fake.Clientset
	clock  *clock.Clock
	log    *history.Log
	s      *Scheduler
}

func newWorld(t *testing.T, o Options, objects ...runtime.Object) *world {
	t.Helper()
	w := &world{t: t, client: fake.NewClientset(objects...), clock: clock.New(clock.Epoch)}
	w.log = history.NewLog(w.clock.Elapsed, nil)
	// The fake API knows nothing of bindings.
	w.client.PrependReactor("create", "pods", func(a clienttesting.Action) (bool, runtime.Object, error) {
		create, ok := a.(clienttesting.CreateAction)
		if !ok || a.GetSubresource() != "binding" {
			return false, nil, nil
		}
		b := create.GetObject().(*corev1.Binding)
		gvr := corev1.SchemeGroupVersion.WithResource("pods")
		obj, err := w.client.Tracker().Get(gvr, b.Namespace, b.Name)
		if err != nil {
			return true, nil, err
		}
		pod := obj.(*corev1.Pod).DeepCopy()
		pod.Spec.NodeName = b.Target.Name
		return true, nil, w.client.Tracker().Update(gvr, pod, b.Namespace)
	})
	o.Client, o.Clock = w.client, w.clock
	o.Recorder = func() history.Recorder { return w.log }
	o.Logger = ktesting.NewLogger(t, ktesting.NewConfig(ktesting.Verbosity(0), ktesting.BufferLogs(true)))
	ctx, cancel := context.WithCancel(t.Context())
	s, err := New(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	w.s = s
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	select {
	case <-s.Synced():
	case <-time.After(time.Minute):
		t.Fatal("the scheduler is not in step")
	}
	return w
}

// until waits for a condition that must come true without virtual time.
func (w *world) until(what string, f func() bool) {
	w.t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if f() {
			return
		}
	}
	w.t.Fatalf("never: %s", what)
}

func (w *world) create(pods ...*corev1.Pod) {
	w.t.Helper()
	for _, p := range pods {
		if _, err := w.client.CoreV1().Pods(p.Namespace).Create(w.t.Context(), p, metav1.CreateOptions{}); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) node(pod string) string {
	w.t.Helper()
	p, err := w.client.CoreV1().Pods("ns").Get(w.t.Context(), pod, metav1.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	return p.Spec.NodeName
}

func (w *world) refusals(pod string) []history.Unschedulable {
	w.t.Helper()
	var out []history.Unschedulable
	for _, e := range w.log.Entries() {
		if e.Fact != history.FactUnschedulable || e.Object.Name != pod {
			continue
		}
		var u history.Unschedulable
		if err := e.Decode(&u); err != nil {
			w.t.Fatal(err)
		}
		out = append(out, u)
	}
	return out
}

func testPod(name string, change ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, UID: types.UID("uid-" + name)},
		Spec: corev1.PodSpec{
			SchedulerName: corev1.DefaultSchedulerName,
			Containers: []corev1.Container{{Name: "c", Resources: corev1.ResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1")},
			}}},
		},
	}
	for _, f := range change {
		f(p)
	}
	return p
}

func withClaim(name string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name},
		}})
	}
}

func testNode(name, cpu string, taints ...corev1.Taint) *corev1.Node {
	n := node(name, taints...)
	n.Labels = map[string]string{corev1.LabelHostname: name}
	n.Status.Allocatable = corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse("64Gi"), corev1.ResourcePods: resource.MustParse("110"),
	}
	n.Status.Capacity = n.Status.Allocatable
	return n
}

func TestUnschedulableIsRecordedOnce(t *testing.T) {
	missing := func(p *corev1.Pod) {
		p.Spec.Affinity = &corev1.Affinity{PodAffinity: &corev1.PodAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{
				LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app.kubernetes.io/component": "affinity-assistant"}},
				TopologyKey:   corev1.LabelHostname,
			}},
		}}
	}
	w := newWorld(t, Options{},
		testNode("master-0", "16", master),
		testNode("gpu-0", "16", gpu), testNode("gpu-1", "16", gpu), testNode("gpu-2", "16", gpu),
		testNode("worker-0", "16"), testNode("worker-1", "16"), testNode("worker-2", "16"))
	w.create(testPod("download", missing))
	w.until("refused and idle", func() bool { return len(w.refusals("download")) == 1 && w.s.Idle() })

	got := w.refusals("download")[0]
	const want = "0/7 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/master: }, 3 node(s) didn't match pod affinity rules, 3 node(s) had untolerated taint {nvidia.com/gpu: true}."
	if got.PerTaint != want {
		t.Errorf("per taint:\n got %s\nwant %s", got.PerTaint, want)
	}
	if len(got.Nodes) != 7 {
		t.Errorf("%d nodes are explained, want 7: %v", len(got.Nodes), got.Nodes)
	}
	var condition string
	w.until("condition", func() bool {
		p, err := w.client.CoreV1().Pods("ns").Get(t.Context(), "download", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range p.Status.Conditions {
			if c.Type == corev1.PodScheduled {
				condition = c.Message
			}
		}
		return condition != ""
	})
	if got.Message != condition {
		t.Errorf("message:\nrecorded %s\n the pod %s", got.Message, condition)
	}
	if !strings.Contains(condition, "4 node(s) had untolerated taint(s)") || !strings.Contains(condition, "preemption:") {
		t.Errorf("not upstream's own words, with preemption's: %s", condition)
	}

	// A further attempt with the same end is no news; another end is.
	w.s.RetryAll()
	w.until("idle after the retry", w.s.Idle)
	if n := len(w.refusals("download")); n != 1 {
		t.Errorf("%d records after a retry with the same end, want 1", n)
	}
	if _, err := w.client.CoreV1().Nodes().Create(t.Context(), testNode("worker-3", "16"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	w.until("the eighth node", func() bool { return len(w.refusals("download")) == 2 })
	w.create(testPod("assistant", func(p *corev1.Pod) {
		p.Labels = map[string]string{"app.kubernetes.io/component": "affinity-assistant"}
	}))
	w.until("both on one node", func() bool {
		return w.node("assistant") != "" && w.node("download") == w.node("assistant") && w.s.Idle()
	})
}

func TestRefusedBeforeAnyNode(t *testing.T) {
	w := newWorld(t, Options{}, testNode("a", "4"), testNode("b", "4"))
	w.create(testPod("p", withClaim("models")))
	w.until("refused", func() bool { return len(w.refusals("p")) == 1 && w.s.Idle() })
	got := w.refusals("p")[0]
	const want = `0/2 nodes are available: persistentvolumeclaim "models" not found.`
	if got.PerTaint != want || !strings.HasPrefix(got.Message, want) {
		t.Errorf("got %q and %q, want %q", got.PerTaint, got.Message, want)
	}
	for i, name := range []string{"a", "b"} {
		if len(got.Nodes) != 2 || got.Nodes[i].Node != name || got.Nodes[i].Plugin != "VolumeRestrictions" {
			t.Fatalf("nodes %+v", got.Nodes)
		}
	}
}

func TestNoNodes(t *testing.T) {
	w := newWorld(t, Options{})
	w.create(testPod("p"))
	w.until("refused", func() bool { return len(w.refusals("p")) == 1 && w.s.Idle() })
	if got := w.refusals("p")[0]; got.Message != "no nodes available to schedule pods" || len(got.Nodes) != 0 {
		t.Errorf("got %+v", got)
	}
}

// TestTies checks that the seed alone decides between equal nodes, and that it
// never beats a real difference.
func TestTies(t *testing.T) {
	place := func(t *testing.T, seed int64) string {
		objects := []runtime.Object{}
		for i := range 6 {
			objects = append(objects, testNode(fmt.Sprintf("n%d", i), "16"))
		}
		w := newWorld(t, Options{Hold: true, Seed: func() int64 { return seed }}, objects...)
		var pods []*corev1.Pod
		for i := range 4 {
			pods = append(pods, testPod(fmt.Sprintf("p%d", i)))
		}
		var wg sync.WaitGroup
		for _, p := range pods {
			wg.Go(func() { w.create(p) })
		}
		wg.Wait()
		w.until("ready", func() bool { return w.s.Ready() == len(pods) })
		if !w.s.Idle() || w.node("p0") != "" {
			t.Fatal("pods that are held are on their way")
		}
		for i := range pods {
			if n := w.s.TryNext(); n != 1 {
				t.Fatalf("released %d, want 1", n)
			}
			w.until("idle", w.s.Idle)
			if ready := w.s.Ready(); ready != len(pods)-i-1 {
				t.Fatalf("%d pods are left, want %d", ready, len(pods)-i-1)
			}
		}
		if n := w.s.TryNext(); n != 0 {
			t.Fatalf("released %d more", n)
		}
		var out []string
		for _, p := range pods {
			out = append(out, w.node(p.Name))
		}
		return strings.Join(out, " ")
	}
	first := place(t, 1)
	if again := place(t, 1); again != first {
		t.Errorf("the same seed: %s, then %s", first, again)
	}
	others := map[string]bool{}
	for seed := range int64(4) {
		others[place(t, seed+2)] = true
	}
	if len(others) < 2 {
		t.Errorf("four seeds gave only %v", others)
	}

	// A node that is free beats one that is half full, whatever the seed says.
	for seed := range int64(8) {
		full := testPod("full", func(p *corev1.Pod) {
			p.Spec.NodeName = "a"
			p.Spec.Containers[0].Resources.Requests[corev1.ResourceCPU] = resource.MustParse("8")
		})
		w := newWorld(t, Options{Seed: func() int64 { return seed }}, testNode("a", "16"), testNode("b", "16"), full)
		w.create(testPod("p"))
		w.until("bound", func() bool { return w.node("p") != "" && w.s.Idle() })
		if got := w.node("p"); got != "b" {
			t.Errorf("seed %d: on %s", seed, got)
		}
	}
}

// TestWaitForFirstConsumer follows a pod whose claim is provisioned once the
// pod has a node, by hands that the test lends.
func TestWaitForFirstConsumer(t *testing.T) {
	class := &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "zonal"}, Provisioner: "csi.simctl.dev",
		VolumeBindingMode: ptr.To(storagev1.VolumeBindingWaitForFirstConsumer)}
	claim := func() *corev1.PersistentVolumeClaim {
		return &corev1.PersistentVolumeClaim{
			ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "data", UID: "uid-data", ResourceVersion: "1"},
			Spec: corev1.PersistentVolumeClaimSpec{
				StorageClassName: ptr.To("zonal"), AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
				Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
			},
			Status: corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimPending},
		}
	}
	start := func(t *testing.T) *world {
		w := newWorld(t, Options{}, testNode("a", "4"), class, claim())
		w.create(testPod("p", withClaim("data")))
		w.until("waiting", func() bool { return w.s.Waiting() == 1 && w.s.Idle() })
		if w.node("p") != "" {
			t.Fatal("bound without its volume")
		}
		return w
	}
	t.Run("bound by the volume's events", func(t *testing.T) {
		w := start(t)
		c, err := w.client.CoreV1().PersistentVolumeClaims("ns").Get(t.Context(), "data", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Annotations[volume.AnnSelectedNode]; got != "a" {
			t.Fatalf("selected node %q", got)
		}
		pv := &corev1.PersistentVolume{
			ObjectMeta: metav1.ObjectMeta{Name: "pv-data"},
			Spec: corev1.PersistentVolumeSpec{
				StorageClassName: "zonal", AccessModes: c.Spec.AccessModes, Capacity: c.Spec.Resources.Requests,
				ClaimRef: &corev1.ObjectReference{Namespace: "ns", Name: "data", UID: c.UID},
			},
		}
		if _, err := w.client.CoreV1().PersistentVolumes().Create(t.Context(), pv, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		c.Spec.VolumeName = pv.Name
		c.Annotations[volume.AnnBindCompleted] = "yes"
		c.ResourceVersion = "100"
		if _, err := w.client.CoreV1().PersistentVolumeClaims("ns").Update(t.Context(), c, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		w.until("bound", func() bool { return w.node("p") == "a" && w.s.Idle() && w.s.Waiting() == 0 })
	})
	t.Run("given up after ten virtual minutes", func(t *testing.T) {
		w := start(t)
		w.clock.Schedule(bindTimeout, clock.Work, "later", func() {})
		w.clock.Step()
		w.until("recorded", func() bool { return len(w.refusals("p")) == 1 && w.s.Waiting() == 0 && w.s.Idle() })
		if got := w.refusals("p")[0].Message; !strings.Contains(got, "binding volumes: context deadline exceeded") {
			t.Errorf("message %q", got)
		}
		if w.s.Backoff() != 1 || w.s.Ready() != 0 {
			t.Fatalf("backoff %d, ready %d: an error sits out its time", w.s.Backoff(), w.s.Ready())
		}
		w.clock.Schedule(5*time.Second, clock.Work, "later", func() {})
		w.clock.Step()
		w.until("tried again", func() bool { return w.s.Waiting() == 1 && w.s.Idle() })
	})
	t.Run("the pod is deleted", func(t *testing.T) {
		w := start(t)
		if err := w.client.CoreV1().Pods("ns").Delete(t.Context(), "p", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		w.until("over", func() bool { return w.s.Waiting() == 0 && w.s.Idle() })
		if _, err := w.client.CoreV1().Pods("ns").Get(t.Context(), "p", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			t.Errorf("the pod: %v", err)
		}
	})
}

func TestEvents(t *testing.T) {
	w := newWorld(t, Options{}, testNode("a", "4"))
	w.create(testPod("p"))
	w.until("Scheduled event", func() bool {
		list, err := w.client.EventsV1().Events("ns").List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list.Items {
			if e.Reason == "Scheduled" && e.Regarding.Name == "p" && e.Note == "Successfully assigned ns/p to a" {
				return true
			}
		}
		return false
	})
}

func TestOptions(t *testing.T) {
	if _, err := New(t.Context(), Options{Logger: klog.Background()}); err == nil {
		t.Error("a scheduler without a client")
	}
}

func BenchmarkIdle(b *testing.B) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s, err := New(ctx, Options{Client: fake.NewClientset(), Clock: clock.New(clock.Epoch)})
	if err != nil {
		b.Fatal(err)
	}
	go func() { _ = s.Run(ctx) }()
	<-s.Synced()
	for b.Loop() {
		s.Idle()
	}
}

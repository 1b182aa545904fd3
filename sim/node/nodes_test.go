package node

import (
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"simctl.dev/simctl/sim/clock"
	"simctl.dev/simctl/sim/scenario"
)

func TestNodes(t *testing.T) {
	nodes, err := Nodes([]scenario.NodePool{
		{Name: "gpu", Count: 1, Capacity: map[string]scenario.Quantity{"nvidia.com/gpu": "4", "cpu": "8"}, Taints: []scenario.Taint{{Key: "nvidia.com/gpu", Value: "true", Effect: "NoSchedule"}}},
		{Name: "w", Count: 3, Zones: []string{"a", "b"}, Labels: map[string]string{"kind": "worker"}, Unschedulable: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	addresses := map[string]bool{}
	for i, want := range []struct {
		name, zone, cpu, gpu, kind string
		taints                     int
		cordoned                   bool
	}{
		{"gpu-0", "", "8", "4", "", 1, false},
		{"w-0", "a", "16", "0", "worker", 0, true},
		{"w-1", "b", "16", "0", "worker", 0, true},
		{"w-2", "a", "16", "0", "worker", 0, true},
	} {
		n := nodes[i]
		gpu := n.Status.Allocatable["nvidia.com/gpu"]
		if n.Name != want.name || n.Labels[corev1.LabelHostname] != want.name || n.Labels[corev1.LabelTopologyZone] != want.zone ||
			n.Status.Allocatable.Cpu().String() != want.cpu || gpu.String() != want.gpu || n.Labels["kind"] != want.kind ||
			len(n.Spec.Taints) != want.taints || n.Spec.Unschedulable != want.cordoned || n.Annotations[managedAttach] != "true" {
			t.Errorf("node %d is %+v", i, n)
		}
		addresses[n.Status.Addresses[0].Address] = true
	}
	if len(addresses) != len(nodes) {
		t.Errorf("%d nodes have %d addresses", len(nodes), len(addresses))
	}
	if _, err := Nodes([]scenario.NodePool{{Name: "w", Count: 1, Capacity: map[string]scenario.Quantity{"cpu": "many"}}}); err == nil || !strings.Contains(err.Error(), `"w"`) {
		t.Errorf("a capacity that is no quantity: %v", err)
	}
}

// TestImageSizes: an image has its size however it is written.
func TestImageSizes(t *testing.T) {
	r, err := newRegistry(scenario.Registry{ImageSize: "1", Images: map[string]scenario.Quantity{
		"busybox": "2", "docker.io/library/golang:1.26": "3", "example.com/a:x": "4", "example.com/b:x": "5", "example.com/b:y": "6",
	}})
	if err != nil {
		t.Fatal(err)
	}
	for image, want := range map[string]int64{
		"busybox:1": 2, "docker.io/library/busybox": 2, "index.docker.io/library/busybox@sha256:00": 2, "docker.io/me/busybox": 1,
		"golang:1.26": 3, "golang:1.25": 1, "golang@sha256:00": 3,
		"example.com/a:x@sha256:00": 4, "example.com/a@sha256:00": 4, "example.com/a:z@sha256:00": 1,
		"example.com/b@sha256:00": 1, "example.com/b:y": 6,
	} {
		if got := r.bytes(image); got != want {
			t.Errorf("%s has %d bytes, want %d", image, got, want)
		}
	}
}

func TestPull(t *testing.T) {
	r, err := newRegistry(scenario.Registry{Bandwidth: "10Mi", ImageSize: "20Mi", Images: map[string]scenario.Quantity{"example.com/big": "100Mi", "example.com/big:small": "10Mi"}})
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{images: map[string]time.Time{}, puller: newPuller(pulling{serial: true, qps: 5, burst: 10})}
	at := clock.Epoch
	for _, step := range []struct {
		after time.Duration
		image string
		// ready is when the image is there, from now; took is how long its own pull takes.
		ready, took time.Duration
		cached      bool
	}{
		{0, "example.com/big:1", 10 * time.Second, 10 * time.Second, false},
		{0, "other", 12 * time.Second, 2 * time.Second, false},
		// One image is on its way, the other queues behind what is being pulled.
		{time.Second, "example.com/big:1", 9 * time.Second, 9 * time.Second, true},
		{0, "example.com/big:small", 12 * time.Second, time.Second, false},
		{time.Minute, "other", -49 * time.Second, 0, true},
		{time.Minute, "example.com/big@sha256:00", 10 * time.Second, 10 * time.Second, false},
	} {
		at = at.Add(step.after)
		p := m.pull(r, at, step.image, false)
		if ready := m.images[step.image].Sub(at); ready != step.ready || p.took != step.took || p.cached != step.cached {
			t.Errorf("%s: ready in %v, took %v, cached %v, want %v, %v, %v", step.image, ready, p.took, p.cached, step.ready, step.took, step.cached)
		}
	}
}

// TestPullOfPreloadedImages: there is nothing to wait for, and the machine's disk has
// them in what stood there from the start.
func TestPullOfPreloadedImages(t *testing.T) {
	r, err := newRegistry(scenario.Registry{Preloaded: true})
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{images: map[string]time.Time{}, puller: newPuller(pulling{serial: true, qps: 5, burst: 10})}
	if p := m.pull(r, clock.Epoch, "any", false); !p.cached || p.took != 0 || p.whole != 0 || len(m.images) > 0 || len(m.puller.until) > 0 {
		t.Errorf("the pull is %+v, the machine has pulled %v until %v", p, m.images, m.puller.until)
	}
	for policy, asks := range map[corev1.PullPolicy]bool{corev1.PullAlways: true, corev1.PullIfNotPresent: false, corev1.PullNever: false} {
		c := newContainer(&corev1.Container{Image: "any", ImagePullPolicy: policy})
		if got := m.pull(r, clock.Epoch, "any", policy == corev1.PullAlways).asks(c); got != asks {
			t.Errorf("%s: the registry is asked: %v", policy, got)
		}
	}
}

func TestNewRegistryRefuses(t *testing.T) {
	for _, r := range []scenario.Registry{
		{Bandwidth: "fast"}, {Bandwidth: "0"}, {ImageSize: "-1"}, {Images: map[string]scenario.Quantity{"a": "big"}},
	} {
		if _, err := newRegistry(r); err == nil {
			t.Errorf("%+v was taken", r)
		}
	}
}

func TestNewRefusesDurations(t *testing.T) {
	bad := &scenario.Distribution{Constant: "soon"}
	if err := checkKubelet(scenario.Kubelet{PodEnd: bad}); err == nil {
		t.Error("a kubelet's duration that is none was taken")
	}
	if err := checkModels(map[string]scenario.TaskModel{"a": {Termination: bad}}); err == nil {
		t.Error("a task's termination that is no duration was taken")
	}
	if err := checkKubelet(scenario.Kubelet{}); err != nil {
		t.Error(err)
	}
}

// TestPulling holds what a scenario does not say against upstream's defaults, and what it
// says against what upstream makes of it.
func TestPulling(t *testing.T) {
	upstream := pulling{serial: true, qps: 5, burst: 10}
	if got, err := newPulling(scenario.Kubelet{}); err != nil || got != upstream {
		t.Errorf("by default: %+v, %v, want %+v", got, err, upstream)
	}
	several, none := int64(3), int64(0)
	got, err := newPulling(scenario.Kubelet{MaxParallelImagePulls: &several, RegistryPullQPS: &none, RegistryBurst: 2})
	if want := (pulling{most: 3, burst: 2}); err != nil || got != want {
		t.Errorf("three side by side: %+v, %v, want %+v", got, err, want)
	}
	negative := int64(-1)
	if _, err := newPulling(scenario.Kubelet{RegistryPullQPS: &negative}); err == nil {
		t.Error("-1 images a second are taken")
	}
}

// TestPullsSideBySide: who comes when, and who is not asked for.
func TestPullsSideBySide(t *testing.T) {
	r, err := newRegistry(scenario.Registry{Bandwidth: "10Mi", ImageSize: "20Mi"}) // 2 s each
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		how   pulling
		ready []time.Duration // of images that are asked for at once, -1 of one that is refused
	}{
		{"any number", pulling{qps: 5, burst: 3}, []time.Duration{2 * time.Second, 2 * time.Second, 2 * time.Second, -1, -1}},
		{"two", pulling{most: 2, qps: 5, burst: 3}, []time.Duration{2 * time.Second, 2 * time.Second, 4 * time.Second, 4 * time.Second, 6 * time.Second}},
		{"no limit", pulling{}, []time.Duration{2 * time.Second, 2 * time.Second, 2 * time.Second, 2 * time.Second}},
		{"one", pulling{serial: true, qps: 5, burst: 1}, []time.Duration{2 * time.Second, 4 * time.Second, 6 * time.Second}},
	} {
		m := &machine{images: map[string]time.Time{}, puller: newPuller(c.how)}
		for i, want := range c.ready {
			p := m.pull(r, clock.Epoch, strconv.Itoa(i), false)
			if p.refusal != "" {
				p.whole = -1
			}
			if p.whole != want {
				t.Errorf("%s: image %d is there after %v, want %v", c.name, i, p.whole, want)
			}
		}
	}
	// Who is refused may ask a fifth of a second later.
	m := &machine{images: map[string]time.Time{}, puller: newPuller(pulling{qps: 5, burst: 1})}
	for _, step := range []struct {
		at      time.Duration
		refused bool
	}{{0, false}, {0, true}, {100 * time.Millisecond, true}, {200 * time.Millisecond, false}} {
		if p := m.pull(r, clock.Epoch.Add(step.at), step.at.String()+strconv.FormatBool(step.refused), false); (p.refusal == pullQPSExceeded) != step.refused {
			t.Errorf("at %v: %q, want refused: %t", step.at, p.refusal, step.refused)
		}
	}
}

package plane

import (
	"context"
	"errors"
	"io"
	"os"
	"testing"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"simctl.dev/simctl/sim/clock"
	"simctl.dev/simctl/sim/controlplane"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/wellknown"
)

func TestMain(m *testing.M) {
	controlplane.ChildMain()
	os.Exit(m.Run())
}

// started gives a plane that ends with the test.
func started(t *testing.T) *Plane {
	t.Helper()
	p, err := Start(t.Context(), Options{Log: io.Discard, Logger: logr.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	return p
}

// TestPlane: what is done on a plane is recorded under the name of who does it, waits for
// its members, and leaves nothing behind.
func TestPlane(t *testing.T) {
	p, ctx := started(t), t.Context()
	if err := p.Discover(); err != nil {
		t.Fatal(err)
	}
	asked, settled, broken := 0, 0, error(nil)
	leave := p.Join(Member{Name: "test", PID: os.Getpid(), Settled: func() { settled++ },
		Idle: func() (bool, error) { asked++; return asked > 2, broken }})
	log := history.NewLog(p.Clock.Elapsed, nil)
	p.Record(log)
	if err := p.Replace(ctx, &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": "room"}}}); err != nil {
		t.Fatal(err)
	}
	if err := p.Quiet(ctx); err != nil || asked < 3 || settled != 1 {
		t.Errorf("%v; asked %d times, settled %d times", err, asked, settled)
	}
	made := map[string]bool{}
	for _, e := range log.Entries() {
		made[e.Actor+" "+e.Verb+" "+e.Object.String()] = true
	}
	for _, want := range []string{wellknown.Simctl + " create Namespace room", "service-account-controller create ServiceAccount room/default"} {
		if !made[want] {
			t.Errorf("%q is not recorded: %v", want, made)
		}
	}
	ref := history.Ref{APIVersion: "v1", Kind: "Namespace", Name: "room"}
	if body, err := p.Get(ctx, ref); body == nil || err != nil {
		t.Errorf("%s, %v", body, err)
	}

	broken = errors.New("it has ended")
	if err := p.Quiet(ctx); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	leave()
	before := len(log.Entries())
	p.Record(nil)
	if err := p.Uninstall(ctx, []history.Ref{ref}); err != nil {
		t.Fatal(err)
	}
	if body, err := p.Get(ctx, ref); body != nil || err != nil {
		t.Errorf("the namespace is still there: %s, %v", body, err)
	}
	if len(log.Entries()) != before || p.Recorder() != nil {
		t.Error("it is recorded though it is not to be")
	}
	if err := p.Settle(ctx); err != nil {
		t.Error(err)
	}
	p.Clock.Schedule(0, clock.Work, "left", func() { t.Error("it happens after a new beginning") })
	p.Restart(7)
	if err := p.Settle(ctx); err != nil || p.Seed() != 7 {
		t.Errorf("%v, seed %d", err, p.Seed())
	}
	ended := errors.New("enough")
	gone, cancel := context.WithCancelCause(ctx)
	cancel(ended)
	if err := p.Quiet(gone); !errors.Is(err, ended) {
		t.Errorf("got %v", err)
	}
}

func TestPodKey(t *testing.T) {
	for want, pod := range map[string]corev1.Pod{
		"ns/build": {ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "run-build-pod", Labels: map[string]string{wellknown.PipelineTaskLabel: "build"}}},
		"ns/web":   {ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "web-x7k2b"}},
	} {
		if got := PodKey(&pod); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

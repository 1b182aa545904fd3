package hook

import (
	"reflect"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	kubefake "k8s.io/client-go/kubernetes/fake"
	"knative.dev/pkg/reconciler"

	"simctl.dev/simctl/sim/tekton/hook/wire"
)

// TestElection starts a controller beside one that has the lease, as after a kill,
// and after one that has given it back.
func TestElection(t *testing.T) {
	const lease = "tekton-pipelines/tekton-pipelines-controller.github.com.tektoncd.pipeline.pkg.reconciler.fake.reconciler.00-of-01"
	key := wire.Key{Controller: "fake", Key: lease}

	t.Run("held", func(t *testing.T) {
		client := kubefake.NewClientset()
		first, _, _ := runWith(t, client)
		if a := first.ask(wire.Request{}); !a.Leads || len(first.elected) > 0 {
			t.Fatalf("alone: %+v", a)
		}

		second, impl, f := runWith(t, client)
		promoted := 0
		f.PromoteFunc = func(b reconciler.Bucket, enq func(reconciler.Bucket, types.NamespacedName)) error {
			promoted++
			enq(b, object)
			return nil
		}
		now := start
		// wait has the time come at which it looks again, and gives what it says.
		wait := func(d time.Duration) ([]wire.Delay, wire.Answer) {
			t.Helper()
			now = now.Add(d)
			delays := second.ask(wire.Request{Now: now.UnixNano(), Enqueue: []wire.Key{key}}).Delays
			delays = append(delays, second.settle(0)...)
			return delays, second.ask(wire.Request{})
		}
		want := func(got []wire.Delay, attempt int) {
			t.Helper()
			w := []wire.Delay{{Key: key, Reason: wire.Lease, Attempt: attempt, At: now.Add(10 * time.Second).UnixNano(), Lease: int64(time.Minute)}}
			if !reflect.DeepEqual(got, w) {
				t.Errorf("delays %+v, want %+v", got, w)
			}
		}
		want(second.first, 1)
		delays, a := wait(30 * time.Second)
		want(delays, 2)
		if a.Leads || !a.Ready || promoted != 0 {
			t.Errorf("half a minute on: %+v, promoted %d times", a, promoted)
		}
		// The lease has been seen unchanged for its duration, not for longer than
		// since it was written: that is long ago.
		delays, a = wait(29 * time.Second)
		want(delays, 3)
		if a.Leads {
			t.Error("it leads before the lease has run out")
		}
		f.answers <- nil
		delays, a = wait(2 * time.Second)
		if len(delays) > 0 || !a.Leads || promoted != 1 || !reflect.DeepEqual(second.elected, []wire.Key{key}) {
			t.Errorf("after a minute: %+v, delays %+v, promoted %d times, elected %v", a, delays, promoted, second.elected)
		}
		second.settle(1)
		if n := f.calls.Load(); n != 1 || impl.WorkQueue().Len() != 0 {
			t.Errorf("what is there was reconciled %d times, %d keys wait", n, impl.WorkQueue().Len())
		}
	})

	t.Run("given back", func(t *testing.T) {
		client := kubefake.NewClientset()
		first, _, _ := runWith(t, client)
		first.ask(wire.Request{Release: true})
		second, _, _ := runWith(t, client)
		if a := second.ask(wire.Request{}); !a.Leads || len(second.first) > 0 {
			t.Errorf("after one that gave its lease back: %+v, delays %+v", a, second.first)
		}
	})
}

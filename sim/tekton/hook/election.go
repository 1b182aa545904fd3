//go:build go1.21

package hook

import (
	"context"
	"fmt"
	"log"
	"reflect"
	"sync"
	"time"
	_ "unsafe" // for linkname

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/utils/clock"
	kubeclient "knative.dev/pkg/client/injection/kube/client"
	"knative.dev/pkg/controller"
	"knative.dev/pkg/injection/sharedmain"
	kleaderelection "knative.dev/pkg/leaderelection"
	"knative.dev/pkg/reconciler"

	"simctl.dev/simctl/sim/tekton/hook/wire"
)

// component is upstream's name for the controller's process, by which its leases
// are named.
const component = "tekton-pipelines-controller"

// tryAcquireOrRenew is one look of a candidate at its lease.
//
//go:linkname tryAcquireOrRenew k8s.io/client-go/tools/leaderelection.(*LeaderElector).tryAcquireOrRenew
func tryAcquireOrRenew(le *leaderelection.LeaderElector, ctx context.Context) bool //nolint:revive // the receiver comes first

// renew keeps a lease until the context ends, and gives it back then.
//
//go:linkname renew k8s.io/client-go/tools/leaderelection.(*LeaderElector).renew
func renew(le *leaderelection.LeaderElector, ctx context.Context) //nolint:revive // the receiver comes first

// elector is upstream's candidate for one lease. Each reconciler has a lease for
// each bucket of its keys.
//
// Upstream's loops around it go by the host's clock, so that they are not run:
// when it looks at the lease again is reported and served by the parent, like other
// delays. Nor does one that leads renew its lease. Nobody would notice: a candidate
// does not compare the lease's renewTime with anything, it waits until it has seen
// the lease unchanged for its duration, counted from its own first look.
type elector struct {
	*leaderelection.LeaderElector
	config leaderelection.LeaderElectionConfig

	// Guarded by the hook's mu.
	leads bool
	looks int // that were in vain
}

// name is the lease's, with its namespace.
func (e *elector) name() string { return e.config.Lock.Describe() }

// starter has a reconciler promoted by upstream's leader election. The process runs
// without one (-disable-ha), so that it is promoted right before its controller's
// workers start, with its caches in sync: that is when the election begins. Its
// promotion once the workers run comes from the same place and means nothing.
type starter struct {
	reconciler.LeaderAware
	begin *sync.Once
	elect func() error
}

// Promote implements reconciler.LeaderAware.
func (s starter) Promote(reconciler.Bucket, func(reconciler.Bucket, types.NamespacedName)) error {
	s.begin.Do(func() {
		if err := s.elect(); err != nil {
			log.Fatalf("Leader election on virtual time: %v", err) // upstream ends there too
		}
	})
	return nil
}

// elect builds the controller's electors as upstream's main does without
// -disable-ha, and has each look at its lease.
func (c *counted) elect(ctx context.Context, impl *controller.Impl, la reconciler.LeaderAware) error {
	cfg, err := sharedmain.GetLeaderElectionConfig(ctx)
	if err != nil {
		return fmt.Errorf("reading its configuration: %w", err)
	}
	ctx = kleaderelection.WithStandardLeaderElectorBuilder(ctx, kubeclient.Get(ctx), cfg.GetComponentConfig(component))
	all, err := kleaderelection.BuildElector(ctx, la, impl.Name, impl.MaybeEnqueueBucketKey)
	if err != nil {
		return fmt.Errorf("building its electors: %w", err)
	}
	electors, err := c.hook.electors(all)
	if err != nil {
		return err
	}
	c.hook.mu.Lock()
	c.electors = electors
	c.active += len(electors)
	c.hook.mu.Unlock()
	for _, e := range electors {
		c.look(ctx, e)
	}
	c.hook.mu.Lock()
	c.started = true
	c.hook.mu.Unlock()
	return nil
}

// electors takes apart what knative made of client-go's electors, and gives them
// virtual time.
func (h *Hook) electors(all kleaderelection.Elector) ([]*elector, error) {
	list := field(all, "les")
	if !list.IsValid() {
		return nil, fmt.Errorf("%T has no electors: this release needs another hook", all)
	}
	var out []*elector
	for i := 0; i < list.Len(); i++ {
		inner := field(list.Index(i).Interface(), "Elector")
		if !inner.IsValid() {
			return nil, fmt.Errorf("%s has no elector: this release needs another hook", list.Index(i).Elem().Type())
		}
		le, ok := inner.Interface().(*leaderelection.LeaderElector)
		if !ok {
			return nil, fmt.Errorf("%s is no elector of client-go: this release needs another hook", inner.Elem().Type())
		}
		now, config := field(le, "clock"), field(le, "config")
		if !now.IsValid() || !config.IsValid() {
			return nil, fmt.Errorf("%T has no clock or no configuration: this release needs another hook", le)
		}
		now.Set(reflect.ValueOf(electionClock{clock.RealClock{}, virtual{h}}))
		out = append(out, &elector{LeaderElector: le, config: config.Interface().(leaderelection.LeaderElectionConfig)})
	}
	return out, nil
}

// electionClock tells client-go's electors the virtual time. They want a whole
// clock and ask it for nothing but the time.
type electionClock struct {
	clock.RealClock
	v virtual
}

// Now implements clock.Clock.
func (c electionClock) Now() time.Time { return c.v.Now() }

// Since implements clock.Clock.
func (c electionClock) Since(t time.Time) time.Duration { return c.v.Since(t) }

// look is one round of client-go's acquire: whoever gets the lease is promoted, by
// knative's callback, and others look again after the retry period, which the
// parent lengthens by chance as upstream does. The caller has counted it as active.
func (c *counted) look(ctx context.Context, e *elector) {
	leads := tryAcquireOrRenew(e.LeaderElector, ctx)
	if leads {
		e.config.Callbacks.OnStartedLeading(ctx)
	}
	h := c.hook
	h.mu.Lock()
	defer h.mu.Unlock()
	c.active--
	if leads {
		e.leads = true
		if e.looks > 0 {
			h.elected = append(h.elected, wire.Key{Controller: c.name, Key: e.name()})
		}
		return
	}
	e.looks++
	h.delays = append(h.delays, wire.Delay{
		Key: wire.Key{Controller: c.name, Key: e.name()}, Reason: wire.Lease, Attempt: e.looks,
		At: h.now.Add(e.config.RetryPeriod).UnixNano(), Lease: e.config.LeaseDuration.Nanoseconds(),
	})
}

// lookAgain has the elector of a lease look at it again; it says whether there is
// one. Callers hold the lock.
func (c *counted) lookAgain(lease string) bool {
	for _, e := range c.electors {
		if e.name() == lease && !e.leads {
			c.active++
			go c.look(context.Background(), e)
			return true
		}
	}
	return false
}

// release gives back the leases that the process has, as the end of upstream's
// context does.
func (h *Hook) release() {
	over, cancel := context.WithCancel(context.Background())
	cancel()
	h.mu.Lock()
	var held []*elector
	for _, c := range h.controllers {
		for _, e := range c.electors {
			if e.leads {
				held = append(held, e)
			}
		}
	}
	h.mu.Unlock()
	for _, e := range held {
		renew(e.LeaderElector, over)
	}
}

// leads says whether the process has all its leases. Callers hold the lock.
func (c *counted) leads() bool {
	for _, e := range c.electors {
		if !e.leads {
			return false
		}
	}
	return true
}

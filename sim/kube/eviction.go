package kube

import (
	"context"
	"fmt"
	"time"

	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/kubernetes/pkg/controller"
	"k8s.io/kubernetes/pkg/controller/tainteviction"
	kclock "k8s.io/utils/clock"

	"simctl.dev/simctl/sim/clock"
)

// taintEviction makes the controller that deletes pods from nodes with NoExecute
// taints that they do not tolerate, at once or after their tolerationSeconds.
func taintEviction(ctx context.Context, client kubernetes.Interface, f informers.SharedInformerFactory, c *clock.Clock) (func(context.Context), error) {
	core := f.Core().V1()
	if err := controller.AddPodNodeNameIndexer(core.Pods().Informer()); err != nil {
		return nil, fmt.Errorf("indexing pods by node: %w", err)
	}
	ctl, err := tainteviction.New(ctx, client, core.Pods(), core.Nodes(), "taint-eviction-controller")
	if err != nil {
		return nil, fmt.Errorf("making the eviction by taints: %w", err)
	}
	queue, err := field[*tainteviction.TimedWorkerQueue](ctl, "taintEvictionQueue")
	if err != nil {
		return nil, err
	}
	timers, err := field[kclock.WithDelayedExecution](*queue, "clock")
	if err != nil {
		return nil, err
	}
	*timers = evictionClock{c}
	return ctl.Run, nil
}

// evictionClock has evictions take place in virtual time. They are work: when a
// pod is gone, others may run.
type evictionClock struct{ *clock.Clock }

var _ kclock.WithDelayedExecution = evictionClock{}

// AfterFunc implements clock.WithDelayedExecution.
func (e evictionClock) AfterFunc(d time.Duration, f func()) kclock.Timer {
	t := &evictionTimer{clock: e.Clock, f: f}
	t.start(d)
	return t
}

type evictionTimer struct {
	clock *clock.Clock
	f     func()
	event *clock.Event
}

func (t *evictionTimer) start(d time.Duration) {
	t.event = t.clock.Schedule(d, clock.Work, "taint-eviction", t.f)
}

// C implements clock.Timer: as with time.AfterFunc, there is no channel.
func (t *evictionTimer) C() <-chan time.Time { return nil }

// Stop implements clock.Timer.
func (t *evictionTimer) Stop() bool { return t.event.Cancel() }

// Reset implements clock.Timer.
func (t *evictionTimer) Reset(d time.Duration) bool {
	active := t.Stop()
	t.start(d)
	return active
}

package work

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"simctl.dev/simctl/sim/clock"
)

// List holds the keys of objects that something happened to. The first key
// added puts one event of kind clock.Work on the clock, due at once; that event
// hands every key over in sorted order. It is safe for concurrent use.
type List struct {
	clock *clock.Clock
	name  string
	run   func(keys []string)

	mu     sync.Mutex
	keys   map[string]struct{}
	event  *clock.Event
	closed bool
}

// NewList returns an empty list whose event has the key name and calls run.
func NewList(clk *clock.Clock, name string, run func(keys []string)) *List {
	return &List{clock: clk, name: name, run: run, keys: map[string]struct{}{}}
}

// Add puts a key on the list; it does nothing once the list is closed.
func (l *List) Add(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.keys[key] = struct{}{}
	if l.event == nil {
		l.event = l.clock.Schedule(0, clock.Work, l.name, l.drain)
	}
}

func (l *List) drain() {
	l.mu.Lock()
	keys := make([]string, 0, len(l.keys))
	for k := range l.keys {
		keys = append(keys, k)
	}
	clear(l.keys)
	l.event = nil
	closed := l.closed
	l.mu.Unlock()
	if closed || len(keys) == 0 {
		return
	}
	slices.Sort(keys)
	l.run(keys)
}

// Close drops what is on the list and whatever is added later.
func (l *List) Close() {
	l.mu.Lock()
	event := l.event
	l.event, l.closed = nil, true
	clear(l.keys)
	l.mu.Unlock()
	if event != nil {
		event.Cancel()
	}
}

// attempts bounds how often a failing API call is tried: a call that fails for
// ever must not keep virtual time going for ever.
const attempts = 12

// Retry calls f, and calls it again on the clock, one second later and then
// twice as long each time, while it returns an error. A conflict is retried at
// once. An object that is gone, or a write that the API server finds invalid,
// ends the work. Every failure is logged.
func Retry(ctx context.Context, clk *clock.Clock, log logr.Logger, key string, f func() error) {
	retry(ctx, clk, log, key, f, 1, time.Second)
}

func retry(ctx context.Context, clk *clock.Clock, log logr.Logger, key string, f func() error, attempt int, wait time.Duration) {
	if ctx.Err() != nil {
		return
	}
	err := f()
	for range 5 {
		if !apierrors.IsConflict(err) {
			break
		}
		err = f()
	}
	switch {
	case err == nil, ctx.Err() != nil:
		return
	case apierrors.IsNotFound(err):
		log.V(1).Info("Object is gone", "key", key, "err", err.Error())
		return
	case attempt >= attempts, apierrors.IsInvalid(err):
		log.Error(err, "Giving up", "key", key, "attempts", attempt)
		return
	}
	log.Error(err, "Will try again", "key", key, "attempt", attempt, "after", wait)
	clk.Schedule(wait, clock.Work, key, func() {
		retry(ctx, clk, log, key, f, attempt+1, 2*wait)
	})
}

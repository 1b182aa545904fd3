package kube

import (
	"fmt"
	"sync"
	"time"

	"k8s.io/client-go/util/workqueue"

	"simctl.dev/simctl/sim/clock"
	"simctl.dev/simctl/sim/internal/unexported"
)

// shortest is the shortest delay that takes virtual time.
const shortest = 30 * time.Millisecond

// retryQueue is a controller's queue whose delays pass on the virtual clock.
type retryQueue struct {
	workqueue.TypedInterface[string]
	name    string
	clock   *clock.Clock
	longest time.Duration // of a back-off
	// delays is what a delay is that the controller asks for.
	delays clock.Kind
	// done, if set, is called after a key was worked on.
	done func()

	mu     sync.Mutex
	failed map[string]failures
	// waiting holds the keys on the virtual clock.
	waiting map[string]*waitingKey
	// short is the number of delays that pass in real time.
	short int
}

// failures are those of a key in a row.
type failures struct {
	n  int
	at time.Time // the last one
}

type waitingKey struct {
	event *clock.Event
	kind  clock.Kind
	at    time.Time
}

var _ workqueue.TypedRateLimitingInterface[string] = &retryQueue{}

// newRetryQueue returns a queue with upstream's back-off from 5 ms, doubled by
// each failure up to longest. Upstream's second limit, ten retries a second
// over all keys, never binds on virtual time. Failures of one moment count once,
// from the first delay on that takes virtual time: how often a key comes to be tried
// again by what it brings about itself is chance, and would decide all later moments.
func newRetryQueue(c *clock.Clock, name string, longest time.Duration) *retryQueue {
	return &retryQueue{
		TypedInterface: workqueue.NewTypedWithConfig(workqueue.TypedQueueConfig[string]{Name: name}),
		name:           name,
		clock:          c,
		longest:        longest,
		failed:         map[string]failures{},
		waiting:        map[string]*waitingKey{},
	}
}

// AddAfter implements workqueue.TypedDelayingInterface.
func (q *retryQueue) AddAfter(key string, d time.Duration) { q.later(key, d, q.delays) }

// AddRateLimited implements workqueue.TypedRateLimitingInterface.
func (q *retryQueue) AddRateLimited(key string) { q.later(key, q.fail(key), clock.Retry) }

// fail counts a failure and returns how long to wait after it.
func (q *retryQueue) fail(key string) time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	f, now := q.failed[key], q.clock.Now()
	if f.n > 0 && f.at.Equal(now) {
		if last := q.backoff(f.n - 1); last >= shortest {
			return last
		}
	}
	q.failed[key] = failures{f.n + 1, now}
	return q.backoff(f.n)
}

// backoff is the delay after the given number of earlier failures in a row, as of
// client-go's ItemExponentialFailureRateLimiter.
func (q *retryQueue) backoff(earlier int) time.Duration {
	const base, enough = 5 * time.Millisecond, 30 // doublings: over a thousand hours
	return min(base<<min(earlier, enough), q.longest)
}

// Forget implements workqueue.TypedRateLimitingInterface.
func (q *retryQueue) Forget(key string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.failed, key)
}

// NumRequeues implements workqueue.TypedRateLimitingInterface.
func (q *retryQueue) NumRequeues(key string) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.failed[key].n
}

// Done implements workqueue.TypedInterface.
func (q *retryQueue) Done(key string) {
	q.TypedInterface.Done(key)
	if q.done != nil {
		q.done()
	}
}

// later adds the key in d, or earlier if it waits for an earlier moment.
func (q *retryQueue) later(key string, d time.Duration, kind clock.Kind) {
	if q.ShuttingDown() {
		return
	}
	if d <= 0 {
		q.Add(key)
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if d < shortest {
		q.short++
		time.AfterFunc(d, func() {
			q.Add(key)
			q.mu.Lock()
			q.short--
			q.mu.Unlock()
		})
		return
	}
	at := q.clock.Now().Add(d)
	if old := q.waiting[key]; old != nil && old.event.Cancel() {
		if old.at.Before(at) {
			at = old.at
		}
		kind = min(kind, old.kind) // in the order of what they do to time
	}
	w := &waitingKey{kind: kind, at: at}
	w.event = q.clock.Schedule(at.Sub(q.clock.Now()), kind, fmt.Sprintf("%s queue %s", q.name, key), func() {
		q.mu.Lock()
		if q.waiting[key] == w {
			delete(q.waiting, key)
		}
		q.mu.Unlock()
		q.Add(key)
	})
	q.waiting[key] = w
}

// nudge adds the keys that back off, and returns their number.
func (q *retryQueue) nudge() int {
	q.mu.Lock()
	var keys []string
	for key, w := range q.waiting {
		if w.kind == clock.Retry && w.event.Cancel() {
			keys = append(keys, key)
			delete(q.waiting, key)
		}
	}
	q.mu.Unlock()
	for _, key := range keys {
		q.Add(key)
	}
	return len(keys)
}

// reset forgets the keys that wait, and all failures.
func (q *retryQueue) reset() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for key, w := range q.waiting {
		w.event.Cancel()
		delete(q.waiting, key)
	}
	clear(q.failed)
}

// pending is the number of keys that back off.
func (q *retryQueue) pending() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := 0
	for _, w := range q.waiting {
		if w.kind == clock.Retry {
			n++
		}
	}
	return n
}

// quiet says that no key is about to come without virtual time, and none waits
// for a worker.
func (q *retryQueue) quiet() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.short == 0 && q.Len() == 0
}

// field returns a pointer to an unexported field of the struct that v points to.
// Upstream's controllers make their queues themselves and offer no way to hand
// one in.
func field[T any](v any, name string) (*T, error) { return unexported.Field[T](v, name) }

// putQueue puts a queue in the place of the one in a controller's field.
func putQueue(controller any, name string, q *retryQueue) error {
	f, err := field[workqueue.TypedRateLimitingInterface[string]](controller, name)
	if err != nil {
		return err
	}
	(*f).ShutDown()
	*f = q
	return nil
}

package clock

import (
	"container/heap"
	"hash/fnv"
	"math/rand/v2"
	"sync"
	"time"

	kclock "k8s.io/utils/clock"
)

// Epoch is when virtual time begins. It lies far ahead of real time so that a
// creationTimestamp, which the real API server sets, is never later than the
// virtual moment it belongs to: Tekton takes that for clock skew.
var Epoch = time.Date(2100, time.January, 1, 0, 0, 0, 0, time.UTC)

// Kind says what an event means for the question whether anything can still
// happen.
type Kind int

const (
	// Work is something the simulated world will do.
	Work Kind = iota
	// Timeout is a time-out of the runs themselves: it ends waiting, it does
	// not supply what is waited for.
	Timeout
	// Retry is a controller's repetition of something that failed. It moves time
	// like Work, but that one is pending does not mean that anything new can
	// happen: whether it may succeed is seen by trying it at once.
	Retry
	// Housekeeping is periodic upkeep: it happens when time passes over it and
	// never moves time by itself.
	Housekeeping
)

// Event is a scheduled event; Cancel takes it off the queue.
type Event struct {
	// At is its moment, Kind and Key as given to Schedule.
	At   time.Time
	Kind Kind
	Key  string

	run   func()
	clock *Clock
	index int
}

// Cancel takes the event off the queue; it reports whether it was still there.
func (e *Event) Cancel() bool {
	e.clock.mu.Lock()
	defer e.clock.mu.Unlock()
	if e.index < 0 {
		return false
	}
	heap.Remove(e.clock.queue(e.Kind), e.index)
	return true
}

// Clock is a virtual clock with its event queue. It is safe for concurrent use,
// but only one goroutine may step it.
type Clock struct {
	mu    sync.Mutex
	start time.Time
	now   time.Time
	// events holds Work, Timeout and Retry, upkeep Housekeeping.
	events, upkeep eventHeap
	onStep         []func(now time.Time)
}

var _ kclock.WithTicker = &Clock{}

// New returns a clock that stands at start.
func New(start time.Time) *Clock {
	return &Clock{start: start, now: start}
}

// OnStep has f called with every new time, before the events of that time run.
func (c *Clock) OnStep(f func(now time.Time)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.onStep = append(c.onStep, f)
}

// Restart drops every event except housekeeping and makes the present the new
// start, for the next cell on the same control plane.
func (c *Clock) Restart() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.events {
		e.index = -1
	}
	c.events = nil
	// Whole seconds: API timestamps have no fractions, and the runs of two
	// cells must not differ by a rounding.
	c.now = c.now.Truncate(time.Second).Add(time.Second)
	c.start = c.now
}

// Now implements clock.PassiveClock.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Start is the moment from which [Clock.Elapsed] counts.
func (c *Clock) Start() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.start
}

// Since implements clock.PassiveClock.
func (c *Clock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

// Elapsed is the virtual time since the start, in seconds.
func (c *Clock) Elapsed() float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now.Sub(c.start).Seconds()
}

// Seconds returns the moment t as seconds since the start.
func (c *Clock) Seconds(t time.Time) float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return t.Sub(c.start).Seconds()
}

// Schedule has run called d from now, on the goroutine that steps the clock. A
// negative d counts as zero. The key orders events of the same moment and must
// not depend on anything but names.
func (c *Clock) Schedule(d time.Duration, kind Kind, key string, run func()) *Event {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.schedule(d, kind, key, run)
}

func (c *Clock) schedule(d time.Duration, kind Kind, key string, run func()) *Event {
	e := &Event{At: c.now.Add(max(d, 0)), Kind: kind, Key: key, run: run, clock: c}
	heap.Push(c.queue(kind), e)
	return e
}

func (c *Clock) queue(kind Kind) *eventHeap {
	if kind == Housekeeping {
		return &c.upkeep
	}
	return &c.events
}

// Pending lists the events of one kind in their order.
func (c *Clock) Pending(kind Kind) []Event {
	c.mu.Lock()
	defer c.mu.Unlock()
	q := append(eventHeap(nil), *c.queue(kind)...)
	var out []Event
	for len(q) > 0 {
		best := 0
		for i := range q {
			if q.Less(i, best) {
				best = i
			}
		}
		if q[best].Kind == kind {
			out = append(out, *q[best])
		}
		q[best] = q[len(q)-1]
		q = q[:len(q)-1]
	}
	return out
}

// Step moves time to the next event that is not Housekeeping and runs it, together
// with the housekeeping that time passes over. It reports false, and does nothing,
// if there is none.
func (c *Clock) Step() bool {
	c.mu.Lock()
	if len(c.events) == 0 {
		c.mu.Unlock()
		return false
	}
	e := heap.Pop(&c.events).(*Event)
	due := c.advance(e.At)
	c.mu.Unlock()
	for _, h := range due {
		h.run()
	}
	e.run()
	return true
}

// StepUpkeep moves time to the next Housekeeping event, but not past the next event
// of another kind, and runs what is due. It reports false if there is no
// housekeeping.
func (c *Clock) StepUpkeep() bool {
	c.mu.Lock()
	if len(c.upkeep) == 0 {
		c.mu.Unlock()
		return false
	}
	at := c.upkeep[0].At
	if len(c.events) > 0 && c.events[0].At.Before(at) {
		c.mu.Unlock()
		return c.Step()
	}
	due := c.advance(at)
	c.mu.Unlock()
	for _, h := range due {
		h.run()
	}
	return true
}

// advance moves time to at and takes the housekeeping that is due off the
// queue. Callers hold the lock; the OnStep hooks run under it, so that nobody
// sees the new time before they have.
func (c *Clock) advance(at time.Time) []*Event {
	if at.After(c.now) {
		c.now = at
		for _, f := range c.onStep {
			f(at)
		}
	}
	var due []*Event
	for len(c.upkeep) > 0 && !c.upkeep[0].At.After(c.now) {
		due = append(due, heap.Pop(&c.upkeep).(*Event))
	}
	return due
}

// eventHeap orders events by moment, then key.
type eventHeap []*Event

func (h eventHeap) Len() int { return len(h) }
func (h eventHeap) Less(i, j int) bool {
	if !h[i].At.Equal(h[j].At) {
		return h[i].At.Before(h[j].At)
	}
	return h[i].Key < h[j].Key
}
func (h eventHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}
func (h *eventHeap) Push(x any) {
	e := x.(*Event)
	e.index = len(*h)
	*h = append(*h, e)
}
func (h *eventHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	old[len(old)-1] = nil
	e.index = -1
	*h = old[:len(old)-1]
	return e
}

// Rand returns a source of draws that depends on the seed and the names alone:
// the same names give the same draws, whatever else was drawn before.
func Rand(seed int64, names ...string) *rand.Rand {
	h := fnv.New64a()
	for _, n := range names {
		_, _ = h.Write([]byte(n))
		_, _ = h.Write([]byte{0})
	}
	return rand.New(rand.NewPCG(uint64(seed), h.Sum64()))
}

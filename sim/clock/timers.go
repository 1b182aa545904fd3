package clock

import (
	"time"

	kclock "k8s.io/utils/clock"
)

// After implements clock.Clock; the timer is housekeeping.
func (c *Clock) After(d time.Duration) <-chan time.Time { return c.NewTimer(d).C() }

// Sleep implements clock.Clock: it blocks until time has passed over d.
func (c *Clock) Sleep(d time.Duration) { <-c.After(d) }

// Tick implements clock.WithTicker.
func (c *Clock) Tick(d time.Duration) <-chan time.Time { return c.NewTicker(d).C() }

// NewTimer implements clock.Clock; the timer is housekeeping.
func (c *Clock) NewTimer(d time.Duration) kclock.Timer {
	t := &timer{clock: c, ch: make(chan time.Time, 1)}
	t.event = c.Schedule(d, Housekeeping, "timer", t.fire)
	return t
}

// NewTicker implements clock.WithTicker; the ticker is housekeeping. A step
// over several periods makes one tick, as a slow reader of a real ticker sees.
func (c *Clock) NewTicker(d time.Duration) kclock.Ticker {
	t := &ticker{clock: c, period: d, ch: make(chan time.Time, 1)}
	t.event = c.Schedule(d, Housekeeping, "ticker", t.fire)
	return t
}

type timer struct {
	clock *Clock
	event *Event
	ch    chan time.Time
}

func (t *timer) fire() {
	select {
	case t.ch <- t.clock.Now():
	default:
	}
}

func (t *timer) C() <-chan time.Time { return t.ch }
func (t *timer) Stop() bool          { return t.event.Cancel() }
func (t *timer) Reset(d time.Duration) bool {
	active := t.event.Cancel()
	t.event = t.clock.Schedule(d, Housekeeping, "timer", t.fire)
	return active
}

type ticker struct {
	clock  *Clock
	period time.Duration
	ch     chan time.Time

	// event and stopped are guarded by the clock's lock.
	event   *Event
	stopped bool
}

func (t *ticker) fire() {
	t.clock.mu.Lock()
	if !t.stopped {
		t.event = t.clock.schedule(t.period, Housekeeping, "ticker", t.fire)
	}
	now := t.clock.now
	t.clock.mu.Unlock()
	select {
	case t.ch <- now:
	default:
	}
}

func (t *ticker) C() <-chan time.Time { return t.ch }
func (t *ticker) Stop() {
	t.clock.mu.Lock()
	t.stopped = true
	e := t.event
	t.clock.mu.Unlock()
	e.Cancel()
}

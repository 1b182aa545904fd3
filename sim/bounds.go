package sim

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"simctl.dev/simctl/sim/history"
)

// errGaveUp says that a cell took too much real time. That says nothing of what it
// would have come to.
var errGaveUp = errors.New("simctl gave up on it")

// boundError is why the loop ends when a cell's history has become too long.
type boundError string

// Error implements error.
func (e boundError) Error() string { return string(e) }

// bound sets the cell's bounds in real time and in what its history takes; the
// function that it gives lifts them.
func (c *play) bound() (lift func()) {
	c.limits = c.cell.Spec.Limits.Bounds()
	bounded, met := context.WithCancelCause(c.ctx)
	c.bounded = bounded
	c.log.Limit(func(entries int, bytes int64) {
		switch {
		case entries >= c.limits.Entries:
			met(boundError(fmt.Sprintf("%d entries of history", c.limits.Entries)))
		case bytes >= c.limits.Bytes:
			met(boundError(fmt.Sprintf("%d bytes of history", c.limits.Bytes)))
		}
	})
	t := time.AfterFunc(c.limits.RealTime, func() {
		c.cancel(fmt.Errorf("%w: it took more than %s of real time, and was at %.0f s of virtual time", errGaveUp, c.limits.RealTime, c.clock.Elapsed()))
	})
	return func() {
		t.Stop()
		met(nil)
	}
}

// overlong says, and records, that the cell's history is too long.
func (c *play) overlong() bool {
	var b boundError
	if !errors.As(context.Cause(c.bounded), &b) {
		return false
	}
	c.end(string(b))
	return true
}

// overTime says, and records, that the cell has taken too much virtual time.
func (c *play) overTime() bool {
	if c.clock.Elapsed() < c.limits.VirtualTime.Seconds() {
		return false
	}
	c.end(fmt.Sprintf("%s of virtual time", c.limits.VirtualTime))
	return true
}

// end ends the cell at a bound. What goes on is not recorded any more.
func (c *play) end(bound string) {
	c.setLog(nil)
	c.record(history.FactFinished, history.Finished{Reason: "limit", Bound: bound})
}

// retries tells whether what Tekton's controller tries again for long can succeed: if
// anything has changed since it was tried. Whether it does is seen when its time has
// come, since the controller tries it no earlier.
type retries struct {
	read int // of the history
	// changes counts what has changed; before is the number at the last moment at
	// which all was quiet.
	changes, before int
	tried           map[string]try
}

type try struct {
	attempt, changes int
	at               float64
}

// noteRetries takes note of what was tried and of what has changed since the last time.
func (c *play) noteRetries() {
	var retrying map[string]int
	if c.release.controller != nil {
		retrying = c.release.controller.Retrying()
	}
	entries := c.log.Entries()
	c.retries.note(entries[c.retries.read:], retrying, c.clock.Elapsed())
	c.retries.read = len(entries)
}

// note takes the entries since the last quiet moment, and what is tried again, with
// the number of attempts.
func (r *retries) note(entries []history.Entry, retrying map[string]int, now float64) {
	for _, e := range entries {
		if changes(e) {
			r.changes++
		}
	}
	tried := map[string]try{}
	for key, attempt := range retrying {
		t, ok := r.tried[key]
		if !ok || t.attempt != attempt {
			// What has changed since the last moment may have come after it.
			t = try{attempt: attempt, changes: r.before, at: now}
		}
		tried[key] = t
	}
	r.tried, r.before = tried, r.changes
}

// changes says whether an entry is of a change that may let succeed what failed
// before. What Tekton writes of its own runs tells only how they do, as Events and
// leases do; a machine's report of itself is periodic.
func changes(e history.Entry) bool {
	if e.Kind != history.KindObject {
		return false
	}
	switch e.Object.Kind {
	case "Event", "Lease":
		return false
	case "TaskRun", "PipelineRun", "CustomRun", "Node":
		return e.Verb == history.VerbCreate || e.Verb == history.VerbDelete || e.Actor == actorUser || e.Actor == actorSimctl
	}
	return true
}

// hopeful says whether anything that is tried again can succeed.
func (r *retries) hopeful() bool {
	for _, t := range r.tried {
		if t.changes < r.changes {
			return true
		}
	}
	return false
}

// beforehand says whether something that is tried again has not been tried since a
// moment.
func (r *retries) beforehand(at float64) bool {
	for _, t := range r.tried {
		if t.at <= at {
			return true
		}
	}
	return false
}

// lastDeadline is when the time of the last run is up that has not ended, as far as it
// is said; false if there is none.
func (c *play) lastDeadline() (at float64, some bool) {
	usual := defaultTimeout
	if n, err := strconv.Atoi(c.cell.Spec.Tekton.Defaults["default-timeout-minutes"]); err == nil {
		usual = time.Duration(n) * time.Minute
	}
	for _, kind := range []string{"PipelineRun", "TaskRun"} {
		for _, o := range c.state.List(kind) {
			if final(o.Field("status", "conditions")) {
				continue
			}
			limit := usual
			for _, path := range [][]string{{"spec", "timeouts", "pipeline"}, {"spec", "timeout"}} {
				if d, err := time.ParseDuration(o.Text(path...)); err == nil {
					limit = d
				}
			}
			if limit > 0 {
				at, some = max(at, o.Created+limit.Seconds()), true
			}
		}
	}
	return at, some
}

// defaultTimeout is Tekton's for a run without one.
const defaultTimeout = time.Hour

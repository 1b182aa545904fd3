package stepper

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"

	"simctl.dev/simctl/sim/clock"
	"simctl.dev/simctl/sim/history"
)

// Plane is a control plane whose time is stepped.
type Plane interface {
	// Quiet waits until nothing goes on any more. It ends early, with an error, if ctx
	// does or the plane can no longer become quiet.
	Quiet(ctx context.Context) error
	// Schedule has the scheduler try the next pod that is ready for it and returns how
	// many it tried, 0 or 1; if none, how many pods wait for its back-off.
	Schedule() (tried, waiting int)
}

// World is a plane with the runs of a cell. Its methods are called by the goroutine that
// steps the clock, and but for Quiet only when the world is quiet.
type World interface {
	Plane
	// Done says whether every run has ended.
	Done() (bool, error)
	// Awaited says whether something is still to be done from outside after the runs'
	// end, which is on the clock.
	Awaited() bool
	// React does what is to be done at this very moment from outside, because of what
	// has happened; it reports whether it did anything that may change what can happen.
	// It may put more on the clock.
	React() (did bool, err error)
	// Deliver hands on what was withheld in this moment; it reports whether there was
	// anything.
	Deliver() bool
	// Nudge has everybody try at once what failed and waits to be tried again.
	Nudge()
	// Retrying returns what is tried again at times that cannot be chosen, with the
	// number of attempts so far.
	Retrying() map[string]int
	// Still says whether nothing comes for a while in real time: news that is under way
	// may show nowhere.
	Still(ctx context.Context) bool
	// Deadline is when the time of the last run is up that has not ended, in seconds
	// since the cell began, as far as it is said; false if it is said of none.
	Deadline() (at float64, some bool)
}

// Bounds are how far a world may go.
type Bounds struct {
	// VirtualTime is since the cell began.
	VirtualTime time.Duration
	// Entries and Bytes are those of its history.
	Entries int
	Bytes   int64
}

// Options are what a Stepper is made of.
type Options struct {
	World World
	Clock *clock.Clock
	// Log is the world's history. It is read, and its length is limited.
	Log *history.Log
	// Record takes the facts that the stepper itself finds.
	Record func(fact string, data any)
	// Linger is for how long work is still done when every run has ended and nothing more
	// is [World.Awaited]. It begins anew when runs have ended again that came, or came to
	// life again, meanwhile.
	Linger time.Duration
	Bounds Bounds
	Logger logr.Logger
}

// Stepper steps one world to its end.
type Stepper struct {
	Options
	retries retries
	idle    idling
	// looked says that everybody was made to try once more since the last work; stall
	// is how long the history was when nothing was left but time-outs, 0 while that is
	// not so.
	looked bool
	stall  int
	// linger is the end of the time in which the cell lingers, nil until that begins;
	// lingered says that it has come.
	linger   *clock.Event
	lingered bool
	// outgrown ends when the history is too long, with a boundError.
	outgrown context.Context
}

// New returns a stepper of a world. The history counts from now on towards its bounds.
func New(o Options) *Stepper {
	s := &Stepper{Options: o}
	var outgrow context.CancelCauseFunc
	s.outgrown, outgrow = context.WithCancelCause(context.Background())
	o.Log.Limit(func(entries int, bytes int64) {
		switch {
		case entries >= o.Bounds.Entries:
			outgrow(boundError(fmt.Sprintf("%d entries of history", o.Bounds.Entries)))
		case bytes >= o.Bounds.Bytes:
			outgrow(boundError(fmt.Sprintf("%d bytes of history", o.Bounds.Bytes)))
		}
	})
	return s
}

// boundError is the bound that a world has met.
type boundError string

// Error implements error.
func (e boundError) Error() string { return string(e) }

// errGoOn says that the world is not over.
var errGoOn = errors.New("the cell goes on")

// Run steps the world until it is over and returns how it ended. The error is one of the
// world's, or ctx's.
func (s *Stepper) Run(ctx context.Context) (history.Finished, error) {
	defer s.stay()
	// A world that has grown too long may never become quiet.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.outgrown, func() { cancel(context.Cause(s.outgrown)) })()
	for {
		if end, err := s.step(ctx); !errors.Is(err, errGoOn) {
			return end, err
		}
	}
}

// step waits until the world is quiet and lets the next thing happen. The error is
// errGoOn unless the world is over.
func (s *Stepper) step(ctx context.Context) (history.Finished, error) {
	if s.Clock.Elapsed() >= s.Bounds.VirtualTime.Seconds() {
		return history.Finished{Reason: "limit", Bound: fmt.Sprintf("%s of virtual time", s.Bounds.VirtualTime)}, nil
	}
	if b, met := s.outgrew(); met {
		return history.Finished{Reason: "limit", Bound: b}, nil
	}
	if err := s.World.Quiet(ctx); err != nil {
		if b, met := s.outgrew(); met {
			return history.Finished{Reason: "limit", Bound: b}, nil
		}
		return history.Finished{}, err
	}
	done, err := s.World.Done()
	if err != nil {
		return history.Finished{}, err
	}
	if !done {
		s.stay()
	}
	s.retries.look(s.Log.Entries(), s.World.Retrying(), s.Clock.Elapsed())
	did, err := s.World.React()
	switch {
	case err != nil:
		return history.Finished{}, err
	case did:
		s.begin()
		return s.goOn()
	case s.World.Deliver():
		return s.goOn()
	case done && s.over():
		return history.Finished{Done: true, Reason: "done"}, nil
	}
	tried, waiting := s.World.Schedule()
	if tried > 0 {
		s.Logger.V(1).Info("Scheduling", "pods", tried, "now", s.Clock.Elapsed())
		return s.goOn()
	}
	if waiting > 0 {
		s.Logger.V(1).Info("Waiting for the scheduler's back-off", "pods", waiting, "now", s.Clock.Elapsed())
		if s.Clock.StepUpkeep() {
			s.looked = false
			return s.goOn()
		}
	}
	if work := s.Clock.Pending(clock.Work); len(work) > 0 {
		s.begin()
		s.Logger.V(1).Info("Step", "event", work[0].Key, "now", s.Clock.Elapsed())
		s.Clock.Step()
		return s.goOn()
	}
	return s.withoutWork(ctx)
}

func (s *Stepper) goOn() (history.Finished, error) { return history.Finished{}, errGoOn }

// begin says that something can happen again.
func (s *Stepper) begin() { s.looked, s.stall = false, 0 }

// outgrew gives the bound that the history has met, if any.
func (s *Stepper) outgrew() (bound string, met bool) {
	if s.outgrown.Err() == nil {
		return "", false
	}
	return context.Cause(s.outgrown).Error(), true
}

// withoutWork is step when there is nothing left that supplies anything.
func (s *Stepper) withoutWork(ctx context.Context) (history.Finished, error) {
	if !s.looked {
		// Nothing is under way but back-offs, and the scheduler takes up
		// unschedulable pods only when something happens: have everybody try
		// now, so that what remains is known to be for ever.
		s.looked = true
		s.World.Nudge()
		return s.goOn()
	}
	// Work that comes a little early for news under way does little harm; a run whose
	// time runs out for it gets a wrong verdict.
	if !s.World.Still(ctx) {
		s.looked = false
		return s.goOn()
	}
	if s.retries.hopeful() {
		s.begin()
		s.Logger.V(1).Info("Trying again", "now", s.Clock.Elapsed())
		s.Clock.Step()
		return s.goOn()
	}
	waiting := s.Clock.Pending(clock.Timeout)
	// A retry, say, that a time-out has brought about comes to a stall of its own.
	if s.stall == 0 || begun(s.Log.Entries()[s.stall:]) {
		s.stall = len(s.Log.Entries())
		f := history.Stalled{Waiting: []history.Deadline{}}
		for _, e := range waiting {
			f.Waiting = append(f.Waiting, history.Deadline{Who: e.Key, T: s.Clock.Seconds(e.At)})
		}
		s.Record(history.FactStalled, f)
	}
	if len(waiting) == 0 {
		if at, some := s.World.Deadline(); some && s.retries.beforehand(at) {
			// What is tried again may yet see that its time is up.
			s.Clock.Step()
			return s.goOn()
		}
		return history.Finished{Reason: "nothing left"}, nil
	}
	if s.idle.step(len(s.Log.Entries()), s.Clock.Elapsed()) {
		return history.Finished{Reason: "busy", Busy: waiting[0].Key}, nil
	}
	s.Clock.Step()
	return s.goOn()
}

// stay ends the time in which the cell lingers: there is a run that has not ended.
func (s *Stepper) stay() {
	if s.linger != nil {
		s.linger.Cancel()
	}
	s.linger, s.lingered = nil, false
}

// over says whether a cell whose runs have ended is over: once nothing is due at this
// very moment any more, which may make a run anew, nothing is awaited, and unless it is to
// linger.
func (s *Stepper) over() bool {
	if due := s.Clock.Pending(clock.Work); len(due) > 0 && !due[0].At.After(s.Clock.Now()) {
		return false
	}
	if s.World.Awaited() {
		return false
	}
	if s.Linger > 0 && s.linger == nil {
		s.linger = s.Clock.Schedule(s.Linger, clock.Work, "linger", func() { s.lingered = true })
	}
	return s.Linger == 0 || s.lingered
}

// begun says whether a TaskRun or pod was made.
func begun(entries []history.Entry) bool {
	for _, e := range entries {
		if e.Kind == history.KindObject && e.Verb == history.VerbCreate && (e.Object.Kind == "TaskRun" || e.Object.Kind == "Pod") {
			return true
		}
	}
	return false
}

// idling counts the time-outs that change nothing, one right after the other.
type idling struct {
	n, entries int
	since      float64 // seconds
}

// A controller that is woken so often in so little virtual time, while nobody
// writes anything, is so for ever: it asks to be woken at a moment that is past,
// and gets its way about once a second.
const (
	maxIdle  = 200
	idleTime = 300 // seconds
)

// step takes the length of the history and the time at which the next one comes;
// it says whether this goes on for ever.
func (i *idling) step(entries int, now float64) bool {
	if entries != i.entries || now-i.since > idleTime {
		*i = idling{entries: entries, since: now}
	}
	i.n++
	return i.n > maxIdle
}

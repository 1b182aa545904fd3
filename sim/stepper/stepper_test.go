package stepper_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"simctl.dev/simctl/sim/clock"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/stepper"
)

// fake is a world without a control plane: what is to happen is put on its clock.
type fake struct {
	clock *clock.Clock
	log   *history.Log
	trace []string

	busy      bool // it never becomes quiet
	done      bool
	ready     int // pods that the scheduler can try
	backoff   int // pods that wait for its back-off
	withheld  int
	unstill   int // how often something still comes
	nudged    func()
	react     func() (bool, error)
	retrying  map[string]int
	deadline  float64 // 0 is none
	awaited   bool
	doneError error
}

func (f *fake) say(format string, args ...any) {
	f.trace = append(f.trace, fmt.Sprintf("%g ", f.clock.Elapsed())+fmt.Sprintf(format, args...))
}

// on has something happen after some seconds.
func (f *fake) on(kind clock.Kind, seconds float64, key string, run func()) *clock.Event {
	return f.clock.Schedule(time.Duration(seconds*float64(time.Second)), kind, key, func() {
		f.say("%s", key)
		if run != nil {
			run()
		}
	})
}

// write has an object written.
func (f *fake) write(kind, verb string) {
	f.log.Record(history.Entry{Kind: history.KindObject, Verb: verb, Actor: "somebody", Object: history.Ref{Kind: kind, Name: "x"}})
}

func (f *fake) Quiet(ctx context.Context) error {
	if f.busy {
		<-ctx.Done()
	}
	return context.Cause(ctx)
}

func (f *fake) Done() (bool, error) { return f.done, f.doneError }

func (f *fake) Awaited() bool { return f.awaited }

func (f *fake) React() (bool, error) {
	if f.react == nil {
		return false, nil
	}
	return f.react()
}

func (f *fake) Deliver() bool {
	if f.withheld == 0 {
		return false
	}
	f.withheld--
	f.say("deliver")
	return true
}

func (f *fake) Schedule() (tried, waiting int) {
	if f.ready == 0 {
		return 0, f.backoff
	}
	f.ready--
	f.say("schedule")
	return 1, 0
}

func (f *fake) Nudge() {
	f.say("nudge")
	if f.nudged != nil {
		f.nudged()
	}
}

func (f *fake) Retrying() map[string]int { return f.retrying }

func (f *fake) Still(context.Context) bool {
	f.unstill--
	return f.unstill < 0
}

func (f *fake) Deadline() (float64, bool) { return f.deadline, f.deadline > 0 }

func (f *fake) record(fact string, data any) {
	f.log.Record(history.NewFact("stepper", history.Ref{Kind: "Cell"}, fact, data))
	if s, ok := data.(history.Stalled); ok {
		var waiting []string
		for _, d := range s.Waiting {
			waiting = append(waiting, fmt.Sprintf("%s at %g", d.Who, d.T))
		}
		f.say("%s [%s]", fact, strings.Join(waiting, ", "))
	}
}

func newFake() *fake {
	c := clock.New(clock.Epoch)
	f := &fake{clock: c, log: history.NewLog(c.Elapsed, io.Discard)}
	f.write("Lease", history.VerbCreate) // no history is empty by then
	return f
}

// run steps a world; what becomes of it is the last line of its trace.
func (f *fake) run(ctx context.Context, linger time.Duration, b stepper.Bounds) {
	unbounded := stepper.Bounds{VirtualTime: 1000 * time.Hour, Entries: 10_000, Bytes: 1 << 20}
	if b.VirtualTime == 0 {
		b.VirtualTime = unbounded.VirtualTime
	}
	if b.Entries == 0 {
		b.Entries = unbounded.Entries
	}
	if b.Bytes == 0 {
		b.Bytes = unbounded.Bytes
	}
	s := stepper.New(stepper.Options{World: f, Clock: f.clock, Log: f.log, Record: f.record, Linger: linger, Bounds: b, Logger: logr.Discard()})
	switch end, err := s.Run(ctx); {
	case err != nil:
		f.say("error: %v", err)
	case end.Done != (end.Reason == "done"):
		f.say("%s, but done is %t", end.Reason, end.Done)
	case end.Bound != "":
		f.say("%s: %s", end.Reason, end.Bound)
	case end.Busy != "":
		f.say("%s: %s", end.Reason, end.Busy)
	default:
		f.say("%s", end.Reason)
	}
}

func TestRun(t *testing.T) {
	end := func(f *fake) func() { return func() { f.done = true } }
	for name, test := range map[string]struct {
		world  func(f *fake)
		linger time.Duration
		bounds stepper.Bounds
		want   string // the trace: seconds and what happens
	}{
		"work moves time": {
			world: func(f *fake) {
				f.on(clock.Work, 30, "step ends", end(f))
				f.on(clock.Work, 5, "image pulled", nil)
				f.on(clock.Timeout, 3600, "time-out", nil)
			},
			want: "5 image pulled, 30 step ends, 30 done",
		},
		"events of one moment go by their names": {
			world: func(f *fake) {
				f.on(clock.Work, 1, "b", end(f))
				f.on(clock.Work, 1, "a", nil)
			},
			want: "1 a, 1 b, 1 done",
		},
		"a run may begin in the moment in which all have ended": {
			world: func(f *fake) {
				f.on(clock.Work, 1, "a", end(f))
				f.on(clock.Work, 1, "b", func() { f.done = false; f.on(clock.Work, 1, "c", end(f)) })
				f.on(clock.Work, 9, "later", nil)
			},
			want: "1 a, 1 b, 2 c, 2 done",
		},
		"pods are tried one by one before time moves": {
			world: func(f *fake) {
				f.ready = 2
				f.on(clock.Work, 1, "a", end(f))
			},
			want: "0 schedule, 0 schedule, 1 a, 1 done",
		},
		"what is withheld comes before anything is scheduled": {
			world: func(f *fake) {
				f.ready, f.withheld, f.done = 1, 2, true
			},
			want: "0 deliver, 0 deliver, 0 done",
		},
		"a stall is found before the time-outs are played": {
			world: func(f *fake) {
				f.on(clock.Timeout, 60, "task", nil)
				f.on(clock.Timeout, 90, "run", end(f))
			},
			want: "0 nudge, 0 Stalled [task at 60, run at 90], 60 task, 90 run, 90 done",
		},
		"nothing is left": {
			world: func(*fake) {},
			want:  "0 nudge, 0 Stalled [], 0 nothing left",
		},
		"a nudge that helps is no stall": {
			world: func(f *fake) {
				f.nudged = func() { f.nudged = nil; f.on(clock.Work, 7, "bound", end(f)) }
				f.on(clock.Timeout, 60, "run", nil)
			},
			want: "0 nudge, 7 bound, 7 done",
		},
		"after work everybody is nudged anew": {
			world: func(f *fake) {
				f.on(clock.Work, 5, "freed", nil)
				f.nudged = func() {
					if f.clock.Elapsed() == 5 {
						f.nudged = nil
						f.on(clock.Work, 1, "bound", end(f))
					}
				}
			},
			want: "5 freed, 5 nudge, 6 bound, 6 done",
		},
		"news under way is waited for before a stall": {
			world: func(f *fake) {
				f.unstill = 2
				f.on(clock.Timeout, 60, "run", end(f))
			},
			want: "0 nudge, 0 nudge, 0 nudge, 0 Stalled [run at 60], 60 run, 60 done",
		},
		"work after a stall may end in another": {
			world: func(f *fake) {
				f.on(clock.Timeout, 60, "task", func() { f.on(clock.Work, 2, "stopped", nil) })
				f.on(clock.Timeout, 90, "run", end(f))
			},
			want: "0 nudge, 0 Stalled [task at 60, run at 90], 60 task, 62 stopped, 62 nudge, 62 Stalled [run at 90], 90 run, 90 done",
		},
		"what a time-out makes comes to a stall of its own": {
			world: func(f *fake) {
				f.on(clock.Timeout, 60, "task", func() { f.write("Pod", history.VerbCreate) })
				f.on(clock.Timeout, 90, "run", end(f))
			},
			want: "0 nudge, 0 Stalled [task at 60, run at 90], 60 task, 60 Stalled [run at 90], 90 run, 90 done",
		},
		"what a time-out only changes does not": {
			world: func(f *fake) {
				f.on(clock.Timeout, 60, "task", func() { f.write("Pod", history.VerbUpdate); f.write("Event", history.VerbCreate) })
				f.on(clock.Timeout, 90, "run", end(f))
			},
			want: "0 nudge, 0 Stalled [task at 60, run at 90], 60 task, 90 run, 90 done",
		},
		"upkeep never moves time": {
			world: func(f *fake) {
				f.on(clock.Housekeeping, 10, "look around", end(f))
			},
			want: "0 nudge, 0 Stalled [], 0 nothing left",
		},
		"upkeep comes when time passes over it": {
			world: func(f *fake) {
				f.on(clock.Housekeeping, 10, "look around", nil)
				f.on(clock.Work, 30, "step ends", end(f))
			},
			want: "30 look around, 30 step ends, 30 done",
		},
		"the scheduler's back-off is waited for": {
			world: func(f *fake) {
				f.backoff = 1
				f.on(clock.Housekeeping, 1, "flush", func() { f.backoff, f.ready = 0, 1; f.on(clock.Work, 1, "bound", end(f)) })
			},
			want: "1 flush, 1 schedule, 2 bound, 2 done",
		},
		"a back-off does not pass by an event": {
			world: func(f *fake) {
				f.backoff = 1
				f.on(clock.Housekeeping, 10, "flush", func() { f.backoff = 0 })
				f.on(clock.Work, 4, "freed", func() { f.on(clock.Work, 20, "step ends", end(f)) })
			},
			want: "4 freed, 10 flush, 24 step ends, 24 done",
		},
		"what is tried again waits for its time once something has changed": {
			world: func(f *fake) {
				f.retrying = map[string]int{"taskrun": 4}
				f.on(clock.Work, 5, "quota freed", func() { f.write("ResourceQuota", history.VerbUpdate) })
				f.on(clock.Retry, 300, "taskrun", func() { f.retrying = nil; f.on(clock.Work, 1, "step ends", end(f)) })
				f.on(clock.Timeout, 3600, "run", nil)
			},
			want: "5 quota freed, 5 nudge, 300 taskrun, 301 step ends, 301 done",
		},
		"what is tried again to no effect is a stall": {
			world: func(f *fake) {
				f.retrying = map[string]int{"taskrun": 4}
				f.on(clock.Retry, 30, "taskrun", func() { f.retrying = map[string]int{"taskrun": 5} })
				f.on(clock.Timeout, 20, "run", end(f))
			},
			want: "0 nudge, 0 Stalled [run at 20], 20 run, 20 done",
		},
		"a retry nobody speaks of does not move time": {
			world: func(f *fake) { f.on(clock.Retry, 30, "claim", end(f)) },
			want:  "0 nudge, 0 Stalled [], 0 nothing left",
		},
		"a retry sees that the time of its run is up": {
			world: func(f *fake) {
				f.retrying, f.deadline = map[string]int{"run": 9}, 3600
				f.on(clock.Retry, 4000, "run", func() { f.retrying = map[string]int{"run": 10} })
			},
			want: "0 nudge, 0 Stalled [], 4000 run, 4000 nothing left",
		},
		"somebody does something because of a phase": {
			world: func(f *fake) {
				f.on(clock.Work, 5, "running", nil)
				f.on(clock.Work, 50, "step ends", end(f))
				f.react = func() (bool, error) {
					if f.clock.Elapsed() < 5 {
						return false, nil
					}
					f.react = nil
					f.say("cordon")
					return true, nil
				}
			},
			want: "5 running, 5 cordon, 50 step ends, 50 done",
		},
		"one thing is done at a time, and before anything else of the moment": {
			world: func(f *fake) {
				f.ready, f.withheld = 1, 1
				left := 2
				f.react = func() (bool, error) {
					if left == 0 {
						return false, nil
					}
					left--
					f.say("react")
					return true, nil
				}
				f.on(clock.Work, 1, "step ends", end(f))
			},
			want: "0 react, 0 react, 0 deliver, 0 schedule, 1 step ends, 1 done",
		},
		"somebody does something at a moment": {
			world: func(f *fake) {
				f.on(clock.Work, 60, "uncordon", func() { f.ready = 1; f.on(clock.Work, 1, "step ends", end(f)) })
				f.on(clock.Timeout, 3600, "run", nil)
			},
			want: "60 uncordon, 60 schedule, 61 step ends, 61 done",
		},
		"what is done after a stall ends it": {
			world: func(f *fake) {
				acted := false
				f.react = func() (bool, error) {
					if acted || f.clock.Elapsed() < 60 {
						return false, nil
					}
					acted = true
					f.say("delete pod")
					return true, nil
				}
				f.on(clock.Timeout, 60, "task", nil)
				f.on(clock.Timeout, 90, "run", end(f))
			},
			want: "0 nudge, 0 Stalled [task at 60, run at 90], 60 task, 60 delete pod, 60 nudge, 60 Stalled [run at 90], 90 run, 90 done",
		},
		"a cell lingers": {
			world: func(f *fake) {
				f.on(clock.Work, 5, "step ends", end(f))
				f.on(clock.Work, 20, "pruned", nil)
				f.on(clock.Work, 60, "too late", nil)
			},
			linger: 30 * time.Second,
			want:   "5 step ends, 20 pruned, 35 done",
		},
		"a cell waits for what is to be done after the runs": {
			world: func(f *fake) {
				f.on(clock.Work, 5, "step ends", func() { f.done, f.awaited = true, true })
				f.on(clock.Work, 65, "bump", func() { f.awaited = false })
				f.on(clock.Work, 90, "too late", nil)
			},
			want: "5 step ends, 65 bump, 65 done",
		},
		"it lingers after that": {
			world: func(f *fake) {
				f.on(clock.Work, 5, "step ends", func() { f.done, f.awaited = true, true })
				f.on(clock.Work, 65, "bump", func() { f.awaited = false })
			},
			linger: 30 * time.Second,
			want:   "5 step ends, 65 bump, 95 done",
		},
		"it lingers anew after a run that came meanwhile": {
			world: func(f *fake) {
				f.on(clock.Work, 5, "step ends", end(f))
				f.on(clock.Work, 20, "applied", func() { f.done = false })
				f.on(clock.Work, 60, "step ends again", end(f))
			},
			linger: 30 * time.Second,
			want:   "5 step ends, 20 applied, 60 step ends again, 90 done",
		},
		"a run that came meanwhile may hang": {
			world: func(f *fake) {
				f.on(clock.Work, 5, "step ends", end(f))
				f.on(clock.Work, 20, "applied", func() { f.done = false })
			},
			linger: 30 * time.Second,
			want:   "5 step ends, 20 applied, 20 nudge, 20 Stalled [], 20 nothing left",
		},
		"a controller that its time-outs wake for ever is busy": {
			world: func(f *fake) {
				var again func()
				again = func() { f.clock.Schedule(time.Second, clock.Timeout, "taskrun", again) }
				again()
			},
			want: "0 nudge, 0 Stalled [taskrun at 1], 200 busy: taskrun",
		},
		"as long as it changes something it is not": {
			world: func(f *fake) {
				n := 0
				var again func()
				again = func() {
					if n++; n%150 == 0 {
						f.write("TaskRun", history.VerbUpdate)
					}
					if n == 600 {
						f.done = true
					}
					f.clock.Schedule(time.Second, clock.Timeout, "taskrun", again)
				}
				f.clock.Schedule(time.Second, clock.Timeout, "taskrun", again)
			},
			want: "0 nudge, 0 Stalled [taskrun at 1], 600 done",
		},
		"too much virtual time": {
			world:  func(f *fake) { f.on(clock.Work, 30, "a", func() { f.on(clock.Work, 30, "b", end(f)) }) },
			bounds: stepper.Bounds{VirtualTime: 30 * time.Second},
			want:   "30 a, 30 limit: 30s of virtual time",
		},
		"too many entries": {
			world: func(f *fake) {
				f.on(clock.Work, 1, "a", func() { f.write("Pod", history.VerbUpdate) })
				f.on(clock.Work, 2, "b", func() { f.write("Pod", history.VerbUpdate) })
				f.on(clock.Work, 3, "c", end(f))
			},
			bounds: stepper.Bounds{Entries: 3},
			want:   "1 a, 2 b, 2 limit: 3 entries of history",
		},
		"too many bytes": {
			world: func(f *fake) {
				f.on(clock.Work, 1, "a", func() { f.write(strings.Repeat("x", 1000), history.VerbUpdate) })
				f.on(clock.Work, 2, "b", end(f))
			},
			bounds: stepper.Bounds{Bytes: 1000},
			want:   "1 a, 1 limit: 1000 bytes of history",
		},
		"a world that grows too long without becoming quiet": {
			world: func(f *fake) {
				f.busy = true
				go func() {
					for range 5 {
						f.write("Pod", history.VerbUpdate)
					}
				}()
			},
			bounds: stepper.Bounds{Entries: 5},
			want:   "0 limit: 5 entries of history",
		},
		"a history that cannot be read": {
			world: func(f *fake) { f.doneError = errors.New("cut short") },
			want:  "0 error: cut short",
		},
		"something cannot be done": {
			world: func(f *fake) { f.react = func() (bool, error) { return true, errors.New("no such release") } },
			want:  "0 error: no such release",
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake()
			test.world(f)
			f.run(context.Background(), test.linger, test.bounds)
			if got := strings.Join(f.trace, ", "); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

// TestBoundBeforeRun: what is written while a cell is set up counts.
func TestBoundBeforeRun(t *testing.T) {
	f := newFake()
	f.on(clock.Work, 1, "never", nil)
	s := stepper.New(stepper.Options{World: f, Clock: f.clock, Log: f.log, Record: f.record,
		Bounds: stepper.Bounds{VirtualTime: time.Hour, Entries: 1, Bytes: 1 << 20}, Logger: logr.Discard()})
	f.write("Pod", history.VerbCreate)
	end, err := s.Run(context.Background())
	if err != nil || end.Bound != "1 entries of history" || len(f.trace) > 0 {
		t.Errorf("%+v, %v, %q", end, err, f.trace)
	}
}

// TestCancelled: a world whose context has ended is not over, and its clock stands still.
func TestCancelled(t *testing.T) {
	gone := errors.New("the API server has ended")
	f := newFake()
	ctx, cancel := context.WithCancelCause(context.Background())
	f.on(clock.Work, 1, "a", func() { cancel(gone) })
	f.on(clock.Work, 2, "never", nil)
	f.run(ctx, 0, stepper.Bounds{})
	if got, want := strings.Join(f.trace, ", "), "1 a, 1 error: the API server has ended"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestLingerIsCancelled: the end of a linger is no event of whatever comes next.
func TestLingerIsCancelled(t *testing.T) {
	f := newFake()
	f.done = true
	f.on(clock.Work, 1, "a", nil)
	f.run(context.Background(), time.Hour, stepper.Bounds{VirtualTime: time.Second})
	if left := f.clock.Pending(clock.Work); len(left) > 0 {
		t.Errorf("%s is left on the clock", left[0].Key)
	}
}

func TestSettle(t *testing.T) {
	f := newFake()
	f.ready = 1
	f.on(clock.Work, 5, "detached", nil)
	f.on(clock.Timeout, 9, "never", nil)
	if err := stepper.Settle(context.Background(), f, f.clock); err != nil {
		t.Fatal(err)
	}
	if want := []string{"0 schedule", "5 detached"}; !slices.Equal(f.trace, want) {
		t.Errorf("got %q, want %q", f.trace, want)
	}
	var again func()
	again = func() { f.clock.Schedule(0, clock.Work, "again", again) }
	again()
	if err := stepper.Settle(context.Background(), f, f.clock); !errors.Is(err, stepper.ErrEndless) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := stepper.Settle(ctx, f, f.clock); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// TestSettleAll: what failed is tried again as long as that changes anything.
func TestSettleAll(t *testing.T) {
	for name, test := range map[string]struct {
		waiting, helps int // how much waits to be tried again, and how often trying helps
		tries          int
	}{
		"nothing failed":        {waiting: 0, tries: 1},
		"trying does not help":  {waiting: 1, tries: 1},
		"trying helps for once": {waiting: 1, helps: 1, tries: 2},
		"and again":             {waiting: 1, helps: 3, tries: 4},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake()
			tries, written := 0, 0
			try := func() int {
				if tries++; tries <= test.helps {
					f.on(clock.Work, 1, "finalizer removed", func() { written++ })
				}
				return test.waiting
			}
			if err := stepper.SettleAll(context.Background(), f, f.clock, try, func() int { return written }); err != nil {
				t.Fatal(err)
			}
			if tries != test.tries || written != test.helps {
				t.Errorf("tried %d times, %d written, want %d and %d", tries, written, test.tries, test.helps)
			}
		})
	}
}

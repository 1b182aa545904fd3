package tekton

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"simctl.dev/simctl/sim/clock"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/tekton/hook/wire"
	"simctl.dev/simctl/sim/wellknown"
)

// ControllerOptions for Start.
type ControllerOptions struct {
	// Kubeconfig is the file the controller connects with.
	Kubeconfig string
	// Namespace is where its ConfigMaps are; openshift-pipelines on OpenShift.
	Namespace string
	// Clock is the time it lives in.
	Clock *clock.Clock
	// Shift is by how much its own clock is ahead of that.
	Shift time.Duration
	// Seed, unless nil, gives the seed of its draws: how much later than the retry
	// period it looks at its leases again.
	Seed func() int64
	// Recorder, unless nil, takes errors and warnings of its log, its start and
	// its end; see [Controller.SetRecorder].
	Recorder history.Recorder
	// Log, unless nil, takes everything it prints. Only one goroutine writes.
	Log io.Writer
	// Dir is its working directory; the default is that for temporary files.
	Dir string
	// Args are further arguments.
	Args []string
}

// Controller is a running Tekton controller process. Its methods may be called
// from any goroutine; Quiet and Reset only from the one that steps the clock.
type Controller struct {
	*process
	clock *clock.Clock
	// shift is by how many nanoseconds the process's clock is ahead.
	shift atomic.Int64

	// What answers said; guarded by the process's talk.
	pending []wire.Delay // reported, not on the clock yet
	elected []wire.Key   // reported, not in the history yet
	parked  bool         // of the last answer
	leads   bool         // of the last answer

	// events holds the delays on the clock; only the stepping goroutine uses it, and
	// attempts, how often each key was tried in vain.
	events   map[wire.Key]*clock.Event
	attempts map[wire.Key]int
	seed     func() int64
	// looked is when it first looked at a lease that it has not got.
	looked map[wire.Key]time.Time
}

// Start starts the controller and waits until it works: its caches are in sync
// and its workers run. It may have to wait for its leases even then, see
// [Controller.Leads]. If it ends before that, the error is an [*ExitError].
func Start(ctx context.Context, b *Build, o ControllerOptions) (*Controller, error) {
	c, err := start(ctx, b, o)
	if err != nil {
		return nil, fmt.Errorf("starting the controller of Tekton %s: %w", b.Version, err)
	}
	return c, nil
}

func start(ctx context.Context, b *Build, o ControllerOptions) (*Controller, error) {
	args, env, err := b.deployment(controllerManifest, wellknown.TektonController)
	if err != nil {
		return nil, err
	}
	c := &Controller{
		clock:  o.Clock,
		events: map[wire.Key]*clock.Event{}, attempts: map[wire.Key]int{}, looked: map[wire.Key]time.Time{},
		seed: o.Seed,
	}
	if c.seed == nil {
		c.seed = func() int64 { return 0 }
	}
	// The hook runs the leader election.
	args = append(append(args, "-kubeconfig", o.Kubeconfig, "-disable-ha"), unlimited...)
	c.shift.Store(int64(o.Shift))
	c.process, err = startProcess(b, processOptions{
		Name: wellknown.TektonController, Noun: "controller", Args: append(args, o.Args...), Env: environment(env, o.Namespace),
		Log: o.Log, Dir: o.Dir, Recorder: o.Recorder, Heard: c.heard,
	})
	if err != nil {
		return nil, err
	}
	o.Clock.OnStep(c.step)
	// Nothing else bounds how long it may take over an answer, on a slow host.
	ended := context.AfterFunc(ctx, c.HangUp)
	err = c.ready(ctx)
	ended()
	if err != nil {
		_ = c.Stop(context.WithoutCancel(ctx))
		return nil, err
	}
	c.fact(history.FactTektonStarted, history.Tekton{Version: b.Version})
	return c, nil
}

// heard takes what an answer says beyond the question.
func (c *Controller) heard(r wire.Request, a wire.Answer) {
	if r.Forget {
		c.pending = nil
	}
	for _, d := range a.Delays {
		// It is counted from the process's own time, as a timer that a clock's leap is nothing to.
		d.At -= c.shift.Load()
		c.pending = append(c.pending, d)
	}
	c.elected = append(c.elected, a.Elected...)
	c.parked, c.leads = a.Parked, a.Leads
}

// ready waits until the controllers run.
func (c *Controller) ready(ctx context.Context) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		a, err := c.ask(wire.Request{Now: c.here(c.clock.Now())})
		if err == nil && a.Ready {
			return nil
		}
		if err != nil {
			return cmp.Or(ctx.Err(), c.lost())
		}
		select {
		case <-c.exited:
			return c.exitErr
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// here is a moment as the process's clock has it.
func (c *Controller) here(t time.Time) int64 { return t.UnixNano() + c.shift.Load() }

// ShiftClock has the process's clock be ahead by so much, or behind.
func (c *Controller) ShiftClock(by time.Duration) {
	c.talk.Lock()
	c.shift.Store(int64(by))
	c.talk.Unlock()
	_, _ = c.ask(wire.Request{Now: c.here(c.clock.Now())}) // a failure shows in Quiet
}

// Settled tells the process that all is quiet, not only it: what happens from now
// on has another cause.
func (c *Controller) Settled() {
	c.talk.Lock()
	parked := c.parked
	c.talk.Unlock()
	if parked {
		_, _ = c.ask(wire.Request{Settled: true}) // a failure shows in Quiet
	}
}

// step tells the process a new time, and comes back when it has it. It runs
// under the clock's lock.
func (c *Controller) step(now time.Time) {
	if c.ending.Load() {
		return
	}
	// A failure shows in Quiet.
	_, _ = c.ask(wire.Request{Now: c.here(now)})
}

// Quiet says whether the controller has nothing to do until time moves on or an
// object changes. What its reconcilers are waiting for goes on the clock. The
// error is an [*ExitError] if the process has ended by itself.
func (c *Controller) Quiet() (bool, error) {
	select {
	case <-c.exited:
		return false, c.exitErr
	default:
	}
	a, err := c.ask(wire.Request{Wait: true})
	if err != nil {
		return false, c.lost()
	}
	c.schedule()
	// What was logged before this moment must be in the history before the next.
	return a.Idle && c.log.empty(), nil
}

// schedule puts the delays that were reported on the clock.
func (c *Controller) schedule() {
	c.talk.Lock()
	delays, elected := c.pending, c.elected
	c.pending, c.elected = nil, nil
	c.talk.Unlock()
	for _, key := range elected {
		waited := c.clock.Now().Sub(c.looked[key])
		delete(c.looked, key)
		c.fact(history.FactLeaseTaken, history.Lease{Controller: key.Controller, Seconds: waited.Seconds()})
	}
	for _, d := range delays {
		key, at := d.Key, time.Unix(0, d.At)
		switch {
		case d.Reason == wire.Busy && d.Attempt == 1:
			c.log.record(history.NewFact(wellknown.TektonController, objectOf(key), history.FactBusy, history.Busy{Controller: key.Controller}))
		case d.Reason == wire.Lease:
			at = c.nextLook(d)
		}
		kind := kindOf(d)
		c.attempts[key] = d.Attempt
		if e := c.events[key]; e != nil {
			// A work queue keeps the earlier of two moments for a key.
			if !at.Before(e.At) {
				continue
			}
			e.Cancel()
		}
		name := "tekton/" + key.Controller + "/" + key.Key
		c.events[key] = c.clock.Schedule(at.Sub(c.clock.Now()), kind, name, func() {
			delete(c.events, key)
			_, _ = c.ask(wire.Request{Enqueue: []wire.Key{key}}) // a failure shows in Quiet
		})
	}
}

// Retrying returns what is tried again and again for long, by its name on the clock, with
// the number of attempts that were in vain. Only the goroutine that steps the clock may
// ask.
func (c *Controller) Retrying() map[string]int {
	out := map[string]int{}
	for key, e := range c.events {
		if e.Kind == clock.Retry {
			out[e.Key] = c.attempts[key]
		}
	}
	return out
}

// leaseJitter is how much of the retry period chance adds to it at most
// (JitterFactor in k8s.io/client-go/tools/leaderelection).
const leaseJitter = 1.2

// nextLook is when a lease is looked at again that another process holds.
func (c *Controller) nextLook(d wire.Delay) time.Time {
	now := c.clock.Now()
	if d.Attempt == 1 {
		c.looked[d.Key] = now
		c.fact(history.FactLeaseHeld, history.Lease{Controller: d.Controller, Seconds: time.Duration(d.Lease).Seconds()})
	}
	period := time.Unix(0, d.At).Sub(now)
	more := clock.Rand(c.seed(), "lease", d.Controller, d.Key.Key, strconv.Itoa(d.Attempt)).Float64() * leaseJitter * float64(period)
	return now.Add(period + time.Duration(more))
}

// Leads says whether the controller acts: it has the leases of all its reconcilers.
// One that was killed leaves its leases behind, and its successor waits until they
// have run out.
func (c *Controller) Leads() bool {
	c.talk.Lock()
	defer c.talk.Unlock()
	return c.leads
}

// GiveLeasesBack has the controller give its leases back, as one does that is ended in an
// orderly way. It is of no use after that, but to be stopped.
func (c *Controller) GiveLeasesBack() {
	_, _ = c.ask(wire.Request{Release: true}) // one that is gone has none to give
}

// objectOf returns what a key stands for.
func objectOf(k wire.Key) history.Ref {
	kinds := map[string]string{"taskrun": "TaskRun", "pipelinerun": "PipelineRun", "customrun": "CustomRun", "resolutionrequest": "ResolutionRequest"}
	namespace, name, _ := strings.Cut(k.Key, "/")
	return history.Ref{Kind: cmp.Or(kinds[k.Controller], k.Controller), Namespace: namespace, Name: name}
}

// kindOf says what a delay means for the question whether anything can still
// happen. A time-out of a run supplies nothing. Looking again may help, e.g.
// against a cache that was behind; but what goes on for long without success waits for
// something else to happen, as for a quota that somebody frees.
func kindOf(d wire.Delay) clock.Kind {
	const (
		failures = 12 // 20 s of back-off
		retries  = 3
	)
	switch d.Reason {
	case wire.Deadline, wire.Busy:
		return clock.Timeout
	case wire.Lease: // it runs out
	case wire.Failure:
		if d.Attempt > failures {
			return clock.Retry
		}
	default:
		if d.Attempt > retries {
			return clock.Retry
		}
	}
	return clock.Work
}

// Reset forgets what the reconcilers are waiting for and takes it off the clock,
// for the next cell. The objects of the last one must be gone by then.
func (c *Controller) Reset() {
	for _, e := range c.events {
		e.Cancel()
	}
	clear(c.events)
	clear(c.attempts)
	_, _ = c.ask(wire.Request{Now: c.here(c.clock.Now()), Forget: true}) // a failure shows in Quiet
}

// Rest has the reconcilers leave everything alone until Reset: what happens to a
// cell's objects when they are cleaned away is none of theirs.
func (c *Controller) Rest() {
	_, _ = c.ask(wire.Request{Rest: true}) // a failure shows in Quiet
}

// Stop ends the process and takes its events off the clock. It may be called
// twice. The process is not left to shut down in its own time: its state is
// thrown away.
func (c *Controller) Stop(ctx context.Context) error {
	for _, e := range c.events {
		e.Cancel()
	}
	return c.process.Stop(ctx)
}

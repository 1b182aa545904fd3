package tekton

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
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

// ExitError is the unasked end of a controller's process. It is an [ErrExited].
type ExitError struct {
	Version string
	// Code is the exit status, -1 after a signal.
	Code int
	// Words is the reason in the controller's own words: the last line of its
	// log that is one, e.g. that feature-flags is not valid.
	Words string
}

// Error implements error.
func (e *ExitError) Error() string {
	return fmt.Sprintf("the controller of Tekton %s has exited (status %d): %s", e.Version, e.Code, e.Words)
}

// Is makes it an [ErrExited].
func (e *ExitError) Is(target error) bool { return target == ErrExited }

// stopWithin is how long a process may take to end; then it is killed.
const stopWithin = 500 * time.Millisecond

// Controller is a running Tekton controller process. Its methods may be called
// from any goroutine; Quiet and Reset only from the one that steps the clock.
type Controller struct {
	build *Build
	clock *clock.Clock
	pid   int
	log   *logReader

	exited  chan struct{}
	exitErr error // set when exited is closed
	ending  atomic.Bool

	// talk guards the conversation.
	talk    sync.Mutex
	conn    net.Conn
	answers *bufio.Reader
	n       int
	pending []wire.Delay // reported, not on the clock yet
	elected []wire.Key   // reported, not in the history yet
	parked  bool         // of the last answer
	leads   bool         // of the last answer
	failed  error

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
	args, env, err := b.deployment()
	if err != nil {
		return nil, err
	}
	env = environment(env, o.Namespace)
	args = append(append([]string{b.Args0}, args...),
		// The hook runs the leader election.
		"-kubeconfig", o.Kubeconfig, "-disable-ha",
		// Virtual time makes any client-side rate a distortion.
		"-kube-api-qps", "100000", "-kube-api-burst", "100000")
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("making a socket pair: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "simctl"), os.NewFile(uintptr(fds[1]), "tekton")
	defer func() { _, _ = ours.Close(), theirs.Close() }()
	conn, err := net.FileConn(ours)
	if err != nil {
		return nil, fmt.Errorf("making a connection of a socket: %w", err)
	}
	logged, logs, err := os.Pipe()
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("making a pipe for its log: %w", err)
	}
	cmd := &exec.Cmd{
		Path: b.Path, Args: append(args, o.Args...), Dir: o.Dir,
		Env:    append(flatten(env), wire.EnvFD+"=3"),
		Stdout: logs, Stderr: logs,
		ExtraFiles: []*os.File{theirs},
		SysProcAttr: &syscall.SysProcAttr{
			Pdeathsig: syscall.SIGKILL,
			// Ctrl-C goes to simctl, which decides what it means.
			Setpgid: true,
		},
	}
	if cmd.Dir == "" {
		cmd.Dir = os.TempDir()
	}
	c := &Controller{
		build: b, clock: o.Clock, conn: conn, answers: bufio.NewReader(conn),
		exited: make(chan struct{}),
		events: map[wire.Key]*clock.Event{}, attempts: map[wire.Key]int{}, looked: map[wire.Key]time.Time{},
		seed: o.Seed,
		log:  newLogReader(logged, o.Log),
	}
	if c.seed == nil {
		c.seed = func() int64 { return 0 }
	}
	c.SetRecorder(o.Recorder)
	started := make(chan error)
	go c.run(cmd, logs, started)
	if err := <-started; err != nil {
		_, _ = conn.Close(), logged.Close()
		return nil, fmt.Errorf("running %s: %w", b.Path, err)
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

// environment is what the process gets: nothing of simctl's own but where to
// put files and how many cores to use, and nothing that leads out of this host.
func environment(upstream map[string]string, namespace string) map[string]string {
	env := map[string]string{
		// Needed by old releases even if nobody reads metrics.
		"METRICS_DOMAIN": wellknown.PipelineLabel,
		// It keeps little and makes much garbage: to collect that less often costs
		// some 50 MB and saves a tenth of its time.
		"GOGC": "400",
	}
	for k, v := range upstream {
		env[k] = v
	}
	for _, name := range []string{"TMPDIR", "GOMAXPROCS"} {
		if v, ok := os.LookupEnv(name); ok {
			env[name] = v
		}
	}
	const nowhere = "/nonexistent"
	env["HOME"], env["PATH"] = nowhere, nowhere
	// Nothing listens on this port; loopback itself needs no proxy.
	env["HTTP_PROXY"], env["HTTPS_PROXY"] = "http://127.0.0.1:9", "http://127.0.0.1:9"
	env["SYSTEM_NAMESPACE"] = namespace
	// The API server may be older than the release wants.
	env["KUBERNETES_MIN_VERSION"] = "v1.0.0"
	// The kernel gives a free port; the hook binds it to loopback.
	env["PROBES_PORT"], env["PROFILING_PORT"] = "0", "0"
	// This one must be a number. Nothing listens on it unless somebody asks for
	// metrics; 0 is refused, and so is what the kernel would give (old releases
	// read it with 16 bits and a sign).
	env["METRICS_PROMETHEUS_PORT"] = strconv.Itoa(10000 + os.Getpid()%20000)
	env["METRICS_PROMETHEUS_HOST"] = "127.0.0.1"
	return env
}

func flatten(env map[string]string) []string {
	out := make([]string, 0, len(env))
	for k, v := range env {
		out = append(out, k+"="+v)
	}
	slices.Sort(out)
	return out
}

// run starts the process and waits for its end. The kernel ends the process
// with the thread that started it, hence one thread for all of it.
func (c *Controller) run(cmd *exec.Cmd, logs *os.File, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := cmd.Start()
	_ = logs.Close()
	if err != nil {
		started <- err
		return
	}
	c.pid = cmd.Process.Pid
	go c.log.read()
	started <- nil
	err = cmd.Wait()
	<-c.log.done
	_ = c.conn.Close()
	var exit *exec.ExitError
	code := 0
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	}
	words := c.log.words()
	if words == "" && err != nil {
		words = err.Error()
	}
	c.exitErr = &ExitError{Version: c.build.Version, Code: code, Words: words}
	if !c.ending.Load() {
		c.fact(history.FactTektonExited, history.Tekton{Version: c.build.Version, ExitCode: code, Message: words})
	}
	close(c.exited)
}

func (c *Controller) fact(name string, data history.Tekton) {
	c.log.record(history.NewFact(wellknown.TektonController, history.Ref{Kind: "Deployment", Name: wellknown.TektonController}, name, data))
}

// SetRecorder has what follows recorded by r, or by nobody if it is nil.
func (c *Controller) SetRecorder(r history.Recorder) { c.log.setRecorder(r) }

// ready waits until the controllers run.
func (c *Controller) ready(ctx context.Context) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		a, err := c.ask(wire.Request{Now: c.clock.Now().UnixNano()})
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

// ask has one request answered.
func (c *Controller) ask(r wire.Request) (wire.Answer, error) {
	c.talk.Lock()
	defer c.talk.Unlock()
	var a wire.Answer
	if c.failed != nil {
		return a, c.failed
	}
	c.n++
	r.N = c.n
	err := func() error {
		if err := json.NewEncoder(c.conn).Encode(r); err != nil {
			return err
		}
		line, err := c.answers.ReadBytes('\n')
		if err != nil {
			return err
		}
		if err := json.Unmarshal(line, &a); err != nil {
			return err
		}
		if a.N != r.N {
			return fmt.Errorf("answer %d to request %d", a.N, r.N)
		}
		return nil
	}()
	if err != nil {
		c.failed = fmt.Errorf("asking the controller of Tekton %s: %w", c.build.Version, err)
		return a, c.failed
	}
	if r.Forget {
		c.pending = nil
	}
	c.pending = append(c.pending, a.Delays...)
	c.elected = append(c.elected, a.Elected...)
	c.parked, c.leads = a.Parked, a.Leads
	return a, nil
}

// HangUp ends the conversation for good, also in the middle of a question, and the
// process with it.
func (c *Controller) HangUp() { _ = c.conn.Close() }

// lost waits for the end of a process that does not talk any more, for its last
// words. It closes its side by ending, which may take its time; one that closes it and
// lives on is killed.
func (c *Controller) lost() error {
	select {
	case <-c.exited:
	case <-time.After(stopWithin):
		_ = c.signal(syscall.SIGKILL)
		<-c.exited
	}
	return c.exitErr
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
	_, _ = c.ask(wire.Request{Now: now.UnixNano()})
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

// Admit does with a new object, as JSON, what the release's webhook does with it:
// it returns the object with its defaults, or why it is refused in the API server's
// words. Kinds that are not Tekton's come back as they are. The error says that
// nobody could be asked.
func (c *Controller) Admit(raw []byte) (admitted []byte, refused string, err error) {
	a, err := c.ask(wire.Request{Admit: raw})
	return a.Admitted, a.Refused, err
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
		c.leaseFact(history.FactLeaseTaken, history.Lease{Controller: key.Controller, Seconds: waited.Seconds()})
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
		c.leaseFact(history.FactLeaseHeld, history.Lease{Controller: d.Controller, Seconds: time.Duration(d.Lease).Seconds()})
	}
	period := time.Unix(0, d.At).Sub(now)
	more := clock.Rand(c.seed(), "lease", d.Controller, d.Key.Key, strconv.Itoa(d.Attempt)).Float64() * leaseJitter * float64(period)
	return now.Add(period + time.Duration(more))
}

func (c *Controller) leaseFact(name string, data history.Lease) {
	c.log.record(history.NewFact(wellknown.TektonController, history.Ref{Kind: "Deployment", Name: wellknown.TektonController}, name, data))
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
	_, _ = c.ask(wire.Request{Now: c.clock.Now().UnixNano(), Forget: true}) // a failure shows in Quiet
}

// Rest has the reconcilers leave everything alone until Reset: what happens to a
// cell's objects when they are cleaned away is none of theirs.
func (c *Controller) Rest() {
	_, _ = c.ask(wire.Request{Rest: true}) // a failure shows in Quiet
}

// Version is the release's version.
func (c *Controller) Version() string { return c.build.Version }

// PID is the process's id.
func (c *Controller) PID() int { return c.pid }

// Exited is closed when the process has ended.
func (c *Controller) Exited() <-chan struct{} { return c.exited }

// ExitErr is an [*ExitError] once the process has ended, and nil before.
func (c *Controller) ExitErr() error {
	select {
	case <-c.exited:
		return c.exitErr
	default:
		return nil
	}
}

// Stop ends the process and takes its events off the clock. It may be called
// twice. The process is not left to shut down in its own time: its state is
// thrown away.
func (c *Controller) Stop(ctx context.Context) error {
	c.ending.Store(true)
	for _, e := range c.events {
		e.Cancel()
	}
	// The hook ends the process when this end of the socket is closed.
	_ = c.conn.Close()
	_ = c.signal(syscall.SIGTERM)
	kill := time.NewTimer(stopWithin)
	defer kill.Stop()
	select {
	case <-c.exited:
		return nil
	case <-kill.C:
	case <-ctx.Done():
	}
	if err := c.signal(syscall.SIGKILL); err != nil {
		return fmt.Errorf("killing the controller of Tekton %s: %w", c.build.Version, err)
	}
	<-c.exited
	return nil
}

// signal does nothing if the process has ended.
func (c *Controller) signal(s syscall.Signal) error {
	select {
	case <-c.exited:
		return nil
	default:
	}
	if err := syscall.Kill(c.pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return nil
}

// String names the process in messages.
func (c *Controller) String() string {
	return fmt.Sprintf("Tekton %s (%s, process %d)", c.build.Version, filepath.Base(c.build.Path), c.pid)
}

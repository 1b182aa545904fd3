package tekton

import (
	"bufio"
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
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/tekton/hook/wire"
	"simctl.dev/simctl/sim/wellknown"
)

// ExitError is the unasked end of a process of Tekton's. It is an [ErrExited].
type ExitError struct {
	// Process is which one: its controller or its webhook.
	Process string
	Version string
	// Code is the exit status, -1 after a signal.
	Code int
	// Words is the reason in the process's own words: the last line of its log that is
	// one, e.g. that feature-flags is not valid.
	Words string
}

// Error implements error.
func (e *ExitError) Error() string {
	return fmt.Sprintf("the %s of Tekton %s has exited (status %d): %s", e.Process, e.Version, e.Code, e.Words)
}

// Is makes it an [ErrExited].
func (e *ExitError) Is(target error) bool { return target == ErrExited }

// stopWithin is how long a process may take to end; then it is killed.
const stopWithin = 500 * time.Millisecond

// process is a child process that is one of a release's programs, with the hook in it.
// Its methods may be called from any goroutine.
type process struct {
	processOptions
	build *Build
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
	failed  error
}

// processOptions for startProcess.
type processOptions struct {
	// Name is the program's, as histories name it; Noun is what it is.
	Name, Noun string
	// Args and Env are all that it gets, but for argv[0] and how to talk.
	Args []string
	Env  map[string]string
	Log  io.Writer
	// Dir is its working directory; the default is that for temporary files.
	Dir      string
	Recorder history.Recorder
	// Heard, unless nil, is told of every answer, one at a time.
	Heard func(wire.Request, wire.Answer)
}

// startProcess starts one of a release's programs.
func startProcess(b *Build, o processOptions) (*process, error) {
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
		Path: b.Path, Args: append([]string{o.Name}, o.Args...), Dir: o.Dir,
		Env:    append(flatten(o.Env), wire.EnvFD+"=3"),
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
	p := &process{
		processOptions: o, build: b, conn: conn, answers: bufio.NewReader(conn),
		exited: make(chan struct{}),
		log:    newLogReader(logged, o.Log),
	}
	p.SetRecorder(o.Recorder)
	started := make(chan error)
	go p.run(cmd, logs, started)
	if err := <-started; err != nil {
		_, _ = conn.Close(), logged.Close()
		return nil, fmt.Errorf("running %s: %w", b.Path, err)
	}
	return p, nil
}

// environment is what a process gets: nothing of simctl's own but where to
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

// unlimited has a client not be limited: virtual time makes any client-side rate a
// distortion.
var unlimited = []string{"-kube-api-qps", "100000", "-kube-api-burst", "100000"}

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
func (p *process) run(cmd *exec.Cmd, logs *os.File, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := cmd.Start()
	_ = logs.Close()
	if err != nil {
		started <- err
		return
	}
	p.pid = cmd.Process.Pid
	go p.log.read()
	started <- nil
	err = cmd.Wait()
	<-p.log.done
	_ = p.conn.Close()
	var exit *exec.ExitError
	code := 0
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	}
	words := p.log.words()
	if words == "" && err != nil {
		words = err.Error()
	}
	p.exitErr = &ExitError{Process: p.Noun, Version: p.build.Version, Code: code, Words: words}
	if !p.ending.Load() {
		p.fact(history.FactTektonExited, history.Tekton{Version: p.build.Version, ExitCode: code, Message: words})
	}
	close(p.exited)
}

func (p *process) fact(name string, data any) {
	p.log.record(history.NewFact(p.Name, history.Ref{Kind: "Deployment", Name: p.Name}, name, data))
}

// SetRecorder has what follows recorded by r, or by nobody if it is nil.
func (p *process) SetRecorder(r history.Recorder) { p.log.setRecorder(r) }

// ask has one request answered.
func (p *process) ask(r wire.Request) (wire.Answer, error) {
	p.talk.Lock()
	defer p.talk.Unlock()
	var a wire.Answer
	if p.failed != nil {
		return a, p.failed
	}
	p.n++
	r.N = p.n
	err := func() error {
		if err := json.NewEncoder(p.conn).Encode(r); err != nil {
			return err
		}
		line, err := p.answers.ReadBytes('\n')
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
		p.failed = fmt.Errorf("asking the %s of Tekton %s: %w", p.Noun, p.build.Version, err)
		return a, p.failed
	}
	if p.Heard != nil {
		p.Heard(r, a)
	}
	return a, nil
}

// HangUp ends the conversation for good, also in the middle of a question, and the
// process with it.
func (p *process) HangUp() { _ = p.conn.Close() }

// lost waits for the end of a process that does not talk any more, for its last
// words. It closes its side by ending, which may take its time; one that closes it and
// lives on is killed.
func (p *process) lost() error {
	select {
	case <-p.exited:
	case <-time.After(stopWithin):
		_ = p.signal(syscall.SIGKILL)
		<-p.exited
	}
	return p.exitErr
}

// Version is the release's version.
func (p *process) Version() string { return p.build.Version }

// PID is the process's id.
func (p *process) PID() int { return p.pid }

// Exited is closed when the process has ended.
func (p *process) Exited() <-chan struct{} { return p.exited }

// ExitErr is an [*ExitError] once the process has ended, and nil before.
func (p *process) ExitErr() error {
	select {
	case <-p.exited:
		return p.exitErr
	default:
		return nil
	}
}

// Stop ends the process. It may be called twice. The process is not left to shut down
// in its own time: its state is thrown away.
func (p *process) Stop(ctx context.Context) error {
	p.ending.Store(true)
	// The hook ends the process when this end of the socket is closed.
	_ = p.conn.Close()
	_ = p.signal(syscall.SIGTERM)
	kill := time.NewTimer(stopWithin)
	defer kill.Stop()
	select {
	case <-p.exited:
		return nil
	case <-kill.C:
	case <-ctx.Done():
	}
	if err := p.signal(syscall.SIGKILL); err != nil {
		return fmt.Errorf("killing the %s of Tekton %s: %w", p.Noun, p.build.Version, err)
	}
	<-p.exited
	return nil
}

// signal does nothing if the process has ended.
func (p *process) signal(s syscall.Signal) error {
	select {
	case <-p.exited:
		return nil
	default:
	}
	if err := syscall.Kill(p.pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return nil
}

// String names the process in messages.
func (p *process) String() string {
	return fmt.Sprintf("the %s of Tekton %s (%s, process %d)", p.Noun, p.build.Version, filepath.Base(p.build.Path), p.pid)
}

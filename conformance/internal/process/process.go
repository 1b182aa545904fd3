// Package process starts processes, in network and other namespaces where asked,
// none of which outlives this program, however it ends.
package process

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Starter starts processes. The kernel kills a child when the thread that started
// it ends, and a thread is in one network namespace: so there is one thread for
// both, which lives as long as this program.
type Starter struct {
	work chan func()
	own  *os.File
}

// NewStarter makes a starter.
func NewStarter() (*Starter, error) {
	own, err := os.Open("/proc/self/ns/net")
	if err != nil {
		return nil, fmt.Errorf("this process's network namespace: %w", err)
	}
	s := &Starter{work: make(chan func()), own: own}
	go func() {
		runtime.LockOSThread()
		for f := range s.work {
			f()
		}
	}()
	return s, nil
}

// on runs f on the starter's thread.
func (s *Starter) on(f func() error) error {
	done := make(chan error)
	s.work <- func() { done <- f() }
	return <-done
}

// Net is a network namespace. It has no name: it is gone once it is closed and
// its processes have ended.
type Net struct {
	file *os.File
}

// NewNet makes a network namespace.
func (s *Starter) NewNet() (*Net, error) {
	var n *Net
	err := s.on(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("making a network namespace: %w", err)
		}
		f, err := os.Open("/proc/thread-self/ns/net")
		if err == nil {
			n = &Net{f}
		}
		if back := unix.Setns(int(s.own.Fd()), unix.CLONE_NEWNET); back != nil {
			panic(fmt.Sprintf("back to this process's network namespace: %v", back))
		}
		return err
	})
	return n, err
}

// Path names the namespace to programs, as long as this one runs.
func (n *Net) Path() string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), n.file.Fd()) }

// Close lets the namespace go.
func (n *Net) Close() error { return n.file.Close() }

// in runs f on the starter's thread in a network namespace; nil is this program's own.
func (s *Starter) in(n *Net, f func() error) error {
	return s.on(func() error {
		if n == nil {
			return f()
		}
		if err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("entering a network namespace: %w", err)
		}
		defer func() {
			if err := unix.Setns(int(s.own.Fd()), unix.CLONE_NEWNET); err != nil {
				panic(fmt.Sprintf("back to this process's network namespace: %v", err))
			}
		}()
		return f()
	})
}

// Dial connects from within a network namespace.
func (s *Starter) Dial(ctx context.Context, n *Net, network, address string) (net.Conn, error) {
	var c net.Conn
	err := s.in(n, func() (err error) {
		// An address of numbers: the connection is made on this thread. A server
		// that does not answer must not hold up the others for long.
		d := net.Dialer{Timeout: 3 * time.Second}
		c, err = d.DialContext(ctx, network, address)
		return err
	})
	return c, err
}

// Command is what is started.
type Command struct {
	Path string
	Args []string
	Env  []string
	Dir  string
	// Net is the network namespace, nil for this program's own.
	Net *Net
	// Clone are further namespaces to make, as CLONE_ flags.
	Clone uintptr
	// Log is the file to which it writes.
	Log string
	// Output, if there is no Log.
	Output io.Writer
	// Told says that the process is told things: Tell.
	Told bool
}

// Process is a process that was started, the leader of a process group.
type Process struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	done  chan struct{}
	err   error
}

// Start starts a command.
func (s *Starter) Start(c Command) (*Process, error) {
	cmd := exec.Command(c.Path, c.Args...)
	cmd.Env, cmd.Dir = c.Env, c.Dir
	cmd.Stdout, cmd.Stderr = c.Output, c.Output
	// Ctrl-C on a terminal is for this program: it ends the others in its order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true, Cloneflags: c.Clone}
	p := &Process{cmd: cmd, done: make(chan struct{})}
	if c.Told {
		var err error
		if p.stdin, err = cmd.StdinPipe(); err != nil {
			return nil, fmt.Errorf("starting %s: %w", c.Path, err)
		}
	}
	if c.Log != "" {
		f, err := os.OpenFile(c.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			return nil, fmt.Errorf("starting %s: %w", c.Path, err)
		}
		defer f.Close()
		cmd.Stdout, cmd.Stderr = f, f
	}
	if err := s.in(c.Net, cmd.Start); err != nil {
		return nil, fmt.Errorf("starting %s: %w", c.Path, err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// Run runs a command to its end; an error has what it wrote.
func (s *Starter) Run(ctx context.Context, c Command) (string, error) {
	var b strings.Builder
	c.Output = &b
	p, err := s.Start(c)
	if err != nil {
		return "", err
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		p.Kill()
		return b.String(), fmt.Errorf("%s: %w", c.Path, ctx.Err())
	}
	if p.err != nil {
		return b.String(), fmt.Errorf("%s %s: %w: %s", c.Path, strings.Join(c.Args, " "), p.err, strings.TrimSpace(b.String()))
	}
	return b.String(), nil
}

// Tell writes a line to the process's standard input.
func (p *Process) Tell(line string) error {
	_, err := io.WriteString(p.stdin, line+"\n")
	return err
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err is how it ended, once it has.
func (p *Process) Err() error { return p.err }

// Signal sends a signal to the process and its group.
func (p *Process) Signal(sig syscall.Signal) {
	select {
	case <-p.done: // its number may be another's by now
	default:
		// that it has just ended is no error
		_ = syscall.Kill(-p.cmd.Process.Pid, sig)
	}
}

// Kill ends the process and its group at once and waits for it.
func (p *Process) Kill() {
	if p == nil {
		return
	}
	p.Signal(syscall.SIGKILL)
	<-p.done
}

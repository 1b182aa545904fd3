package openshift

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"simctl.dev/simctl/sim/openshift/engine/wire"
)

// ErrEngineGone is why a decision could not be had when the engine's process has
// ended.
var ErrEngineGone = errors.New("the process of OpenShift's SCC admission has ended")

// Engine is a running child process that decides about pods. It is safe for
// concurrent use.
type Engine struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stderr tail
	ended  chan struct{} // closed when the process has ended
	closed sync.Once

	mu    sync.Mutex // guards what follows and writes to stdin
	out   *json.Encoder
	last  uint64
	sccs  string // the SCCs that the engine knows
	calls map[uint64]chan wire.Reply
	dead  error
}

// StartEngine starts the engine whose executable [BuildEngine] gave. The process
// ends with [Engine.Close], and with this process whatever happens to it.
func StartEngine(path string) (*Engine, error) {
	e := &Engine{cmd: exec.Command(path), ended: make(chan struct{}), calls: map[uint64]chan wire.Reply{}}
	var err error
	if e.stdin, err = e.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("starting OpenShift's SCC admission: %w", err)
	}
	stdout, err := e.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("starting OpenShift's SCC admission: %w", err)
	}
	e.cmd.Stderr = &e.stderr
	// It must not see the terminal's interrupt: what runs is ended in order.
	e.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := e.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting OpenShift's SCC admission: %w", err)
	}
	e.out = json.NewEncoder(e.stdin)
	go e.read(stdout)
	return e, nil
}

// PID is the process's id.
func (e *Engine) PID() int { return e.cmd.Process.Pid }

// Close ends the process. Requests under way fail. It may be called twice.
func (e *Engine) Close() error {
	e.closed.Do(func() {
		_ = e.stdin.Close()
		select {
		case <-e.ended:
		case <-time.After(2 * time.Second):
			_ = e.cmd.Process.Kill()
			<-e.ended
		}
	})
	return nil
}

// read takes replies until the process ends.
func (e *Engine) read(stdout io.Reader) {
	decoder := json.NewDecoder(bufio.NewReaderSize(stdout, 1<<16))
	for {
		var r wire.Reply
		if err := decoder.Decode(&r); err != nil {
			break
		}
		e.mu.Lock()
		call := e.calls[r.ID]
		e.mu.Unlock()
		if call != nil {
			call <- r // never waits: see decide
		}
	}
	err := e.cmd.Wait()
	e.mu.Lock()
	e.dead = ErrEngineGone
	if text := e.stderr.String(); err != nil && text != "" {
		e.dead = fmt.Errorf("%w: %w: %s", ErrEngineGone, err, text)
	} else if err != nil {
		e.dead = fmt.Errorf("%w: %w", ErrEngineGone, err)
	}
	e.mu.Unlock()
	close(e.ended)
}

// decide asks for a decision on a pod. Questions about who may use an SCC are put
// to may.
func (e *Engine) decide(ctx context.Context, sccs sccSet, request wire.Request, may func(context.Context, wire.Question) (bool, error)) (*wire.Decision, error) {
	// The engine has one reply under way for a request, and after ours it waits.
	call := make(chan wire.Reply, 1)
	id, err := e.begin(call, sccs, request)
	if err != nil {
		return nil, err
	}
	defer func() {
		e.mu.Lock()
		delete(e.calls, id)
		e.mu.Unlock()
	}()
	for {
		select {
		case <-e.ended:
			return nil, e.dead
		case r := <-call:
			if r.Decision != nil {
				return r.Decision, nil
			}
			if r.Question == nil {
				return nil, fmt.Errorf("OpenShift's SCC admission sent neither a decision nor a question")
			}
			// An error is the engine's to judge: the plug-in takes it for a no.
			// A context that has ended is no reason to leave: the engine waits.
			var a wire.Answer
			allowed, err := may(ctx, *r.Question)
			if a.Allowed = allowed; err != nil {
				a.Error = err.Error()
			}
			if err := e.send(wire.Message{ID: id, Answer: &a}); err != nil {
				return nil, err
			}
		}
	}
}

// begin sends a request, and before it the SCCs if the engine has others.
func (e *Engine) begin(call chan wire.Reply, sccs sccSet, request wire.Request) (uint64, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.sccs != sccs.name {
		if err := e.write(wire.Message{SCCs: sccs.sccs}); err != nil {
			return 0, err
		}
		e.sccs = sccs.name
	}
	e.last++
	e.calls[e.last] = call
	if err := e.write(wire.Message{ID: e.last, Request: &request}); err != nil {
		delete(e.calls, e.last)
		return 0, err
	}
	return e.last, nil
}

func (e *Engine) send(m wire.Message) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.write(m)
}

func (e *Engine) write(m wire.Message) error {
	if e.dead != nil {
		return e.dead
	}
	if err := e.out.Encode(m); err != nil {
		return fmt.Errorf("%w: %w", ErrEngineGone, err)
	}
	return nil
}

package sim

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"

	"simctl.dev/simctl/sim/internal/host"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/verdict"
)

// Several workers do not share a process: whether a control plane is quiet is
// read from the process's goroutines, and upstream keeps metrics and feature
// gates in globals. A remote is a worker in a process of its own, fed over its
// standard input.

// workerName is the argv[0] under which simctl is a worker.
const workerName = "simctl-worker"

type workerSetup struct {
	Dir   string `json:"dir"`
	Index int    `json:"index"`
	// Cores is how many each process of the control plane may use at a time.
	Cores    int    `json:"cores"`
	CacheDir string `json:"cacheDir"`
	// CheckCells and CheckHistories are as in Options.
	CheckCells     bool `json:"checkCells,omitempty"`
	CheckHistories bool `json:"checkHistories,omitempty"`
}

type workerJob struct {
	Cell   *scenario.Cell `json:"cell"`
	Builds builds         `json:"builds"`
}

type workerAnswer struct {
	Result verdict.Cell `json:"result"`
	Error  string       `json:"error,omitempty"`
	// Spent says that no other cell may be played there.
	Spent bool `json:"spent,omitempty"`
}

// workerMain is a worker process's main; it does nothing if argv[0] does not
// ask for one.
func workerMain() {
	if filepath.Base(os.Args[0]) != workerName {
		return
	}
	if err := serveWorker(os.Stdin, os.Stdout); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func serveWorker(in io.Reader, out io.Writer) error {
	// What ends the parent may reach this process too; the parent closes the input. If it is
	// gone there is nobody to answer, which must not end this process before it has
	// tidied up.
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	lines := make(chan []byte)
	go func() {
		defer cancel() // the parent is gone, or wants no more
		defer close(lines)
		r := bufio.NewReader(in)
		for {
			line, err := r.ReadBytes('\n')
			if err != nil {
				return
			}
			lines <- line
		}
	}()
	var setup workerSetup
	line, ok := <-lines
	if !ok {
		return nil
	}
	if err := json.Unmarshal(line, &setup); err != nil {
		return fmt.Errorf("reading a worker's set-up: %w", err)
	}
	// For the worker's children. Its own runtime has begun by now and keeps all cores:
	// somebody must take what comes in while it waits for quiet.
	if err := os.Setenv("GOMAXPROCS", strconv.Itoa(setup.Cores)); err != nil {
		return fmt.Errorf("setting a worker up: %w", err)
	}
	// What upstream code logs goes to a file, as it does in one process: standard
	// error is the run's progress.
	log, err := os.OpenFile(filepath.Join(setup.Dir, "logs", strconv.Itoa(setup.Index)+"-simctl.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return fmt.Errorf("opening a worker's log: %w", err)
	}
	defer func() { _ = log.Close() }()
	logger := logr.FromSlogHandler(slog.NewTextHandler(log, nil))
	klog.SetLogger(logger)
	w, err := newWorker(ctx, setup.Dir, setup.Index, setup.CacheDir, logger, func(string) {})
	if err != nil {
		if ctx.Err() != nil {
			return nil // nobody waits for it any more
		}
		return err
	}
	defer w.stop()
	w.checkCells, w.checkHistories = setup.CheckCells, setup.CheckHistories
	enc := json.NewEncoder(out)
	if err := enc.Encode(workerAnswer{}); err != nil {
		return err
	}
	for line := range lines {
		var j workerJob
		var a workerAnswer
		err := json.Unmarshal(line, &j)
		if err == nil {
			a.Result, err = w.run(ctx, j.Cell, j.Builds)
			a.Spent = w.spent()
		}
		if err != nil {
			a.Error = err.Error()
		}
		if err := enc.Encode(a); err != nil {
			return err
		}
	}
	return nil
}

// remote is the parent's side of a worker process.
type remote struct {
	cmd     *exec.Cmd
	tmp     string // where it has its temporary files
	in      io.WriteCloser
	answers chan workerAnswer
	done    chan error
	over    bool // its last answer was that it is spent
}

// newRemote starts a worker.
func newRemote(ctx context.Context, setup workerSetup) (_ *remote, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding simctl's own executable: %w", err)
	}
	// A worker that must be killed cannot remove what it has there.
	tmp, err := os.MkdirTemp("", "simctl-worker-")
	if err != nil {
		return nil, fmt.Errorf("making a worker's folder: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(tmp)
		}
	}()
	r := &remote{tmp: tmp, answers: make(chan workerAnswer), done: make(chan error, 1)}
	r.cmd = &exec.Cmd{Path: self, Args: []string{workerName}, Env: append(os.Environ(), "TMPDIR="+tmp), Stderr: os.Stderr, SysProcAttr: &syscall.SysProcAttr{Setpgid: true}}
	if r.in, err = r.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("starting a worker: %w", err)
	}
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("starting a worker: %w", err)
	}
	if err := host.Unhurried(r.cmd.Start); err != nil {
		return nil, fmt.Errorf("starting a worker: %w", err)
	}
	go func() {
		defer close(r.answers)
		dec := json.NewDecoder(out)
		for {
			var a workerAnswer
			if err := dec.Decode(&a); err != nil {
				r.done <- r.cmd.Wait()
				return
			}
			r.answers <- a
		}
	}()
	err = json.NewEncoder(r.in).Encode(setup)
	if err == nil {
		_, err = r.answer(ctx)
	}
	if err != nil {
		r.stop()
		return nil, fmt.Errorf("starting a worker: %w", err)
	}
	return r, nil
}

func (r *remote) answer(ctx context.Context) (verdict.Cell, error) {
	select {
	case a, ok := <-r.answers:
		if !ok {
			return verdict.Cell{}, errors.New("the worker process has ended")
		}
		r.over = a.Spent
		if a.Error != "" {
			return a.Result, errors.New(a.Error)
		}
		return a.Result, nil
	case <-ctx.Done():
		return verdict.Cell{}, ctx.Err()
	}
}

// run implements cellRunner.
func (r *remote) run(ctx context.Context, cell *scenario.Cell, builds builds) (verdict.Cell, error) {
	if err := json.NewEncoder(r.in).Encode(workerJob{Cell: cell, Builds: builds}); err != nil {
		return verdict.Cell{}, fmt.Errorf("handing a cell to a worker: %w", err)
	}
	return r.answer(ctx)
}

// spent implements cellRunner.
func (r *remote) spent() bool { return r.over }

// stopWithin is how long a worker may take to tidy up. It takes a tenth of a second
// where nothing else runs.
const stopWithin = time.Minute

// stop closes the worker's input, which ends it, waits, and removes what it may have
// left.
func (r *remote) stop() {
	_ = r.in.Close()
	kill := time.AfterFunc(stopWithin, func() { _ = r.cmd.Process.Kill() })
	defer kill.Stop()
	for range r.answers { // whatever it still says
	}
	_ = <-r.done // how it ended does not matter any more
	_ = os.RemoveAll(r.tmp)
}

// oneWorker is what one of several control planes side by side keeps busy. It waits
// for itself a good part of the time, so that three get more out of two cores than
// two do.
var oneWorker = host.Share{Cores: 2.0 / 3, Memory: 3 << 29}

// workersFor chooses how many control planes run side by side on so many cores,
// where at most so many fit. Each takes some seconds to start, which pays only for
// some cells; one beyond the number of cores gains a tenth, which takes more.
func workersFor(cells, cores, fit int) int {
	const (
		cellsEach       = 6
		cellsEachBeyond = 16
	)
	pay := max(min(cells/cellsEach, cores), cells/cellsEachBeyond)
	return max(1, min(pay, fit))
}

package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/go-logr/logr"

	"simctl.dev/simctl/sim/estate"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/install"
	"simctl.dev/simctl/sim/plane"
	"simctl.dev/simctl/sim/play"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/verdict"
)

// worker is one control plane with everything around it.
type worker struct {
	dir    string
	index  int
	logger logr.Logger
	logs   []io.Closer

	stage play.Stage
	// checkCells says that cells are to be checked for what they leave.
	checkCells bool
	// meddled says that no other cell is to be played.
	meddled bool
	// checkHistories says that histories are to be checked before they are judged.
	checkHistories bool
}

// newWorker starts a control plane. Its logs go to files of DIR/logs; progress is told of
// what has to be built.
func newWorker(ctx context.Context, dir string, index int, cacheDir string, logger logr.Logger, progress func(string)) (*worker, error) {
	w := &worker{dir: dir, index: index, logger: logger}
	out, err := w.logFile("control-plane")
	if err != nil {
		return nil, err
	}
	p, err := plane.Start(ctx, plane.Options{Log: out, Logger: logger})
	if err != nil {
		w.stop()
		return nil, err
	}
	in := install.New(install.Options{Plane: p, LogFile: w.logFile, CacheDir: cacheDir, Progress: progress, Logger: logger})
	w.stage = play.Stage{Plane: p, Install: in, Estate: estate.New(estate.Options{Plane: p, Install: in, Logger: logger}), Logger: logger}
	return w, nil
}

// logFile opens one of the worker's logs.
func (w *worker) logFile(name string) (io.Writer, error) {
	name = filepath.Join(w.dir, "logs", strconv.Itoa(w.index)+"-"+name+".log")
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return nil, fmt.Errorf("opening a log: %w", err)
	}
	w.logs = append(w.logs, f)
	return f, nil
}

// stop ends everything the worker started.
func (w *worker) stop() {
	if w.stage.Plane != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(w.stage.Plane.Context()), 5*time.Second)
		defer cancel()
		w.stage.Install.End(ctx)
		w.stage.Plane.Stop()
	}
	for _, l := range w.logs {
		_ = l.Close()
	}
}

// run implements cellRunner.
func (w *worker) run(ctx context.Context, cell *scenario.Cell, builds builds) (verdict.Cell, error) {
	dir := filepath.Join("cells", cell.ID())
	file := filepath.Join(dir, "history.jsonl")
	if err := os.MkdirAll(filepath.Join(w.dir, dir), 0o750); err != nil {
		return verdict.Cell{}, fmt.Errorf("making the cell's folder: %w", err)
	}
	f, err := os.Create(filepath.Join(w.dir, file))
	if err != nil {
		return verdict.Cell{}, fmt.Errorf("opening the cell's history: %w", err)
	}
	entries, err := w.play(ctx, cell, builds, f)
	if err := errors.Join(err, f.Close()); err != nil {
		return verdict.Cell{}, err
	}
	if w.checkHistories {
		if err := sound(entries); err != nil {
			return verdict.Cell{}, fmt.Errorf("%w: see %s", err, file)
		}
	}
	res, err := judge(cell, entries)
	res.History = file
	return res, err
}

// play plays a cell and gives its history.
func (w *worker) play(ctx context.Context, cell *scenario.Cell, builds builds, out io.Writer) (_ []history.Entry, err error) {
	if w.checkCells && w.stage.Check == nil {
		if w.stage.Check, err = w.stage.Estate.NewCheck(ctx); err != nil {
			return nil, err
		}
	}
	res, err := w.stage.Run(ctx, cell, builds, out)
	w.meddled = w.meddled || res.Meddled
	return res.Entries, err
}

// spent implements cellRunner.
func (w *worker) spent() bool { return w.meddled }

package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"

	"simctl.dev/simctl/sim/controlplane"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/internal/loopback"
	"simctl.dev/simctl/sim/plane"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/tekton"
	"simctl.dev/simctl/sim/verdict"
)

// worker is one control plane with everything around it.
type worker struct {
	dir      string
	index    int
	cacheDir string
	logger   logr.Logger
	progress func(line string)
	logs     []io.Closer

	plane     *plane.Plane
	scc       *scc             // nil until a cell wants OpenShift
	converter *loopback.Server // nil until a release is installed
	older     bool             // a cell has had manifests of Tekton's v1beta1
	tektonPID atomic.Int64     // of the Tekton controller that was last started
	release   *release
	cluster   *cluster // nil until a cell has made one
	// definitions are what the last cell's workload was defined by; nil if
	// nothing is there.
	definitions *kept
	// checkCells says that cells are to be checked for what they leave; estate is
	// what such a check compares with, nil while there is none.
	checkCells bool
	estate     *estate
	// meddled says that a cell wrote to what is the control plane's own: no other cell
	// is to be played on it.
	meddled bool
	// checkHistories says that histories are to be checked before they are judged.
	checkHistories bool
}

// release is a started Tekton controller.
type release struct {
	build      *tekton.Build
	namespace  string
	configMaps []*corev1.ConfigMap
	proxy      *controlplane.Proxy
	controller *tekton.Controller // nil while it is stopped
	leave      func()             // has the controller no longer belong to the plane
	schemas    schemas            // of the release's kinds
	refs       []history.Ref      // of what is installed
	// changed says that a cell wrote to what is installed, beyond the flags.
	changed bool
}

// newWorker starts a control plane. Its logs go to files of DIR/logs.
func newWorker(ctx context.Context, dir string, index int, cacheDir string, logger logr.Logger, progress func(string)) (*worker, error) {
	w := &worker{dir: dir, index: index, cacheDir: cacheDir, logger: logger, progress: progress}
	out, err := w.logFile("control-plane")
	if err != nil {
		return nil, err
	}
	if w.plane, err = plane.Start(ctx, plane.Options{Log: out, Logger: logger}); err != nil {
		w.stop()
		return nil, err
	}
	w.plane.AtEnd(func() (err error) {
		if w.scc != nil {
			err = w.scc.stop()
		}
		if w.estate != nil {
			err = errors.Join(err, w.estate.store.Close())
		}
		return err
	})
	w.plane.Tap().Echo(tekton.ServiceAccount, func() bool { return controlplane.Resting(int(w.tektonPID.Load())) })
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
	if w.plane != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(w.plane.Context()), 5*time.Second)
		defer cancel()
		w.stopRelease(ctx)
		w.plane.Stop()
	}
	for _, l := range w.logs {
		_ = l.Close()
	}
}

func (w *worker) stopRelease(ctx context.Context) {
	if w.release == nil {
		return
	}
	if w.release.controller != nil {
		if err := w.release.controller.Stop(ctx); err != nil {
			w.logger.Error(err, "Stopping a Tekton controller failed")
		}
		w.release.leave()
	}
	if w.release.proxy != nil {
		w.release.proxy.Stop()
	}
	w.release = nil
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

// spent implements cellRunner.
func (w *worker) spent() bool { return w.meddled }

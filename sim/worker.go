package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/go-logr/logr"
	"github.com/tektoncd/pipeline/pkg/apis/pipeline"

	"simctl.dev/simctl/sim/install"
	"simctl.dev/simctl/sim/plane"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/tekton"
	"simctl.dev/simctl/sim/verdict"
	"simctl.dev/simctl/sim/wellknown"
)

// worker is one control plane with everything around it.
type worker struct {
	dir    string
	index  int
	logger logr.Logger
	logs   []io.Closer

	plane   *plane.Plane
	install *install.Install
	cluster *cluster // nil until a cell has made one
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

// newWorker starts a control plane. Its logs go to files of DIR/logs; progress is told of
// what has to be built.
func newWorker(ctx context.Context, dir string, index int, cacheDir string, logger logr.Logger, progress func(string)) (*worker, error) {
	w := &worker{dir: dir, index: index, logger: logger}
	out, err := w.logFile("control-plane")
	if err != nil {
		return nil, err
	}
	if w.plane, err = plane.Start(ctx, plane.Options{Log: out, Logger: logger}); err != nil {
		w.stop()
		return nil, err
	}
	w.install = install.New(install.Options{Plane: w.plane, LogFile: w.logFile, CacheDir: cacheDir, Progress: progress, Logger: logger})
	w.plane.AtEnd(func() error {
		if w.estate == nil {
			return nil
		}
		return w.estate.store.Close()
	})
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
		w.install.End(ctx)
		w.plane.Stop()
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

// spent implements cellRunner.
func (w *worker) spent() bool { return w.meddled }

// ensureRelease has the cell's Tekton release installed and its controller
// running. Cells of one release share a controller.
func (w *worker) ensureRelease(ctx context.Context, cell *scenario.Cell, build *tekton.Build) error {
	namespace := wellknown.TektonNamespace
	if cell.Spec.Cluster.OpenShift.Enabled {
		namespace = wellknown.OpenShiftPipelinesNamespace
	}
	older, err := usesOlder(cell)
	if err != nil {
		return err
	}
	if w.install.Fits(build, namespace, older) {
		return nil
	}
	if err := w.removeDefinitions(ctx); err != nil {
		return err
	}
	return w.install.Lay(ctx, build, namespace, older)
}

// older is the API version of Tasks, Pipelines and runs before v1.
const older = pipeline.GroupName + "/v1beta1"

// usesOlder says whether a cell has manifests of that version.
func usesOlder(cell *scenario.Cell) (bool, error) {
	interventions, err := json.Marshal(cell.Spec.Interventions)
	if err != nil {
		return false, fmt.Errorf("writing the cell's interventions as JSON: %w", err)
	}
	return bytes.Contains(interventions, []byte(older)) || slices.ContainsFunc(cell.Objects, func(o json.RawMessage) bool {
		return bytes.Contains(o, []byte(older))
	}), nil
}

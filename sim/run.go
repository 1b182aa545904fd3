package sim

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"simctl.dev/simctl/sim/controlplane"
	"simctl.dev/simctl/sim/estate"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/internal/host"
	"simctl.dev/simctl/sim/openshift"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/tekton"
	tektoncontroller "simctl.dev/simctl/sim/tekton/controller"
	tektonwebhook "simctl.dev/simctl/sim/tekton/webhook"
	"simctl.dev/simctl/sim/verdict"
)

// Options of a run.
type Options struct {
	// Parallel is how many control planes run side by side; 0 lets Run choose.
	Parallel int
	// OutDir is the run's folder: histories go to cells/ID/history.jsonl, what
	// the controllers log to logs/.
	OutDir string
	// FailFast ends the run after the first cell that is not as expected or, if
	// nothing is expected of it, did not do its work.
	FailFast bool
	// CheckCells has every cell checked for what it leaves: all that etcd holds
	// afterwards is compared with what a fresh control plane would have, and any other
	// difference is an error that wraps [ErrNotAlone].
	CheckCells bool
	// CheckHistories holds every cell's history to [history.Invariants]: one that
	// violates any is an error that wraps [ErrUnsound].
	CheckHistories bool
	// CacheDir holds builds; empty is the user's cache directory.
	CacheDir string
	// Progress, if not nil, is told what happens, one call at a time.
	Progress func(Event)
	Logger   logr.Logger
}

// EventKind says what an Event tells.
type EventKind string

// The kinds of events.
const (
	EventBuild        EventKind = "build"
	EventBuilt        EventKind = "built"
	EventControlPlane EventKind = "control-plane"
	EventCellStarted  EventKind = "cell-started"
	EventCellDone     EventKind = "cell-done"
)

// Event is progress of a run.
type Event struct {
	Kind EventKind
	// Cell is the cell that was started or is done, Result what came of it.
	Cell   *scenario.Cell
	Result *verdict.Cell
	// Release is the Tekton version being built, Message one line. Once it is there, or has
	// failed, or if it is OpenShift's admission, that is told by its name alone.
	Release string
	Message string
	// Done of Total cells are done.
	Done, Total int
}

// ErrFailFast says that a run ended early because a cell was not as expected, or
// did not do its work where nothing is expected.
var ErrFailFast = errors.New("a cell was not as expected")

// ChildMain runs one of the programs that simctl carries in itself (etcd,
// kube-apiserver, the newest Tekton controller, a worker) if argv[0] names one,
// and then does not return. Otherwise it sets what this process does with garbage,
// and returns. A main calls it first.
func ChildMain() {
	controlplane.ChildMain()
	tektoncontroller.ChildMain()
	tektonwebhook.ChildMain()
	// A worker keeps little and makes much garbage, as a Tekton controller does.
	debug.SetGCPercent(400)
	workerMain()
}

// Run runs the cells and gives the result of every cell that was finished, in
// the order of cells. Cells of a release that is ready run while others are
// still being built. A cell that could not be run has the outcome error. If ctx
// ends, Run stops promptly, leaves nothing running, and gives what is finished
// together with ctx's error.
func Run(ctx context.Context, cells []scenario.Cell, o Options) ([]verdict.Cell, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r := &run{o: o, cells: cells, cancel: cancel, results: map[int]verdict.Cell{}}
	if err := os.MkdirAll(filepath.Join(o.OutDir, "logs"), 0o750); err != nil {
		return nil, fmt.Errorf("making the run's folder: %w", err)
	}
	q := r.build(ctx)
	n := o.Parallel
	if n <= 0 {
		n = workersFor(len(cells), runtime.GOMAXPROCS(0), host.Fit(oneWorker))
	}
	var wg sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		wg.Go(func() {
			if err := r.work(ctx, i, n, q); err != nil {
				errs[i] = err
				cancel(err)
			}
		})
	}
	wg.Wait()
	cause := context.Cause(ctx)
	cancel(nil)
	r.builds.Wait()
	var out []verdict.Cell
	for _, i := range slices.Sorted(maps.Keys(r.results)) {
		out = append(out, r.results[i])
	}
	return out, cause
}

// run is one call of Run.
type run struct {
	o       Options
	cells   []scenario.Cell
	cancel  context.CancelCauseFunc
	builds  sync.WaitGroup
	telling sync.Mutex

	mu      sync.Mutex
	results map[int]verdict.Cell
}

// builds are the releases that a cell needs, by version.
type builds map[string]*tekton.Build

// job is a cell with the builds of its releases, or why there are none.
type job struct {
	index  int
	builds builds
	err    error
}

// build puts the cells into a queue as what they need is there: at first those that need
// no build, then as the builds come in [buildOrder].
func (r *run) build(ctx context.Context) *queue {
	b := &tekton.Builder{CacheDir: r.o.CacheDir, Progress: func(version, line string) {
		r.tell(Event{Kind: EventBuild, Release: version, Message: line})
	}}
	built := map[string]bool{}
	var all []string
	for i := range r.cells {
		for _, name := range needs(&r.cells[i]) {
			if _, known := built[name]; !known {
				built[name] = r.isBuilt(b, name)
				all = append(all, name)
			}
		}
	}
	order := buildOrder(r.cells, built)
	q := newQueue(r.cells)
	out := &handout{cells: r.cells, queue: q, ready: map[string]bool{}, builds: builds{}, failed: map[string]error{}, handed: map[int]bool{}}
	r.builds.Go(func() {
		defer q.close()
		done := func(version string, build *tekton.Build, err error) {
			if ctx.Err() == nil {
				r.tell(Event{Kind: EventBuilt, Release: version})
				out.done(version, build, err)
			}
		}
		build := func(names []string) {
			for len(names) > 0 {
				n := slices.Index(names, sccEngine)
				switch n {
				case 0:
					done(sccEngine, nil, r.buildEngine(ctx))
					n = 1
				case -1:
					n = len(names)
					fallthrough
				default:
					// The error is ctx's, which whoever waits for cells sees too.
					_ = b.BuildAll(ctx, names[:n], done)
				}
				names = names[n:]
			}
		}
		build(slices.DeleteFunc(all, func(name string) bool { return !built[name] }))
		var fetching sync.WaitGroup
		defer fetching.Wait()
		fetching.Go(func() {
			b.Fetch(ctx, slices.DeleteFunc(slices.Clone(order), func(name string) bool { return name == sccEngine }))
		})
		build(order)
	})
	return q
}

// sccEngine stands among the releases for OpenShift's admission, which is built
// like one.
const sccEngine = "OpenShift's SCC admission"

func (r *run) buildEngine(ctx context.Context) error {
	_, err := openshift.BuildEngine(ctx, openshift.BuildOptions{CacheDir: r.o.CacheDir, Progress: func(line string) {
		r.tell(Event{Kind: EventBuild, Message: line})
	}})
	return err
}

// isBuilt says whether something that cells need is there already.
func (r *run) isBuilt(b *tekton.Builder, name string) bool {
	if name == sccEngine {
		built, _, err := openshift.EngineStatus(r.o.CacheDir)
		return err == nil && built
	}
	built, _, _ := b.Status(name)
	return built
}

// buildOrder is the order in which to build what cells need and is not there: at each
// step what lets some cells begin by the fewest builds, and the most cells of those.
func buildOrder(cells []scenario.Cell, built map[string]bool) []string {
	there := map[string]bool{}
	maps.Copy(there, built)
	var order []string
	for {
		// The cells that wait for the same builds are one choice.
		type choice struct {
			missing []string
			cells   int
		}
		var choices []*choice
		for i := range cells {
			missing := slices.DeleteFunc(slices.Clone(needs(&cells[i])), func(name string) bool { return there[name] })
			if len(missing) == 0 {
				continue
			}
			at := slices.IndexFunc(choices, func(c *choice) bool { return slices.Equal(c.missing, missing) })
			if at < 0 {
				at = len(choices)
				choices = append(choices, &choice{missing: missing})
			}
			choices[at].cells++
		}
		if len(choices) == 0 {
			return order
		}
		best := choices[0]
		for _, c := range choices[1:] {
			if n, fewest := len(c.missing), len(best.missing); n < fewest || n == fewest && c.cells > best.cells {
				best = c
			}
		}
		for _, name := range best.missing {
			there[name] = true
		}
		order = append(order, best.missing...)
	}
}

// needs names what must be built before a cell can run.
func needs(c *scenario.Cell) []string {
	out := c.Versions()
	if c.Spec.Cluster.OpenShift.Enabled {
		out = append(slices.Clone(out), sccEngine)
	}
	return out
}

// handout puts cells into the queue once everything that they need is there.
type handout struct {
	cells  []scenario.Cell
	queue  *queue
	ready  map[string]bool
	builds builds // the releases among what is ready
	failed map[string]error
	handed map[int]bool
}

// done says what came of a build.
func (h *handout) done(name string, build *tekton.Build, err error) {
	h.ready[name] = err == nil
	if err != nil {
		h.failed[name] = err
	}
	if build != nil {
		h.builds[name] = build
	}
	var batch []job
	for i := range h.cells {
		if h.handed[i] {
			continue
		}
		j := job{index: i, builds: builds{}}
		whole := true
		for _, name := range needs(&h.cells[i]) {
			if err := h.failed[name]; err != nil && j.err == nil {
				j.err = err
			}
			if b := h.builds[name]; b != nil {
				j.builds[name] = b
			}
			whole = whole && h.ready[name]
		}
		if whole || j.err != nil {
			h.handed[i] = true
			batch = append(batch, j)
		}
	}
	h.queue.put(batch...)
}

// work takes cells from the queue until it is empty or ctx ends.
func (r *run) work(ctx context.Context, worker, workers int, q *queue) error {
	var runner cellRunner
	defer func() {
		if runner != nil {
			runner.stop()
		}
	}()
	for {
		j, ok := q.take(ctx, worker)
		if !ok {
			return nil
		}
		cell := &r.cells[j.index]
		begun := time.Now()
		r.tell(Event{Kind: EventCellStarted, Cell: cell})
		if j.err != nil {
			r.done(j.index, failedCell(cell, j.err, begun))
			continue
		}
		if runner == nil {
			starting := "starting the control plane"
			if workers > 1 {
				starting = fmt.Sprintf("starting control plane %d of %d", worker+1, workers)
			}
			r.tell(Event{Kind: EventControlPlane, Message: starting})
			var err error
			if runner, err = r.newRunner(ctx, worker, workers); err != nil {
				if ctx.Err() != nil {
					return nil
				}
				return err
			}
		}
		res, err := runner.run(ctx, cell, j.builds)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			res = failedCell(cell, err, begun)
		}
		if err != nil || runner.spent() {
			// Whatever state it is in, the next cell gets a new one.
			runner.stop()
			runner = nil
		}
		res.WallSeconds = time.Since(begun).Seconds()
		r.done(j.index, res)
	}
}

// cellRunner runs cells one after another: a worker in this process, or one in
// a process of its own.
type cellRunner interface {
	run(ctx context.Context, cell *scenario.Cell, builds builds) (verdict.Cell, error)
	// spent says that no other cell may be played there.
	spent() bool
	stop()
}

func (r *run) newRunner(ctx context.Context, worker, workers int) (cellRunner, error) {
	if workers > 1 {
		rem, err := newRemote(ctx, workerSetup{
			Dir: r.o.OutDir, Index: worker, Cores: max(1, runtime.GOMAXPROCS(0)/workers), CacheDir: r.o.CacheDir,
			CheckCells: r.o.CheckCells, CheckHistories: r.o.CheckHistories,
		})
		if err != nil {
			return nil, err // not rem: a nil pointer in an interface is not nil
		}
		return rem, nil
	}
	w, err := newWorker(ctx, r.o.OutDir, worker, r.o.CacheDir, r.o.Logger, func(line string) {
		r.tell(Event{Kind: EventBuild, Message: line})
	})
	if err != nil {
		return nil, err
	}
	w.checkCells, w.checkHistories = r.o.CheckCells, r.o.CheckHistories
	return w, nil
}

func (r *run) done(index int, res verdict.Cell) {
	r.mu.Lock()
	r.results[index] = res
	done := len(r.results)
	r.mu.Unlock()
	r.tell(Event{Kind: EventCellDone, Cell: &r.cells[index], Result: &res, Done: done, Total: len(r.cells)})
	if r.o.FailFast && res.Fails() {
		r.cancel(fmt.Errorf("%w: %s", ErrFailFast, r.cells[index].ID()))
	}
}

func (r *run) tell(e Event) {
	if r.o.Progress == nil {
		return
	}
	r.telling.Lock()
	defer r.telling.Unlock()
	if e.Total == 0 {
		e.Total = len(r.cells)
	}
	r.o.Progress(e)
}

// failedCell is the result of a cell that simctl could not run.
func failedCell(cell *scenario.Cell, err error, begun time.Time) verdict.Cell {
	res := newResult(cell)
	res.Outcome = verdict.Error
	res.Error = err.Error()
	res.Judgement = verdict.NotAsExpected
	res.WallSeconds = time.Since(begun).Seconds()
	return res
}

func newResult(cell *scenario.Cell) verdict.Cell {
	return verdict.Cell{
		ID:       cell.ID(),
		Scenario: cell.Scenario,
		Values:   cell.Values,
		Axes:     cell.Axes,
		Repeat:   cell.Repeat,
		MadeUp:   cell.MadeUp,
	}
}

// ErrNotAlone says that a cell has left something behind, or taken something away, on
// its control plane.
var ErrNotAlone = estate.ErrNotAlone

// ErrUnsound says that a cell's history says what cannot have been: what is judged by it
// may be wrong.
var ErrUnsound = errors.New("the cell's history is unsound")

// sound checks a history; the error names the first of what is wrong with it.
func sound(entries []history.Entry) error {
	switch wrong := history.Check(entries); len(wrong) {
	case 0:
		return nil
	case 1:
		return fmt.Errorf("%w: %s", ErrUnsound, wrong[0])
	default:
		return fmt.Errorf("%w: %s, and %d more", ErrUnsound, wrong[0], len(wrong)-1)
	}
}

// judge gives the result of a cell with this history.
func judge(cell *scenario.Cell, entries []history.Entry) (verdict.Cell, error) {
	res := newResult(cell)
	f, err := verdict.Judge(entries)
	if err != nil {
		return res, fmt.Errorf("judging %s: %w", cell.ID(), err)
	}
	res.Finding = f
	cell.Expected.Judge(&res)
	return res, nil
}

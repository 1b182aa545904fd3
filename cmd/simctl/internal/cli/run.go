package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"

	"simctl.dev/simctl/reports"
	"simctl.dev/simctl/sim/runstore"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/verdict"
)

// latest is the value of --resume without one.
const latest = "latest"

// runsDir is where runs are kept, relative to the working folder.
var runsDir = filepath.Join(".simctl", "runs")

func (a *App) runCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run PATH...",
		Short: "Run scenarios and report what becomes of each cell",
		Long: `Run every cell of the scenario files (or folders of them) and print the matrix
of outcomes, what deviates from what the scenarios expect and why, and timing.

Results go to standard output, progress to standard error: on a terminal a live
view, elsewhere, and with NO_COLOR, TERM=dumb, CI or --verbose, a line for each
step. Everything is kept under .simctl/runs/ID: the result, a history for each
cell, logs.

Exit status: 0 as expected, 1 an outcome differs from what was expected or,
where nothing is expected, a run did not do its work, 2 simctl could not do
its work.`,
		Example: `  simctl run scenarios/
  simctl run scenarios/incident.yaml --set change=as-reported,tekton-1.15
  simctl run scenarios/placement.yaml --tekton 1.3.1,1.15.0 -o json
  simctl run --resume`,
		Args: pathsOrResume,
		RunE: a.run,
	}
	f := cmd.Flags()
	outputFlag(cmd, "result", resultFormats()...)
	foldFlag(cmd)
	f.StringArray("report", nil, "write the evidence report to this `file` as well, its ending says how: .html, .md, .json, .xml (JUnit), .sarif (repeatable)")
	resumeFlag(cmd, "run")
	f.Bool("dry-run", false, "run nothing: say what simctl validate says of these scenarios")
	f.Bool("fail-fast", false, "stop at the first cell that is not as expected or, if nothing is expected of it, did not do its work")
	f.Bool("check-cells", false, "after each cell, compare all that etcd holds with what a fresh control plane would have; a cell that is not cleared away is an error")
	engineFlags(cmd)
	expansionFlags(cmd)
	return cmd
}

// resumeFlag goes on with an interrupted run or review.
func resumeFlag(cmd *cobra.Command, what string) {
	f := cmd.Flags()
	f.String("resume", "", "go on with an interrupted "+what+": its `ID` or folder, or the latest")
	f.Lookup("resume").NoOptDefVal = latest
	completeFlag(cmd, "resume", completeRuns)
}

// pathsOrResume wants paths, but for a run to go on with, which has its own.
func pathsOrResume(cmd *cobra.Command, args []string) error {
	if len(args) == 0 && cmd.Flags().Changed("resume") {
		return nil
	}
	return needPaths(cmd, args)
}

// settings are what `run` was told.
type settings struct {
	output                     resultOutput
	fold                       reports.Fold
	out, resume, cacheDir      string
	parallel                   int
	failFast, noColor, verbose bool
	checkCells, checkHistories bool
	paths                      []string
	reports                    []reportTarget
	expansion                  runstore.Options
}

// settings reads the settings but for those a resumed run brings along.
func (c *config) settings(args []string) (settings, error) {
	s := settings{out: c.string("out"), resume: c.string("resume"), cacheDir: c.string("cache-dir"), paths: args}
	var errs [6]error
	s.parallel, errs[0] = c.count("parallel")
	s.failFast, errs[1] = c.bool("fail-fast")
	s.noColor, errs[2] = c.bool("no-color")
	s.verbose, errs[3] = c.bool("verbose")
	s.checkCells, errs[4] = c.bool("check-cells")
	s.checkHistories, errs[5] = c.bool("check-histories")
	var foldErr error
	s.fold, foldErr = reports.ParseFold(c.string("fold"))
	o, err := parseResultOutput(c.string("output"))
	s.output = o
	err = errors.Join(err, foldErr)
	if files := c.list("report"); len(files) > 0 {
		var rerr error
		s.reports, rerr = reportTargets(nil, files)
		err = errors.Join(err, rerr)
	}
	return s, errors.Join(append(errs[:], err)...)
}

func (a *App) run(cmd *cobra.Command, args []string) (err error) {
	c, err := newConfig(cmd)
	if err != nil {
		return err
	}
	s, err := c.settings(args)
	if err != nil {
		return err
	}
	dry, err := c.bool("dry-run")
	if err != nil {
		return err
	}
	if dry {
		return a.dryRun(cmd, c, s)
	}
	started := a.Now()
	var store *runstore.Run
	var in *inputs
	if s.resume != "" {
		store, in, err = a.resume(c, &s)
	} else {
		store, in, err = a.begin(c, &s, runstore.Options{}, started)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()

	log, closeLog, err := a.openLog(store, s.verbose)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeLog()) }()

	engineErr := a.runCells(cmd.Context(), store, in, s, log)
	result := a.result(store, in, started)
	return a.report(cmd.Context(), store, in, s, result, engineErr)
}

// dryRun says what the run would be.
func (a *App) dryRun(cmd *cobra.Command, c *config, s settings) error {
	if s.resume != "" {
		return errors.New("--dry-run says nothing of a run to go on with: leave out --resume, and name its scenarios")
	}
	o, err := c.expansion(runstore.Options{})
	if err != nil {
		return err
	}
	return a.validate(cmd.Context(), s.cacheDir, s.paths, o)
}

// openLog opens a run's log, which is written to standard error as well if it is
// to be verbose.
func (a *App) openLog(store *runstore.Run, verbose bool) (logr.Logger, func() error, error) {
	f, err := store.OpenLog()
	if err != nil {
		return logr.Discard(), nil, err
	}
	handler := slog.Handler(slog.NewTextHandler(f, nil))
	if verbose {
		handler = slog.NewMultiHandler(handler, slog.NewTextHandler(a.Stderr, nil))
	}
	return logr.FromSlogHandler(handler), f.Close, nil
}

// begin makes a new run's folder, once the input has proved good. What the flags do
// not say is as in base.
func (a *App) begin(c *config, s *settings, base runstore.Options, started time.Time) (*runstore.Run, *inputs, error) {
	var err error
	if s.expansion, err = c.expansion(base); err != nil {
		return nil, nil, err
	}
	in, err := expand(s.paths, s.expansion)
	if err != nil {
		return nil, nil, err
	}
	store, err := a.create(s, in, started)
	return store, in, err
}

// create makes a run's folder.
func (a *App) create(s *settings, in *inputs, started time.Time) (*runstore.Run, error) {
	id, err := runstore.NewID(started, a.Random)
	if err != nil {
		return nil, err
	}
	wd, err := os.Getwd()
	if err != nil {
		return nil, fmt.Errorf("finding the working folder: %w", err)
	}
	dir := s.out
	if dir == "" {
		dir = filepath.Join(runsDir, id)
	}
	store, err := runstore.Create(dir, runstore.Info{
		ID: id, Started: started.UTC().Truncate(time.Second), Simctl: a.Versions.Simctl,
		Command: append([]string{"simctl"}, a.args...), Dir: wd,
		Paths: s.paths, Options: s.expansion, Inputs: in.read(),
	})
	if err != nil {
		return nil, err
	}
	if s.out == "" {
		if err := runstore.MarkLatest(runsDir, id); err != nil {
			return nil, errors.Join(err, store.Close())
		}
	}
	return store, nil
}

// resume opens the run to go on with. What the command line does not say is as
// it was when the run began.
func (a *App) resume(c *config, s *settings) (*runstore.Run, *inputs, error) {
	dir := s.out
	if dir == "" {
		id := s.resume
		// `--resume ID` leaves the ID among the paths: a flag whose value may be
		// left out takes it by "=" only.
		if id == latest && len(s.paths) > 0 && (isRun(s.paths[0]) || isFolder(s.paths[0])) {
			id, s.paths = s.paths[0], s.paths[1:]
		}
		if id == latest {
			var err error
			if id, err = runstore.Latest(runsDir); err != nil {
				if len(s.paths) > 0 {
					return nil, nil, fmt.Errorf("%w, and %s is no run: name its ID or its folder", err, s.paths[0])
				}
				return nil, nil, fmt.Errorf("%w to go on with: start one by simctl %s PATH", err, c.verb())
			}
		}
		// A folder may be named as well as the ID of a run.
		if dir = id; !isFolder(dir) {
			dir = filepath.Join(runsDir, id)
		}
	}
	info, err := runstore.ReadInfo(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("resuming: %w", err)
	}
	if verb := verbOf(info); verb != c.verb() {
		return nil, nil, fmt.Errorf("%s was begun by simctl %s: go on with: %s", info.ID, verb, resumeCommand(verb, *s, info.ID))
	}
	if len(s.paths) == 0 {
		wd, err := os.Getwd()
		if err != nil {
			return nil, nil, fmt.Errorf("finding the working folder: %w", err)
		}
		for _, p := range info.Paths {
			if wd != info.Dir && !filepath.IsAbs(p) {
				p = filepath.Join(info.Dir, p)
			}
			s.paths = append(s.paths, p)
		}
	}
	if s.expansion, err = c.expansion(info.Options); err != nil {
		return nil, nil, err
	}
	in, err := expand(s.paths, s.expansion)
	if err != nil {
		return nil, nil, err
	}
	store, err := runstore.Open(dir)
	if err != nil {
		return nil, nil, err
	}
	for _, now := range in.read() {
		for _, then := range info.Inputs {
			if now.Path == then.Path && now.SHA256 != then.SHA256 {
				fmt.Fprintf(a.Stderr, "%s has changed since; those of its cells that differ are run again\n", now.Path)
			}
		}
	}
	info.Paths, info.Options, info.Inputs = s.paths, s.expansion, in.read()
	if wd, err := os.Getwd(); err == nil {
		info.Dir = wd
	}
	if err := store.SetInfo(info); err != nil {
		return nil, nil, errors.Join(err, store.Close())
	}
	return store, in, nil
}

// isRun says that name is the ID of a run, and no path.
func isRun(name string) bool {
	if _, err := os.Stat(name); err == nil {
		return false
	}
	_, err := runstore.ReadInfo(filepath.Join(runsDir, name))
	return err == nil
}

// isFolder says that name is the folder of a run.
func isFolder(name string) bool {
	_, err := runstore.ReadInfo(name)
	return err == nil
}

// kept returns a cell's result if the run has it. What is expected is as the
// scenario says now: it may have been edited since the cell was run.
func kept(store *runstore.Run, id string, cell scenario.Cell) (verdict.Cell, bool) {
	r, ok := store.Finished(id, cell.Fingerprint())
	if !ok || r.Outcome == verdict.Error {
		return r, ok
	}
	cell.Expected.Judge(&r)
	return r, true
}

// runCells runs the cells that are not finished and keeps each as it ends.
func (a *App) runCells(ctx context.Context, store *runstore.Run, in *inputs, s settings, log logr.Logger) error {
	var pending []scenario.Cell
	finished := make([]*verdict.Cell, len(in.cells))
	for i, c := range in.cells {
		if err := store.WriteCell(c); err != nil {
			return err
		}
		// A cell that simctl could not run counts as not run.
		if r, ok := kept(store, in.ids[i], c); ok && r.Outcome != verdict.Error {
			finished[i] = &r
		} else {
			pending = append(pending, c)
		}
	}
	p := newProgress(a.Stderr, len(in.cells)-len(pending), len(in.cells))
	if len(pending) == 0 {
		return nil
	}
	if width, terminal := a.Terminal(a.Stderr); a.watched(s, terminal) {
		p.live = startLive(a.Stderr, width, newLiveView(in.cells, finished), a.Now)
		// A second signal ends simctl at once, and the terminal is to be as it was by then.
		stop := context.AfterFunc(ctx, p.finish)
		defer stop()
		defer p.finish()
	}

	// The engine hands the folder to other processes.
	outDir, err := filepath.Abs(store.Dir())
	if err != nil {
		return fmt.Errorf("finding the run's folder: %w", err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var mu sync.Mutex
	var keepErr error
	_, err = a.Engine.Run(ctx, pending, RunOptions{
		Parallel: s.parallel, OutDir: outDir, CacheDir: s.cacheDir, FailFast: s.failFast, Logger: log,
		CheckCells: s.checkCells, CheckHistories: s.checkHistories,
		Progress: func(e Event) {
			if e.Kind == EventCellDone && e.Cell != nil && e.Result != nil {
				err := store.Append(runstore.Record{ID: e.Cell.ID(), Fingerprint: e.Cell.Fingerprint(), Cell: *e.Result})
				if err != nil {
					// What cannot be kept need not be run.
					mu.Lock()
					if keepErr == nil {
						keepErr = err
					}
					mu.Unlock()
					cancel(err)
				}
			}
			p.event(e)
		},
	})
	mu.Lock()
	defer mu.Unlock()
	if keepErr != nil {
		return keepErr
	}
	return err
}

// result puts the run's result together from the cells that are kept.
func (a *App) result(store *runstore.Run, in *inputs, started time.Time) verdict.RunResult {
	info := store.Info()
	r := verdict.RunResult{
		ID: info.ID, Started: info.Started, Simctl: a.Versions.Simctl, Kubernetes: a.Versions.Kubernetes,
		Command: info.Command,
	}
	if info.Options.Seed != nil {
		r.Seed = *info.Options.Seed
	}
	for i, c := range in.cells {
		if cell, ok := kept(store, in.ids[i], c); ok {
			r.Cells = append(r.Cells, cell)
		}
	}
	r.Statistics = verdict.Summarize(r.Cells)
	r.Interrupted = len(r.Cells) < len(in.cells)
	r.WallSeconds = a.Now().Sub(started).Round(time.Millisecond).Seconds()
	return reports.Normalize(r)
}

// report keeps and shows the result and makes the exit status of it.
func (a *App) report(ctx context.Context, store *runstore.Run, in *inputs, s settings, r verdict.RunResult, engineErr error) error {
	var problems []error
	if err := store.WriteResult(r); err != nil {
		problems = append(problems, err)
	}
	width, live := a.Terminal(a.Stdout)
	if len(r.Cells) > 0 || s.output.document() {
		if err := s.output.render(a.Stdout, r, reports.Options{Width: width, Color: a.color(s, live), Fold: s.fold}); err != nil {
			problems = append(problems, err)
		}
	}
	fmt.Fprintf(a.Stderr, "kept in %s\n", store.Dir())
	if len(s.reports) > 0 && len(r.Cells) > 0 {
		kept := &keptRun{dir: store.Dir(), info: store.Info(), result: r}
		for _, c := range r.Cells {
			kept.ids = append(kept.ids, runstore.CellID(c))
		}
		if err := a.writeReports(kept, "", s.reports, ""); err != nil {
			problems = append(problems, err)
		}
	}

	interrupted := ctx.Err() != nil
	switch {
	case interrupted:
		problems = append(problems, fmt.Errorf("interrupted after %d of %s: go on with: %s",
			len(r.Cells), cellCount(len(in.cells)), resumeCommand("run", s, r.ID)))
	case engineErr != nil:
		problems = append(problems, engineErr)
		if r.Interrupted {
			problems = append(problems, fmt.Errorf("%d of %s finished: once that is mended, go on with: %s",
				len(r.Cells), cellCount(len(in.cells)), resumeCommand("run", s, r.ID)))
		}
	}
	fails := false
	var failed []string
	cells := map[string]int{}
	for _, c := range r.Cells {
		switch {
		case c.Outcome == verdict.Error:
			reason := oneLine(c.Error)
			if !slices.Contains(failed, reason) {
				failed = append(failed, reason)
			}
			cells[reason]++
		case c.Fails():
			fails = true
		}
	}
	for _, reason := range failed {
		problems = append(problems, fmt.Errorf("%s could not be run: %s", cellCount(cells[reason]), reason))
	}
	switch {
	case len(problems) > 0:
		a.complain(errors.Join(problems...))
		return errReported
	case fails:
		return errDeviates
	case r.Interrupted && !s.failFast:
		a.complain(fmt.Errorf("only %d of %s have a result: go on with: %s", len(r.Cells), cellCount(len(in.cells)), resumeCommand("run", s, r.ID)))
		return errReported
	}
	return nil
}

// color says whether a stream may be coloured.
func (a *App) color(s settings, live bool) bool {
	return live && !s.noColor && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// verbOf is the verb that made a run.
func verbOf(info runstore.Info) string {
	if info.Options.Review != nil {
		return "upgrade"
	}
	return "run"
}

// resumeCommand is what to type to go on.
func resumeCommand(verb string, s settings, id string) string {
	if s.out != "" {
		return "simctl " + verb + " --resume --out " + s.out
	}
	return "simctl " + verb + " --resume=" + id
}

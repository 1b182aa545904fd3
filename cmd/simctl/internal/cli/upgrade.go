package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"simctl.dev/simctl/reports"
	"simctl.dev/simctl/sim/impact"
	"simctl.dev/simctl/sim/releases"
	"simctl.dev/simctl/sim/runstore"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/verdict"
)

func (a *App) upgradeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "upgrade (--from RELEASE --to RELEASE | --path RELEASE,RELEASE...) PATH...",
		Short: "Say what a bump of Tekton changes for the scenarios, and what mends it",
		Long: `Run every cell of the scenario files on each release of the path and print what
changes from one to the next, worst first: outcomes with their causes, flags that
die, timing. For a cell that no longer does its work, the changes that may mend it
are run as well, and reported with what came of them.

A release is a version of Tekton or of OpenShift Pipelines (osp-1.20). Axis values
of a scenario that only choose a release are left out: the path chooses it.

Everything is kept under .simctl/runs/ID, as by run. An interrupted review goes on
with --resume, which needs no other argument.

Exit status: 0 nothing is worse after the bump, 1 something is, 2 simctl could not
do its work.`,
		Example: `  simctl upgrade --from osp-1.18 --to osp-1.20 scenarios/
  simctl upgrade --path osp-1.18,osp-1.19,osp-1.20 scenarios/incident.yaml -o markdown
  simctl upgrade --resume`,
		Args: pathsOrResume,
		RunE: a.upgrade,
	}
	f := cmd.Flags()
	f.String("from", "", "the `release` that runs now")
	f.String("to", "", "the `release` to go to")
	f.StringSlice("path", nil, "all `releases` on the way, instead of --from and --to")
	f.Bool("mid-run", false, "also put the bump at each phase of each task of a run")
	f.Bool("no-remedies", false, "do not look for what mends a cell")
	f.StringP("output", "o", string(reports.Table), "`format` of the review: table, markdown, json or yaml")
	resumeFlag(cmd, "review")
	engineFlags(cmd)
	cellFlags(cmd)
	return cmd
}

// releasePath reads the flags that name the releases.
func releasePath(c *config) ([]string, error) {
	named := c.list("path")
	from, to := c.string("from"), c.string("to")
	switch {
	case len(named) > 0 && (from != "" || to != ""):
		return nil, errors.New("--path names every release: leave --from and --to out")
	case len(named) == 0 && from != "" && to != "":
		named = []string{from, to}
	case len(named) < 2:
		return nil, errors.New("name two releases at least: --from osp-1.18 --to osp-1.20, or --path osp-1.18,osp-1.19,osp-1.20")
	}
	var out []string
	for _, n := range named {
		v, err := releases.Parse(n)
		if err != nil {
			return nil, err
		}
		if slices.Contains(out, v) {
			return nil, fmt.Errorf("%s is on the path twice", n)
		}
		out = append(out, v)
	}
	return out, nil
}

// review is an upgrade review being made.
type review struct {
	*App
	ctx   context.Context
	s     settings
	log   logr.Logger
	store *runstore.Run
	path  []string
	files map[string]*scenario.File // by the scenario's name
	opts  scenario.Options
	// runs are what is known of every cell so far, by its ID; cells are those
	// that were to be played, in order.
	runs  map[string]impact.Run
	cells inputs
}

func (a *App) upgrade(cmd *cobra.Command, args []string) (err error) {
	c, err := newConfig(cmd)
	if err != nil {
		return err
	}
	format, err := reports.ParseReviewFormat(c.string("output"))
	if err != nil {
		return err
	}
	s := settings{format: reports.Table, out: c.string("out"), resume: c.string("resume"), cacheDir: c.string("cache-dir"), paths: args}
	var errs [4]error
	s.parallel, errs[0] = c.count("parallel")
	s.noColor, errs[1] = c.bool("no-color")
	s.verbose, errs[2] = c.bool("verbose")
	s.checkHistories, errs[3] = c.bool("check-histories")
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	started := a.Now()
	store, in, err := a.openReview(c, &s, started)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	log, closeLog, err := a.openLog(store, s.verbose)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeLog()) }()
	r := &review{App: a, ctx: cmd.Context(), s: s, log: log, store: store, path: s.expansion.Tekton,
		files: map[string]*scenario.File{}, runs: map[string]impact.Run{},
		opts: scenario.Options{Seed: s.expansion.Seed, Repeats: s.expansion.Repeats}}
	for _, f := range in.files {
		r.files[f.Scenario.Metadata.Name] = f
	}
	out, err := r.compare(in)
	if err == nil && !s.expansion.Review.NoRemedies {
		err = r.remedies(&out, in)
	}
	if err == nil && s.expansion.Review.MidRun {
		err = r.midRun(&out, in)
	}
	err = errors.Join(err, store.WriteResult(a.result(store, &r.cells, started)), keepReview(store.Dir(), out))
	if err != nil {
		err = fmt.Errorf("%w: go on with: %s", err, resumeCommand("upgrade", s, store.Info().ID))
	}
	if err != nil && len(out.Steps) == 0 {
		fmt.Fprintf(a.Stderr, "kept in %s\n", store.Dir())
		return err
	}
	// What is known by now is worth as much as before.
	shown := a.showReview(out, format, s, store.Dir())
	if err != nil {
		return fmt.Errorf("the review is not complete: %w", err)
	}
	return shown
}

// reviewFile is the review in a run's folder.
const reviewFile = "review.json"

// keepReview writes the review, once anything is known.
func keepReview(dir string, out impact.Review) error {
	if len(out.Steps) == 0 {
		return nil
	}
	raw, err := json.MarshalIndent(out, "", "  ")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, reviewFile), append(raw, '\n'), 0o644)
	}
	if err != nil {
		return fmt.Errorf("keeping the review: %w", err)
	}
	return nil
}

// showReview prints a review and makes the exit status of it.
func (a *App) showReview(out impact.Review, format reports.ReviewFormat, s settings, dir string) error {
	width, live := a.Terminal(a.Stdout)
	if err := reports.RenderReview(a.Stdout, format, out, reports.Options{Width: width, Color: a.color(s, live)}); err != nil {
		return err
	}
	if dir != "" {
		fmt.Fprintf(a.Stderr, "kept in %s\n", dir)
	}
	if out.Regressions() > 0 {
		return errDeviates
	}
	return nil
}

// play runs cells and reads what their histories show. A cell that simctl could
// not run is an error.
func (r *review) play(in *inputs) error {
	failed, err := r.try(in)
	for _, id := range in.ids {
		if why := failed[id]; why != "" && err == nil {
			err = fmt.Errorf("%s could not be run: %s", id, why)
		}
	}
	return err
}

// try is play for cells that need not work: those that simctl could not run are
// given with the reason.
func (r *review) try(in *inputs) (failed map[string]string, err error) {
	r.cells.cells, r.cells.ids = append(r.cells.cells, in.cells...), append(r.cells.ids, in.ids...)
	failed = map[string]string{}
	if err := r.runCells(r.ctx, r.store, in, r.s, r.log); err != nil {
		return failed, err
	}
	if err := r.ctx.Err(); err != nil {
		return failed, fmt.Errorf("interrupted: %w", err)
	}
	for i, c := range in.cells {
		res, ok := kept(r.store, in.ids[i], c)
		if !ok {
			return failed, fmt.Errorf("%s has no result", in.ids[i])
		}
		if res.Outcome == verdict.Error {
			failed[in.ids[i]] = oneLine(res.Error)
			continue
		}
		run, err := withHistory(r.store.Dir(), res, false)
		if err != nil {
			return failed, err
		}
		run.Flags = c.Spec.Tekton.Flags
		r.runs[in.ids[i]] = run
	}
	return failed, nil
}

// withHistory adds to a result what its history shows. A stored one is judged anew: an
// older simctl may have said less, or otherwise. A run that has no history is as good as
// its result.
func withHistory(dir string, res verdict.Cell, stored bool) (impact.Run, error) {
	run := impact.Run{Cell: res}
	id := runstore.CellID(res)
	entries, err := runstore.ReadHistory(dir, id)
	if errors.Is(err, runstore.ErrNotKept) {
		return run, nil
	}
	if err != nil {
		return run, err
	}
	o, err := impact.Observe(entries)
	if err != nil {
		return run, fmt.Errorf("reading the history of cell %s: %w", id, err)
	}
	run.Observed = &o
	if stored && res.Outcome != verdict.Error {
		if f, err := verdict.Judge(entries); err == nil {
			run.Cell.Finding = f
		}
	}
	return run, nil
}

// compare runs the cells on every release and sets neighbours on the path against
// each other.
func (r *review) compare(in *inputs) (impact.Review, error) {
	out := impact.Review{APIVersion: impact.APIVersion, Kind: impact.Kind, Run: r.store.Dir()}
	if err := r.play(in); err != nil {
		return out, err
	}
	on := map[string][]impact.Run{}
	for i, c := range in.cells {
		on[c.Spec.Tekton.Version] = append(on[c.Spec.Tekton.Version], r.runs[in.ids[i]])
	}
	for _, name := range slices.Sorted(maps.Keys(r.files)) {
		out.LeftOut = append(out.LeftOut, impact.LeftOutOf(r.files[name].Scenario, in.cells)...)
	}
	for i, v := range r.path {
		out.Path = append(out.Path, impact.ReleaseOf(v))
		if i > 0 {
			out.Steps = append(out.Steps, impact.Compare(on[r.path[i-1]], on[v], out.Path[i-1], out.Path[i]))
		}
	}
	return out, nil
}

// remedyAxis is the axis that candidates are values of.
const remedyAxis = "remedy"

// trial is a candidate for a change with its cells.
type trial struct {
	step, change int
	candidate    impact.Candidate
	ids          []string
}

// remedies runs the candidates for every change that breaks a cell.
func (r *review) remedies(out *impact.Review, first *inputs) error {
	all := &inputs{files: first.files}
	var trials []trial
	for i := range out.Steps {
		for j := range out.Steps[i].Changes {
			if !out.Steps[i].Changes[j].Broken() {
				continue
			}
			ts, err := r.candidates(out.Steps[i].Changes[j], r.path[i+1:], first, all)
			if err != nil {
				return err
			}
			for _, t := range ts {
				t.step, t.change = i, j
				trials = append(trials, t)
			}
		}
	}
	if len(trials) == 0 {
		return nil
	}
	failed, err := r.try(all)
	if err != nil {
		return err
	}
	type place struct{ step, change int }
	tried := map[place][]impact.Candidate{}
	runs := map[place][][]impact.Run{}
	for _, t := range trials {
		p := place{t.step, t.change}
		var of []impact.Run
		for _, id := range t.ids {
			if why := failed[id]; why != "" {
				// Nothing is known of a candidate that was not run.
				fmt.Fprintf(r.Stderr, "remedy %s was not tried: %s\n", t.candidate.Name, why)
				of = nil
				break
			}
			of = append(of, r.runs[id])
		}
		if len(of) == 0 {
			continue
		}
		tried[p], runs[p] = append(tried[p], t.candidate), append(runs[p], of)
	}
	for p := range tried {
		out.Steps[p.step].Changes[p.change].Tried(tried[p], runs[p])
	}
	return nil
}

// candidates makes the cells of each candidate for a change; releases begin with
// the one on which the cell is broken. A candidate that changes nothing, or that
// the scenario does not allow, is left out.
func (r *review) candidates(c impact.Change, on []string, first, all *inputs) ([]trial, error) {
	f := r.files[c.Scenario]
	i := slices.IndexFunc(first.cells, func(cell scenario.Cell) bool {
		return cell.Scenario == c.Scenario && cell.Spec.Tekton.Version == on[0] && sameValues(cell.Values, c.Values, c.Axes)
	})
	if f == nil || i < 0 {
		return nil, fmt.Errorf("the cells of scenario %s are gone", c.Scenario)
	}
	broken := first.cells[i]
	later := append(slices.Clone(on[1:]), releases.BuiltIn)
	for _, l := range impact.LeftOutOf(f.Scenario, first.cells) {
		later = append(later, l.Version)
	}
	known := impact.Candidates(broken.Spec, impact.Later(on[0], later...))
	for _, fits := range []func(scenario.Cell) (impact.Candidate, bool){impact.OneWorkspacePerClaim, impact.TasksForClusterTasks} {
		if c, ok := fits(broken); ok {
			known = append(known, c)
		}
	}
	var out []trial
	for _, cand := range impact.Fitting(known, broken, c.Chain) {
		version, value := on[0], cand.Value
		if value.Version != "" {
			// The versions of the options are put upon any value's.
			version, value.Version = value.Version, ""
		}
		cells, err := r.variant(f, c.Axes, c.Values, version, remedyAxis, value)
		if err != nil {
			r.log.Info("A remedy does not fit the scenario", "scenario", c.Scenario, "remedy", cand.Name, "because", err.Error())
			continue
		}
		if impact.ChangesNothing(cells[0], broken) {
			continue
		}
		t := trial{candidate: cand}
		for _, cell := range cells {
			id := cell.ID()
			t.ids = append(t.ids, id)
			if !slices.Contains(all.ids, id) {
				all.cells, all.ids = append(all.cells, cell), append(all.ids, id)
			}
		}
		out = append(out, t)
	}
	return out, nil
}

// variant gives the repeats of a cell on a version with one value more, as that of
// an axis of its own, put upon what the cell's other axes set. Nothing is expected
// of them.
func (r *review) variant(f *scenario.File, axes []string, values map[string]string, version, axis string, value scenario.Value) ([]scenario.Cell, error) {
	opts := r.opts
	opts.Versions, opts.Set = []string{version}, map[string][]string{}
	for _, a := range axes {
		opts.Set[a] = []string{values[a]}
	}
	opts.Extra = []scenario.Axis{{Name: axis, Values: []scenario.Value{value}}}
	cells, err := f.Cells(opts)
	for i := range cells {
		cells[i].Expected = nil
	}
	return cells, err
}

// midRunAxis is the axis whose values are the moments at which the bump comes.
const midRunAxis = "bump-at"

// midRun plays every cell that does its work before a bump with the bump at each
// phase of each of its tasks.
func (r *review) midRun(out *impact.Review, first *inputs) error {
	all := &inputs{files: first.files}
	type moment struct {
		task, phase string
		ids         []string
	}
	type played struct {
		step    int
		cell    scenario.Cell
		moments []moment
	}
	var plays []played
	tells := impact.ReleaseAxes(first.cells)
	for i := range out.Steps {
		from, to := r.path[i], r.path[i+1]
		for j, cell := range first.cells {
			run := r.runs[first.ids[j]]
			if cell.Repeat != 0 || cell.Spec.Tekton.Version != from || run.Cell.Outcome != verdict.Success && !run.Cell.Recovered {
				continue
			}
			p := played{step: i, cell: cell}
			for _, task := range tasksOf(run.Cell) {
				for _, phase := range scenario.Phases {
					cells, err := r.bumped(cell, tells[cell.Scenario], task, phase, to)
					if err != nil {
						return err
					}
					m := moment{task: task, phase: phase}
					for _, c := range cells {
						id := c.ID()
						m.ids = append(m.ids, id)
						all.cells, all.ids = append(all.cells, c), append(all.ids, id)
					}
					p.moments = append(p.moments, m)
				}
			}
			plays = append(plays, p)
		}
	}
	if err := r.play(all); err != nil {
		return err
	}
	for _, p := range plays {
		m := impact.MidRun{Scenario: p.cell.Scenario, Values: map[string]string{}}
		for _, a := range p.cell.Axes {
			if !slices.Contains(tells[p.cell.Scenario], a) {
				m.Axes, m.Values[a] = append(m.Axes, a), p.cell.Values[a]
			}
		}
		for _, at := range p.moments {
			var runs []impact.Run
			for _, id := range at.ids {
				runs = append(runs, r.runs[id])
			}
			m.Places = append(m.Places, impact.At(at.task, at.phase, runs))
		}
		out.Steps[p.step].MidRun = append(out.Steps[p.step].MidRun, m)
	}
	return nil
}

// bumped gives a cell's repeats with the bump at a phase of a task. The axes that
// tell the release are not the file's own.
func (r *review) bumped(cell scenario.Cell, tells []string, task, phase, to string) ([]scenario.Cell, error) {
	bump := scenario.Intervention{When: &scenario.Moment{Task: task, Phase: phase}, SwapRelease: to}
	// A merge patch replaces lists whole.
	patch, err := json.Marshal(map[string]any{"interventions": append(slices.Clone(cell.Spec.Interventions), bump)})
	if err != nil {
		return nil, fmt.Errorf("writing an intervention: %w", err)
	}
	own := slices.DeleteFunc(slices.Clone(cell.Axes), func(a string) bool { return slices.Contains(tells, a) })
	return r.variant(r.files[cell.Scenario], own, cell.Values, cell.Spec.Tekton.Version, midRunAxis,
		scenario.Value{Name: to + " at " + task + " " + phase, Patch: patch})
}

// tasksOf names a run's tasks in the order in which they began.
func tasksOf(c verdict.Cell) []string {
	tasks := slices.Clone(c.Timing.Tasks)
	slices.SortStableFunc(tasks, func(a, b verdict.TaskTiming) int { return cmp.Compare(a.Start, b.Start) })
	var out []string
	for _, t := range tasks {
		if !slices.Contains(out, t.Task) {
			out = append(out, t.Task)
		}
	}
	return out
}

func sameValues(a, b map[string]string, axes []string) bool {
	for _, x := range axes {
		if a[x] != b[x] {
			return false
		}
	}
	return true
}

// openReview makes the folder of a review, or opens that of the one to go on with.
// Its cells are those of the scenarios on each release of the path, with nothing
// expected of them.
func (a *App) openReview(c *config, s *settings, started time.Time) (store *runstore.Run, in *inputs, err error) {
	if s.resume != "" {
		for _, name := range []string{"from", "to", "path", "mid-run", "no-remedies"} {
			if c.given(name) {
				return nil, nil, fmt.Errorf("a review goes on as it was begun: leave --%s out, or begin another one", name)
			}
		}
		store, in, err = a.resume(c, s)
		if err != nil {
			return nil, nil, err
		}
	} else {
		path, err := releasePath(c)
		if err != nil {
			return nil, nil, err
		}
		var review runstore.Review
		var errs [2]error
		review.NoRemedies, errs[0] = c.bool("no-remedies")
		review.MidRun, errs[1] = c.bool("mid-run")
		if err := errors.Join(errs[:]...); err != nil {
			return nil, nil, err
		}
		if store, in, err = a.begin(c, s, runstore.Options{Tekton: path, Review: &review}, started); err != nil {
			return nil, nil, err
		}
	}
	for i := range in.cells {
		in.cells[i].Expected = nil
	}
	return store, in, nil
}

func (a *App) compareCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "compare RUN_A RUN_B",
		Short: "Say what changes from one stored run to another",
		Long: `Set two runs against each other, as upgrade does: RUN_A is the one before. A run is
an ID under .simctl/runs, a run's folder, or a file with a result (simctl run -o
json), such as a baseline that is kept in a repository. Without histories the
causes come from the results alone.

Exit status: 0 nothing is worse in RUN_B, 1 something is, 2 simctl could not do
its work.`,
		Example: `  simctl compare baseline.json latest
  simctl compare .simctl/runs/A .simctl/runs/B -o markdown`,
		Args: cobra.ExactArgs(2),
		RunE: a.compare,
	}
	f := cmd.Flags()
	f.StringP("output", "o", string(reports.Table), "`format` of the comparison: table, markdown, json or yaml")
	return cmd
}

func (a *App) compare(cmd *cobra.Command, args []string) error {
	c, err := newConfig(cmd)
	if err != nil {
		return err
	}
	format, err := reports.ParseReviewFormat(c.string("output"))
	if err != nil {
		return err
	}
	s := settings{}
	if s.noColor, err = c.bool("no-color"); err != nil {
		return err
	}
	var sides [2][]impact.Run
	var named [2]impact.Release
	for i, arg := range args {
		if sides[i], named[i], err = readSide(arg); err != nil {
			return err
		}
	}
	out := impact.Review{APIVersion: impact.APIVersion, Kind: impact.Kind, Path: named[:],
		Steps: []impact.Step{impact.Compare(sides[0], sides[1], named[0], named[1])}}
	return a.showReview(out, format, s, "")
}

// readSide reads a stored run. Its release is the one that all its cells were run
// on; a run of several is called by its name.
func readSide(arg string) ([]impact.Run, impact.Release, error) {
	r, dir, err := readResult(arg)
	if err != nil {
		return nil, impact.Release{}, err
	}
	var runs []impact.Run
	versions := map[string]bool{}
	for _, cell := range r.Cells {
		versions[cell.Values[scenario.TektonAxis]] = true
	}
	for _, cell := range r.Cells {
		run, err := withHistory(dir, cell, true)
		if err != nil {
			return nil, impact.Release{}, err
		}
		run.Silent = run.Observed == nil && withoutRules(r)
		switch kept, err := runstore.ReadCell(dir, runstore.CellID(cell)); {
		case err == nil:
			run.Flags = kept.Spec.Tekton.Flags
		case !errors.Is(err, runstore.ErrNotKept):
			return nil, impact.Release{}, err
		}
		if len(versions) > 1 {
			run.Cell.Scenario += " on " + cell.Values[scenario.TektonAxis]
		}
		runs = append(runs, run)
	}
	if len(versions) == 1 {
		return runs, impact.ReleaseOf(slices.Collect(maps.Keys(versions))[0]), nil
	}
	return runs, impact.Release{Version: arg}, nil
}

// withoutRules says that a result is of before chains had rules, when it did not tell of
// conduct either.
func withoutRules(r verdict.RunResult) bool {
	return slices.ContainsFunc(r.Cells, func(c verdict.Cell) bool { return len(c.Cause) > 0 && c.Root().Rule == "" })
}

// readResult reads the result that RUN names, and says which folder would hold
// its histories.
func readResult(arg string) (r verdict.RunResult, dir string, err error) {
	if info, err := os.Stat(arg); err == nil && !info.IsDir() {
		raw, err := os.ReadFile(arg)
		if err != nil {
			return r, "", fmt.Errorf("reading a run's result: %w", err)
		}
		if err := yaml.Unmarshal(raw, &r); err != nil || r.Kind != reports.Kind {
			return r, "", fmt.Errorf("%s is no result of a run: write one by simctl run -o json", arg)
		}
		return r, filepath.Dir(arg), nil
	}
	if dir, err = runstore.Find(runsDir, arg); err != nil {
		return r, "", fmt.Errorf("%w: name a run (see simctl runs), a run's folder or a file with a result", err)
	}
	r, err = runstore.ReadResult(dir)
	return r, dir, err
}

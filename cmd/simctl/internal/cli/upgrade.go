package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"

	"simctl.dev/simctl/reports"
	"simctl.dev/simctl/sim/impact"
	"simctl.dev/simctl/sim/review"
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

--from and --to run every known release between them as well, --direct these two alone.
A release is a version of Tekton or of OpenShift Pipelines (osp-1.20). Axis values
of a scenario that only choose a release are left out: the path chooses it.

Everything is kept under .simctl/runs/ID, as by run. An interrupted review goes on
with --resume, which needs no other argument.

Exit status: 0 nothing is worse after the bump, 1 something is, 2 simctl could not
do its work.`,
		Example: `  simctl upgrade --from osp-1.18 --to osp-1.20 scenarios/
  simctl upgrade --path osp-1.18,osp-1.19,osp-1.20 scenarios/incident.yaml -o markdown
  simctl upgrade --from osp-1.18 --to osp-1.20 --rollback scenarios/
  simctl upgrade --resume`,
		Args: pathsOrResume,
		RunE: a.upgrade,
	}
	f := cmd.Flags()
	f.String("from", "", "the `release` that runs now")
	f.String("to", "", "the `release` to go to")
	f.StringSlice("path", nil, "all `releases` on the way, instead of --from and --to")
	f.Bool("direct", false, "from --from straight to --to, without the known releases between them")
	f.Bool("mid-run", false, "also put the bump at each phase of each task of a run")
	f.Bool("after-run", false, "also put the bump after the end of the runs")
	f.Bool("rollback", false, "as --after-run, and go back to the release before again")
	f.Bool("no-remedies", false, "do not look for what mends a cell")
	outputFlag(cmd, "review", reviewFormats()...)
	completeFlag(cmd, "from", completeRelease)
	completeFlag(cmd, "to", completeRelease)
	completeFlag(cmd, "path", completeReleases)
	resumeFlag(cmd, "review")
	engineFlags(cmd)
	cellFlags(cmd)
	return cmd
}

// releasePath reads the flags that name the releases.
func releasePath(c *config) ([]string, error) {
	direct, err := c.bool("direct")
	if err != nil {
		return nil, err
	}
	named := c.list("path")
	from, to := c.string("from"), c.string("to")
	switch {
	case len(named) > 0 && (from != "" || to != ""):
		return nil, errors.New("--path names every release: leave --from and --to out")
	case len(named) > 0 && direct:
		return nil, errors.New("--path names every release: leave --direct out")
	case len(named) == 0 && from != "" && to != "":
		if !direct {
			return review.Between(from, to)
		}
		named = []string{from, to}
	case len(named) < 2:
		return nil, errors.New("name two releases at least: --from osp-1.18 --to osp-1.20, or --path osp-1.18,osp-1.19,osp-1.20")
	}
	return review.Path(named)
}

func (a *App) upgrade(cmd *cobra.Command, args []string) (err error) {
	c, err := newConfig(cmd)
	if err != nil {
		return err
	}
	shown, err := parseReviewOutput(c.string("output"))
	if err != nil {
		return err
	}
	s := settings{out: c.string("out"), resume: c.string("resume"), cacheDir: c.string("cache-dir"), paths: args}
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
	plan := review.Plan{
		Path: s.expansion.Tekton, Files: in.files, Cells: in.cells,
		Seed: s.expansion.Seed, Repeats: s.expansion.Repeats,
		Remedies: !s.expansion.Review.NoRemedies, MidRun: s.expansion.Review.MidRun,
		AfterRun: s.expansion.Review.AfterRun, Rollback: s.expansion.Review.Rollback,
		Unfit: func(scenario string, c impact.Candidate, why error) {
			log.Info("A remedy does not fit the scenario", "scenario", scenario, "remedy", c.Name, "because", why.Error())
		},
		Untried: func(c impact.Candidate, why string) {
			fmt.Fprintf(a.Stderr, "remedy %s was not tried: %s\n", c.Name, why)
		},
	}
	var asked inputs
	out, err := plan.Make(cmd.Context(), func(ctx context.Context, cells []scenario.Cell) ([]impact.Run, error) {
		turn := inputsOf(cells)
		asked.cells, asked.ids = append(asked.cells, turn.cells...), append(asked.ids, turn.ids...)
		return a.playKept(ctx, store, turn, s, log)
	})
	out.Run = store.Dir()
	result := a.result(store, &asked, started)
	err = errors.Join(err, store.WriteResult(result), keepReview(store.Dir(), out))
	if err != nil {
		err = fmt.Errorf("%w: go on with: %s", err, resumeCommand("upgrade", s, store.Info().ID))
	}
	if err != nil && len(out.Steps) == 0 {
		// No release can be compared with another, but the cells of one may be known.
		known := slices.ContainsFunc(result.Cells, func(c verdict.Cell) bool { return c.Outcome != verdict.Error })
		if known && shown.format == reports.ReviewFormat(reports.Table) {
			width, live := a.Terminal(a.Stdout)
			err = errors.Join(reports.Render(a.Stdout, reports.Table, result, reports.Options{Width: width, Color: a.color(s, live)}), err)
		}
		fmt.Fprintf(a.Stderr, "kept in %s\n", store.Dir())
		return err
	}
	// What is known by now is worth as much as before.
	shownErr := a.showReview(out, shown, s, store.Dir())
	if err != nil {
		return fmt.Errorf("the review is not complete: %w", err)
	}
	return shownErr
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
func (a *App) showReview(out impact.Review, o reviewOutput, s settings, dir string) error {
	width, live := a.Terminal(a.Stdout)
	if err := o.render(a.Stdout, out, reports.Options{Width: width, Color: a.color(s, live)}); err != nil {
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

// playKept runs cells, keeps them in a run's folder, and reads what their histories show.
// With an error it does so for the cells that have a result.
func (a *App) playKept(ctx context.Context, store *runstore.Run, in *inputs, s settings, log logr.Logger) ([]impact.Run, error) {
	stopped := a.runCells(ctx, store, in, s, log)
	if ctx.Err() != nil {
		stopped = errors.New("interrupted")
	}
	var runs []impact.Run
	for i, c := range in.cells {
		res, ok := kept(store, in.ids[i], c)
		if !ok {
			if stopped == nil {
				return nil, fmt.Errorf("%s has no result", in.ids[i])
			}
			runs = append(runs, impact.Run{})
			continue
		}
		if res.Outcome == verdict.Error {
			res.Error = oneLine(res.Error)
			runs = append(runs, impact.Run{Cell: res})
			continue
		}
		run, err := withHistory(store.Dir(), res, false)
		if err != nil {
			return nil, err
		}
		run.Flags = c.Spec.Tekton.Flags
		runs = append(runs, run)
	}
	return runs, stopped
}

// openReview makes the folder of a review, or opens that of the one to go on with.
// Its cells are those of the scenarios on each release of the path.
func (a *App) openReview(c *config, s *settings, started time.Time) (store *runstore.Run, in *inputs, err error) {
	if s.resume != "" {
		for _, name := range []string{"from", "to", "path", "direct", "mid-run", "after-run", "rollback", "no-remedies"} {
			if c.given(name) {
				return nil, nil, fmt.Errorf("a review goes on as it was begun: leave --%s out, or begin another one", name)
			}
		}
		return a.resume(c, s)
	}
	path, err := releasePath(c)
	if err != nil {
		return nil, nil, err
	}
	var asks runstore.Review
	var errs [4]error
	asks.NoRemedies, errs[0] = c.bool("no-remedies")
	asks.MidRun, errs[1] = c.bool("mid-run")
	asks.AfterRun, errs[2] = c.bool("after-run")
	asks.Rollback, errs[3] = c.bool("rollback")
	if err := errors.Join(errs[:]...); err != nil {
		return nil, nil, err
	}
	return a.begin(c, s, runstore.Options{Tekton: path, Review: &asks}, started)
}

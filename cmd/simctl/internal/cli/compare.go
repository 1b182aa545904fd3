package cli

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"simctl.dev/simctl/reports"
	"simctl.dev/simctl/sim/impact"
	"simctl.dev/simctl/sim/runstore"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/timeline"
	"simctl.dev/simctl/sim/verdict"
)

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
		Args: wants(2, "which runs? Name the one before and the one after", "baseline.json latest"),
		RunE: a.compare,
	}
	outputFlag(cmd, "comparison", reviewFormats()...)
	return cmd
}

func (a *App) compare(cmd *cobra.Command, args []string) error {
	c, err := newConfig(cmd)
	if err != nil {
		return err
	}
	shown, err := parseReviewOutput(c.string("output"))
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
		Steps: []impact.Step{impact.Compare(sides[0], sides[1], named[0], named[1])}, Rows: impact.Rows(sides[0], sides[1])}
	return a.showReview(out, shown, s, "")
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
	of, err := timeline.Read(entries)
	if err != nil {
		return run, fmt.Errorf("reading the history of cell %s: %w", id, err)
	}
	o := impact.Observe(of)
	run.Observed = &o
	if stored && res.Outcome != verdict.Error {
		if f, err := verdict.JudgeTimeline(of); err == nil {
			run.Cell.Finding = f
		}
	}
	return run, nil
}

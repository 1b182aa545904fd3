package cli

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"simctl.dev/simctl/reports"
	"simctl.dev/simctl/sim/runstore"
	"simctl.dev/simctl/sim/verdict"
)

// runHelp says how a run and a cell are named.
const runHelp = `RUN is a run's ID, the beginning of it, its folder, or "latest".`

func (a *App) runsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "runs",
		Short: "List the runs that are kept",
		Long:  "List the runs that are kept under .simctl/runs, the latest first.",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			all, err := runstore.List(runsDir)
			if err != nil {
				return err
			}
			if len(all) == 0 {
				fmt.Fprintf(a.Stderr, "no runs are kept in %s: start one by simctl run PATH\n", runsDir)
				return nil
			}
			return a.printRuns(all)
		},
	}
	cmd.AddCommand(a.runsPruneCommand())
	return cmd
}

func (a *App) printRuns(all []runstore.Kept) error {
	var rows [][]string
	for _, k := range all {
		cells, verdict := "-", "not finished"
		if k.Result != nil {
			cells, verdict = fmt.Sprint(len(k.Result.Cells)), summaryOf(*k.Result)
		}
		started, paths := k.Info.Started.UTC().Format(time.DateTime), strings.Join(k.Info.Paths, " ")
		if k.Err != nil {
			started, paths, verdict = "-", "-", "written by a newer simctl"
		}
		rows = append(rows, []string{k.Info.ID, started, paths, cells, verdict, megabytes(k.Bytes)})
	}
	width, _ := a.Terminal(a.Stdout)
	table := reports.Columns([]string{"ID", "STARTED", "SCENARIOS", "CELLS", "RESULT", "SIZE"}, rows, width)
	if _, err := io.WriteString(a.Stdout, table); err != nil {
		return fmt.Errorf("listing the runs: %w", err)
	}
	return nil
}

// summaryOf says in a few words what came of a run.
func summaryOf(r verdict.RunResult) string {
	var deviates, unjudged, undone int
	for _, c := range r.Cells {
		switch {
		case reports.Deviates(c):
			deviates++
		case c.Judgement == verdict.NothingExpected:
			unjudged++
			if !c.DidItsWork() {
				undone++
			}
		}
	}
	var parts []string
	if deviates > 0 {
		parts = append(parts, fmt.Sprintf("%d not as expected", deviates))
	}
	if undone > 0 {
		parts = append(parts, fmt.Sprintf("%d did not do their work", undone))
	}
	switch {
	case r.Interrupted:
		return "interrupted"
	case unjudged > 0 && unjudged == len(r.Cells):
		parts = append([]string{verdict.NothingExpected.String()}, parts...)
	case unjudged > 0:
		parts = append(parts, fmt.Sprintf("nothing expected of %d", unjudged))
	case deviates == 0:
		return verdict.AsExpected.String()
	}
	return strings.Join(parts, ", ")
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

func (a *App) runsPruneCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "prune",
		Short: "Remove old runs",
		Long: `Remove the runs under .simctl/runs but for the newest ones and those that are
being written; with --older-than only those that were started longer ago.`,
		Example: "  simctl runs prune --older-than 30d\n  simctl runs prune --keep 5",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := newConfig(cmd)
			if err != nil {
				return err
			}
			keep, err := c.count("keep")
			if err != nil {
				return err
			}
			var age time.Duration
			if s := c.string("older-than"); s != "" {
				if age, err = ageOf(s); err != nil {
					return err
				}
			}
			gone, err := runstore.Prune(runsDir, a.Now().Add(-age), keep)
			var bytes int64
			for _, k := range gone {
				bytes += k.Bytes
				fmt.Fprintf(a.Stdout, "removed %s\n", k.Info.ID)
			}
			if err == nil {
				fmt.Fprintf(a.Stderr, "%d runs removed, %s freed\n", len(gone), megabytes(bytes))
			}
			return err
		},
	}
	cmd.Flags().Int("keep", 10, "keep the newest `N`")
	cmd.Flags().String("older-than", "", "only runs started longer ago than this `age` (12h, 30d)")
	return cmd
}

// keptRun is a run that is read.
type keptRun struct {
	dir    string
	info   runstore.Info
	result verdict.RunResult
	ids    []string
}

// openRun reads the run of that name.
func openRun(name string) (*keptRun, error) {
	dir, err := runstore.Find(runsDir, name)
	if err != nil {
		return nil, fmt.Errorf("%w: see simctl runs", err)
	}
	r := &keptRun{dir: dir}
	if r.info, err = runstore.ReadInfo(dir); err != nil {
		return nil, err
	}
	r.result, err = runstore.ReadResult(dir)
	if errors.Is(err, runstore.ErrNoResult) {
		err = fmt.Errorf("%w: go on with: %s", err, resumeCommand(verbOf(r.info), settings{out: dir}, r.info.ID))
	}
	if err != nil {
		return nil, err
	}
	for _, c := range r.result.Cells {
		r.ids = append(r.ids, runstore.CellID(c))
	}
	return r, nil
}

// selectCells returns the places of the cells that a selector names: an ID, the
// beginning of one, or axis=value pairs that all have to hold, joined by commas.
func (r *keptRun) selectCells(selector string) ([]int, error) {
	var out []int
	if strings.Contains(selector, "=") {
		want := map[string]string{}
		for _, pair := range strings.Split(selector, ",") {
			axis, value, ok := strings.Cut(strings.TrimSpace(pair), "=")
			if !ok {
				return nil, fmt.Errorf("cell %q: want axis=value pairs joined by commas", selector)
			}
			want[axis] = value
		}
		for i, c := range r.result.Cells {
			match := true
			for axis, value := range want {
				v := c.Values[axis]
				switch axis {
				case "scenario":
					v = c.Scenario
				case "repeat":
					v = strconv.Itoa(c.Repeat)
				}
				match = match && v == value
			}
			if match {
				out = append(out, i)
			}
		}
	} else {
		for i, id := range r.ids {
			if id == selector {
				return []int{i}, nil
			}
			if strings.HasPrefix(id, selector) {
				out = append(out, i)
			}
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no cell of the run is %s: its cells are %s", selector, someOf(r.ids))
	}
	return out, nil
}

// someOf lists IDs, but not hundreds.
func someOf(ids []string) string {
	const most = 8
	if len(ids) > most {
		return strings.Join(ids[:most], ", ") + fmt.Sprintf(" and %d more", len(ids)-most)
	}
	return strings.Join(ids, ", ")
}

// completeRuns offers the IDs of runs.
func completeRuns(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return runNames(), cobra.ShellCompDirectiveDefault
}

func runNames() []string {
	out := []string{latest}
	dirs, err := filepath.Glob(filepath.Join(runsDir, "*", "run.json"))
	if err != nil {
		return out
	}
	for _, d := range dirs {
		if id := filepath.Base(filepath.Dir(d)); !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out
}

// completeCells offers runs first and then the cells of the run.
func completeCells(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return completeRuns(cmd, args, prefix)
	}
	r, err := openRun(args[0])
	if err != nil || len(args) > 1 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	out := slices.Clone(r.ids)
	for _, c := range r.result.Cells {
		for _, axis := range c.Axes {
			if pair := axis + "=" + c.Values[axis]; !slices.Contains(out, pair) {
				out = append(out, pair)
			}
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

package review

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/impact"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/verdict"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestMake plays reviews with a player that knows what becomes of each cell. The golden
// files say which cells were played, turn by turn, and what the review says of them.
func TestMake(t *testing.T) {
	for _, tt := range []struct {
		name               string
		file               string
		path               []string
		remedies, midRun   bool
		afterRun, rollback bool
		play               func(scenario.Cell) verdict.Cell
		// stops is the turn that ends with an error, 0 is none; knows are the cells of
		// this turn that are known all the same, the first ones.
		stops, knows int
	}{
		{name: "nothing-changes", file: "plain", remedies: true, play: always(success)},
		{name: "broken-before", file: "plain", remedies: true, play: always(deadlock)},
		{name: "remedies", file: "plain", remedies: true, play: hangs},
		{name: "no-remedies", file: "plain", play: hangs},
		// The scenario's own releases count as those that may mend it; values of an axis
		// that only choose one are not played.
		{name: "axes", file: "axes", remedies: true, play: hangs},
		{name: "three-releases", file: "plain", path: []string{"0.68.1", "1.0.0", "1.3.1"}, remedies: true, play: hangs},
		{name: "remedy-not-run", file: "plain", remedies: true, play: func(c scenario.Cell) verdict.Cell {
			if c.Values[remedyAxis] == "coschedule-disabled" {
				return failed(c)
			}
			return hangs(c)
		}},
		{name: "remedies-unfit", file: "excludes", remedies: true, play: hangs},
		{name: "mid-run", file: "axes", midRun: true, play: lostWhileRunning},
		{name: "mid-run-of-broken", file: "plain", midRun: true, play: always(deadlock)},
		{name: "mid-run-not-run", file: "plain", midRun: true, play: func(c scenario.Cell) verdict.Cell {
			if c.Values[midRunAxis] == "1.3.1 at b mounted" {
				return failed(c)
			}
			return success(c)
		}},
		{name: "after-run", file: "axes", afterRun: true, remedies: true, play: changedAfterwards},
		{name: "after-run-of-broken", file: "plain", afterRun: true, play: always(deadlock)},
		{name: "rollback", file: "plain", path: []string{"0.68.1", "1.0.0", "1.3.1"}, rollback: true, remedies: true, play: changedAfterwards},
		{name: "after-run-of-none", file: "plain", afterRun: true, play: func(c scenario.Cell) verdict.Cell {
			out := success(c)
			for _, v := range c.Spec.Interventions {
				out.Interventions = append(out.Interventions, verdict.Intervention{Intervention: history.Intervention{Action: v.Action(), Missed: true}})
			}
			return out
		}},
		{name: "stopped-after-run", file: "axes", afterRun: true, play: changedAfterwards, stops: 2, knows: 3},
		{name: "cannot-run", file: "plain", remedies: true, midRun: true, play: always(failed)},
		{name: "stopped-at-once", file: "plain", remedies: true, play: hangs, stops: 1},
		{name: "stopped-at-remedies", file: "plain", remedies: true, midRun: true, play: hangs, stops: 2},
		// What is known by then is said, and how much is not.
		{name: "stopped-at-second-release", file: "axes", remedies: true, play: hangs, stops: 1, knows: 5},
		{name: "stopped-before-a-pair", file: "plain", remedies: true, play: hangs, stops: 1, knows: 1},
		{name: "stopped-in-remedies", file: "plain", remedies: true, play: hangs, stops: 2, knows: 2},
		{name: "stopped-mid-run", file: "axes", midRun: true, play: lostWhileRunning, stops: 2, knows: 5},
		{name: "one-cell-not-run", file: "axes", play: func(c scenario.Cell) verdict.Cell {
			if c.Spec.Tekton.Version == "1.3.1" && c.Values["mode"] == "as-is" {
				return failed(c)
			}
			return hangs(c)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.path == nil {
				tt.path = []string{"0.68.1", "1.3.1"}
			}
			files, err := scenario.LoadAll([]string{filepath.Join("testdata", tt.file+".yaml")})
			if err != nil {
				t.Fatal(err)
			}
			cells, err := scenario.Expand(files, scenario.Options{Versions: tt.path})
			if err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			turn := 0
			player := func(_ context.Context, cells []scenario.Cell) ([]impact.Run, error) {
				turn++
				fmt.Fprintf(&b, "turn %d\n", turn)
				var runs []impact.Run
				for i, c := range cells {
					if turn == tt.stops && i >= tt.knows {
						if i == 0 {
							return nil, errors.New("stopped")
						}
						runs = append(runs, impact.Run{})
						continue
					}
					if c.Expected != nil {
						t.Errorf("%s is expected to end as %v", c.ID(), c.Expected)
					}
					r := tt.play(c)
					r.Scenario, r.Values, r.Axes, r.Repeat = c.Scenario, c.Values, c.Axes, c.Repeat
					fmt.Fprintf(&b, "  %s: %s\n", nameOf(c), r.Outcome)
					runs = append(runs, impact.Run{Cell: r, Flags: c.Spec.Tekton.Flags})
				}
				if turn == tt.stops {
					return runs, errors.New("stopped")
				}
				return runs, nil
			}
			plan := Plan{Path: tt.path, Files: files, Cells: cells, Remedies: tt.remedies, MidRun: tt.midRun, AfterRun: tt.afterRun, Rollback: tt.rollback,
				Unfit: func(scenario string, c impact.Candidate, _ error) {
					fmt.Fprintf(&b, "%s does not allow %s\n", scenario, c.Name)
				},
				Untried: func(c impact.Candidate, why string) { fmt.Fprintf(&b, "%s was not tried: %s\n", c.Name, why) },
			}
			out, err := plan.Make(t.Context(), player)
			show(&b, out)
			if err != nil {
				fmt.Fprintf(&b, "error: %v\n", err)
			}
			golden(t, filepath.Join("testdata", tt.name+".golden"), b.String())
			if tt.file == "plain" && cells[0].Expected == nil {
				t.Error("the plan's own cells were changed")
			}
		})
	}
}

// nameOf is a cell with what the axes do not tell.
func nameOf(c scenario.Cell) string {
	parts := []string{c.Scenario, "on", c.Spec.Tekton.Version}
	for _, a := range c.Axes {
		if a != scenario.TektonAxis {
			parts = append(parts, a+"="+c.Values[a])
		}
	}
	if c.Repeat > 0 {
		parts = append(parts, fmt.Sprintf("#%d", c.Repeat+1))
	}
	return strings.Join(parts, " ")
}

// show writes what a review says of changes.
func show(b *strings.Builder, r impact.Review) {
	for _, l := range r.LeftOut {
		fmt.Fprintf(b, "left out: %s %s=%s (%s)\n", l.Scenario, l.Axis, l.Value, l.Version)
	}
	for _, text := range r.Incomplete {
		fmt.Fprintf(b, "not complete: %s\n", text)
	}
	for _, s := range r.Steps {
		fmt.Fprintf(b, "%s to %s, %d unchanged\n", s.From.Version, s.To.Version, s.Unchanged)
		for _, c := range s.Changes {
			fmt.Fprintf(b, "  %s %v: %s\n", c.Scenario, c.Values, c)
			for _, m := range c.Remedies {
				fmt.Fprintf(b, "    %s: %s (%d runs), mends %t\n", m.Name, m.Ended.Text(), m.Ended.Repeats, m.Mends)
			}
		}
		for _, m := range s.MidRun {
			fmt.Fprintf(b, "  mid-run %s %v, lost at %d of %d\n", m.Scenario, m.Values, m.Lost(), len(m.Places))
			for _, p := range m.Places {
				fmt.Fprintf(b, "    %s %s: %s (%d runs), lost %t\n", p.Task, p.Phase, p.Ended.Text(), p.Ended.Repeats, p.Lost)
			}
		}
		if s.AfterRun == nil {
			continue
		}
		fmt.Fprintf(b, "  %d regressions in all\n", r.Regressions())
		for _, way := range impact.Ways(true) {
			fmt.Fprintf(b, "  after the run, %s: %d cells\n", way, s.AfterRun.Played[way])
		}
		for _, c := range s.AfterRun.Changes {
			fmt.Fprintf(b, "  %s %v: %s\n", c.Scenario, c.Values, c)
			for _, x := range c.AllReasons() {
				fmt.Fprintf(b, "    %s: %s | %s\n", x.What, x.Before, x.After)
			}
			for _, m := range c.Remedies {
				fmt.Fprintf(b, "    %s (%s): %s (%d runs), mends %t\n", m.Name, m.Cost, m.Ended.Text(), m.Ended.Repeats, m.Mends)
			}
		}
	}
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func always(outcome func(scenario.Cell) verdict.Cell) func(scenario.Cell) verdict.Cell {
	return outcome
}

func success(scenario.Cell) verdict.Cell {
	span := 60.0
	c := verdict.Cell{Finding: verdict.Finding{Outcome: verdict.Success, MakespanSeconds: &span}}
	// The second try of a task is no task of its own; tasks go by when they began.
	c.Timing.Tasks = []verdict.TaskTiming{{Task: "b", Start: 9}, {Task: "a", Start: 1}, {Task: "a", Start: 4}}
	return c
}

func deadlock(scenario.Cell) verdict.Cell {
	return verdict.Cell{Finding: verdict.Finding{Outcome: verdict.Deadlock,
		Cause: []verdict.Link{{What: "The pod waits for itself.", Object: "Pod default/hello-greet-pod"}}}}
}

func failed(scenario.Cell) verdict.Cell {
	return verdict.Cell{Finding: verdict.Finding{Outcome: verdict.Error}, Error: "no disk is left"}
}

// hangs is what becomes of cells that hang on the releases from 1.0 to 1.3, unless
// co-scheduling is off.
func hangs(c scenario.Cell) verdict.Cell {
	if v := c.Spec.Tekton; (v.Version == "1.0.0" || v.Version == "1.3.1") && v.Flags["coschedule"] != "disabled" {
		return deadlock(c)
	}
	return success(c)
}

// changedAfterwards changes runs that have ended when they meet 1.0.0 or 1.3.1 before
// anybody has deleted them.
func changedAfterwards(c scenario.Cell) verdict.Cell {
	out := success(c)
	for _, v := range c.Spec.Interventions {
		if v.Delete != nil {
			return out
		}
		if v.SwapRelease == "1.0.0" || v.SwapRelease == "1.3.1" {
			if v.When.Run != scenario.AllRuns || v.After != "2h1m0s" && v.After != "2h11m0s" {
				panic("the bump does not come after the run's time")
			}
			out.Outcome, out.MakespanSeconds = verdict.ChangedAfterEnd, nil
			out.Cause = []verdict.Link{{What: "Tekton was replaced.", Object: "Deployment tekton-pipelines-controller"}}
			out.Conduct.Changed = []verdict.Changed{{PipelineRun: "default/hello", Object: "PipelineRun default/hello", By: "tekton", Was: "Succeeded", Is: "PipelineRunTimeout"}}
		}
	}
	return out
}

// lostWhileRunning loses the runs whose second repeat meets the bump while task a runs.
func lostWhileRunning(c scenario.Cell) verdict.Cell {
	for i, v := range c.Spec.Interventions {
		if v.SwapRelease == "" {
			continue
		}
		if i == 0 || v.SwapRelease != "1.3.1" {
			panic("the bump takes another intervention's place")
		}
		if v.When.Task == "a" && v.When.Phase == scenario.PhaseRunning && c.Repeat == 1 {
			return deadlock(c)
		}
	}
	return success(c)
}

func TestPath(t *testing.T) {
	for _, tt := range []struct {
		named []string
		want  string
		err   string
	}{
		{named: []string{"v1.3.1", "osp-1.24"}, want: "1.3.1 1.15.0"},
		{named: []string{"1.3.1"}, err: "two releases at least"},
		{named: []string{"1.3.1", "osp-1.20"}, err: "osp-1.20 is on the path twice"},
		{named: []string{"1.3.1", "osp-9.9"}, err: `"osp-9.9" is no OpenShift Pipelines`},
	} {
		got, err := Path(tt.named)
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%v: %v, want %s", tt.named, err, tt.err)
			}
			continue
		}
		if err != nil || strings.Join(got, " ") != tt.want {
			t.Errorf("%v: %v, %v, want %s", tt.named, got, err, tt.want)
		}
	}
}

func TestBetween(t *testing.T) {
	for _, tt := range []struct{ from, to, want string }{
		{"osp-1.18", "osp-1.20", "0.68.1 1.0.0 1.3.1"},
		{"osp-1.20", "osp-1.18", "1.3.1 1.0.0 0.68.1"},
		{"0.68.1", "1.3.1", "0.68.1 0.70.0 1.0.0 1.1.0 1.3.1"},
		{"1.3.0", "1.6.0", "1.3.0 1.3.1 1.6.0"},
		{"1.6.0", "1.6.1", "1.6.0 1.6.1"},
	} {
		got, err := Between(tt.from, tt.to)
		if err != nil || strings.Join(got, " ") != tt.want {
			t.Errorf("%s to %s: %v, %v, want %s", tt.from, tt.to, got, err, tt.want)
		}
	}
}

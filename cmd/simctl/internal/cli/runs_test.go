package cli

import (
	"strings"
	"testing"

	"simctl.dev/simctl/sim/verdict"
)

func TestRunsAreReadAgain(t *testing.T) {
	place(t)
	e := &fakeEngine{outcome: deadlock}
	first := simctl(t, e, "run", "scenarios/")
	simctl(t, &fakeEngine{}, "run", "scenarios/")

	list := simctl(t, e, "runs")
	list.want(t, StatusOK)
	lines := strings.Split(strings.TrimSpace(list.stdout), "\n")
	if len(lines) != 3 || !strings.HasPrefix(lines[0], "ID") {
		t.Fatalf("runs lists:\n%s", list.stdout)
	}
	id := strings.Fields(lines[2])[0]
	if !strings.Contains(first.stderr, id) {
		// Both were started at one moment: the names decide.
		id = strings.Fields(lines[1])[0]
	}

	shown := simctl(t, e, "show", id)
	shown.want(t, StatusOK)
	if shown.stdout != first.stdout {
		t.Errorf("show prints\n%s\nrun printed\n%s", shown.stdout, first.stdout)
	}
	simctl(t, e, "show", "1999").want(t, StatusError, "there is no run", "simctl runs")
	simctl(t, e, "show", "2025").want(t, StatusError, "several runs")

	r, err := openRun(id)
	if err != nil {
		t.Fatal(err)
	}
	explained := simctl(t, e, "explain", id, r.ids[0])
	explained.want(t, StatusOK)
	for _, want := range []string{"deadlock", "1. The pod waits for itself.", "| 0/2 nodes are available", "Stopped   at 12.5s", "writes without end: TaskRun of task build", "no history"} {
		if !strings.Contains(explained.stdout, want) {
			t.Errorf("explain has no %q:\n%s", want, explained.stdout)
		}
	}
	c := r.result.Cells[0]
	pairs := "scenario=" + c.Scenario
	for _, axis := range c.Axes {
		pairs += "," + axis + "=" + c.Values[axis]
	}
	if again := simctl(t, e, "explain", id, pairs); !strings.Contains(again.stdout, r.ids[0]) {
		t.Errorf("explain %s gives\n%s%s", pairs, again.stdout, again.stderr)
	}
	simctl(t, e, "explain", id, "nothing=here").want(t, StatusError, "no cell of the run is nothing=here")

	simctl(t, e, "runs", "prune", "--keep", "1").want(t, StatusOK, "1 runs removed")
	if list = simctl(t, e, "runs"); strings.Count(list.stdout, "\n") != 2 {
		t.Errorf("after prune there are:\n%s", list.stdout)
	}
	if done := simctl(t, e, "__complete", "explain", "latest", ""); !strings.Contains(done.stdout, r.ids[0]) {
		t.Errorf("completion offers %s", done.stdout)
	}
}

func TestSummaryOf(t *testing.T) {
	cell := func(o verdict.Outcome, j verdict.Judgement) verdict.Cell {
		return verdict.Cell{Finding: verdict.Finding{Outcome: o}, Judgement: j}
	}
	met, unmet := cell(verdict.Deadlock, verdict.AsExpected), cell(verdict.Deadlock, verdict.NotAsExpected)
	well, stuck := cell(verdict.Success, verdict.NothingExpected), cell(verdict.Deadlock, verdict.NothingExpected)
	for _, tt := range []struct {
		want  string
		cells []verdict.Cell
	}{
		{"as expected", []verdict.Cell{met}},
		{"1 not as expected", []verdict.Cell{met, unmet}},
		{"nothing expected", []verdict.Cell{well}},
		{"nothing expected, 1 did not do their work", []verdict.Cell{well, stuck}},
		{"1 not as expected, 1 did not do their work, nothing expected of 2", []verdict.Cell{unmet, well, stuck}},
		{"nothing expected of 1", []verdict.Cell{met, well}},
	} {
		if got := summaryOf(verdict.RunResult{Cells: tt.cells}); got != tt.want {
			t.Errorf("%d cells: %q, want %q", len(tt.cells), got, tt.want)
		}
	}
}

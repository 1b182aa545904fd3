package cli

import (
	"encoding/csv"
	"os"
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

// TestShowSome shows some cells, and in formats for scripts.
func TestShowSome(t *testing.T) {
	place(t)
	simctl(t, held(), "run", "scenarios/other.yaml", "--tekton", "0.68.1,1.3.1,1.15.0", "--out", "kept").want(t, StatusDeviates)
	r, err := openRun("kept")
	if err != nil {
		t.Fatal(err)
	}
	names := func(args ...string) string {
		t.Helper()
		o := simctl(t, held(), append([]string{"show", "kept", "-o", "name"}, args...)...)
		o.want(t, StatusOK)
		return o.stdout
	}
	if got := names(); got != strings.Join(r.ids, "\n")+"\n" {
		t.Errorf("the names are\n%swant\n%v", got, r.ids)
	}
	failing := names("--only", "failing")
	if strings.Count(failing, "\n") != 2 || strings.Contains(failing, "1.15.0") {
		t.Errorf("failing are\n%s", failing)
	}
	if got := names("--only", "changed"); strings.Count(got, "\n") != len(r.ids) {
		t.Errorf("changed are\n%s", got)
	}
	simctl(t, held(), "show", "kept", "--only", "unexpected").want(t, StatusOK, "none of the run's 6 cells is unexpected")

	o := simctl(t, held(), "show", "kept", "--only", "failing", "-o", "jsonpath={range .cells[*]}{.values.tekton} {.repeat} {.outcome}{\"\\n\"}{end}")
	o.want(t, StatusOK)
	if o.stdout != "1.3.1 0 deadlock\n1.3.1 1 deadlock\n" {
		t.Errorf("the template gives\n%s", o.stdout)
	}
	o = simctl(t, held(), "show", "kept", "-o", "csv", "--only", "failing")
	rows, err := csv.NewReader(strings.NewReader(o.stdout)).ReadAll()
	if err != nil || len(rows) != 3 || rows[0][2] != "values.tekton" || rows[1][2] != "1.3.1" || rows[1][0] != strings.Fields(failing)[0] {
		t.Errorf("rows %q, %v", rows, err)
	}

	for _, tt := range []struct{ args, want string }{
		{"--only odd", "failing, changed, unexpected"},
		{"--fold=odd", "large, always, never"},
		{"-o jsonpath", "jsonpath wants a template"},
		{"-o jsonpath=", "jsonpath wants a template"},
		{"-o jsonpath={.cells[}", "reading the template"},
		{"-o odd", "csv or jsonpath=TEMPLATE"},
	} {
		simctl(t, held(), append([]string{"show", "kept"}, strings.Fields(tt.args)...)...).want(t, StatusError, tt.want)
	}
	for prefix, want := range map[string]string{"": "csv", "jsonp": "jsonpath=\n"} {
		if o := simctl(t, held(), "__complete", "show", "kept", "-o", prefix); !strings.Contains(o.stdout, want) {
			t.Errorf("%q is completed to %s", prefix, o.stdout)
		}
	}
}

// TestTemplates: a template is read before anything is run, and of reviews too.
func TestTemplates(t *testing.T) {
	place(t)
	e := held()
	simctl(t, e, "run", "scenarios/other.yaml", "-o", "jsonpath={").want(t, StatusError, "reading the template")
	simctl(t, e, "upgrade", "--direct", "--from", "0.68.1", "--to", "1.3.1", "scenarios/other.yaml", "-o", "jsonpath={").want(t, StatusError, "reading the template")
	if len(e.ran) > 0 {
		t.Errorf("%v were run", e.ran)
	}
	o := simctl(t, e, "upgrade", "--direct", "--from", "0.68.1", "--to", "1.3.1", "--no-remedies", "--out", "kept", "scenarios/other.yaml",
		"-o", "jsonpath={.steps[*].changes[*].to.outcome}")
	o.want(t, StatusDeviates)
	if o.stdout != "deadlock" {
		t.Errorf("the template gives %s", o.stdout)
	}
	o = simctl(t, e, "compare", "kept", "kept", "-o", "csv")
	o.want(t, StatusOK)
	if o.stdout != "from,to,change,scenario,before,after,rule,cause,mends\n" {
		t.Errorf("no change is told as %s", o.stdout)
	}
}

// TestExplainSeveral lists the cells that a selector names.
func TestExplainSeveral(t *testing.T) {
	place(t)
	simctl(t, held(), "run", "scenarios/other.yaml", "--tekton", "0.68.1,1.3.1", "--out", "kept").want(t, StatusDeviates)
	r, err := openRun("kept")
	if err != nil {
		t.Fatal(err)
	}
	for selector, want := range map[string]int{"scenario=other": 4, "tekton=1.3.1": 2, "other": 4, "tekton=1.3.1,repeat=1": 1} {
		o := simctl(t, held(), "explain", "kept", selector)
		o.want(t, StatusOK)
		listed := 0
		for _, id := range r.ids {
			for line := range strings.Lines(o.stdout) {
				if strings.HasPrefix(line, id) {
					listed++
				}
			}
		}
		if want > 1 && listed != want || want == 1 && !strings.Contains(o.stdout, "Time line") {
			t.Errorf("%s lists %d cells, want %d:\n%s", selector, listed, want, o.stdout)
		}
		if want > 1 && (!strings.Contains(o.stdout, "Name one by its ID") || strings.Contains(o.stdout, "Time line")) {
			t.Errorf("%s gives\n%s", selector, o.stdout)
		}
		if strings.Contains(selector, "1.3.1") && !strings.Contains(o.stdout, "The pod waits for itself.") {
			t.Errorf("it is not told why:\n%s", o.stdout)
		}
	}
}

// TestShowReview prints a kept review again, as a page too.
func TestShowReview(t *testing.T) {
	place(t)
	first := simctl(t, held(), "upgrade", "--direct", "--from", "0.68.1", "--to", "1.3.1", "--out", "kept", "scenarios")
	first.want(t, StatusDeviates)
	again := simctl(t, held(), "show", "kept", "--review")
	again.want(t, StatusOK)
	if again.stdout != first.stdout {
		t.Errorf("again it is\n%s\nit was\n%s", again.stdout, first.stdout)
	}
	page := simctl(t, held(), "show", "kept", "--review", "-o", "html")
	page.want(t, StatusOK)
	same := simctl(t, held(), "upgrade", "--resume", "--out", "kept", "-o", "html")
	same.want(t, StatusDeviates)
	if !strings.HasPrefix(page.stdout, "<!doctype html>") || page.stdout != same.stdout {
		t.Errorf("the page is %d bytes, of upgrade %d", len(page.stdout), len(same.stdout))
	}
	simctl(t, held(), "run", "scenarios/other.yaml", "--out", "plain")
	simctl(t, held(), "show", "plain", "--review").want(t, StatusError, "there is no review of plain")
	simctl(t, held(), "show", "kept", "--review", "--only", "failing").want(t, StatusError, "--only is for results")
	simctl(t, held(), "show", "kept", "--review", "-o", "wide").want(t, StatusError, "unknown output format", "html")
	simctl(t, held(), "show", "kept", "-o", "md").want(t, StatusError, "unknown output format", "simctl report RUN --format markdown")
	if o := simctl(t, held(), "compare", "kept", "plain", "-o", "html"); !strings.HasPrefix(o.stdout, "<!doctype html>") {
		t.Errorf("compare prints %s", o.stdout)
	}
}

// TestShowUnfinished: a run without a result is gone on with by the verb that began it.
func TestShowUnfinished(t *testing.T) {
	for verb, args := range map[string][]string{
		"run":     {"run", "scenarios/other.yaml"},
		"upgrade": {"upgrade", "--direct", "--from", "0.68.1", "--to", "1.3.1", "scenarios/other.yaml"},
	} {
		t.Run(verb, func(t *testing.T) {
			place(t)
			simctl(t, held(), append(args, "--out", "kept")...)
			const result = "kept/result.json"
			if err := os.Remove(result); err != nil {
				t.Fatal(err)
			}
			simctl(t, held(), "show", "kept").want(t, StatusError, "has no result yet", "go on with: simctl "+verb+" --resume --out kept")
			if err := os.WriteFile(result, []byte("{"), 0o600); err != nil {
				t.Fatal(err)
			}
			if o := simctl(t, held(), "show", "kept"); o.status != StatusError || strings.Contains(o.stderr, "go on with") {
				t.Errorf("a result that cannot be read is told so: status %d, %s", o.status, o.stderr)
			}
		})
	}
}

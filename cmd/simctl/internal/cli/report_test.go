package cli

import (
	"os"
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	place(t)
	e := &fakeEngine{outcome: deadlock}
	run := simctl(t, e, "run", "scenarios/", "--report", "r.html", "--report", "r.md")
	if run.status == StatusError {
		t.Fatalf("run fails:\n%s", run.stderr)
	}
	contents := func(file string) string {
		t.Helper()
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	for file, want := range map[string]string{"r.html": "<!doctype html>", "r.md": "# Evidence report"} {
		got := contents(file)
		if !strings.HasPrefix(strings.ToLower(got), strings.ToLower(want)) || !strings.Contains(got, "The pod waits for itself.") {
			t.Errorf("%s holds\n%.300s", file, got)
		}
	}

	simctl(t, e, "report", "latest", "--format", "junit", "--output", "a", "--format", "sarif", "--output", "b", "--format", "json", "--output", "c").
		want(t, StatusOK, "report in a", "report in b", "report in c")
	for file, want := range map[string]string{"a": "<testsuite", "b": `"2.1.0"`, "c": `"kind": "EvidenceReport"`} {
		if got := contents(file); !strings.Contains(got, want) {
			t.Errorf("%s has no %s:\n%.300s", file, want, got)
		}
	}
	// Every cell stops, so that nothing is proved to help.
	patches := simctl(t, e, "report", "latest", "--patches", "p")
	patches.want(t, StatusOK, "no files are written")
	if patches.stdout != "" {
		t.Errorf("with --patches alone a report is printed:\n%.300s", patches.stdout)
	}
	if again := simctl(t, e, "report", "latest"); again.stdout != contents("r.md") {
		t.Errorf("report prints something else than run --report wrote:\n%.300s%s", again.stdout, again.stderr)
	}
}

func TestReportTargets(t *testing.T) {
	place(t)
	e := &fakeEngine{}
	simctl(t, e, "run", "scenarios/").want(t, StatusOK)
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"--format", "pdf"}, `unknown format "pdf"`},
		{[]string{"--output", "x.pdf"}, "does not say its format"},
		{[]string{"--format", "html", "--format", "markdown"}, "cannot go to standard output"},
		{[]string{"--format", "html", "--output", "x", "--output", "y"}, "give a --format for each --output"},
		{[]string{"--cell", "nothing=here"}, "no cell of the run is nothing=here"},
		{[]string{"--output", "missing/x.html"}, "writing the report"},
		{[]string{"--patches", "."}, ". is not empty"},
		{[]string{"--patches", ""}, "which folder?"},
		{[]string{"--patches", "p", "--output", "x.pdf"}, "does not say its format"},
	} {
		simctl(t, e, append([]string{"report", "latest"}, tt.args...)...).want(t, StatusError, tt.want)
	}
	simctl(t, e, "run", "scenarios/", "--report", "x.pdf").want(t, StatusError, "does not say its format")
}

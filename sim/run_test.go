package sim_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"simctl.dev/simctl/sim"
	"simctl.dev/simctl/sim/releases"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/verdict"
)

func TestMain(m *testing.M) {
	sim.ChildMain()
	os.Exit(m.Run())
}

// load gives the cells of scenario files under testdata.
func load(t *testing.T, names ...string) []scenario.Cell {
	t.Helper()
	var cells []scenario.Cell
	for _, name := range names {
		f, err := scenario.Load(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		cs, err := f.Cells(scenario.Options{})
		if err != nil {
			t.Fatal(err)
		}
		cells = append(cells, cs...)
	}
	return cells
}

// run runs cells and checks their histories, and that nothing is left behind: by a cell
// for the next one, and by the run but its folder.
func run(t *testing.T, ctx context.Context, cells []scenario.Cell, o sim.Options) ([]verdict.Cell, error) {
	t.Helper()
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	if o.OutDir == "" {
		o.OutDir = t.TempDir()
	}
	o.Logger = logr.Discard()
	o.CheckCells, o.CheckHistories = true, true
	results, err := sim.Run(ctx, cells, o)
	if left, _ := os.ReadDir(tmp); len(left) > 0 {
		t.Errorf("files left behind: %v", left)
	}
	if left := children(t); len(left) > 0 {
		t.Errorf("processes left behind: %v", left)
	}
	return results, err
}

// children lists the command lines of this process's children.
func children(t *testing.T) []string {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, name := range stats {
		stat, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if len(fields) > 1 && fields[0] != "Z" && fields[1] == strconv.Itoa(os.Getpid()) {
			line, _ := os.ReadFile(filepath.Join(filepath.Dir(name), "cmdline"))
			out = append(out, filepath.Base(filepath.Dir(name))+" "+string(bytes.ReplaceAll(line, []byte{0}, []byte{' '})))
		}
	}
	return out
}

// TestOutcomes has every outcome once, on the real control plane.
func TestOutcomes(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range files {
		names = append(names, filepath.Base(f))
	}
	cells := load(t, names...)
	results, err := run(t, context.Background(), cells, sim.Options{Parallel: 1})
	if err != nil {
		t.Fatal(err)
	}
	if len(results) != len(cells) {
		t.Fatalf("%d results for %d cells", len(results), len(cells))
	}
	seen := map[verdict.Outcome]bool{}
	for _, r := range results {
		seen[r.Outcome] = true
		if r.Expected != "" && r.Judgement != verdict.AsExpected {
			t.Errorf("%s: %s (%s), expected %s\n%s", r.Scenario, r.Outcome, r.Error, r.Expected, chain(r))
		}
		if r.Outcome != verdict.Success && len(r.Cause) == 0 {
			t.Errorf("%s: %s without a cause", r.Scenario, r.Outcome)
		}
	}
	for _, o := range verdict.Outcomes() {
		// TestChangedAfterEnd has that one, and takes two releases.
		if !seen[o] && o != verdict.ChangedAfterEnd {
			t.Errorf("no cell came out as %s", o)
		}
	}
}

// runOn runs a scenario on several releases, one after the other.
func runOn(t *testing.T, file string, versions []string) []verdict.Cell {
	t.Helper()
	f, err := scenario.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	cells, err := f.Cells(scenario.Options{Versions: versions})
	if err != nil {
		t.Fatal(err)
	}
	results, err := run(t, context.Background(), cells, sim.Options{Parallel: 1})
	if err != nil {
		t.Fatal(err)
	}
	return results
}

// TestFeatures has a pipeline with what pipelines use beside plain tasks on the
// releases of the shipped scenarios. Real controllers say how often each task runs.
func TestFeatures(t *testing.T) {
	results := runOn(t, "testdata/features.yaml", append(strings.Split(shippedReleases, ","), releases.BuiltIn))
	want := map[string]int{
		"list": 1, "each": 3, "after-gated": 1, "flaky": 2, "tolerant": 1, "advisory": 1, "sided": 1, "by-digest": 1, "action": 1,
		"report": 1, "alarm": 1, // what is let pass still makes $(tasks.status) Failed
	}
	for _, r := range results {
		got := map[string]int{}
		for _, task := range r.Timing.Tasks {
			got[task.Task]++
		}
		if r.Outcome != verdict.Success || !maps.Equal(got, want) {
			t.Errorf("Tekton %s: %s (%s), tasks %v, want %v\n%s", r.Values["tekton"], r.Outcome, r.Error, got, want, chain(r))
		}
	}
}

// TestUnnamedSteps: what Tekton's webhook does to a Task, and a reconciler that
// does not come to rest, on the releases of the shipped scenarios.
func TestUnnamedSteps(t *testing.T) {
	for _, r := range runOn(t, "testdata/unnamed-steps.yaml", append(strings.Split(shippedReleases, ","), releases.BuiltIn)) {
		at := r.Values["tekton"] + " " + r.Values["what"]
		if r.Judgement != verdict.AsExpected {
			t.Errorf("%s: %s (%s), expected %s\n%s", at, r.Outcome, r.Error, r.Expected, chain(r))
		}
		if r.Values["what"] == "slip" {
			// From 1.0 on the CRDs have schemas, by which the API server drops the field.
			want, said, words := verdict.Success, strings.Join(r.Inert, "\n"), `Task default/build: unknown field "spec.steps[0].skript": the API server drops it`
			if r.Values["tekton"] == "0.68.1" {
				want, said, words = verdict.InvalidPipeline, chain(r), `unknown field "skript"`
			}
			if r.Outcome != want || !strings.Contains(said, words) {
				t.Errorf("%s: %s, want %s with %s in\n%s", at, r.Outcome, want, words, said)
			}
		}
		var want []string
		if r.Values["tekton"] == releases.BuiltIn {
			want = []string{"TaskRun of task build"}
		}
		if !slices.Equal(r.Busy, want) {
			t.Errorf("%s: busy with %q, want %q", at, r.Busy, want)
		}
	}
}

// TestOtherLoad: Deployments and DaemonSets take room from a run, and what has no
// effect here is said.
func TestOtherLoad(t *testing.T) {
	for _, r := range runOn(t, "testdata/other-load.yaml", []string{releases.BuiltIn}) {
		if r.Judgement != verdict.AsExpected {
			t.Errorf("%v: %s (%s), expected %s\n%s", r.Values, r.Outcome, r.Error, r.Expected, chain(r))
		}
		want := []string{
			"Job default/seed: its controller does not run here: it makes no pods",
			`Job default/seed: unknown field "spec.backofLimit": the API server drops it with a warning (kubectl, unless told --validate=warn, does not send it)`,
			"EventListener default/pushes: the API server has no such kind, and nothing here would act on it",
		}
		if !slices.Equal(r.Inert, want) {
			t.Errorf("%v: without effect are %q, want %q", r.Values, r.Inert, want)
		}
	}
}

// TestResolvers: what is nowhere ends a run at once.
func TestResolvers(t *testing.T) {
	results := runOn(t, "testdata/resolvers.yaml", strings.Split(shippedReleases, ","))
	for _, r := range results {
		at := r.Values["tekton"] + " " + r.Values["namespace"]
		want, words := verdict.Success, []string(nil)
		switch at {
		case "0.68.1 missing", "1.3.1 missing":
			want, words = verdict.InvalidPipeline, []string{`tasks.tekton.dev "echo" not found`}
		}
		if r.Outcome != want {
			t.Errorf("%s: %s (%s), want %s\n%s", at, r.Outcome, r.Error, want, chain(r))
		}
		for _, w := range words {
			if !strings.Contains(chain(r), w) {
				t.Errorf("%s: no %q in\n%s", at, w, chain(r))
			}
		}
	}
}

// TestCustomTask: a custom task is the root of a run that waits for it, and not the
// time-out.
func TestCustomTask(t *testing.T) {
	for _, r := range runOn(t, "testdata/custom-task.yaml", []string{releases.BuiltIn}) {
		if n := len(r.Cause); r.Outcome != verdict.Timeout || n == 0 || !strings.Contains(r.Cause[n-1].What, "was never taken up") ||
			!strings.Contains(r.Cause[n-1].Evidence, "ApprovalTask") {
			t.Errorf("%s (%s)\n%s", r.Outcome, r.Error, chain(r))
		}
	}
}

func chain(r verdict.Cell) string {
	var b strings.Builder
	for _, l := range r.Cause {
		b.WriteString("  " + l.What + " [" + l.Object + "] " + l.Evidence + "\n")
	}
	return b.String()
}

// TestSameSeedSameResult runs the same cells three times: on one control plane
// one after the other, in the opposite order, and in two worker processes. What
// a cell leaves behind must not show in a later one.
func TestSameSeedSameResult(t *testing.T) {
	cells := load(t, "success.yaml", "multi-attach.yaml", "unschedulable.yaml", "admission-denied.yaml", "deadlock.yaml", "no-space-node-disk.yaml")
	var runs [][]byte
	for _, how := range []struct {
		parallel  int
		backwards bool
		cores     string // for every process; all if empty
	}{{1, false, ""}, {1, true, ""}, {2, false, ""}, {2, false, "1"}} {
		if how.cores != "" {
			t.Setenv("GOMAXPROCS", how.cores)
		}
		order := slices.Clone(cells)
		if how.backwards {
			slices.Reverse(order)
		}
		results, err := run(t, context.Background(), order, sim.Options{Parallel: how.parallel})
		if err != nil {
			t.Fatal(err)
		}
		if how.backwards {
			slices.Reverse(results)
		}
		var what []any
		for _, r := range results {
			for i := range r.Timing.Tasks {
				// The API server makes up the names.
				r.Timing.Tasks[i].PipelineRun, r.Timing.Tasks[i].TaskRun, r.Timing.Tasks[i].Pod = "", "", ""
			}
			what = append(what, r.Outcome, r.Recovered, r.MakespanSeconds, r.BlockedSinceSeconds, r.Timing)
		}
		raw, err := json.MarshalIndent(what, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		runs = append(runs, raw)
	}
	for i, name := range []string{"in the opposite order", "in two processes", "in two processes on one core each"} {
		if !bytes.Equal(runs[0], runs[i+1]) {
			t.Errorf("the same seed gave\n%s\nand %s\n%s", runs[0], name, runs[i+1])
		}
	}
}

// TestCellsThatMeddle has cells that leave something for the next ones, or take
// something from them, if they are let.
func TestCellsThatMeddle(t *testing.T) {
	files, err := filepath.Glob("testdata/alone/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var cells []scenario.Cell
	for _, f := range files {
		for _, c := range load(t, filepath.Join("alone", filepath.Base(f))) {
			if !built(c) {
				t.Logf("%s is left out: a release that it needs is not built", c.ID())
				continue
			}
			cells = append(cells, c)
		}
	}
	results, err := run(t, context.Background(), cells, sim.Options{Parallel: 1})
	if err != nil {
		t.Fatal(err)
	}
	if len(results) != len(cells) {
		t.Fatalf("%d results for %d cells", len(results), len(cells))
	}
	for _, r := range results {
		if r.Judgement != verdict.AsExpected {
			t.Errorf("%s %v: %s (%s), expected %s\n%s", r.Scenario, r.Values, r.Outcome, r.Error, r.Expected, chain(r))
		}
	}
}

// TestInterrupt ends a run in the middle of its second cell.
func TestInterrupt(t *testing.T) {
	cells := load(t, "success.yaml", "deadlock.yaml", "failed.yaml")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	started := 0
	results, err := run(t, ctx, cells, sim.Options{Parallel: 1, Progress: func(e sim.Event) {
		if e.Kind == sim.EventCellStarted {
			if started++; started == 2 {
				time.AfterFunc(100*time.Millisecond, cancel)
			}
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("the run ended with %v", err)
	}
	if len(results) != 1 || results[0].Outcome != verdict.Success {
		t.Errorf("kept %+v, want the first cell", results)
	}
}

// TestControllerCrash kills the Tekton controller once the first task runs. It
// is started again, and the run goes on.
func TestControllerCrash(t *testing.T) {
	cells := load(t, "success.yaml")
	out := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	file := filepath.Join(out, "cells", cells[0].ID(), "history.jsonl")
	killed := make(chan bool, 1)
	go func() {
		for ctx.Err() == nil {
			time.Sleep(time.Millisecond)
			raw, err := os.ReadFile(file)
			if err != nil || !bytes.Contains(raw, []byte(`"fact":"PodAdmitted"`)) {
				continue
			}
			for _, c := range children(t) {
				pid, line, _ := strings.Cut(c, " ")
				if n, err := strconv.Atoi(pid); err == nil && strings.HasPrefix(line, "tekton-pipelines-controller") {
					killed <- syscall.Kill(n, syscall.SIGKILL) == nil
					return
				}
			}
		}
	}()
	results, err := run(t, ctx, cells, sim.Options{Parallel: 1, OutDir: out})
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-killed:
	default:
		t.Fatal("the controller was not killed: the test shows nothing")
	}
	if results[0].Outcome != verdict.Success {
		t.Errorf("%s (%s)", results[0].Outcome, results[0].Error)
	}
	_, exits := controllerFacts(t, file)
	if exits != 1 {
		t.Errorf("the history has %d ends of the controller, want 1", exits)
	}
}

package sim_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"simctl.dev/simctl/sim"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/tekton"
	"simctl.dev/simctl/sim/timeline"
	"simctl.dev/simctl/sim/verdict"
)

// TestInterventions runs the cells of testdata/interventions. Those that need a
// release which is not built are left out: a build takes minutes.
func TestInterventions(t *testing.T) {
	files, err := filepath.Glob("testdata/interventions/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range files {
		names = append(names, filepath.Join("interventions", filepath.Base(f)))
	}
	all := load(t, names...)
	var cells []scenario.Cell
	for _, c := range all {
		if built(c) {
			cells = append(cells, c)
		} else {
			t.Logf("%s is left out: not all of %v are built", c.ID(), c.Versions())
		}
	}
	out := t.TempDir()
	results, err := run(t, context.Background(), cells, sim.Options{Parallel: 1, OutDir: out})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if r.Judgement != verdict.AsExpected {
			t.Errorf("%s %v: %s (%s), expected %s\n%s", r.Scenario, r.Values, r.Outcome, r.Error, r.Expected, chain(r))
		}
		name := r.Values["what"]
		for _, v := range r.Interventions {
			if v.Missed != (name == "too-late") {
				t.Errorf("%s %v: missed %t: %s", r.Scenario, r.Values, v.Missed, v.What)
			}
			switch name {
			case "nothing-there", "started-twice", "too-early", "flags-refused-at-the-next-start":
			default:
				if v.Failure != "" {
					t.Errorf("%s %v: %s had no effect: %s", r.Scenario, r.Values, v.What, v.Failure)
				}
			}
		}
		if len(r.Interventions) == 0 {
			t.Errorf("%s %v: nothing was done", r.Scenario, r.Values)
			continue
		}
		if r.Scenario == "api-errors" && !meetsErrors(t, filepath.Join(out, r.History)) {
			t.Errorf("%v: no write failed", r.Values)
		}
		first := r.Interventions[0]
		starts, exits := controllerFacts(t, filepath.Join(out, r.History))
		switch name {
		case "nothing-there":
			if !strings.Contains(first.Failure, `pods "nobody" not found`) {
				t.Errorf("deleting what is not there: %q", first.Failure)
			}
		case "too-early":
			if !strings.Contains(first.Failure, "there has been no pod of task flaky") {
				t.Errorf("deleting what is not there yet: %q", first.Failure)
			}
		case "claim-labelled", "other-claim-labelled", "pod-labelled", "first-pod-labelled", "pod-deleted":
			whose(t, r, readHistory(t, filepath.Join(out, r.History)))
		case "started-twice":
			if first.Failure == "" || starts != 0 {
				t.Errorf("starting a controller that runs: %q, %d starts", first.Failure, starts)
			}
		case "killed":
			if starts != 1 || exits != 1 {
				t.Errorf("a killed controller: %d starts and %d ends, want one of each", starts, exits)
			}
		case "restarted", "stopped-for-a-while":
			if starts != 1 || exits != 0 {
				t.Errorf("%s: %d starts and %d ends that nobody asked for", name, starts, exits)
			}
		case "cordoned", "tainted":
			if len(r.Timing.Nodes) != 1 || first.Node != r.Timing.Nodes[0] {
				t.Errorf("%s: node %q, the task was on %v", name, first.Node, r.Timing.Nodes)
			}
		}
		if first.Release != "" && (first.Release != "1.3.1" || first.FormerRelease != "0.68.1" || starts != 1) {
			t.Errorf("swap of %s for %s, %d starts", first.FormerRelease, first.Release, starts)
		}
		if r.Scenario == "swap" && r.Outcome == verdict.Deadlock && !strings.Contains(chain(r), "Tekton 0.68.1 -> 1.3.1") {
			t.Errorf("the cause does not name the swap:\n%s", chain(r))
		}
	}
}

// whose holds the object that an intervention came to against what it should be: the
// claim that the task mounts, the task's pod of that attempt.
func whose(t *testing.T, r verdict.Cell, entries []history.Entry) {
	t.Helper()
	tl, err := timeline.Read(entries)
	if err != nil {
		t.Fatal(err)
	}
	var mounted = map[string][]string{} // by task, a pod's claims
	var pods = map[string][]string{}
	for _, tr := range tl.TaskRuns {
		for _, p := range tr.Pods {
			pods[tr.Task] = append(pods[tr.Task], p.Namespace+"/"+p.Name)
			for _, claim := range timeline.ClaimsOf(tl.Now().Get("Pod", p.Namespace, p.Name)) {
				mounted[tr.Task] = append(mounted[tr.Task], p.Namespace+"/"+claim)
			}
		}
	}
	if len(mounted["build"]) == 0 || len(pods["build"]) == 0 || r.Values["what"] != "pod-deleted" && (len(mounted["flaky"]) < 2 || len(pods["flaky"]) != 2) {
		t.Fatalf("%v: claims %v, pods %v", r.Values, mounted, pods)
	}
	want := map[string]func() string{
		"claim-labelled":       func() string { return mounted["build"][0] },
		"other-claim-labelled": func() string { return mounted["flaky"][0] },
		"pod-labelled":         func() string { return pods["flaky"][1] },
		"first-pod-labelled":   func() string { return pods["flaky"][0] },
		"pod-deleted":          func() string { return pods["build"][0] },
	}[r.Values["what"]]()
	if got := r.Interventions[0].Object; got != want {
		t.Errorf("%v: %s, want %s", r.Values, got, want)
	}
	kind := "Pod"
	if strings.Contains(r.Values["what"], "claim") {
		kind = "PersistentVolumeClaim"
	}
	ns, name, _ := strings.Cut(want, "/")
	if o := tl.Now().Get(kind, ns, name); o.Text("metadata", "labels", "seen") != "yes" && r.Values["what"] != "pod-deleted" {
		t.Errorf("%v: %s is not labelled", r.Values, want)
	}
}

// built says whether every release that a cell needs is ready.
func built(c scenario.Cell) bool {
	b := &tekton.Builder{}
	for _, v := range c.Versions() {
		if ready, _, _ := b.Status(v); !ready && v != tekton.BuiltIn {
			return false
		}
	}
	return true
}

// controllerFacts counts the starts of Tekton's controller that a history shows,
// and its ends that nobody asked for.
func controllerFacts(t *testing.T, file string) (starts, exits int) {
	t.Helper()
	for _, e := range readHistory(t, file) {
		switch e.Fact {
		case history.FactTektonStarted:
			starts++
		case history.FactTektonExited:
			exits++
		}
	}
	return starts, exits
}

// TestSwapNeedsItsRelease hands out a cell whose release to swap for does not
// exist.
func TestSwapNeedsItsRelease(t *testing.T) {
	cells := load(t, "success.yaml")
	cells[0].Spec.Interventions = []scenario.Intervention{{At: "5m", SwapRelease: "0.0.1"}}
	results, err := run(t, context.Background(), cells, sim.Options{Parallel: 1, CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if len(results) != 1 || results[0].Outcome != verdict.Error || !strings.Contains(results[0].Error, "0.0.1") {
		t.Errorf("results %+v", results)
	}
}

func readHistory(t *testing.T, file string) []history.Entry {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	entries, err := history.Read(f)
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

// meetsErrors says whether a history has a write that failed by the API server's own
// fault.
func meetsErrors(t *testing.T, file string) bool {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	entries, err := history.Read(f)
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(entries, func(e history.Entry) bool {
		return e.Kind == history.KindRefused && e.Code >= 500
	})
}

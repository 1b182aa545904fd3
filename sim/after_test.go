package sim_test

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"

	"simctl.dev/simctl/sim"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/timeline"
	"simctl.dev/simctl/sim/verdict"
)

// TestLifeAfterTheRun plays what is done to a run that has ended, and holds what is there
// then, and for how long the cell goes on.
func TestLifeAfterTheRun(t *testing.T) {
	klog.SetLogger(logr.Discard())
	out := t.TempDir()
	results, err := run(t, context.Background(), load(t, "after/life.yaml"), sim.Options{Parallel: 1, OutDir: out})
	if err != nil {
		t.Fatal(err)
	}
	type cell struct {
		goesOn float64  // seconds from the first run's end to the cell's
		there  []string // PipelineRuns, TaskRuns, pods and claims at the end, without what is made up
		says   string   // of its conduct
	}
	all := []string{"PipelineRun first", "TaskRun first-produce", "TaskRun first-consume", "Pod first-produce-pod", "Pod first-consume-pod", "claim"}
	without := func(gone ...string) []string {
		return slices.DeleteFunc(slices.Clone(all), func(s string) bool { return slices.Contains(gone, s) })
	}
	second := []string{"PipelineRun second", "TaskRun second-produce", "TaskRun second-consume", "Pod second-produce-pod", "Pod second-consume-pod", "claim"}
	const minute = 60
	want := map[string]cell{
		"nothing":                {0, all, "is kept until the PipelineRun is deleted"},
		"linger":                 {60 * minute, all, "is kept until"},
		"restart":                {20 * minute, all, "is kept until"},
		"kill":                   {20 * minute, all, "is kept until"},
		"prune":                  {11 * minute, nil, "was deleted"},
		"delete-a-task":          {11 * minute, without("TaskRun first-produce", "Pod first-produce-pod"), "is kept until"},
		"delete-a-pod":           {11 * minute, without("Pod first-consume-pod"), "is kept until"},
		"delete-the-claim":       {11 * minute, all, "it stays as long as Pod default/first-"},
		"delete-and-apply-again": {11*minute + 80, all, "is kept until"},
		"second-run":             {12*minute + 80, second, "is kept until"},
		"finalizer":              {12 * minute, all, "nobody takes its finalizers off"},
		"missed":                 {10 * minute, all, "is kept until"},
	}
	for _, r := range results {
		name := r.Values["after"]
		if r.Judgement != verdict.AsExpected || len(r.Conduct.Changed) > 0 {
			t.Errorf("%s: %s (%s), expected %s; changed: %v\n%s", name, r.Outcome, r.Error, r.Expected, r.Conduct.Changed, chain(r))
			continue
		}
		w := want[name]
		tl, err := timeline.Read(readHistory(t, filepath.Join(out, r.History)))
		if err != nil {
			t.Fatal(err)
		}
		first := tl.Runs[0]
		if d := tl.Finished.T - first.DoneT; d < w.goesOn-1 || d > w.goesOn+20 {
			t.Errorf("%s: the cell goes on for %g s after the run, want %g", name, d, w.goesOn)
		}
		var there []string
		for _, kind := range []string{"PipelineRun", "TaskRun", "Pod", "PersistentVolumeClaim"} {
			for _, o := range tl.Now().List(kind) {
				switch {
				case kind == "PersistentVolumeClaim":
					there = append(there, "claim")
				case !strings.Contains(o.Ref.Name, "affinity-assistant"):
					there = append(there, kind+" "+o.Ref.Name)
				}
			}
		}
		slices.Sort(there)
		should := slices.Sorted(slices.Values(w.there))
		if !slices.Equal(there, should) {
			t.Errorf("%s: in the end there are %v, want %v", name, there, should)
		}
		if said := strings.Join(r.Conduct.Sentences(), "\n"); !strings.Contains(said, w.says) {
			t.Errorf("%s: the conduct is without %q:\n%s", name, w.says, said)
		}
		for _, v := range r.Interventions {
			if v.Missed != (name == "missed") || v.Failure != "" {
				t.Errorf("%s: missed %t, failure %q: %s", name, v.Missed, v.Failure, v.What)
			}
		}
		// As recorded in finished-run-labelled, a controller that starts leaves it alone.
		if name == "restart" || name == "kill" {
			untouched(t, name, tl, first)
		}
	}
}

// untouched holds that Tekton's controller was started after a run's end and has written
// nothing since.
func untouched(t *testing.T, name string, tl *timeline.Timeline, run *timeline.Run) {
	t.Helper()
	start := slices.IndexFunc(tl.Starts, func(s timeline.Fact[history.Tekton]) bool { return s.Seq > run.DoneSeq })
	if start < 0 {
		t.Errorf("%s: no controller is started after the end", name)
		return
	}
	for _, e := range tl.Entries() {
		if e.Seq > tl.Starts[start].Seq && e.Kind == history.KindObject && strings.HasPrefix(e.Actor, "tekton") && e.Object.Kind != "Lease" {
			t.Errorf("%s: entry %d: %s %ss %s", name, e.Seq, e.Actor, e.Verb, e.Object)
		}
	}
}

// TestChangedAfterEnd plays the release whose controller, when it starts, finds that the
// time of runs is up which have ended, and the next one. It is left out where they are not
// built.
func TestChangedAfterEnd(t *testing.T) {
	klog.SetLogger(logr.Discard())
	cells := load(t, "after/changed.yaml")
	for _, c := range cells {
		if !built(c) {
			t.Skipf("not all of %v are built", c.Versions())
		}
	}
	results, err := run(t, context.Background(), cells, sim.Options{Parallel: 1, OutDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if r.Judgement != verdict.AsExpected {
			t.Errorf("%s: %s (%s), expected %s\n%s", r.Values["tekton"], r.Outcome, r.Error, r.Expected, chain(r))
		}
		if changed := r.Outcome == verdict.ChangedAfterEnd; changed && (r.Root().Rule != "controller/takes-up-ended" || r.Conduct.Changed[0].Was != "Completed" && r.Conduct.Changed[0].Was != "Succeeded") {
			t.Errorf("%s: %+v\n%s", r.Values["tekton"], r.Conduct.Changed, chain(r))
		}
	}
}

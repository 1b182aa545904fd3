package sim_test

import (
	"context"
	"path/filepath"
	"slices"
	"testing"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"

	"simctl.dev/simctl/sim"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/verdict"
	"simctl.dev/simctl/sim/wellknown"
)

// TestAPIFaults holds what becomes of runs when the API server does not answer controllers as
// it should, and what the verdict says of it.
func TestAPIFaults(t *testing.T) {
	klog.SetLogger(logr.Discard())
	cells := load(t, "faults/api-errors.yaml")
	out := t.TempDir()
	results, err := run(t, context.Background(), cells, sim.Options{Parallel: 1, OutDir: out})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		name := r.Values["fault"]
		if r.Judgement != verdict.AsExpected {
			t.Errorf("%s: %s (%s), expected %s\n%s", name, r.Outcome, r.Error, r.Expected, chain(r))
		}
		root := ""
		if n := len(r.Cause); n > 0 {
			root = r.Cause[n-1].Rule
		}
		want := map[string]string{string(verdict.Failed): "fault/api-errors"}[r.Expected]
		if root != want {
			t.Errorf("%s: the chain ends with %q, want %q\n%s", name, root, want, chain(r))
		}
		unmet := name == "unmet" || name == "unmet-until-the-end"
		if len(r.Interventions) == 0 || r.Interventions[0].Met == nil || (r.Interventions[0].Met.Count == 0) != unmet {
			t.Errorf("%s: %+v; want one fault that requests meet: %t", name, r.Interventions, !unmet)
		}
		entries := readHistory(t, filepath.Join(out, r.History))
		began, ended := at(entries, history.FactAPIFails), at(entries, history.FactAPIBack)
		if began < 0 || ended < 0 && name != "unmet-until-the-end" {
			t.Errorf("%s: the fault began at entry %d and ended at %d", name, began, ended)
		}
		for i, e := range entries {
			if e.Kind == history.KindRefused && e.Code >= 429 && (i < began || ended >= 0 && i > ended) {
				t.Errorf("%s: entry %d was refused without the fault: %s", name, e.Seq, e.Message)
			}
		}
	}
}

// at is the first entry of a fact; -1 without one.
func at(entries []history.Entry, fact string) int {
	return slices.IndexFunc(entries, func(e history.Entry) bool { return e.Fact == fact })
}

// TestSchedulerAway holds what becomes of runs while no pod is given a node, and what the
// verdict says of it.
func TestSchedulerAway(t *testing.T) {
	klog.SetLogger(logr.Discard())
	cells := load(t, "faults/scheduler-away.yaml")
	out := t.TempDir()
	results, err := run(t, context.Background(), cells, sim.Options{Parallel: 1, OutDir: out})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		name := r.Values["absence"]
		if r.Judgement != verdict.AsExpected {
			t.Errorf("%s: %s (%s), expected %s\n%s", name, r.Outcome, r.Error, r.Expected, chain(r))
		}
		root := ""
		if n := len(r.Cause); n > 0 {
			root = r.Cause[n-1].Rule
		}
		if want := map[string]string{"for-good": "fault/scheduler-away"}[name]; root != want {
			t.Errorf("%s: the chain ends with %q, want %q\n%s", name, root, want, chain(r))
		}
		entries := readHistory(t, filepath.Join(out, r.History))
		away, back := at(entries, history.FactSchedulerAway), at(entries, history.FactSchedulerBack)
		if away < 0 || (back < 0) != (name == "for-good") {
			t.Fatalf("%s: the scheduler was away at entry %d and back at %d", name, away, back)
		}
		if back < 0 {
			back = len(entries)
		}
		for _, e := range entries[away:back] {
			if e.Actor == wellknown.KubeScheduler && e.Object.Kind == "Pod" {
				t.Errorf("%s: the scheduler is away and writes entry %d", name, e.Seq)
			}
		}
		if met := r.Interventions[0].Met; met == nil || (met.Count == 0) != (name == "while-running") {
			t.Errorf("%s: it has met %+v", name, met)
		}
	}
}

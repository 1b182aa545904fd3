package sim_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"

	"simctl.dev/simctl/reports"
	"simctl.dev/simctl/sim"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/verdict"
)

// TestWhomFaultsMeet holds that every fault that lasts tells whom it has met and when it was
// over, that one which nobody met is told, and that draws are in the history.
func TestWhomFaultsMeet(t *testing.T) {
	klog.SetLogger(logr.Discard())
	var cells []scenario.Cell
	for _, c := range load(t, "faults/met.yaml") {
		if c.Repeat == 0 || c.Values["fault"] == "now-and-then" {
			cells = append(cells, c)
		}
	}
	out := t.TempDir()
	results, err := run(t, context.Background(), cells, sim.Options{Parallel: 1, OutDir: out})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]struct {
		whom  string // one of those it has met; empty if it has met nobody
		over  bool
		lasts float64
	}{
		"node-of-the-task":  {"Pod default/two-tasks-", true, 25},
		"node-of-nobody":    {"", true, 300},
		"image-of-the-task": {"Pod default/two-tasks-", true, 30},
		"image-of-nobody":   {"", false, 0},
		"answers":           {"tekton-pipelines-controller: ", true, 20},
		"answers-to-nobody": {"", true, 20},
		"nothing-to-end":    {"", true, 1},
	}
	draws := map[bool]int{}
	for _, r := range results {
		name := r.Values["fault"]
		if r.Judgement != verdict.AsExpected {
			t.Errorf("%s: %s (%s)\n%s", name, r.Outcome, r.Error, chain(r))
			continue
		}
		v := r.Interventions[0]
		facts := 0
		for _, e := range readHistory(t, filepath.Join(out, r.History)) {
			if e.Fact == history.FactFaultMet {
				facts++
			}
		}
		if name == "never" || name == "now-and-then" {
			if v.Draw == nil || v.Probability == nil || v.Spared != (*v.Draw >= *v.Probability) || v.Spared != (facts == 0) {
				t.Errorf("%s: drawn %+v, %d facts", name, v, facts)
				continue
			}
			if name == "now-and-then" {
				draws[v.Spared]++
			} else if !v.Spared {
				t.Error("what is never done was done")
			}
			continue
		}
		w := want[name]
		if v.Met == nil || facts != 1 {
			t.Errorf("%s: whom it met is not told: %d facts", name, facts)
			continue
		}
		if w.whom == "" && v.Met.Count != 0 || w.whom != "" && !strings.Contains("\n"+strings.Join(v.Met.Whom, "\n"), "\n"+w.whom) {
			t.Errorf("%s: met %+v, want %q", name, v.Met, w.whom)
		}
		if w.over != (v.Met.EndedT != nil) || w.over && *v.Met.EndedT-v.T != w.lasts {
			t.Errorf("%s: began at %g s and was over at %v", name, v.T, v.Met.EndedT)
		}
		told := strings.Join(reports.Ineffective([]verdict.Cell{r}), "\n")
		if strings.Contains(told, "it met nobody") != (w.whom == "") {
			t.Errorf("%s: told is %q", name, told)
		}
		if name == "nothing-to-end" && !strings.Contains(r.Interventions[1].Failure, `no fault that is called "outage" goes on`) {
			t.Errorf("an end of nothing: %+v", r.Interventions[1])
		}
	}
	if draws[true] == 0 || draws[false] == 0 {
		t.Errorf("four repeats have drawn the same: %v", draws)
	}
}

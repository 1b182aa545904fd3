package sim_test

import (
	"context"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"simctl.dev/simctl/sim"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/kube"
	"simctl.dev/simctl/sim/verdict"
)

// TestOverlap takes the node away under a task in both orders of what Tekton's
// controller hears of it. Where it hears of the pod before it hears of the TaskRun's
// end, the TaskRun comes to life again in a run that fails, as recorded: its next pod
// waits until the volume is detached by force, and runs.
func TestOverlap(t *testing.T) {
	cells := load(t, "overlap/overlap.yaml")
	out := t.TempDir()
	results, err := run(t, context.Background(), cells, sim.Options{Parallel: 1, OutDir: out})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		order := r.Values["order"]
		stale := order == "stale"
		if r.Judgement != verdict.AsExpected {
			t.Errorf("%s: %s (%s), expected %s\n%s", order, r.Outcome, r.Error, r.Expected, chain(r))
		}
		if said := strings.Contains(chain(r), "came to life again"); said != stale {
			t.Errorf("%s: the cause says of a TaskRun that it came to life again: %t\n%s", order, said, chain(r))
		}
		var overlaps []history.Overlap
		var states, run []string // of the TaskRun and the PipelineRun
		pods, collected, detached, over := 0, 0.0, 0.0, 0.0
		state := history.NewState()
		for _, e := range readHistory(t, filepath.Join(out, r.History)) {
			if err := state.Apply(e); err != nil {
				t.Fatal(err)
			}
			switch {
			case e.Fact == history.FactOverlap:
				var o history.Overlap
				if err := json.Unmarshal(e.Data, &o); err != nil {
					t.Fatal(err)
				}
				overlaps = append(overlaps, o)
			case e.Fact == history.FactDetached && detached == 0:
				detached = e.T
			case e.Kind != history.KindObject:
			case e.Actor == kube.PodGC && e.Verb == history.VerbDelete:
				collected = e.T
			case e.Object.Kind == "Pod" && e.Verb == history.VerbCreate && strings.Contains(e.Object.Name, "produce"):
				pods++
			case e.Object.Kind == "TaskRun" || e.Object.Kind == "PipelineRun":
				list := &run
				if e.Object.Kind == "TaskRun" {
					list = &states
				}
				o := state.Get(e.Object)
				if o == nil {
					break
				}
				if s := succeededStatus(o); s != "" && (len(*list) == 0 || (*list)[len(*list)-1] != s) {
					*list = append(*list, s)
					over = e.T
				}
			}
		}
		if len(overlaps) != 1 || overlaps[0].Stale != stale {
			t.Errorf("%s: overlaps %+v", order, overlaps)
		}
		want, wantPods := []string{"Unknown", "False"}, 1
		if stale {
			want, wantPods = append(want, "Unknown", "True"), 2
		}
		if !slices.Equal(states, want) || !slices.Equal(run, []string{"Unknown", "False"}) || pods != wantPods {
			t.Errorf("%s: the TaskRun is %v, the run %v, the task had %d pods; want %v, Unknown and False, %d", order, states, run, pods, want, wantPods)
		}
		if stale && (detached < collected+360 || over < detached+300) {
			t.Errorf("pod gone at %.0f s, volume detached at %.0f s, TaskRun over at %.0f s", collected, detached, over)
		}
	}
}

// succeededStatus is the status of a run's condition Succeeded.
func succeededStatus(o *history.Object) string {
	list, _ := o.Field("status", "conditions").([]any)
	for _, c := range list {
		if m, ok := c.(map[string]any); ok && m["type"] == "Succeeded" {
			s, _ := m["status"].(string)
			return s
		}
	}
	return ""
}

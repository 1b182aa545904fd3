package sim_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"simctl.dev/simctl/sim"
	"simctl.dev/simctl/sim/verdict"
)

// TestChangedCluster has a cell after each kind of change to what cells share: it
// comes out as on a cluster that nobody has touched, to the second.
func TestChangedCluster(t *testing.T) {
	cells := load(t, "cluster/changed.yaml")
	results, err := run(t, context.Background(), cells, sim.Options{Parallel: 1})
	if err != nil {
		t.Fatal(err)
	}
	var first []byte
	for i, r := range results {
		what := r.Values["what"]
		if !strings.HasPrefix(what, "plain-") {
			// The change must have been made, or the next cell shows nothing.
			for _, v := range r.Interventions {
				if v.Missed || v.Failure != "" {
					t.Errorf("%s: %s was not done (%s)", what, v.What, v.Failure)
				}
			}
			if len(r.Interventions) == 0 {
				t.Errorf("%s changes nothing", what)
			}
			continue
		}
		if r.Outcome != verdict.Success {
			t.Errorf("%s: %s %s\n%s", what, r.Outcome, r.Error, chain(r))
			continue
		}
		for j := range r.Timing.Tasks {
			// The API server makes up the names.
			r.Timing.Tasks[j].PipelineRun, r.Timing.Tasks[j].TaskRun, r.Timing.Tasks[j].Pod = "", "", ""
		}
		timing, err := json.Marshal(r.Timing)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = timing
		}
		if string(timing) != string(first) {
			t.Errorf("%s:\n%s\non an untouched cluster:\n%s", what, timing, first)
		}
	}
}

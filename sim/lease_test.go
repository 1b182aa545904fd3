package sim_test

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"simctl.dev/simctl/sim"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/verdict"
)

// TestLease has Tekton's controller go away in several ways. The next one acts when
// it has the lease: at once if it was given back, else when it has seen it
// unchanged for a minute, at its next look, which chance puts 10 to 22 s after the
// one before.
func TestLease(t *testing.T) {
	cells := load(t, "lease/lease.yaml")
	out := t.TempDir()
	results, err := run(t, context.Background(), cells, sim.Options{Parallel: 1, OutDir: out})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if r.Judgement != verdict.AsExpected {
			t.Errorf("%s %v: %s (%s), expected %s\n%s", r.Scenario, r.Values, r.Outcome, r.Error, r.Expected, chain(r))
		}
		entries := readHistory(t, filepath.Join(out, r.History))
		started, held, taken, acts := -1.0, 0, 0, -1.0
		for _, e := range entries {
			var data history.Lease
			switch {
			case e.Fact == history.FactStalled:
				t.Errorf("%v: nothing is to happen any more at %v s, with a lease that runs out", r.Values, e.T)
			case e.Fact == history.FactTektonStarted:
				started, acts = e.T, -1
			case e.Fact == history.FactLeaseHeld, e.Fact == history.FactLeaseTaken:
				if err := json.Unmarshal(e.Data, &data); err != nil {
					t.Fatal(err)
				}
				if e.Fact == history.FactLeaseHeld {
					held++
					if data.Seconds != 60 {
						t.Errorf("%v: the lease holds for %v s, want 60", r.Values, data.Seconds)
					}
					continue
				}
				taken++
				if data.Seconds < 60 || data.Seconds > 82 {
					t.Errorf("%v: %s has its lease after %v s, want 60 to 82", r.Values, data.Controller, data.Seconds)
				}
			case e.Kind == history.KindObject && e.Object.Kind == "TaskRun" && started >= 0 && acts < 0:
				acts = e.T - started
			}
		}
		if said := strings.Contains(chain(r), "lease of that one had run out"); said != (r.Outcome == "timeout") {
			t.Errorf("%v: %s, the cause names the lease: %t\n%s", r.Values, r.Outcome, said, chain(r))
		}
		if strings.HasPrefix(r.Values["what"], "killed") {
			if taken == 0 || held < taken {
				t.Errorf("%v: %d leases held, %d taken", r.Values, held, taken)
			}
			if acts < 60 || acts > 85 {
				t.Errorf("%v: the controller acts %v s after its start", r.Values, acts)
			}
			continue
		}
		// The task is under way for some 16 s more when the controller is back.
		if held != 0 || acts > 20 {
			t.Errorf("%v: %d leases held, the controller acts %v s after its start", r.Values, held, acts)
		}
	}
}

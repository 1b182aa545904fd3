package sim_test

import (
	"context"
	"path/filepath"
	"slices"
	"testing"

	"simctl.dev/simctl/sim"
	"simctl.dev/simctl/sim/impact"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/verdict"
)

// TestRemedies: a change that the rules of a cell's chain name mends it.
func TestRemedies(t *testing.T) {
	remedies := map[string]string{
		"claim-finalizer":       "no-claim-finalizers",
		"preempted-for-good":    "highest-priority",
		"v1beta1-node-selector": "no-node-selector",
	}
	files, err := scenario.LoadAll([]string{filepath.Join("testdata", "remedies")})
	if err != nil {
		t.Fatal(err)
	}
	cells, err := scenario.Expand(files, scenario.Options{})
	if err != nil {
		t.Fatal(err)
	}
	broken, err := run(t, context.Background(), cells, sim.Options{Parallel: 1})
	if err != nil {
		t.Fatal(err)
	}
	if len(broken) != len(remedies) {
		t.Fatalf("%d cells for %d remedies", len(broken), len(remedies))
	}
	var mended []scenario.Cell
	for i, r := range broken {
		if r.Judgement != verdict.AsExpected {
			t.Errorf("%s: %s (%s), expected %s\n%s", r.Scenario, r.Outcome, r.Error, r.Expected, chain(r))
		}
		all := impact.Fitting(impact.Candidates(cells[i].Spec, nil), cells[i], r.Cause)
		j := slices.IndexFunc(all, func(c impact.Candidate) bool { return c.Name == remedies[r.Scenario] })
		if j < 0 {
			t.Errorf("%s: %s is not tried\n%s", r.Scenario, remedies[r.Scenario], chain(r))
			continue
		}
		more, err := files[i].Cells(scenario.Options{Extra: []scenario.Axis{{Name: "remedy", Values: []scenario.Value{all[j].Value}}}})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range more {
			c.Expected = nil
			mended = append(mended, c)
		}
	}
	results, err := run(t, context.Background(), mended, sim.Options{Parallel: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if r.Outcome != verdict.Success {
			t.Errorf("%s with %s: %s (%s)\n%s", r.Scenario, remedies[r.Scenario], r.Outcome, r.Error, chain(r))
		}
	}
}

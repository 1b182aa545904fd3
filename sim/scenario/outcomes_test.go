package scenario_test

import (
	"slices"
	"testing"

	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/verdict"
)

// TestOutcomes holds the outcomes that can be expected against those that there
// are.
func TestOutcomes(t *testing.T) {
	var have []string
	for _, o := range verdict.Outcomes {
		have = append(have, string(o))
	}
	want := slices.Clone(scenario.Outcomes)
	slices.Sort(have)
	slices.Sort(want)
	if !slices.Equal(have, want) {
		t.Errorf("there are %q, a scenario may expect %q", have, want)
	}
}

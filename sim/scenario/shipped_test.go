package scenario_test

import (
	"testing"

	"simctl.dev/simctl/sim/scenario"
)

// TestShipped loads the scenarios that simctl ships.
func TestShipped(t *testing.T) {
	files, err := scenario.LoadAll([]string{"../../scenarios"})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		cells, err := f.Cells(scenario.Options{})
		if err != nil {
			t.Error(err)
		}
		ids := map[string]bool{}
		for _, c := range cells {
			if c.Expected == nil {
				t.Errorf("%s: nothing is expected of it", c.ID())
			}
			if ids[c.ID()] {
				t.Errorf("%s is the id of two cells", c.ID())
			}
			ids[c.ID()] = true
		}
		t.Logf("%s: %d cells, the last one %s", f.Path, len(cells), cells[len(cells)-1].ID())
	}
}

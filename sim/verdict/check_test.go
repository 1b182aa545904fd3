package verdict

import (
	"testing"

	"simctl.dev/simctl/sim/history"
)

// TestHistoriesAreSound holds the histories that are judged here to what holds of every
// history. Some were recorded when what came of clearing a cell away was still written
// to its history: the verdict must pass it over.
func TestHistoriesAreSound(t *testing.T) {
	for _, file := range histories(t) {
		for _, v := range history.Check(readFile(t, file)) {
			if v.Invariant != "cell/over" {
				t.Errorf("%s: %s", file, v)
			}
		}
	}
}

package play

import (
	"testing"

	"simctl.dev/simctl/sim/scenario"
)

// TestPodGoesFirst: the order that is asked for comes, and the seed gives both.
func TestPodGoesFirst(t *testing.T) {
	stale := 0
	for seed := range int64(300) {
		if podGoesFirst(scenario.OverlapFresh, seed, "default/build") || !podGoesFirst(scenario.OverlapStale, seed, "default/build") {
			t.Fatal("the order is not that which is asked for")
		}
		first := podGoesFirst(scenario.OverlapSeed, seed, "default/build")
		if first != podGoesFirst("", seed, "default/build") {
			t.Fatal("the default is not the seed's order")
		}
		if first {
			stale++
		}
	}
	if stale < 150 || stale > 250 {
		t.Errorf("of 300 seeds %d have the pod go first, want about 200", stale)
	}
}

package reports

import (
	"strings"
	"testing"

	"simctl.dev/simctl/sim/verdict"
)

// TestCausesAreJoined: causes that differ in nothing but the names of pods, what
// controllers append to names, or the time of the day are one.
func TestCausesAreJoined(t *testing.T) {
	chain := func(pod, holder, evidence string) []verdict.Link {
		return []verdict.Link{
			{Rule: "volume/multi-attach", What: "Pod ns/" + pod + " of task x waits", Object: "Pod ns/" + pod,
				Evidence: "Volume is already used by pod(s) " + holder},
			{Rule: "volume/held", What: "the volume is held", Object: "PersistentVolume pv", Evidence: evidence},
		}
	}
	for _, tt := range []struct {
		name string
		a, b []verdict.Link
		one  bool
		also string
	}{
		{"the same", chain("r-build-pod", "r-fetch-pod", "x"), chain("r-build-pod", "r-fetch-pod", "x"), true, ""},
		{"generated names", chain("r-7jgh5-build-pod", "r-7jgh5-fetch-pod", "x"), chain("r-znm4v-build-pod", "r-znm4v-fetch-pod", "x"), true, ""},
		{"another pod", chain("r-build-pod", "r-fetch-pod", "x"), chain("r-push-pod", "r-fetch-pod", "x"), true, "in other cells Pod ns/r-push-pod"},
		{"another holder", chain("r-build-pod", "r-fetch-pod", "x"), chain("r-build-pod", "r-test-pod", "x"), true, ""},
		{"a pod of one word", chain("build", "r-fetch-pod", "x"), chain("push", "r-fetch-pod", "x"), true, "in other cells Pod ns/push"},
		{"by itself or by another", chain("r-build-pod", "r-build-pod", "x"), chain("r-build-pod", "r-fetch-pod", "x"), false, ""},
		{"a time", chain("p-1", "p-2", "deleted at 2026-11-28T04:40:12Z"), chain("p-1", "p-2", "deleted at 2026-11-28T04:41:28Z"), true, ""},
		{"another node", chain("p-1", "p-2", "spec.nodeName: worker-0"), chain("p-1", "p-2", "spec.nodeName: worker-1"), false, ""},
		{"other words", chain("p-1", "p-2", "no pod runs"), chain("p-1", "p-2", "no pod waits"), false, ""},
		{"another object", chain("p-1", "p-2", "x"), append(chain("p-1", "p-2", "x")[:1], verdict.Link{Rule: "volume/held", Object: "PersistentVolume other", Evidence: "x"}), false, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cells := []verdict.Cell{
				{Scenario: "s", Finding: verdict.Finding{Outcome: verdict.Deadlock, Cause: tt.a}},
				{Scenario: "s", Repeat: 1, Finding: verdict.Finding{Outcome: verdict.Deadlock, Cause: tt.b}},
			}
			all, _ := causes(cells)
			if one := len(all) == 1; one != tt.one {
				t.Fatalf("%d causes, one is %t", len(all), tt.one)
			}
			got := all[0].render(layout(cells), cells, 120, style{})
			if strings.Contains(got, "in other cells") != (tt.also != "") || !strings.Contains(got, tt.also) {
				t.Errorf("want %q in\n%s", tt.also, got)
			}
		})
	}
}

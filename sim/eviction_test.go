package sim_test

import (
	"context"
	"path/filepath"
	"slices"
	"testing"

	"simctl.dev/simctl/sim"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/kube"
	"simctl.dev/simctl/sim/verdict"
)

// TestEviction has a NoExecute taint come to the node of a running pod and go
// again: upstream's controller evicts what does not tolerate it, when the pod's
// tolerationSeconds are over in virtual time, and Tekton makes a new pod.
func TestEviction(t *testing.T) {
	out := t.TempDir()
	results, err := run(t, context.Background(), load(t, "eviction/noexecute.yaml"), sim.Options{Parallel: 1, OutDir: out})
	if err != nil {
		t.Fatal(err)
	}
	// When, in seconds, pods were condemned. The taint comes at 300 s and what a
	// pod does for a minute begins anew with every pod.
	want := map[string][]float64{
		"none":         {303},
		"for-a-minute": {363, 425},
		"for-an-hour":  nil,
		"for-ever":     nil,
	}
	if len(results) != len(want) {
		t.Fatalf("%d results", len(results))
	}
	for _, r := range results {
		what := r.Values["tolerations"]
		if r.Outcome != verdict.Success {
			t.Errorf("%s: %s %s\n%s", what, r.Outcome, r.Error, chain(r))
		}
		var got []float64
		for _, e := range readHistory(t, filepath.Join(out, r.History)) {
			if e.Actor == kube.NodeController && e.Kind == history.KindObject && e.Object.Kind == "Pod" && (len(got) == 0 || got[len(got)-1] != e.T) {
				got = append(got, e.T)
			}
		}
		if !slices.Equal(got, want[what]) {
			t.Errorf("%s: pods were evicted at %v, want %v", what, got, want[what])
		}
	}
}

package sim_test

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"simctl.dev/simctl/sim"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/kube"
	"simctl.dev/simctl/sim/verdict"
)

// TestEviction has a NoExecute taint come to the node of a running pod and go
// again: upstream's controller evicts what does not tolerate it, when the pod's
// tolerationSeconds are over in virtual time. The evicted pod is Failed before it goes,
// so that Tekton fails the task.
func TestEviction(t *testing.T) {
	out := t.TempDir()
	results, err := run(t, context.Background(), load(t, "eviction/noexecute.yaml"), sim.Options{Parallel: 1, OutDir: out})
	if err != nil {
		t.Fatal(err)
	}
	// When, in seconds, pods were condemned.
	want := map[string][]float64{
		"none":         {303},
		"for-a-minute": {363},
		"for-an-hour":  nil,
		"for-ever":     nil,
	}
	if len(results) != len(want) {
		t.Fatalf("%d results", len(results))
	}
	for _, r := range results {
		what := r.Values["tolerations"]
		if r.Judgement != verdict.AsExpected {
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

// TestLostNode takes the node of a running pod away. Upstream's pod garbage
// collector finds the pod 40 s after its next look, which it takes every 20 s, and
// upstream's attach/detach controller takes the volume away by force six minutes
// after that.
func TestLostNode(t *testing.T) {
	out := t.TempDir()
	results, err := run(t, context.Background(), load(t, "eviction/lost-node.yaml"), sim.Options{Parallel: 1, OutDir: out})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if r.Judgement != verdict.AsExpected {
			t.Errorf("%s: %s %s\n%s", r.Values["retries"], r.Outcome, r.Error, chain(r))
			continue
		}
		if last := r.Cause[len(r.Cause)-1]; last.Object != "Node "+r.Interventions[0].Node || !strings.Contains(last.Evidence, "deleted by user") {
			t.Errorf("%s: the chain does not end at who took the node away:\n%s", r.Values["retries"], chain(r))
		}
		var collected, detached float64
		for _, e := range readHistory(t, filepath.Join(out, r.History)) {
			switch {
			case e.Actor == kube.PodGC && e.Kind == history.KindObject && collected == 0:
				collected = e.T
			case e.Fact == history.FactDetached && detached == 0:
				detached = e.T
			}
		}
		removed := r.Interventions[0].T
		if wait := collected - removed; wait < 40 || wait > 60 {
			t.Errorf("%s: the pod was found %v s after its node went", r.Values["retries"], wait)
		}
		if wait := detached - collected; r.Values["retries"] == "one" && (wait < 360 || wait > 370) {
			t.Errorf("the volume was detached %v s after its pod went", wait)
		}
	}
}

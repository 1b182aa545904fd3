package sim_test

import (
	"context"
	"math"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"simctl.dev/simctl/sim"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/verdict"
)

// TestDrain drains the node of a task that runs. The API server honours a
// PodDisruptionBudget, whose pod is asked for every five seconds until it has ended;
// a pod without a controller keeps the drain from evicting anything.
func TestDrain(t *testing.T) {
	out := t.TempDir()
	results, err := run(t, context.Background(), load(t, "eviction/drain.yaml"), sim.Options{Parallel: 1, OutDir: out})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		what := r.Values["what"]
		if r.Judgement != verdict.AsExpected {
			t.Errorf("%s: %s (%s)\n%s", what, r.Outcome, r.Error, chain(r))
			continue
		}
		drain := r.Interventions[0]
		kept := what == "kept-by-an-unmanaged-pod"
		if want := "cannot delete Pods that declare no controller (use --force to override): default/lonely-"; strings.Contains(drain.Failure, want) != kept {
			t.Errorf("%s: the drain says %q", what, drain.Failure)
		}
		var cordoned, lonely bool
		var refused []float64
		var evicted, ended, last float64
		for _, e := range readHistory(t, filepath.Join(out, r.History)) {
			task := strings.HasSuffix(e.Object.Name, "-produce-pod")
			switch {
			case e.Kind == history.KindObject && e.Object.Kind == "Node" && strings.Contains(string(e.Patch), `"unschedulable":true`):
				cordoned = true
			case e.Kind == history.KindRefused && e.Code == http.StatusTooManyRequests && task:
				refused = append(refused, e.T)
				if !strings.Contains(e.Message, "disruption budget") {
					t.Errorf("%s: the eviction is refused with %q", what, e.Message)
				}
			case e.Kind == history.KindObject && task && e.Actor == "user" && e.Verb == history.VerbDelete:
				evicted = e.T
			case e.Kind == history.KindObject && task && strings.Contains(string(e.Patch), `"phase":"Succeeded"`):
				ended = e.T
			case e.Kind == history.KindObject && strings.HasPrefix(e.Object.Name, "lonely-") && e.Actor == "user" && strings.Contains(string(e.Patch), "deletionTimestamp"):
				lonely = strings.Contains(string(e.Patch), `"EvictionByEvictionAPI"`)
			}
		}
		if !cordoned {
			t.Errorf("%s: the node is not cordoned", what)
		}
		if lonely != (what == "by-force") {
			t.Errorf("%s: the pod without a controller was evicted: %t", what, lonely)
		}
		if kept {
			if len(refused) > 0 || evicted > 0 {
				t.Errorf("%s: evictions were asked for: refused at %v, granted at %v", what, refused, evicted)
			}
			continue
		}
		for i, at := range refused {
			if i > 0 && math.Abs(at-last-5) > 1e-6 {
				t.Errorf("%s: asked again after %v s, want 5", what, at-last)
			}
			last = at
		}
		if len(refused) < 10 || evicted < ended || evicted-ended > 5 || math.Abs(evicted-last-5) > 1e-6 {
			t.Errorf("%s: refused %d times until %v, the pod ended at %v and was evicted at %v", what, len(refused), last, ended, evicted)
		}
	}
}

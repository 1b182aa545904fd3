package sim_test

import (
	"context"
	"encoding/json"
	"path/filepath"
	"slices"
	"testing"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"

	"simctl.dev/simctl/sim"
	"simctl.dev/simctl/sim/clock"
	"simctl.dev/simctl/sim/verdict"
	"simctl.dev/simctl/sim/wellknown"
)

// TestSilentNodes holds what the node lifecycle controller does about nodes of which nothing
// is heard, and what the verdict says of it.
func TestSilentNodes(t *testing.T) {
	klog.SetLogger(logr.Discard())
	cells := load(t, "faults/node-silent.yaml")
	out := t.TempDir()
	results, err := run(t, context.Background(), cells, sim.Options{Parallel: 1, OutDir: out})
	if err != nil {
		t.Fatal(err)
	}
	const root = "fault/node-silent"
	epoch := metav1.NewTime(clock.Epoch)
	want := map[string]struct {
		notReady, tainted int    // nodes
		root              string // the rule of the chain's end
	}{
		"short":                     {0, 0, ""},
		"network-2m":                {1, 1, ""},
		"kubelet-over-the-end":      {1, 1, ""},
		"kubelet-before-the-start":  {1, 1, ""},
		"machine-before-the-start":  {1, 1, ""},
		"network-8m":                {1, 1, root},
		"booted":                    {1, 1, root},
		"for-ever":                  {1, 1, root},
		"for-ever-before-the-start": {1, 1, root},
		"out-of-service":            {1, 1, root},
		"flaps":                     {0, 0, ""},
		"flaps-past-the-grace":      {1, 1, ""},
		"two-nodes":                 {2, 2, ""},
		"all-nodes":                 {4, 1, ""}, // the first is found before the others are
	}
	for _, r := range results {
		name := r.Values["silence"]
		notReady, tainted := map[string]float64{}, map[string]float64{}
		for _, e := range readHistory(t, filepath.Join(out, r.History)) {
			if e.Object.Kind != "Node" || e.Actor != wellknown.NodeController || e.Patch == nil {
				continue
			}
			var n corev1.Node
			if err := json.Unmarshal(e.Patch, &n); err != nil {
				t.Fatal(err)
			}
			for _, c := range n.Status.Conditions {
				if c.Type == corev1.NodeReady && c.Status == corev1.ConditionUnknown && notReady[e.Object.Name] == 0 {
					notReady[e.Object.Name] = e.T
				}
			}
			for _, c := range n.Spec.Taints {
				if c.Key == corev1.TaintNodeUnreachable && c.Effect == corev1.TaintEffectNoExecute && tainted[e.Object.Name] == 0 {
					tainted[e.Object.Name] = e.T
				}
				if c.TimeAdded != nil && c.TimeAdded.Before(&epoch) {
					t.Errorf("%s: %s was tainted at the host's time: %s", name, e.Object.Name, c.TimeAdded)
				}
			}
		}
		w := want[name]
		if len(notReady) != w.notReady || len(tainted) != w.tainted {
			t.Errorf("%s: not ready: %v, tainted: %v; want %d and %d nodes", name, notReady, tainted, w.notReady, w.tainted)
		}
		if r.Judgement != verdict.AsExpected {
			t.Errorf("%s: %s (%s), expected %s\n%s", name, r.Outcome, r.Error, r.Expected, chain(r))
		}
		got := ""
		if n := len(r.Cause); n > 0 {
			got = r.Cause[n-1].Rule
		}
		if got != w.root {
			t.Errorf("%s: the chain ends with %q, want %q\n%s", name, got, w.root, chain(r))
		}
		if name == "flaps-past-the-grace" {
			taints := unreachable(t, readHistory(t, filepath.Join(out, r.History)))
			if len(taints) != 3 || slices.ContainsFunc(taints, func(s spell) bool { return s.until < 0 }) {
				t.Errorf("%s: the taint was there %v, want thrice, and gone again each time", name, taints)
			}
		}
		if name == "two-nodes" {
			var at []float64
			for _, v := range tainted {
				at = append(at, v)
			}
			slices.Sort(at)
			// --node-eviction-rate of kube-controller-manager is 0.1 a second.
			if len(at) == 2 && at[1]-at[0] != 10 {
				t.Errorf("the second node was tainted %g s after the first, want 10", at[1]-at[0])
			}
		}
	}
}

// TestRegistries holds what becomes of runs whose images do not come, and what the verdict
// says of it.
func TestRegistries(t *testing.T) {
	play(t, "faults/registry.yaml", "outage", map[string]string{"ten-minutes": "fault/registry", "entrypoint": "fault/registry"})
}

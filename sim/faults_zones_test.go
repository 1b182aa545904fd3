package sim_test

import (
	"cmp"
	"math"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"simctl.dev/simctl/sim/history"
)

// spell is a time in which a node has a taint; until is -1 if it keeps it.
type spell struct {
	node        string
	from, until float64
}

// unreachable are the times in which nodes have the taint of which pods are evicted, in their
// order.
func unreachable(t *testing.T, entries []history.Entry) []spell {
	t.Helper()
	var out []spell
	last := map[string]int{}
	state := history.NewState()
	for _, e := range entries {
		if err := state.Apply(e); err != nil {
			t.Fatal(err)
		}
		if e.Object.Kind != "Node" {
			continue
		}
		var n corev1.Node
		if o := state.Live("Node", "", e.Object.Name); o == nil {
			continue
		} else if err := o.Decode(&n); err != nil {
			t.Fatal(err)
		}
		has := slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool {
			return t.Key == corev1.TaintNodeUnreachable && t.Effect == corev1.TaintEffectNoExecute
		})
		i, had := last[n.Name]
		switch had = had && out[i].until < 0; {
		case has && !had:
			last[n.Name] = len(out)
			out = append(out, spell{n.Name, e.T, -1})
		case had && !has:
			out[i].until = e.T
		}
	}
	slices.SortStableFunc(out, func(a, b spell) int { return cmp.Compare(a.from, b.from) })
	return out
}

// TestSilentZones holds what the node lifecycle controller does about large outages, by the
// rates that kube-controller-manager has by itself.
func TestSilentZones(t *testing.T) {
	all := play(t, "faults/zone-silent.yaml", "zone", map[string]string{
		"lost": "fault/zone-silent", "half": "", "most": "", "most-of-many": "", "all": "",
	})
	for name, want := range map[string]struct {
		least, most int // nodes that are tainted
		// apart is how long it takes from one to the next, by the rate.
		apart float64
	}{
		"lost": {6, 6, 10},
		"half": {3, 3, 10},
		// Whose turn it is before three of them are found.
		"most":         {0, 2, 10},
		"most-of-many": {4, 6, 100},
		// One of each zone, before the others are found.
		"all": {0, 2, 0},
	} {
		taints := unreachable(t, all[name])
		if n := len(taints); n < want.least || n > want.most {
			t.Errorf("%s: %d nodes are tainted, want %d to %d: %v", name, n, want.least, want.most, taints)
		}
		for i := 1; i < len(taints); i++ {
			// The first are tainted before the outage is a large one.
			if d := taints[i].from - taints[i-1].from; math.Abs(d-want.apart) > 0.2 && (name != "most-of-many" || i != 1) {
				t.Errorf("%s: %s is tainted %g s after %s, want %g", name, taints[i].node, d, taints[i-1].node, want.apart)
			}
		}
		for _, s := range taints {
			if s.until < 0 && name != "lost" { // It ends with its pod.
				t.Errorf("%s: %s keeps its taint", name, s.node)
			}
		}
		if name == "all" && len(taints) > 0 && taints[0].until > 200 {
			t.Errorf("%s: %s keeps its taint until %g s, while nothing is heard of anybody", name, taints[0].node, taints[0].until)
		}
		silent := factAt(all[name], history.FactNodeSilent, "")
		if len(taints) > 0 && (taints[0].from-silent < 40 || taints[0].from-silent > 56) {
			t.Errorf("%s: silent at %g s, the first is tainted at %g s", name, silent, taints[0].from)
		}
	}
}

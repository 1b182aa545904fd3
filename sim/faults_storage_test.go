package sim_test

import (
	"encoding/json"
	"slices"
	"testing"

	"simctl.dev/simctl/sim/history"
)

// TestStorageFaults holds what becomes of runs whose CSI driver fails at an operation or is
// slow at it, when what failed is done at last, and what the verdict says of it.
func TestStorageFaults(t *testing.T) {
	want := map[string]struct {
		attached []float64 // when the driver had attached the volume
		failed   []string  // the operations that failed
		met      int       // claims
		root     string
	}{
		"none":                  {attached: []float64{13}},
		"provision-1m":          {attached: []float64{79}, failed: []string{"provision"}, met: 1},
		"provision-for-ever":    {failed: []string{"provision"}, met: 1, root: "fault/storage"},
		"attach-1m":             {attached: []float64{74}, failed: []string{"attach"}, met: 1},
		"attach-for-ever":       {failed: []string{"attach"}, met: 1, root: "fault/storage"},
		"attach-hangs-1m":       {attached: []float64{71}, failed: []string{"attach"}, met: 1},
		"attach-slow":           {attached: []float64{53}, failed: []string{"attach"}, met: 1},
		"mount-1m":              {attached: []float64{13}, failed: []string{"mount"}, met: 1},
		"mount-for-ever":        {attached: []float64{13}, failed: []string{"mount"}, met: 1, root: "fault/storage"},
		"mount-slow":            {attached: []float64{13}, met: 1},
		"detach-for-ever":       {attached: []float64{13}},
		"moved-detach-3m":       {attached: []float64{13, 350.596}, failed: []string{"detach", "attach"}, met: 1, root: "config/no-assistant"},
		"moved-detach-for-ever": {attached: []float64{13}, failed: []string{"detach", "attach"}, met: 1, root: "fault/storage"},
	}
	roots := map[string]string{}
	for name, w := range want {
		roots[name] = w.root
	}
	for name, entries := range play(t, "faults/storage.yaml", "fault", roots) {
		w := want[name]
		var attached []float64
		var failed []string
		met := 0
		for _, e := range entries {
			switch e.Fact {
			case history.FactAttached:
				attached = append(attached, e.T)
			case history.FactVolumeFailed:
				var f history.VolumeFailed
				if err := json.Unmarshal(e.Data, &f); err != nil {
					t.Fatal(err)
				}
				failed = append(failed, f.Operation)
			case history.FactFaultMet:
				var f history.FaultMet
				if err := json.Unmarshal(e.Data, &f); err != nil {
					t.Fatal(err)
				}
				met += f.Count
			}
		}
		if !slices.Equal(attached, w.attached) {
			t.Errorf("%s: attached at %v, want %v", name, attached, w.attached)
		}
		if !slices.Equal(failed, w.failed) {
			t.Errorf("%s: %v failed, want %v", name, failed, w.failed)
		}
		if met != w.met {
			t.Errorf("%s: %d claims were met, want %d", name, met, w.met)
		}
	}
}

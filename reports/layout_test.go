package reports

import (
	"slices"
	"testing"

	"simctl.dev/simctl/sim/verdict"
)

func TestDescribe(t *testing.T) {
	// Three axes; claim=template exists with mode RWO alone.
	var cells []verdict.Cell
	for _, mode := range []string{"RWO", "RWX", "ROX"} {
		for _, taints := range []string{"none", "gpu"} {
			for _, claim := range []string{"existing", "template"} {
				if claim == "template" && mode != "RWO" {
					continue
				}
				cells = append(cells, verdict.Cell{Scenario: "s", Axes: []string{"mode", "taints", "claim"},
					Values: map[string]string{"mode": mode, "taints": taints, "claim": claim, "tekton": "1.3.1"}})
			}
		}
	}
	g := layout(cells)[0]
	pick := func(f func(map[string]string) bool) []verdict.Cell {
		var out []verdict.Cell
		for _, c := range cells {
			if f(c.Values) {
				out = append(out, c)
			}
		}
		return out
	}
	for _, c := range []struct {
		name string
		set  func(map[string]string) bool
		want []string
	}{
		{"all", func(map[string]string) bool { return true }, []string{"all"}},
		{"one value", func(v map[string]string) bool { return v["taints"] == "gpu" }, []string{"taints=gpu"}},
		{"two values", func(v map[string]string) bool { return v["mode"] != "RWO" && v["taints"] == "gpu" }, []string{"mode=RWX|ROX, taints=gpu"}},
		{"an axis that goes with another", func(v map[string]string) bool { return v["claim"] == "template" }, []string{"claim=template"}},
		{"one cell", func(v map[string]string) bool {
			return v["mode"] == "RWO" && v["taints"] == "gpu" && v["claim"] == "existing"
		}, []string{"mode=RWO, taints=gpu, claim=existing"}},
		{"two lines", func(v map[string]string) bool {
			return v["mode"] == "ROX" && v["taints"] == "gpu" || v["mode"] == "RWX" && v["taints"] == "none"
		}, []string{"mode=RWX, taints=none", "mode=ROX, taints=gpu"}},
	} {
		set := pick(c.set)
		got := g.describe(set)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// Chains differ by what they say, not by the names Kubernetes made up.
func TestCauses(t *testing.T) {
	cell := func(object, evidence string) verdict.Cell {
		return verdict.Cell{Scenario: "s", Finding: verdict.Finding{Outcome: verdict.Failed,
			Cause: []verdict.Link{{What: "It failed.", Object: object, Evidence: evidence}}}}
	}
	cells := []verdict.Cell{
		cell("Pod ns/run-x7k2l-pod", "exit code 1"),
		cell("Pod ns/run-bbbbb-pod", "exit code 1"),
		cell("Pod ns/run-bbbbb-pod", "exit code 2"),
		cell("StatefulSet ns/affinity-assistant-607af64060", "volume pvc-0b6f9b0e-3d5e-4d86-8f4a-7b1c2d3e4f50"),
		cell("StatefulSet ns/affinity-assistant-07bc64061f", "volume pvc-1c6f9b0e-3d5e-4d86-8f4a-7b1c2d3e4f51"),
		{Scenario: "s", Finding: verdict.Finding{Outcome: verdict.Success}},
		{Scenario: "s", Finding: verdict.Finding{Outcome: verdict.Success}, Expected: "deadlock", Judgement: verdict.NotAsExpected},
	}
	chains, numbers := causes(cells)
	// The one that deviates comes first.
	want := map[int]int{0: 2, 1: 2, 2: 3, 3: 4, 4: 4, 6: 1}
	if len(chains) != 4 || len(numbers) != len(want) {
		t.Errorf("%d chains, numbers %v", len(chains), numbers)
	}
	for i, n := range want {
		if numbers[i] != n {
			t.Errorf("cell %d has cause %d, want %d", i, numbers[i], n)
		}
	}
}

// TestExtraAxis has cells that an upgrade review played with an axis more.
func TestExtraAxis(t *testing.T) {
	cells := []verdict.Cell{
		{Scenario: "s", Axes: []string{"tekton"}, Values: map[string]string{"tekton": "1.3.1"}, Finding: verdict.Finding{Outcome: verdict.Deadlock}},
		{Scenario: "s", Axes: []string{"tekton", "remedy"}, Values: map[string]string{"tekton": "1.3.1", "remedy": "rwx"}, Finding: verdict.Finding{Outcome: verdict.Success}},
		{Scenario: "s", Axes: []string{"tekton", "remedy"}, Values: map[string]string{"tekton": "1.3.1", "remedy": "none"}, Finding: verdict.Finding{Outcome: verdict.Deadlock}},
	}
	g := layout(cells)[0]
	if len(g.combos) != 3 || !slices.Equal(g.values["remedy"], []string{noValue, "rwx", "none"}) {
		t.Errorf("%d combinations, remedies %q", len(g.combos), g.values["remedy"])
	}
	if got := g.describe(cells[:1]); !slices.Equal(got, []string{"remedy=-"}) {
		t.Errorf("the cell without the axis is described as %q", got)
	}
	if _, has := cells[0].Values["remedy"]; has {
		t.Error("the result itself was changed")
	}
}

package scenario_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"simctl.dev/simctl/sim/scenario"
)

// TestShipped loads the scenarios that simctl ships.
func TestShipped(t *testing.T) {
	files, err := scenario.LoadAll([]string{"../../scenarios/..."})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		cells, err := f.Cells(scenario.Options{})
		if err != nil {
			t.Error(err)
		}
		ids := map[string]bool{}
		for _, c := range cells {
			if c.Expected == nil {
				t.Errorf("%s: nothing is expected of it", c.ID())
			}
			if ids[c.ID()] {
				t.Errorf("%s is the id of two cells", c.ID())
			}
			ids[c.ID()] = true
		}
		t.Logf("%s: %d cells, the last one %s", f.Path, len(cells), cells[len(cells)-1].ID())
	}
}

// TestIncidents holds the corpus against the page that lists it, and each file
// against what a header has to say.
func TestIncidents(t *testing.T) {
	page, err := os.ReadFile("../../docs/incidents.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := scenario.LoadAll([]string{"../../scenarios/incidents"})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		name := f.Scenario.Metadata.Name
		if !strings.HasSuffix(f.Path, "/"+name+".yaml") {
			t.Errorf("%s: the scenario is named %s", f.Path, name)
		}
		if !strings.Contains(string(page), "scenarios/incidents/"+name+".yaml") {
			t.Errorf("docs/incidents.md does not list %s", name)
		}
		content, err := os.ReadFile(f.Path)
		if err != nil {
			t.Fatal(err)
		}
		header, _, _ := strings.Cut(string(content), "\napiVersion:")
		for _, want := range []string{"https://github.com/", "Symptom", "appens", "oes not"} {
			if !strings.Contains(header, want) {
				t.Errorf("%s: the header has no %q", f.Path, want)
			}
		}
	}
	if n := strings.Count(string(page), "](../scenarios/incidents/"); n != len(files) {
		t.Errorf("docs/incidents.md lists %d incidents, the folder has %d", n, len(files))
	}
}

// TestStockSCCs holds the SCCs that a grant may name against those that a
// cluster is given.
func TestStockSCCs(t *testing.T) {
	content, err := os.ReadFile("../openshift/manifests/sccs.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var have []string
	for doc := range strings.SplitSeq(string(content), "\n---") {
		var scc struct {
			Metadata struct{ Name string }
		}
		if err := yaml.Unmarshal([]byte(doc), &scc); err != nil {
			t.Fatal(err)
		}
		if scc.Metadata.Name != "" {
			have = append(have, scc.Metadata.Name)
		}
	}
	want := slices.Clone(scenario.StockSCCs)
	slices.Sort(have)
	slices.Sort(want)
	if !slices.Equal(have, want) {
		t.Errorf("a cluster has %q, a scenario may grant %q", have, want)
	}
}

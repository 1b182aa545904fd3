package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"simctl.dev/simctl/docs"
	"simctl.dev/simctl/sim/scenario"
)

func TestFaults(t *testing.T) {
	pipelines, err := filepath.Abs("../../../../scenarios/pipelines")
	if err != nil {
		t.Fatal(err)
	}
	place(t)
	e := &fakeEngine{}
	all := simctl(t, e, "faults")
	all.want(t, StatusOK)
	names := simctl(t, e, "faults", "-o", "name")
	names.want(t, StatusOK)
	page := simctl(t, e, "faults", "-o", "md")
	page.want(t, StatusOK)
	if page.stdout != docs.Faults {
		t.Error("the page is not docs/faults.md")
	}
	listed := simctl(t, e, "faults", "-o", "json")
	listed.want(t, StatusOK)
	var list faultList
	if err := json.Unmarshal([]byte(listed.stdout), &list); err != nil || list.Kind != "FaultList" || len(list.Items) != len(scenario.Faults()) {
		t.Errorf("%v: %s of %d", err, list.Kind, len(list.Items))
	}
	for _, f := range scenario.Faults() {
		if !strings.Contains(all.stdout, f.Name) || !strings.Contains("\n"+names.stdout, "\n"+f.Name+"\n") {
			t.Errorf("%s is not listed", f.Name)
		}
		one := simctl(t, e, "faults", f.Name)
		one.want(t, StatusOK)
		if !strings.HasPrefix(one.stdout, f.Name+"\n") {
			t.Errorf("not the section of %s:\n%s", f.Name, one.stdout)
		}
		// To be copied as it stands.
		for line := range strings.Lines(f.Example) {
			if !strings.Contains(one.stdout, line) {
				t.Errorf("the example of %s is without %q", f.Name, line)
			}
		}
	}
	silent := simctl(t, e, "faults", "nodeSilent", "node-dead", "-o", "name")
	silent.want(t, StatusOK)
	if n := strings.Count(silent.stdout, "node-dead\n"); n != 1 || !strings.Contains(silent.stdout, "kubelet-dead\n") {
		t.Errorf("the faults of nodeSilent, and one of them again:\n%s", silent.stdout)
	}
	simctl(t, e, "faults", "node-ded").want(t, StatusError, `no fault is called "node-ded"; did you mean "node-dead"?`)
	simctl(t, e, "faults", "-o", "html").want(t, StatusError, `unknown format "html": valid are table, json, markdown, name, scenario or jsonpath=TEMPLATE`)
	phased := simctl(t, e, "faults", "-o", "scenario")
	phased.want(t, StatusOK)
	file := filepath.Join(t.TempDir(), "faults.yaml")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(phased.stdout, "pipelines/", pipelines+"/")), 0o600); err != nil {
		t.Fatal(err)
	}
	loaded, err := scenario.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if cells, err := loaded.Cells(scenario.Options{}); err != nil || len(cells) != 2*len(scenario.Phases)*len(scenario.Faults()) {
		t.Errorf("%d cells: %v", len(cells), err)
	}
	simctl(t, e, "faults", "--played", "nobody").want(t, StatusError, "see simctl runs")
	first := simctl(t, e, "faults", "-o", "jsonpath={.items[0].name}")
	first.want(t, StatusOK)
	if first.stdout != scenario.Faults()[0].Name {
		t.Errorf("by a template: %q", first.stdout)
	}
}

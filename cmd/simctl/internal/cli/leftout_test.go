package cli

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"simctl.dev/simctl/sim/impact"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/verdict"
)

// TestReleaseAxis has the releases on an axis of another name than the one that
// tells them everywhere: the path takes its place all the same.
func TestReleaseAxis(t *testing.T) {
	place(t)
	const file = `apiVersion: simctl.dev/v1alpha1
kind: Scenario
metadata: {name: releases}
cluster:
  nodePools: [{name: worker, count: 2}]
  storageClasses: [{name: block, default: true}]
workload: {manifests: [scenarios/manifests]}
axes:
  - name: release
    values: [{name: old, version: 1.3.1}, {name: new, version: 1.15.0}]
`
	if err := os.WriteFile("releases.yaml", []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	e := &fakeEngine{outcome: func(c scenario.Cell) verdict.Cell {
		r := success(c)
		r.Timing.Tasks = []verdict.TaskTiming{{Task: "greet", Start: 1}}
		if c.Spec.Tekton.Version == "1.3.1" {
			return deadlock(c)
		}
		return r
	}}
	o := simctl(t, e, "upgrade", "--direct", "--from", "0.68.1", "--to", "1.3.1", "--mid-run", "-o", "json", "releases.yaml")
	o.want(t, StatusDeviates)
	var r impact.Review
	if err := json.Unmarshal([]byte(o.stdout), &r); err != nil {
		t.Fatal(err)
	}
	s := r.Steps[0]
	if len(r.LeftOut) > 0 {
		t.Errorf("left out, though the path is in its place: %+v", r.LeftOut)
	}
	if len(s.Missing) > 0 || len(s.Changes) != 1 || len(s.Changes[0].Axes) != 0 || len(s.Changes[0].Remedies) == 0 {
		t.Errorf("%+v", s)
	}
	if len(s.MidRun) != 1 || len(s.MidRun[0].Axes) != 0 {
		t.Errorf("in the middle of the run: %+v", s.MidRun)
	}
}

// TestLeftOut has a value that only chooses a release beside one that does more:
// it is not played, said, and its release tried as a remedy.
func TestLeftOut(t *testing.T) {
	place(t)
	const file = `apiVersion: simctl.dev/v1alpha1
kind: Scenario
metadata: {name: pinned}
cluster:
  nodePools: [{name: worker, count: 2}]
  storageClasses: [{name: block, default: true}]
tekton: {version: 1.3.1}
workload: {manifests: [scenarios/manifests]}
axes:
  - name: change
    values: [{name: none}, {name: newer, version: 1.6.1}, {name: older, version: 0.62.0}]
`
	if err := os.WriteFile("pinned.yaml", []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	o := simctl(t, held(), "upgrade", "--direct", "--from", "0.68.1", "--to", "1.3.1", "-o", "json", "pinned.yaml")
	o.want(t, StatusDeviates)
	var r impact.Review
	if err := json.Unmarshal([]byte(o.stdout), &r); err != nil {
		t.Fatal(err)
	}
	want := []impact.LeftOut{
		{Scenario: "pinned", Axis: "change", Value: "newer", Version: "1.6.1"},
		{Scenario: "pinned", Axis: "change", Value: "older", Version: "0.62.0"},
	}
	if !slices.Equal(r.LeftOut, want) {
		t.Errorf("left out %+v, want %+v", r.LeftOut, want)
	}
	if len(r.Steps[0].Changes) != 1 {
		t.Fatalf("changes %+v", r.Steps[0].Changes)
	}
	var tried []string
	for _, m := range r.Steps[0].Changes[0].Remedies {
		if m.Cost == impact.CostRelease {
			tried = append(tried, m.Name)
		}
	}
	if !slices.Equal(tried, []string{"tekton-1.6.1", "tekton-1.15.0"}) {
		t.Errorf("releases tried: %q", tried)
	}
	text := simctl(t, held(), "upgrade", "--direct", "--from", "0.68.1", "--to", "1.3.1", "--no-remedies", "pinned.yaml")
	if !strings.Contains(text.stdout, "left out: pinned change=newer, which only chooses release 1.6.1") {
		t.Errorf("output %s", text.stdout)
	}
}

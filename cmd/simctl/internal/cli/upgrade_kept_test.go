package cli

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"simctl.dev/simctl/sim/impact"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/verdict"
)

// keptReview reads the review and the result in a run's folder.
func keptReview(t *testing.T, dir string) (impact.Review, verdict.RunResult) {
	t.Helper()
	var review impact.Review
	var result verdict.RunResult
	for file, to := range map[string]any{"review.json": &review, "result.json": &result} {
		raw, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(raw, to); err != nil {
			t.Fatal(err)
		}
	}
	return review, result
}

// TestUpgradeIsKept: the folder has the review and every cell, those of remedies
// as well, for simctl explain.
func TestUpgradeIsKept(t *testing.T) {
	place(t)
	simctl(t, held(), "upgrade", "--direct", "--from", "0.68.1", "--to", "1.3.1", "--out", "kept", "scenarios/demo.yaml").want(t, StatusDeviates)
	review, result := keptReview(t, "kept")
	if len(review.Steps) != 1 || len(review.Steps[0].Changes) == 0 {
		t.Fatalf("review %+v", review)
	}
	played := 0
	for _, c := range result.Cells {
		if c.Values["remedy"] == "rwx" {
			played++
		}
	}
	if played == 0 {
		t.Error("no cell of the remedy rwx in the result")
	}
	simctl(t, held(), "explain", "kept", "remedy=rwx,accessMode=RWO,coschedule=workspaces").want(t, StatusOK)
}

// TestUpgradeRemedyNotRun: a candidate that simctl could not run is not reported,
// and does not take the rest along.
func TestUpgradeRemedyNotRun(t *testing.T) {
	place(t)
	e := held()
	plain := e.outcome
	e.outcome = func(c scenario.Cell) verdict.Cell {
		if c.Values["remedy"] == "tekton-1.15.0" {
			return verdict.Cell{Finding: verdict.Finding{Outcome: verdict.Error}, Error: "no disk is left"}
		}
		return plain(c)
	}
	o := simctl(t, e, "upgrade", "--direct", "--from", "0.68.1", "--to", "1.3.1", "-o", "json", "scenarios/other.yaml")
	o.want(t, StatusDeviates, "remedy tekton-1.15.0 was not tried: no disk is left")
	var r impact.Review
	if err := json.Unmarshal([]byte(o.stdout), &r); err != nil {
		t.Fatal(err)
	}
	got := r.Steps[0].Changes[0].Remedies
	if len(got) == 0 || got[0].Name != "coschedule-disabled" {
		t.Errorf("remedies %+v", got)
	}
	for _, m := range got {
		if m.Name == "tekton-1.15.0" {
			t.Errorf("reported though it was not run: %+v", m)
		}
	}
}

// heldUntilRemedies is held with a context that ends while remedies are tried.
func heldUntilRemedies(t *testing.T) (context.Context, *fakeEngine) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	e := held()
	plain := e.outcome
	e.outcome = func(c scenario.Cell) verdict.Cell {
		if c.Values["remedy"] != "" {
			cancel()
		}
		return plain(c)
	}
	return ctx, e
}

// TestUpgradeInterrupted ends while remedies are tried: what the releases change is
// known by then, and shown.
func TestUpgradeInterrupted(t *testing.T) {
	place(t)
	ctx, e := heldUntilRemedies(t)
	o := simctlContext(ctx, e, "upgrade", "--direct", "--from", "0.68.1", "--to", "1.3.1", "--out", "kept", "scenarios/other.yaml")
	o.want(t, StatusError, "the review is not complete", "kept in kept")
	if !strings.Contains(o.stdout, "success → deadlock") {
		t.Errorf("output %s", o.stdout)
	}
	review, result := keptReview(t, "kept")
	if len(review.Steps) != 1 || !result.Interrupted {
		t.Errorf("review %+v of a run that is interrupted: %t", review, result.Interrupted)
	}
}

// TestUpgradeInterruptedEarly ends while the releases are compared: the cells that are
// known on both sides are.
func TestUpgradeInterruptedEarly(t *testing.T) {
	for _, tt := range []struct {
		name  string
		cells int
		shown string
	}{
		{"before any", 0, ""},
		{"one side", 2, "2 cells: 2 of which nothing is expected"},
		{"a pair", 3, "not complete: 3 of 4 cells on the releases are known"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			place(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			e := held()
			plain, n := e.outcome, 0
			e.outcome = func(c scenario.Cell) verdict.Cell {
				if n++; n == tt.cells {
					cancel()
				}
				return plain(c)
			}
			if tt.cells == 0 {
				cancel()
			}
			o := simctlContext(ctx, e, "upgrade", "--direct", "--from", "0.68.1", "--to", "1.3.1", "--out", "kept", "scenarios/other.yaml")
			o.want(t, StatusError, "interrupted", "go on with: simctl upgrade --resume --out kept")
			if tt.shown == "" && o.stdout != "" || !strings.Contains(o.stdout, tt.shown) {
				t.Errorf("output %s, want %s", o.stdout, tt.shown)
			}
			if tt.cells > 2 && !strings.Contains(o.stdout, "success → deadlock") {
				t.Errorf("what is worse is not shown: %s", o.stdout)
			}
		})
	}
}

// TestUpgradeResume: an interrupted review ends as one in a single go would have,
// and no finished cell is run again.
func TestUpgradeResume(t *testing.T) {
	place(t)
	flags := []string{"upgrade", "--direct", "--from", "0.68.1", "--to", "1.3.1", "--mid-run", "-o", "json", "scenarios/other.yaml"}
	whole := held()
	first := simctl(t, whole, append(flags, "--out", "whole")...)
	first.want(t, StatusDeviates)

	ctx, e := heldUntilRemedies(t)
	simctlContext(ctx, e, append(flags, "--out", "kept")...).want(t, StatusError, "go on with: simctl upgrade --resume --out kept")
	again := held()
	o := simctl(t, again, "upgrade", "--resume", "--out", "kept", "-o", "json")
	o.want(t, StatusDeviates)
	if len(e.ran)+len(again.ran) != len(whole.ran) || len(again.ran) == 0 {
		t.Errorf("%d cells and %d later, %d in one go", len(e.ran), len(again.ran), len(whole.ran))
	}
	if got, want := strings.ReplaceAll(o.stdout, "kept", "whole"), first.stdout; got != want {
		t.Errorf("resumed:\n%s\nin one go:\n%s", got, want)
	}

	simctl(t, held(), "upgrade", "--resume", "--out", "kept", "--mid-run").want(t, StatusError, "leave --mid-run out")
	simctl(t, held(), "run", "--resume", "--out", "kept").want(t, StatusError, "go on with: simctl upgrade --resume --out kept")
}

// TestUpgradePathAlone: a setting for other verbs does not change the path.
func TestUpgradePathAlone(t *testing.T) {
	place(t)
	t.Setenv("SIMCTL_TEKTON", "1.15.0")
	e := held()
	plain := e.outcome
	e.outcome = func(c scenario.Cell) verdict.Cell {
		if v := c.Spec.Tekton.Version; v != "0.68.1" && v != "1.3.1" {
			t.Errorf("a cell on %s", v)
		}
		return plain(c)
	}
	simctl(t, e, "upgrade", "--direct", "--from", "0.68.1", "--to", "1.3.1", "--no-remedies", "scenarios/other.yaml").want(t, StatusDeviates)
}

// TestUpgradeCannotRun: without the cells of both sides there is nothing to show.
func TestUpgradeCannotRun(t *testing.T) {
	place(t)
	e := &fakeEngine{outcome: func(scenario.Cell) verdict.Cell {
		return verdict.Cell{Finding: verdict.Finding{Outcome: verdict.Error}, Error: "no disk is left"}
	}}
	o := simctl(t, e, "upgrade", "--direct", "--from", "0.68.1", "--to", "1.3.1", "--out", "kept", "scenarios/other.yaml")
	o.want(t, StatusError, "could not be run: no disk is left", "kept in kept")
	if o.stdout != "" {
		t.Errorf("output %s", o.stdout)
	}
	if _, err := os.Stat(filepath.Join("kept", "review.json")); err == nil {
		t.Error("a review of nothing was kept")
	}
}

// TestCompareFlags: a stored run has its cells' flags, a baseline alone has not.
func TestCompareFlags(t *testing.T) {
	place(t)
	const file = `apiVersion: simctl.dev/v1alpha1
kind: Scenario
metadata: {name: flags}
cluster:
  nodePools: [{name: worker, count: 2}]
  storageClasses: [{name: block, default: true}]
tekton: {version: 0.68.1, flags: {disable-affinity-assistant: "true"}}
workload: {manifests: [scenarios/manifests]}
`
	if err := os.WriteFile("flags.yaml", []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	simctl(t, &fakeEngine{}, "run", "flags.yaml", "--out", "a").want(t, StatusOK)
	simctl(t, &fakeEngine{}, "run", "flags.yaml", "--tekton", "1.3.1", "--out", "b").want(t, StatusOK)
	for run, want := range map[string]bool{"a": true, filepath.Join("a", "result.json"): true, "baseline.json": false} {
		if run == "baseline.json" {
			raw, err := os.ReadFile(filepath.Join("a", "result.json"))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(run, raw, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		o := simctl(t, &fakeEngine{}, "compare", run, "b")
		o.want(t, StatusOK)
		if got := strings.Contains(o.stdout, "disable-affinity-assistant is dead"); got != want {
			t.Errorf("%s: the dead flag is named: %t, want %t\n%s", run, got, want, o.stdout)
		}
	}
}

package sim_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"simctl.dev/simctl/sim"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/releases"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/verdict"
)

// write writes a scenario and its manifest and gives the scenario's cells.
func write(t *testing.T, manifest any, spec string) []scenario.Cell {
	t.Helper()
	dir := t.TempDir()
	raw, err := json.Marshal(manifest)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"run.json": string(raw),
		"scenario.yaml": "apiVersion: simctl.dev/v1alpha1\nkind: Scenario\nmetadata: {name: bounds}\n" +
			"cluster: {nodePools: [{name: worker, count: 2}]}\ntekton: {version: " + releases.BuiltIn + "}\n" + spec,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f, err := scenario.Load(filepath.Join(dir, "scenario.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	cells, err := f.Cells(scenario.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return cells
}

// embedded is a PipelineRun of so many tasks side by side, each with a script of so many bytes.
func embedded(tasks, script int, timeout string) map[string]any {
	var list []any
	for i := range tasks {
		list = append(list, map[string]any{"name": fmt.Sprintf("task-%d", i), "taskSpec": map[string]any{"steps": []any{
			map[string]any{"name": "run", "image": "registry.example/tool:1", "script": "echo " + strings.Repeat("x", script)},
		}}})
	}
	return map[string]any{"apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "metadata": map[string]any{"name": "large"},
		"spec": map[string]any{"timeouts": map[string]any{"pipeline": timeout}, "pipelineSpec": map[string]any{"tasks": list}}}
}

// TestNeverEnds: etcd does not take the status of a run with a large spec, which Tekton
// tries to write for ever. The cell ends, and says so.
func TestNeverEnds(t *testing.T) {
	cells := write(t, embedded(20, 45_000, "30m"), "workload: {manifests: [run.json], tasks: {\"*\": {duration: 10s}}}\n")
	results, err := run(t, context.Background(), cells, sim.Options{Parallel: 1})
	if err != nil {
		t.Fatal(err)
	}
	r := results[0]
	if r.Outcome != verdict.Timeout || r.Bound != "" || !slices.Equal(r.NeverEnd, []string{"PipelineRun default/large"}) {
		t.Errorf("%s (%s), never end %q, bound %q", r.Outcome, r.Error, r.NeverEnd, r.Bound)
	}
	for _, words := range []string{"PipelineRun default/large never ends: Tekton's controller tries again and again to write", "too large", "spec: 9"} {
		if !strings.Contains(chain(r), words) {
			t.Errorf("no %q in\n%s", words, chain(r))
		}
	}
}

// TestBounds: a cell that meets a bound ends there and says which it was; too much real
// time says nothing of the run.
func TestBounds(t *testing.T) {
	for _, test := range []struct {
		limits string
		want   verdict.Outcome
		words  string
	}{
		{"{virtualTime: 20m}", verdict.Timeout, "20m0s of virtual time"},
		{"{entries: 60}", verdict.Timeout, "60 entries of history"},
		{"{bytes: 40k}", verdict.Timeout, "40000 bytes of history"},
		{"{realTime: 1ms}", verdict.Error, "simctl gave up on it: it took more than 1ms of real time"},
	} {
		t.Run(test.limits, func(t *testing.T) {
			cells := write(t, embedded(2, 10, "3h"), "limits: "+test.limits+"\nworkload: {manifests: [run.json], tasks: {\"*\": {duration: 2h}}}\n")
			results, err := run(t, context.Background(), cells, sim.Options{Parallel: 1})
			if err != nil {
				t.Fatal(err)
			}
			r := results[0]
			if r.Outcome != test.want || len(r.NeverEnd) > 0 {
				t.Errorf("%s, want %s; never end %q", r.Outcome, test.want, r.NeverEnd)
			}
			if test.want == verdict.Error {
				if !strings.Contains(r.Error, test.words) || r.Bound != "" {
					t.Errorf("error %q, bound %q", r.Error, r.Bound)
				}
				return
			}
			if r.Bound != test.words || !strings.Contains(chain(r), "PipelineRun default/large had not ended when the cell met its bound of "+test.words) {
				t.Errorf("bound %q, want %q\n%s", r.Bound, test.words, chain(r))
			}
		})
	}
}

// TestQuotaTriedAgain: while a quota may be free again nothing has come to a stall, and
// a run whose time is up meanwhile says what kept it waiting.
func TestQuotaTriedAgain(t *testing.T) {
	f, err := scenario.Load("../scenarios/incidents/quota-tried-again.yaml")
	if err != nil {
		t.Fatal(err)
	}
	cells, err := f.Cells(scenario.Options{Versions: []string{releases.BuiltIn}})
	if err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	results, err := run(t, context.Background(), cells, sim.Options{Parallel: 1, OutDir: out})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if r.Judgement != verdict.AsExpected {
			t.Errorf("%v: %s (%s), expected %s\n%s", r.Values, r.Outcome, r.Error, r.Expected, chain(r))
		}
		file, err := os.Open(filepath.Join(out, r.History))
		if err != nil {
			t.Fatal(err)
		}
		entries, err := history.Read(file)
		_ = file.Close()
		if err != nil {
			t.Fatal(err)
		}
		if i := slices.IndexFunc(entries, func(e history.Entry) bool { return e.Fact == history.FactStalled }); i >= 0 {
			t.Errorf("%v: at %.0f s it is said that nothing could happen any more", r.Values, entries[i].T)
		}
		if r.Values["time"] != "10m" {
			continue
		}
		for _, words := range []string{"ResourceQuota compute leaves no room", "by: Pod default/three-", "The time of PipelineRun default/three as a whole is up", `"pipeline":"10m0s"`} {
			if !strings.Contains(chain(r), words) {
				t.Errorf("no %q in\n%s", words, chain(r))
			}
		}
	}
}

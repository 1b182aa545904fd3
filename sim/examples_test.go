package sim_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"simctl.dev/simctl/sim"
	"simctl.dev/simctl/sim/releases"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/tekton"
	"simctl.dev/simctl/sim/verdict"
)

// exampleList is testdata/examples/list.yaml.
type exampleList struct {
	// Flags are those that upstream's tests of the examples run with, by folder.
	Flags map[string]map[string]string `json:"flags"`
	// Elsewhere are those that need what is not in the module; Otherwise those that do
	// not end as a success, with their outcome.
	Elsewhere []string                   `json:"elsewhere"`
	Otherwise map[string]verdict.Outcome `json:"otherwise"`
}

// TestUpstreamExamples plays the PipelineRuns that Tekton ships as examples, which
// upstream's own tests expect to succeed. They are of the release that is built in,
// and of those that SIMCTL_RELEASES names, which adds two minutes for each.
func TestUpstreamExamples(t *testing.T) {
	raw, err := os.ReadFile("testdata/examples/list.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var list exampleList
	if err := yaml.UnmarshalStrict(raw, &list); err != nil {
		t.Fatal(err)
	}
	for _, v := range append([]string{releases.BuiltIn}, strings.Split(os.Getenv("SIMCTL_RELEASES"), ",")...) {
		if v == "" || v == "all" {
			continue
		}
		t.Run(v, func(t *testing.T) {
			results, err := run(t, context.Background(), examples(t, v, list), sim.Options{Parallel: 2})
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range results {
				want := []verdict.Outcome{verdict.Success, verdict.MultiAttach}
				if o := list.Otherwise[r.Scenario]; o != "" {
					want = []verdict.Outcome{o}
				}
				if !slices.Contains(want, r.Outcome) || r.Outcome == verdict.MultiAttach && !r.Recovered {
					t.Errorf("%s: %s (%s), want one of %v\n%s", r.Scenario, r.Outcome, r.Error, want, chain(r))
				}
			}
		})
	}
}

// examples gives a cell for each example of a release, named by its file.
func examples(t *testing.T, version string, list exampleList) []scenario.Cell {
	t.Helper()
	root := filepath.Join(moduleDir(t, version), "examples", "v1", "pipelineruns")
	dir := t.TempDir()
	var cells []scenario.Cell
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".yaml" {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		name := strings.NewReplacer("/", ".", "_", "-").Replace(strings.TrimSuffix(rel, ".yaml"))
		if slices.Contains(list.Elsewhere, name) {
			return nil
		}
		manifests, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name+".manifests"), manifests, 0o644); err != nil {
			return err
		}
		folder, _, found := strings.Cut(name, ".")
		if !found {
			folder = "stable"
		}
		spec, err := json.Marshal(map[string]any{
			"apiVersion": scenario.APIVersion, "kind": scenario.Kind, "metadata": map[string]any{"name": name},
			"cluster": map[string]any{
				"nodePools":      []any{map[string]any{"name": "worker", "count": 3}},
				"storageClasses": []any{map[string]any{"name": "standard", "default": true}},
			},
			"tekton":   map[string]any{"version": version, "flags": list.Flags[folder]},
			"workload": map[string]any{"manifests": []string{name + ".manifests"}},
		})
		if err != nil {
			return err
		}
		file := filepath.Join(dir, name+".yaml")
		if err := os.WriteFile(file, spec, 0o644); err != nil {
			return err
		}
		f, err := scenario.Load(file)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		own, err := f.Cells(scenario.Options{})
		cells = append(cells, own...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return cells
}

// moduleDir is where the go command keeps a release's module.
func moduleDir(t *testing.T, version string) string {
	t.Helper()
	cmd := exec.Command("go", "mod", "download", "-json", tekton.Module+"@v"+version)
	out, err := cmd.Output()
	var got struct{ Dir, Error string }
	if e := json.Unmarshal(out, &got); err != nil || e != nil || got.Dir == "" {
		t.Fatalf("%s: %v %s", cmd, err, got.Error)
	}
	return got.Dir
}

package sim_test

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"simctl.dev/simctl/sim"
	"simctl.dev/simctl/sim/draft"
	"simctl.dev/simctl/sim/openshift"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/tekton"
	"simctl.dev/simctl/sim/verdict"
)

// TestGrantsProposed plays a scenario that is made of manifests alone as it stands, in
// which OpenShift's own admission refuses the pods, and with its proposals taken, with
// which it takes them and they do their work.
func TestGrantsProposed(t *testing.T) {
	if built, _, err := openshift.EngineStatus(""); err != nil || !built {
		t.Skip("OpenShift's admission is not built: a build takes minutes")
	}
	manifests, err := filepath.Abs("testdata/grants/runs.yaml")
	if err != nil {
		t.Fatal(err)
	}
	m, err := scenario.ReadManifests([]string{manifests}, nil)
	if err != nil {
		t.Fatal(err)
	}
	o := draft.Options{Name: "grants", Version: tekton.BuiltIn, Manifests: []string{manifests}}
	sccs, err := openshift.SCCObjects(draft.Namespaces(m.Objects))
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range sccs {
		o.OpenShift = append(o.OpenShift, u.Object)
	}
	d, err := draft.Make(m.Objects, m.In, o)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, content := range d.Files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	written := string(d.Files["scenario.yaml"])
	for _, want := range []string{"nonroot-v2, serviceAccount: robot", "anyuid, serviceAccount: pipeline", "privileged, serviceAccount: builder-bot", "privileged, serviceAccount: root-bot"} {
		if !strings.Contains(written, want) {
			t.Errorf("not proposed: %s\n%s", want, written)
		}
	}
	taken := regexp.MustCompile(`(?m)^    # (grants:|  - \{scc:)`).ReplaceAllString(written, "    $1")
	taken = strings.Replace(taken, "name: grants}", "name: taken}", 1)
	if err := os.WriteFile(filepath.Join(dir, "taken.yaml"), []byte(taken), 0o600); err != nil {
		t.Fatal(err)
	}
	files, err := scenario.LoadAll([]string{filepath.Join(dir, "scenario.yaml"), filepath.Join(dir, "taken.yaml")})
	if err != nil {
		t.Fatal(err)
	}
	cells, err := scenario.Expand(files, scenario.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{4, 0} {
		if foreseen, err := openshift.Foresee(&cells[i]); err != nil || len(foreseen) != want {
			t.Errorf("%s: foreseen is %v, %v, want %d", cells[i].Scenario, foreseen, err, want)
		}
	}
	results, err := run(t, context.Background(), cells, sim.Options{Parallel: 1})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []verdict.Outcome{verdict.AdmissionDenied, verdict.Success} {
		if results[i].Outcome != want {
			t.Errorf("%s: %s (%s), want %s\n%s", results[i].Scenario, results[i].Outcome, results[i].Error, want, chain(results[i]))
		}
	}
}

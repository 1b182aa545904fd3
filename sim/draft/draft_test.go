package draft_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"simctl.dev/simctl/sim/draft"
	"simctl.dev/simctl/sim/scenario"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// rights are the SCCs that OpenShift has, with who may use them.
func rights(t *testing.T) []map[string]any {
	t.Helper()
	sccs, err := os.ReadFile("../openshift/manifests/sccs.yaml")
	if err != nil {
		t.Fatal(err)
	}
	const bound = `---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: SCC}
rules: [{apiGroups: [security.openshift.io], resources: [securitycontextconstraints], verbs: [use], resourceNames: [SCC]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: SCC}
roleRef: {kind: ClusterRole, name: SCC}
subjects: [SUBJECT]
`
	text := string(sccs) + strings.NewReplacer("SCC", "restricted-v2", "SUBJECT", "{kind: Group, name: system:authenticated}").Replace(bound) +
		strings.NewReplacer("SCC", "pipelines-scc", "SUBJECT", "{kind: ServiceAccount, name: pipeline, namespace: default}").Replace(bound)
	m, err := scenario.ReadManifests(nil, map[string][]byte{"rights.yaml": []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	return m.Objects
}

// TestMake makes a draft of each testdata/NAME/manifests.yaml, compares it with
// testdata/NAME/want, and has it checked as simctl validate does.
func TestMake(t *testing.T) {
	inputs, err := filepath.Glob("testdata/*/manifests.yaml")
	if err != nil || len(inputs) == 0 {
		t.Fatal("no data", err)
	}
	for _, input := range inputs {
		folder := filepath.Dir(input)
		t.Run(filepath.Base(folder), func(t *testing.T) {
			m, err := scenario.ReadManifests([]string{input}, nil)
			if err != nil {
				t.Fatal(err)
			}
			d, err := draft.Make(m.Objects, m.In, draft.Options{Version: "1.15.0", Manifests: []string{"../manifests.yaml"}, OpenShift: rights(t)})
			if err != nil {
				t.Fatal(err)
			}
			want := filepath.Join(folder, "want")
			if *update {
				if err := os.MkdirAll(want, 0o777); err != nil {
					t.Fatal(err)
				}
				for name, content := range d.Files {
					if err := os.WriteFile(filepath.Join(want, name), content, 0o666); err != nil {
						t.Fatal(err)
					}
				}
			}
			entries, err := os.ReadDir(want)
			if err != nil {
				t.Fatal(err)
			}
			have, got := map[string]string{}, map[string]string{}
			for _, e := range entries {
				content, err := os.ReadFile(filepath.Join(want, e.Name()))
				if err != nil {
					t.Fatal(err)
				}
				have[e.Name()] = string(content)
			}
			for name, content := range d.Files {
				got[name] = string(content)
			}
			if diff := cmp.Diff(have, got); diff != "" {
				t.Errorf("the files differ (-want +got); -update rewrites them:\n%s", diff)
			}
			f, err := scenario.Load(filepath.Join(want, "scenario.yaml"))
			if err != nil {
				t.Fatal(err)
			}
			cells, err := f.Cells(scenario.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if len(cells[0].MadeUp) == 0 {
				t.Error("nothing is said to be made up")
			}
		})
	}
}

// TestFile: what a resolver fetches is found by its file, as when the scenario is played.
func TestFile(t *testing.T) {
	m, err := scenario.ReadManifests(nil, map[string][]byte{
		"run.yaml": []byte("apiVersion: tekton.dev/v1\nkind: PipelineRun\nmetadata: {name: r}\nspec:\n  pipelineSpec:\n    tasks:\n" +
			"      - name: a\n        taskRef: {resolver: git, params: [{name: url, value: u}, {name: pathInRepo, value: tasks/build.yaml}]}\n"),
		"repo/tasks/build.yaml": []byte("apiVersion: tekton.dev/v1\nkind: Task\nmetadata: {name: builder-of-images}\nspec: {steps: [{image: i}]}\n"),
	})
	if err != nil {
		t.Fatal(err)
	}
	d, err := draft.Make(m.Objects, m.In, draft.Options{Version: "1.15.0"})
	if err != nil {
		t.Fatal(err)
	}
	if len(d.MadeUp) > 0 {
		t.Errorf("made up: %q", d.MadeUp)
	}
}

// TestElsewhere: what is made up although the manifests have it, in another namespace, is
// told.
func TestElsewhere(t *testing.T) {
	const pipeline = "apiVersion: tekton.dev/v1\nkind: Pipeline\nmetadata: {name: ci}\nspec: {tasks: [{name: a, taskSpec: {steps: [{image: i}]}}]}\n"
	const run = "apiVersion: tekton.dev/v1\nkind: PipelineRun\nmetadata: {name: r, namespace: team}\nspec: {pipelineRef: {name: ci}}\n"
	for _, tt := range []struct{ name, pipeline, want string }{
		{"in none", pipeline, "Pipeline ci is among the manifests in namespace default, and made up in team: if they are one, give it metadata.namespace: team, and"},
		{"in another", strings.Replace(pipeline, "name: ci", "name: ci, namespace: tools", 1), "Pipeline ci is among the manifests in namespace tools, and made up in team"},
		{"in the same", strings.Replace(pipeline, "name: ci", "name: ci, namespace: team", 1), ""},
		{"of another kind", strings.Replace(pipeline, "tekton.dev/v1", "pipelines.kubeflow.org/v2", 1), ""},
		{"of another name", strings.Replace(pipeline, "name: ci", "name: cd", 1), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, err := scenario.ReadManifests(nil, map[string][]byte{"run.yaml": []byte(run), "pipeline.yaml": []byte(tt.pipeline)})
			if err != nil {
				t.Fatal(err)
			}
			d, err := draft.Make(m.Objects, m.In, draft.Options{Version: "1.15.0"})
			if err != nil {
				t.Fatal(err)
			}
			got := strings.Join(d.Notes, "\n")
			if !strings.Contains(got, tt.want) || tt.want == "" && got != "" {
				t.Errorf("notes %q, want %q", got, tt.want)
			}
		})
	}
}

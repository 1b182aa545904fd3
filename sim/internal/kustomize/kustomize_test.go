package kustomize_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"simctl.dev/simctl/sim/internal/kustomize"
)

// build writes files into a folder and builds the kustomization of one of its folders.
func build(t *testing.T, files map[string]string, folder string) (objects, read []string, err error) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	made, err := kustomize.Build(folder, func(file string, _ []byte) { read = append(read, file) })
	for _, o := range made {
		text, err := yaml.JSONToYAML(o.JSON)
		if err != nil {
			t.Fatal(err)
		}
		objects = append(objects, "# "+o.File+"\n"+string(text))
	}
	return objects, read, err
}

const run = "apiVersion: tekton.dev/v1\nkind: PipelineRun\nmetadata: {generateName: ci-}\nspec: {pipelineRef: {name: ci}, status: 12345678901234567890}\n"

// TestBuild: what a kustomization can do is done, and it is known where each object is from.
func TestBuild(t *testing.T) {
	objects, read, err := build(t, map[string]string{
		"base/kustomization.yaml": "resources: [pipeline.yaml]\n",
		"base/pipeline.yaml":      "apiVersion: tekton.dev/v1\nkind: Pipeline\nmetadata: {name: ci}\nspec: {tasks: [{name: a, taskRef: {name: t}}]}\n",
		"quick/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\npatches:\n" +
			"  - target: {kind: Pipeline}\n    patch: |-\n      - {op: add, path: /spec/tasks/0/timeout, value: 5m}\n",
		"prod/kustomization.yaml": "resources: [../base, run.yaml]\ncomponents: [../quick]\ncommonLabels: {team: a}\n" +
			"configMapGenerator: [{name: settings, files: [key=settings.txt]}]\ngeneratorOptions: {disableNameSuffixHash: true}\nnameSuffix: -prod\n",
		"prod/run.yaml":     run + "---\n" + run,
		"prod/settings.txt": "value",
	}, "prod")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`# base/pipeline.yaml
apiVersion: tekton.dev/v1
kind: Pipeline
metadata:
  labels:
    team: a
  name: ci-prod
spec:
  tasks:
  - name: a
    taskRef:
      name: t
    timeout: 5m
`,
	}
	for range 2 {
		want = append(want, `# prod/run.yaml
apiVersion: tekton.dev/v1
kind: PipelineRun
metadata:
  generateName: ci--prod
  labels:
    team: a
spec:
  pipelineRef:
    name: ci
  status: 12345678901234567890
`)
	}
	want = append(want, `# prod/kustomization.yaml
apiVersion: v1
data:
  key: value
kind: ConfigMap
metadata:
  labels:
    team: a
  name: settings-prod
`)
	if diff := cmp.Diff(want, objects); diff != "" {
		t.Error(diff)
	}
	for _, file := range []string{"base/kustomization.yaml", "quick/kustomization.yaml", "prod/settings.txt", "prod/run.yaml"} {
		if !strings.Contains(strings.Join(read, "\n"), file) {
			t.Errorf("%s is not told as read: %q", file, read)
		}
	}
}

// TestRefused: what kustomize refuses by itself is refused, on one line and by the names
// that the caller knows.
func TestRefused(t *testing.T) {
	for name, test := range map[string]struct {
		kustomization string
		want          string
	}{
		"a file elsewhere": {"resources: [../run.yaml]", "is not in or below"},
		"an unknown field": {"resorces: [run.yaml]", `unknown field "resorces"`},
		"a plug-in":        {"generators: [plugin.yaml]", "plugin"},
		"nothing":          {"kind: Kustomization", "is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := build(t, map[string]string{
				"prod/kustomization.yaml": test.kustomization + "\n",
				"prod/plugin.yaml":        "apiVersion: example.com/v1\nkind: Maker\nmetadata: {name: x, annotations: {config.kubernetes.io/function: 'exec: {path: ./x}'}}\n",
				"run.yaml":                run,
			}, "prod")
			if err == nil {
				t.Fatal("no error")
			}
			if text := err.Error(); !strings.Contains(text, test.want) || strings.Contains(text, "\n") || strings.Contains(text, os.TempDir()+"/TestRefused") {
				t.Error(text)
			}
		})
	}
	if _, _, err := build(t, nil, "nope"); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

package chart_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"simctl.dev/simctl/cmd/simctl/internal/chart"
)

func write(t *testing.T, files map[string]string) string {
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
	return dir
}

// TestRender: templates are rendered with the chart's own values and helpers, for a cluster
// with Tekton; notes and tests are left out.
func TestRender(t *testing.T) {
	dir := write(t, map[string]string{
		"Chart.yaml":             "apiVersion: v2\nname: ci\nversion: 1.2.3\n",
		"values.yaml":            "image: registry.example.com/app\nrobot: true\n",
		"templates/_helpers.tpl": "{{ define \"ci.name\" }}{{ .Release.Name }}-{{ .Chart.Name }}{{ end }}",
		"templates/a.yaml": "{{- if .Capabilities.APIVersions.Has \"tekton.dev/v1\" }}\nkind: Task\nmetadata: {name: {{ include \"ci.name\" . }}}\n" +
			"spec: {image: {{ .Values.image | quote }}, on: {{ .Capabilities.KubeVersion.Version }}}\n{{- end }}\n",
		"templates/b.yaml":    "{{ if not .Values.robot }}kind: Secret{{ end }}",
		"templates/NOTES.txt": "Thanks.",
		"templates/test.yaml": "kind: Pod\nmetadata: {name: x}\n  annotations:\n    \"helm.sh/hook\": test\n",
	})
	if !chart.Is(dir) || chart.Is(filepath.Join(dir, "templates")) {
		t.Error("what is a chart is not known")
	}
	name, text, err := chart.Render(dir, "v1.37.2")
	if err != nil {
		t.Fatal(err)
	}
	want := `---
# Source: ci/templates/a.yaml
kind: Task
metadata: {name: release-name-ci}
spec: {image: "registry.example.com/app", on: v1.37.2}
`
	if diff := cmp.Diff(want, string(text)); diff != "" || name != "ci" {
		t.Error(name, diff)
	}
}

// TestCannot: what a chart lacks is said, on one line.
func TestCannot(t *testing.T) {
	for name, test := range map[string]struct {
		files map[string]string
		want  string
	}{
		"a chart": {map[string]string{"Chart.yaml": "apiVersion: v2\nname: ci\nversion: 1.2.3\ndependencies: [{name: common, version: 1.x, repository: https://example.com}]\n"},
			"needs common, which it does not have: helm dependency build"},
		"a value": {map[string]string{"Chart.yaml": "apiVersion: v2\nname: ci\nversion: 1.2.3\n", "templates/a.yaml": "{{ required \"image is needed\" .Values.image }}\n"},
			"image is needed; with other values, helm template -f VALUES"},
		"its name": {map[string]string{"Chart.yaml": "apiVersion: v2\n"}, "chart.metadata.name is required"},
	} {
		if _, _, err := chart.Render(write(t, test.files), "v1.37.2"); err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

package cli

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"simctl.dev/simctl/docs"
)

func (f *fakeEngine) SCCObjects([]string) ([]*unstructured.Unstructured, error) { return nil, nil }

func (f *fakeEngine) StockSCCs() ([]*unstructured.Unstructured, error) { return nil, nil }

func (f *fakeEngine) Builds(_ context.Context, cacheDir string, versions []string, openShift bool) (Builds, error) {
	b := Builds{Dir: cacheDir, GoVersion: "1.26.4"}
	switch os.Getenv("TEST_GO") {
	case "none":
		b.GoErr = errors.New("the go command was not found in PATH: install Go")
	case "old":
		b.GoVersion = "1.21.0"
	}
	for _, v := range versions {
		b.Parts = append(b.Parts, Part{Name: "Tekton " + v, BuiltIn: v == "1.15.0", Ready: v != "1.3.1", Took: 90 * time.Second})
	}
	if openShift {
		b.Parts = append(b.Parts, Part{Name: "OpenShift's SCC", Ready: true})
	}
	return b, nil
}

const dump = `apiVersion: tekton.dev/v1
kind: PipelineRun
metadata: {name: hello, namespace: team}
spec:
  pipelineSpec: {tasks: [{name: greet, taskSpec: {steps: [{name: s, image: busybox}]}}]}
`

func TestImportFromDump(t *testing.T) {
	place(t)
	t.Setenv("KUBECONFIG", "")
	if err := os.MkdirAll("dump", 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join("dump", "runs.yaml"), []byte(dump), 0o600); err != nil {
		t.Fatal(err)
	}
	e := &fakeEngine{}
	got := simctl(t, e, "import", "--from", "dump")
	got.want(t, StatusOK, "no node was read", "it has 1 cell; run it by: simctl run team/scenario.yaml")
	simctl(t, e, "validate", "team/scenario.yaml").want(t, StatusOK)
	simctl(t, e, "import", "--from", "dump").want(t, StatusError, "team is there and is not empty", "--to")
	simctl(t, e, "import", "--from", "dump", "--to", "again", "--quiet").want(t, StatusOK)
	// Without its run it is written, and said to be incomplete.
	got = simctl(t, e, "import", "--from", "dump", "-n", "other")
	got.want(t, StatusError, "no PipelineRun was read in namespace other", "is not complete yet", "simctl validate other/scenario.yaml")
	for args, want := range map[string]string{
		"import":                                    "which cluster? Name a kubeconfig",
		"import dump":                               "is dump a dump? Write --from dump",
		"import --from nope":                        "nope: no such file",
		"import --from dump --kubeconfig x":         "none of the others can be",
		"import --kubeconfig nope -n x":             "reading the kubeconfig",
		"import --from dump --run other --to third": "it has: hello",
	} {
		simctl(t, e, strings.Fields(args)...).want(t, StatusError, want)
	}
}

func TestInit(t *testing.T) {
	place(t)
	e := &fakeEngine{}
	for _, args := range [][]string{{"init"}, {"init", "new/My Scenario: it's.yaml"}} {
		got := simctl(t, e, args...)
		got.want(t, StatusOK, "run it by: simctl run ")
		files := strings.Split(strings.TrimSpace(got.stdout), "\n")
		if len(files) != 2 {
			t.Fatalf("wrote %q", files)
		}
		simctl(t, e, "validate", files[1]).want(t, StatusOK)
		before, _ := os.ReadFile(files[1])
		simctl(t, e, args...).want(t, StatusError, "is there already")
		if err := os.Remove(files[1]); err != nil {
			t.Fatal(err)
		}
		// The pipeline alone is not overwritten either.
		simctl(t, e, args...).want(t, StatusError, files[0]+" is there already")
		if strings.Contains(string(before), "NAME") || strings.Contains(string(before), "VERSION") {
			t.Errorf("a place is not filled:\n%s", before)
		}
	}
	simctl(t, e, "init", "notes.txt").want(t, StatusError, "write simctl init notes.txt.yaml")
}

// TestInitFrom makes scenarios of manifests, beside them and among them.
func TestInitFrom(t *testing.T) {
	place(t)
	e := &fakeEngine{}
	if err := os.MkdirAll("own", 0o777); err != nil {
		t.Fatal(err)
	}
	pipeline := `apiVersion: tekton.dev/v1
kind: Pipeline
metadata: {name: ci}
spec:
  params: [{name: url}]
  tasks: [{name: fetch, taskRef: {name: fetch}, params: [{name: url, value: $(params.url)}]}]
`
	if err := os.WriteFile("own/ci.yaml", []byte(pipeline), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"ci", "own/ci"} {
		simctl(t, e, "init", "--from", "own", "--to", to, "--param", "url=https://example.com").want(t, StatusOK, "made up: Task fetch, for task fetch of Pipeline ci")
		simctl(t, e, "validate", to+"/scenario.yaml").want(t, StatusOK)
	}
	simctl(t, e, "init", "--from", "own/ci.yaml", "--to", "ci").want(t, StatusError, "not empty")
	simctl(t, e, "init", "--from", "own/ci.yaml", "--to", "other", "--param", "nope=1").want(t, StatusError, `no Pipeline has a parameter "nope"`)

	// What is read from standard input is kept beside the scenario.
	stdin, err := os.Open("own/ci.yaml")
	if err != nil {
		t.Fatal(err)
	}
	terminal := os.Stdin
	os.Stdin = stdin
	got := simctl(t, e, "init", "--from", "-", "--to", "piped", "--param", "url=https://example.com")
	os.Stdin = terminal
	_ = stdin.Close()
	got.want(t, StatusOK, "made up: Task fetch, for task fetch of Pipeline ci")
	if kept, err := os.ReadFile("piped/manifests.yaml"); err != nil || string(kept) != pipeline {
		t.Errorf("kept %q (%v)", kept, err)
	}
	simctl(t, e, "validate", "piped").want(t, StatusOK)

	// So is what a chart gives.
	for name, content := range map[string]string{
		"chart/Chart.yaml":        "apiVersion: v2\nname: ci\nversion: 1.2.3\n",
		"chart/values.yaml":       "name: ci\n",
		"chart/templates/ci.yaml": strings.Replace(pipeline, "name: ci", "name: {{ .Values.name }}", 1),
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	simctl(t, e, "init", "--from", "chart", "--to", "rendered", "--param", "url=https://example.com").want(t, StatusOK, "made up: Task fetch")
	simctl(t, e, "validate", "rendered").want(t, StatusOK)
	simctl(t, e, "init", "--from", "chart/templates", "--to", "x").want(t, StatusError, "chart/templates/ci.yaml:3:19: looks like a Helm chart's template: helm template CHART | simctl init --from -")
	simctl(t, e, "init", "--from", ".", "--to", "x").want(t, StatusError, "chart/Chart.yaml: looks like a Helm chart: simctl init --from chart renders it")
}

func TestDoctor(t *testing.T) {
	place(t)
	cache := t.TempDir()
	e := &fakeEngine{}
	got := simctl(t, e, "doctor", "scenarios/", "--tekton", "1.15.0,1.3.1,1.9.0", "--cache-dir", cache)
	lines := regexp.MustCompile(`(?m)^(ok|note|fail) +(.*)$`)
	for _, want := range []string{
		`(?m)^ok +cache +` + regexp.QuoteMeta(cache) + ` can be written, `,
		`(?m)^ok +loopback ports`,
		`(?m)^note +Tekton 1\.3\.1 +will be built, once: a build has taken about 1m30s here$`,
		`(?m)^ok +Tekton 1\.9\.0 +built$`,
		`(?m)^ok +Tekton 1\.15\.0 +built in$`,
	} {
		if !regexp.MustCompile(want).MatchString(got.stdout) {
			t.Errorf("no line %s:\n%s", want, got.stdout)
		}
	}
	if n, all := len(lines.FindAllString(got.stdout, -1)), strings.Count(got.stdout, "\n"); n != all {
		t.Errorf("%d lines of %d are findings", n, all)
	}

	// No Go, and a cache in a place that cannot be one.
	t.Setenv("TEST_GO", "none")
	file := filepath.Join(cache, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	got = simctl(t, e, "doctor", "scenarios/", "--tekton", "1.3.1", "--cache-dir", filepath.Join(file, "sub"))
	got.want(t, StatusError, "2 of ", " checks failed")
	for _, want := range []string{`(?m)^fail +Go +the go command was not found in PATH: install Go 1\.26 or later`, `(?m)^fail +cache .*--cache-dir`} {
		if !regexp.MustCompile(want).MatchString(got.stdout) {
			t.Errorf("no line %s:\n%s", want, got.stdout)
		}
	}
	// What is there already runs without Go.
	got = simctl(t, e, "doctor", "scenarios/", "--tekton", "1.9.0", "--cache-dir", cache)
	got.want(t, StatusOK)
	t.Setenv("TEST_GO", "old")
	got = simctl(t, e, "doctor", "scenarios/", "--tekton", "1.3.1", "--cache-dir", cache)
	got.want(t, StatusError)
	if !strings.Contains(got.stdout, "1.21.0 is too old: install 1.26 or later (the scenarios need builds)") {
		t.Errorf("an old Go is let through:\n%s", got.stdout)
	}
	simctl(t, e, "doctor", "nope.yaml").want(t, StatusError, "nope.yaml: no such file")
}

func TestHelpTopics(t *testing.T) {
	place(t)
	e := &fakeEngine{}
	got := simctl(t, e, "help", "outcomes")
	got.want(t, StatusOK)
	for _, line := range strings.Split(docs.Outcomes, "\n") {
		// Every heading and every line without a link is printed as it is.
		if strings.HasPrefix(line, "```") || strings.Contains(line, "](") {
			continue
		}
		if want := strings.TrimLeft(line, "# "); !strings.Contains(got.stdout, want) {
			t.Errorf("the topic is without %q", want)
		}
	}
	got = simctl(t, e, "help", "scenario", "include-exclude")
	got.want(t, StatusOK)
	if !strings.HasPrefix(got.stdout, "include, exclude\n") || strings.Contains(got.stdout, "repeats, seed") {
		t.Errorf("not the section alone:\n%s", got.stdout)
	}
	for _, s := range sectionsOf(docs.Scenario) {
		if topicName(s.title) == "" || !strings.Contains(simctl(t, e, "help", "scenario", topicName(s.title)).stdout, s.title) {
			t.Errorf("section %q has no topic", s.title)
		}
	}
	if all := simctl(t, e, "help").stdout; !strings.Contains(all, "simctl scenario") || !strings.Contains(all, "Additional help topics") {
		t.Errorf("help does not name the topics:\n%s", all)
	}
}

package resolver

import (
	"errors"
	"strings"
	"testing"
)

func TestOf(t *testing.T) {
	for _, c := range []struct {
		resolver, params string // a=b c=d
		want             Target
		err              string
	}{
		{"cluster", "kind=pipeline name=p namespace=n", Target{Kind: "Pipeline", Namespace: "n", Name: "p"}, ""},
		{"cluster", "name=t namespace=n", Target{Kind: "Task", Namespace: "n", Name: "t"}, ""},
		{"cluster", "kind=stepaction name=s namespace=n", Target{Kind: "StepAction", Namespace: "n", Name: "s"}, ""},
		{"cluster", "name=t", Target{}, "missing required cluster resolver params: namespace"},
		{"cluster", "", Target{}, "missing required cluster resolver params: name, namespace"},
		{"cluster", "kind=pod name=p namespace=n", Target{}, "unknown or unsupported resource kind 'pod'"},
		{"hub", "name=git-clone version=0.9", Target{Kind: "Task", Name: "git-clone", File: "task/git-clone/0.9/git-clone.yaml", Version: "0.9"}, ""},
		{"bundles", "bundle=quay.io:80/a/b:0.4@sha256:00 kind=Pipeline name=p", Target{Kind: "Pipeline", Name: "p", Version: "0.4"}, ""},
		{"git", "url=u pathInRepo=task/scan/0.1/scan.yaml", Target{Name: "scan", File: "task/scan/0.1/scan.yaml"}, ""},
		{"git", "url=u", Target{}, "pathInRepo"},
		{"http", "url=https://example.com/a/hello.v2.yaml?raw=1", Target{Name: "hello.v2", File: "https://example.com/a/hello.v2.yaml"}, ""},
		{"http", "", Target{}, "url"},
		{"vault", "name=x", Target{}, "no resolver vault"},
	} {
		params := map[string]string{}
		for _, p := range strings.Fields(c.params) {
			k, v, _ := strings.Cut(p, "=")
			params[k] = v
		}
		got, err := Of(c.resolver, params)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s %s: %v, want %s", c.resolver, c.params, err, c.err)
			}
			continue
		}
		if err != nil || got != c.want {
			t.Errorf("%s %s means %+v (%v), want %+v", c.resolver, c.params, got, err, c.want)
		}
	}
}

func TestChoose(t *testing.T) {
	catalog := []Candidate{
		{Kind: "Task", Namespace: "n", Name: "scan", File: "task/scan/0.1/scan.yaml", Version: "0.1", Content: "a"},
		{Kind: "Task", Namespace: "n", Name: "scan", File: "task/scan/0.2/scan.yaml", Version: "0.2", Content: "b"},
		{Kind: "Task", Namespace: "m", Name: "builder", File: "mine/build.yaml", Content: "c"},
		{Kind: "Pipeline", Namespace: "m", Name: "all", File: "mine/several.yaml", Content: "d"},
		{Kind: "Task", Namespace: "m", Name: "clone", File: "mine/several.yaml", Content: "e"},
		{Kind: "StepAction", Namespace: "m", Name: "hello", File: "mine/task.yaml", Content: "f"},
		{Kind: "Task", Namespace: "m", Name: "twin", File: "a/1.yaml", Content: "g"},
		{Kind: "Task", Namespace: "n", Name: "twin", File: "b/2.yaml", Content: "g"},
		{Kind: "PipelineRun", Namespace: "m", Name: "run", File: "mine/run.yaml", Content: "h"},
	}
	for _, c := range []struct {
		resolver, params string
		want             int
		err              bool
	}{
		{"git", "pathInRepo=task/scan/0.2/scan.yaml", 1, false},
		{"git", "pathInRepo=elsewhere/0.1/scan.yaml", 0, false},
		// Neither folder is the one asked for.
		{"git", "pathInRepo=task/scan/0.3/scan.yaml", -1, true},
		// The file has another name than its Task, in a folder with another name.
		{"git", "pathInRepo=tasks/build.yaml", 2, false},
		{"http", "url=https://example.com/raw/mine/build.yaml?raw=1", 2, false},
		{"http", "url=https://example.com/several.yaml", 3, false},
		{"git", "pathInRepo=mine/several.yaml", 3, false},
		// A name that any file may have says nothing.
		{"git", "pathInRepo=other/task.yaml", -1, false},
		{"git", "pathInRepo=x/mine/task.yaml", 5, false},
		// By name.
		{"git", "pathInRepo=tasks/builder.yaml", 2, false},
		{"git", "pathInRepo=tasks/twin.yaml", 6, false},
		{"git", "pathInRepo=mine/run.yaml", -1, false},
		{"hub", "name=scan version=0.2", 1, false},
		{"hub", "name=scan version=0.7", -1, true},
		{"hub", "kind=pipeline name=scan version=0.2", -1, false},
		{"hub", "name=builder version=0.7", 2, false},
		{"bundles", "bundle=quay.io/c/task-scan:0.2@sha256:00 name=scan kind=task", 1, false},
		{"bundles", "bundle=quay.io/c/task-scan@sha256:00 name=scan kind=task", -1, true},
		{"bundles", "bundle=quay.io/c/task-clone:9 name=clone kind=task", 4, false},
		{"cluster", "name=twin namespace=n", 7, false},
		{"cluster", "name=twin namespace=other", -1, false},
	} {
		params := map[string]string{}
		for _, p := range strings.Fields(c.params) {
			k, v, _ := strings.Cut(p, "=")
			params[k] = v
		}
		target, err := Of(c.resolver, params)
		if err != nil {
			t.Fatal(err)
		}
		got, err := target.Choose(catalog)
		if got != c.want || c.err != errors.Is(err, ErrAmbiguous) {
			t.Errorf("%s %s is %d (%v), want %d", c.resolver, c.params, got, err, c.want)
		}
	}
}

package resolver

import (
	"strings"
	"testing"
)

func TestOf(t *testing.T) {
	for _, c := range []struct {
		resolver, params string // a=b c=d
		want             Target
		err              string
	}{
		{"cluster", "kind=pipeline name=p namespace=n", Target{"Pipeline", "n", "p"}, ""},
		{"cluster", "name=t namespace=n", Target{"Task", "n", "t"}, ""},
		{"cluster", "kind=stepaction name=s namespace=n", Target{"StepAction", "n", "s"}, ""},
		{"cluster", "name=t", Target{}, "missing required cluster resolver params: namespace"},
		{"cluster", "", Target{}, "missing required cluster resolver params: name, namespace"},
		{"cluster", "kind=pod name=p namespace=n", Target{}, "unknown or unsupported resource kind 'pod'"},
		{"hub", "name=git-clone version=0.9", Target{"Task", "", "git-clone"}, ""},
		{"bundles", "bundle=quay.io/a/b kind=Pipeline name=p", Target{"Pipeline", "", "p"}, ""},
		{"git", "url=u pathInRepo=task/scan/0.1/scan.yaml", Target{"", "", "scan"}, ""},
		{"git", "url=u", Target{}, "pathInRepo"},
		{"http", "url=https://example.com/a/hello.v2.yaml?raw=1", Target{"", "", "hello.v2"}, ""},
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

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		target                Target
		kind, namespace, name string
		want                  bool
	}{
		{Target{"Task", "n", "t"}, "Task", "n", "t", true},
		{Target{"Task", "n", "t"}, "Task", "other", "t", false},
		{Target{"Task", "", "t"}, "Task", "other", "t", true},
		{Target{"Task", "", "t"}, "Pipeline", "n", "t", false},
		{Target{"", "", "t"}, "StepAction", "n", "t", true},
		{Target{"", "", "t"}, "PipelineRun", "n", "t", false},
		{Target{"", "", "t"}, "Task", "n", "u", false},
	} {
		if got := c.target.Matches(c.kind, c.namespace, c.name); got != c.want {
			t.Errorf("%s means %s %s/%s: %t", c.target, c.kind, c.namespace, c.name, got)
		}
	}
}

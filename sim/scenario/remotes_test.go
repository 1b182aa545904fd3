package scenario

import (
	"encoding/json"
	"testing"
)

// TestAsksResolvers: what resolvers fetch is part of a cell wherever they may be asked
// from, a Task's own steps, Tekton's default and interventions too.
func TestAsksResolvers(t *testing.T) {
	task := json.RawMessage(`{"kind":"Task","spec":{"steps":[{"ref":{"resolver":"git"}}]}}`)
	plain := json.RawMessage(`{"kind":"Task","spec":{"steps":[{"image":"a"}]}}`)
	for _, c := range []struct {
		name   string
		spec   Scenario
		object json.RawMessage
		want   bool
	}{
		{"nobody", Scenario{}, plain, false},
		{"a step", Scenario{}, task, true},
		{"Tekton's default", Scenario{Tekton: Tekton{Defaults: map[string]string{"default-resolver-type": "git"}}}, plain, true},
		{"what is applied", Scenario{Interventions: []Intervention{{Apply: &Apply{Manifests: []json.RawMessage{task}}}}}, plain, true},
		{"a file that is applied", Scenario{Interventions: []Intervention{{Apply: &Apply{Files: []string{"a.yaml"}}}}}, plain, true},
	} {
		if got := asksResolvers(&c.spec, []json.RawMessage{c.object}); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
	}
}

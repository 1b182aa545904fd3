package hook

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestAdmit: what a webhook does to objects as people write them.
func TestAdmit(t *testing.T) {
	const pipelineRun = `{"apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "metadata": {"generateName": "run-"}, "spec": `
	for _, test := range []struct {
		name, object string
		// has is in what is admitted, refused in the words with which it is not.
		has, refused string
	}{
		{
			name:   "a step without a name gets an empty one, which the CRD demands",
			object: `{"apiVersion": "tekton.dev/v1", "kind": "Task", "metadata": {"name": "t"}, "spec": {"steps": [{"image": "ubi9"}]}}`,
			has:    `{"name":"","image":"ubi9","computeResources":{}}`,
		},
		{
			name:   "defaults",
			object: pipelineRun + `{"pipelineRef": {"name": "p"}}}`,
			has:    `"timeouts":{"pipeline":"1h0m0s"}`,
		},
		{
			name:    "a slip",
			object:  `{"apiVersion": "tekton.dev/v1", "kind": "Task", "metadata": {"name": "t"}, "spec": {"steps": [{"image": "ubi9", "skript": "make"}]}}`,
			refused: `mutation failed: cannot decode incoming new object: json: unknown field "skript"`,
		},
		{
			name:    "not valid",
			object:  pipelineRun + `{"pipelineRef": {"name": "p"}, "timeouts": {"pipeline": "1m", "tasks": "2m"}}}`,
			refused: "validation failed: invalid value: 2m0s should be <= pipeline duration: spec.timeouts.tasks",
		},
		{
			name:    "a name that cannot be",
			object:  `{"apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "metadata": {"name": "a_b"}, "spec": {"pipelineRef": {"name": "p"}}}`,
			refused: `validation failed: invalid resource name "a_b"`,
		},
		{
			name:   "a kind that is none of Tekton's",
			object: `{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}`,
			has:    `{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			admitted, refused := (&Hook{}).admit(json.RawMessage(test.object))
			if (refused == "") != (test.refused == "") || !strings.Contains(refused, test.refused) {
				t.Errorf("refused with %q, want %q", refused, test.refused)
			}
			if !strings.Contains(string(admitted), test.has) {
				t.Errorf("admitted as %s, want %s in it", admitted, test.has)
			}
			if strings.Contains(string(admitted), generated("run-")) {
				t.Errorf("a made-up name is in %s", admitted)
			}
		})
	}
}

package impact

import (
	"encoding/json"
	"strings"
	"testing"

	"simctl.dev/simctl/sim/scenario"
)

func TestTasksForClusterTasks(t *testing.T) {
	const (
		lint     = `{"apiVersion":"tekton.dev/v1beta1","kind":"ClusterTask","metadata":{"name":"lint"},"spec":{"steps":[]}}`
		pipeline = `{"apiVersion":"tekton.dev/v1","kind":"Pipeline","metadata":{"name":"p","namespace":"ns"},"spec":{"tasks":[{"name":"a","taskRef":{"kind":"ClusterTask","name":"lint"}},{"name":"b","taskRef":{"name":"own"}}]}}`
		inline   = `{"apiVersion":"tekton.dev/v1","kind":"PipelineRun","metadata":{"generateName":"r-","namespace":"ns"},"spec":{"pipelineSpec":{"finally":[{"name":"a","taskRef":{"kind":"ClusterTask","name":"lint"}}]}}}`
		plain    = `{"apiVersion":"tekton.dev/v1","kind":"Pipeline","metadata":{"name":"q","namespace":"ns"},"spec":{"tasks":[{"name":"b","taskRef":{"name":"own"}}]}}`
		task     = `{"apiVersion":"tekton.dev/v1","kind":"Task","metadata":{"name":"lint","namespace":"ns"},"spec":{"steps":[]}}`
		moved    = `{"kind":"ClusterTask","name":"lint","patch":{"kind":"Task","metadata":{"namespace":"ns"}}}`
	)
	for _, tt := range []struct {
		name    string
		objects []string
		// want are the patches, in order; none: no candidate.
		want []string
	}{
		{"a Pipeline", []string{lint, pipeline, plain}, []string{
			`{"kind":"Pipeline","name":"p","patch":{"spec":{"tasks":[{"name":"a","taskRef":{"kind":"Task","name":"lint"}},{"name":"b","taskRef":{"name":"own"}}]}}}`, moved,
		}},
		{"a Pipeline inside of the run", []string{lint, inline}, []string{
			`{"kind":"PipelineRun","name":"r-","patch":{"spec":{"pipelineSpec":{"finally":[{"name":"a","taskRef":{"kind":"Task","name":"lint"}}]}}}}`, moved,
		}},
		{"no reference", []string{lint, plain}, nil},
		{"not among the manifests", []string{pipeline}, nil},
		{"a Task of that name", []string{lint, pipeline, task}, nil},
		{"two namespaces", []string{lint, pipeline, strings.Replace(inline, `"ns"`, `"other"`, 1)}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cell := scenario.Cell{}
			for _, o := range tt.objects {
				cell.Objects = append(cell.Objects, json.RawMessage(o))
			}
			c, ok := TasksForClusterTasks(cell)
			if ok != (len(tt.want) > 0) {
				t.Fatalf("candidate %+v: %t", c, ok)
			}
			if want := `{"workload":{"overrides":{"patches":[` + strings.Join(tt.want, ",") + `]}}}`; ok && string(c.Value.Patch) != want {
				t.Errorf("got  %s\nwant %s", c.Value.Patch, want)
			}
		})
	}
}

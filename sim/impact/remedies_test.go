package impact

import (
	"encoding/json"
	"slices"
	"testing"

	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/verdict"
)

// What is tried follows from the rules of the chain and from the cell's own manifests.
func TestFitting(t *testing.T) {
	cell := scenario.Cell{Objects: []json.RawMessage{
		json.RawMessage(`{"apiVersion":"tekton.dev/v1","kind":"PipelineRun","metadata":{"name":"r","annotations":{"pipeline.tekton.dev/affinity-assistant":"x"}},"spec":{
			"timeouts":{"pipeline":"1h","tasks":"10m","finally":"20m"},"taskRunTemplate":{"podTemplate":{"affinity":{},"nodeSelector":{"a":"b"}}},"taskRunSpecs":[{"pipelineTaskName":"c"}]}}`),
		json.RawMessage(`{"apiVersion":"tekton.dev/v1","kind":"Pipeline","metadata":{"name":"p"},"spec":{"tasks":[{"name":"a","retries":2},{"name":"b"}]}}`),
		json.RawMessage(`{"apiVersion":"tekton.dev/v1beta1","kind":"PipelineRun","metadata":{"generateName":"old-"},"spec":{"podTemplate":{"affinity":{},"nodeSelector":{"a":"b"},"priorityClassName":"high"}}}`),
		json.RawMessage(`{"apiVersion":"scheduling.k8s.io/v1","kind":"PriorityClass","metadata":{"name":"low"},"value":-10}`),
		json.RawMessage(`{"apiVersion":"scheduling.k8s.io/v1","kind":"PriorityClass","metadata":{"name":"high"},"value":1000}`),
		json.RawMessage(`{"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"name":"kept","finalizers":["example.com/backup"]},"spec":{}}`),
		json.RawMessage(`{"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"name":"free"},"spec":{}}`),
		json.RawMessage(`{"apiVersion":"v1","kind":"ResourceQuota","metadata":{"name":"q"},"spec":{"hard":{"limits.memory":"6Gi","pods":2}}}`),
	}}
	cell.Spec.Workload.Overrides.Patches = []scenario.ManifestPatch{{Kind: "Task", Patch: json.RawMessage(`{}`)}}
	for _, tt := range []struct {
		rule string
		// tried and left are names of candidates.
		tried, left []string
		patches     map[string]string
	}{
		{rule: "timeout/tasks-count-finally",
			tried: []string{"no-tasks-timeout", "tasks-timeout-with-finally"}, left: []string{"coschedule-disabled", "rwx", "fsgroup-left-out"},
			patches: map[string]string{
				"no-tasks-timeout":           `{"workload":{"overrides":{"patches":[{"kind":"Task","patch":{}},{"kind":"PipelineRun","name":"r","patch":{"spec":{"timeouts":{"tasks":null}}}}]}}}`,
				"tasks-timeout-with-finally": `{"workload":{"overrides":{"patches":[{"kind":"Task","patch":{}},{"kind":"PipelineRun","name":"r","patch":{"spec":{"timeouts":{"pipeline":"1h0m0s","tasks":"30m0s"}}}}]}}}`,
			}},
		{rule: "timeout/default", tried: []string{"tasks-timeout-as-pipeline", "default-timeout-240", "tekton-1.15.0"}, left: []string{"coschedule-disabled"}},
		{rule: "origin/isolate-pipelinerun", tried: []string{"no-affinity", "coschedule-pipelineruns"}, left: []string{"no-tasks-timeout", "rwx"}},
		{rule: "node/selector", tried: []string{"no-affinity", "no-node-selector"}, left: []string{"highest-priority"}, patches: map[string]string{
			"no-affinity": `{"workload":{"overrides":{"patches":[{"kind":"Task","patch":{}},{"kind":"PipelineRun","name":"r","patch":{"spec":{"taskRunTemplate":{"podTemplate":{"affinity":null}}}}},` +
				`{"kind":"PipelineRun","name":"old-","patch":{"spec":{"podTemplate":{"affinity":null}}}}]}}}`,
			"no-node-selector": `{"workload":{"overrides":{"patches":[{"kind":"Task","patch":{}},{"kind":"PipelineRun","name":"r","patch":{"spec":{"taskRunTemplate":{"podTemplate":{"nodeSelector":null}}}}},` +
				`{"kind":"PipelineRun","name":"old-","patch":{"spec":{"podTemplate":{"nodeSelector":null}}}}]}}}`,
		}},
		{rule: "pod/preempted", tried: []string{"highest-priority"}, left: []string{"no-affinity"}, patches: map[string]string{
			"highest-priority": `{"workload":{"overrides":{"patches":[{"kind":"Task","patch":{}},{"kind":"PipelineRun","name":"r","patch":{"spec":{"taskRunTemplate":{"podTemplate":{"priorityClassName":"high"}}}}}]}}}`,
		}},
		{rule: "claim/being-deleted-by", tried: []string{"no-claim-finalizers", "rwx"}, left: []string{"highest-priority"}, patches: map[string]string{
			"no-claim-finalizers": `{"workload":{"overrides":{"patches":[{"kind":"Task","patch":{}},{"kind":"PersistentVolumeClaim","name":"kept","patch":{"metadata":{"finalizers":null}}}]}}}`,
		}},
		{rule: "origin/task-run-specs", tried: []string{"no-task-run-specs"}, left: []string{"quota-doubled"}},
		{rule: "origin/assistant-annotation", tried: []string{"no-assistant-annotation"}},
		{rule: "task/retries-used", tried: []string{"one-retry-more"},
			patches: map[string]string{"one-retry-more": `{"workload":{"overrides":{"patches":[{"kind":"Task","patch":{}},{"kind":"Pipeline","name":"p","patch":{"spec":{"tasks":[{"name":"a","retries":3},{"name":"b","retries":1}]}}}]}}}`}},
		{rule: "admission/quota", tried: []string{"quota-doubled"}, left: []string{"one-retry-more"},
			patches: map[string]string{"quota-doubled": `{"workload":{"overrides":{"patches":[{"kind":"Task","patch":{}},{"kind":"ResourceQuota","name":"q","patch":{"spec":{"hard":{"limits.memory":"12Gi","pods":"4"}}}}]}}}`}},
		{rule: "", tried: []string{"coschedule-disabled", "rwx"}, left: []string{"no-tasks-timeout"}},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			got := Fitting(Candidates(cell.Spec, []string{"1.15.0"}), cell, []verdict.Link{{What: "symptom"}, {Rule: tt.rule}})
			var names []string
			for _, c := range got {
				names = append(names, c.Name)
				if want := tt.patches[c.Name]; want != "" && string(c.Value.Patch) != want {
					t.Errorf("%s is %s, want %s", c.Name, c.Value.Patch, want)
				}
			}
			for _, n := range tt.tried {
				if !slices.Contains(names, n) {
					t.Errorf("%s is not tried: %v", n, names)
				}
			}
			for _, n := range tt.left {
				if slices.Contains(names, n) {
					t.Errorf("%s is tried", n)
				}
			}
		})
	}
}

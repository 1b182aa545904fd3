package node

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	dynamicfake "k8s.io/client-go/dynamic/fake"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/wellknown"
)

// TestDeclaration: what the TaskRun's status says of its Task decides the types
// of made-up results and where a workspace is.
func TestDeclaration(t *testing.T) {
	var tr unstructured.Unstructured
	if err := json.Unmarshal([]byte(`{"apiVersion": "tekton.dev/v1", "kind": "TaskRun", "metadata": {"namespace": "ns", "name": "tr"},
		"status": {"taskSpec": {
			"results": [{"name": "list", "type": "array"}, {"name": "longer", "type": "array"}, {"name": "pair", "type": "object", "properties": {"y": {}, "x": {}}}, {"name": "url", "type": "string"}, {"name": "flag", "type": "string"}],
			"steps": [{"name": "one", "results": [{"name": "list", "type": "string"}]}],
			"workspaces": [{"name": "cache", "mountPath": "/var/cache"}, {"name": "shared"}]}}}`), &tr.Object); err != nil {
		t.Fatal(err)
	}
	var pr unstructured.Unstructured
	if err := json.Unmarshal([]byte(`{"apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "metadata": {"namespace": "ns", "name": "pr"},
		"status": {"pipelineSpec": {"tasks": [{"name": "next", "params": [
			{"name": "a", "value": "$(tasks.task.results.longer[1]) $(tasks.task.results.longer[0])"},
			{"name": "b", "value": "$(tasks.other.results.longer[5]) $(tasks.task.results.list[*])"}]}],
			"finally": [{"name": "end", "when": [{"input": "$(tasks.task.results.flag)", "operator": "in", "values": ["yes"]}]}]}}}`), &pr.Object); err != nil {
		t.Fatal(err)
	}
	k := &Kubelets{o: Options{
		Dynamic: dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{
			{Group: "tekton.dev", Version: "v1", Resource: "taskruns"}:     "TaskRunList",
			{Group: "tekton.dev", Version: "v1", Resource: "pipelineruns"}: "PipelineRunList",
		}, &tr, &pr),
		Workload: scenario.Workload{Tasks: map[string]scenario.TaskModel{"task": {Results: map[string]json.RawMessage{
			"given": json.RawMessage(`"text"`), "number": json.RawMessage(`7`), "array": json.RawMessage(`[ "a", "b" ]`),
		}}}},
		Logger: logr.Discard(),
	}}
	log := history.NewLog(func() float64 { return 0 }, nil)
	k.o.Recorder = log
	p := &pod{namespace: "ns", m: &machine{name: "worker-0"}, labels: map[string]string{wellknown.TaskRunLabel: "tr", wellknown.PipelineRunLabel: "pr"}, identity: identity{key: "ns/run/task/1", task: "task", models: []string{"task"}}}
	for name, want := range map[string]string{
		"list": `["task-list"]`, "longer": `["task-longer","task-longer-1"]`, "pair": `{"x":"task-x","y":"task-y"}`, "url": "https://registry.example.com/task", "flag": "yes", "unknown": "task-unknown",
		"given": "text", "number": "7", "array": `["a","b"]`,
	} {
		if got := k.resultValue(t.Context(), p, name, ""); got != want {
			t.Errorf("result %s is %s, want %s", name, got, want)
		}
	}
	if got := k.resultValue(t.Context(), p, "list", "one"); got != "task-list" {
		t.Errorf("the step's result list is %s", got)
	}
	// What is made up is said, once; what the model gives is not.
	madeUp := map[string]string{}
	k.resultValue(t.Context(), p, "flag", "")
	for _, e := range log.Entries() {
		var m history.MadeUp
		if err := e.Decode(&m); err != nil || e.Fact != history.FactResultMadeUp {
			t.Fatalf("%s: %v", e.Fact, err)
		}
		madeUp[m.Step+"/"+m.Result] = m.Value
	}
	if len(log.Entries()) != 7 || madeUp["/flag"] != "yes" || madeUp["one/list"] != "task-list" || madeUp["/given"] != "" {
		t.Errorf("%d results are said to be made up: %v", len(log.Entries()), madeUp)
	}

	p.volumes = []*mount{{volume: "v1", claim: "a"}, {volume: "v2", claim: "b", readOnlyFS: true}}
	c := &container{spec: &corev1.Container{
		Env: []corev1.EnvVar{{Name: "RUN", Value: "r1"}},
		VolumeMounts: []corev1.VolumeMount{
			{Name: "v1", MountPath: "/workspace/shared", SubPathExpr: "runs/$(RUN)"},
			{Name: "v2", MountPath: "/var/cache"},
			{Name: "secret", MountPath: "/workspace/auth"},
		},
	}}
	for name, want := range map[string]string{"shared": "a runs/r1 false", "cache": "b  true", "auth": "", "other": ""} {
		got := ""
		if a, ok := k.workspace(t.Context(), p, c, name); ok {
			got = strings.Join([]string{a.mount.claim, a.prefix, map[bool]string{true: "true", false: "false"}[a.readOnly]}, " ")
		}
		if got != want {
			t.Errorf("workspace %s is at %q, want %q", name, got, want)
		}
	}
}

func TestCheckModels(t *testing.T) {
	for want, m := range map[string]scenario.TaskModel{
		"duration":  {Duration: &scenario.Distribution{Constant: "soon"}},
		"steps.one": {Steps: map[string]*scenario.Distribution{"one": {Uniform: &scenario.Uniform{Min: "2s", Max: "1s"}}}},
		"writes[0]": {Writes: []scenario.Write{{Bytes: "many"}}},
		"not octal": {Writes: []scenario.Write{{Mode: "0999"}}},
	} {
		if err := checkModels(map[string]scenario.TaskModel{"task": m}); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), `"task"`) {
			t.Errorf("%s: error %v", want, err)
		}
	}
}

func TestStepDurations(t *testing.T) {
	k := &Kubelets{o: Options{Seed: 1, Logger: logr.Discard()}}
	p := &pod{identity: identity{key: "ns/run/task/1"}}
	for _, name := range []string{"one", "two", "three"} {
		p.steps = append(p.steps, &container{step: name})
	}
	for name, tc := range map[string]struct {
		m    scenario.TaskModel
		want []time.Duration
	}{
		"default":  {scenario.TaskModel{}, []time.Duration{3333 * time.Millisecond, 3333 * time.Millisecond, 3334 * time.Millisecond}},
		"together": {scenario.TaskModel{Duration: &scenario.Distribution{Constant: "3s"}}, []time.Duration{time.Second, time.Second, time.Second}},
		"by step":  {scenario.TaskModel{Steps: map[string]*scenario.Distribution{"two": {Constant: "5s"}}}, []time.Duration{0, 5 * time.Second, 0}},
	} {
		var got []time.Duration
		for i := range p.steps {
			got = append(got, k.stepDuration(p, i, tc.m))
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

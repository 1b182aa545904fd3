package node

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	tektonv1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	tektonpod "github.com/tektoncd/pipeline/pkg/pod"
	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"knative.dev/pkg/apis"
)

// TestTektonReadsStatuses hands the statuses that steps end with to Tekton's
// own code and looks at the TaskRun status that it makes of them.
func TestTektonReadsStatuses(t *testing.T) {
	began := time.Date(2100, 1, 1, 0, 0, 10, 500_000_000, time.UTC)
	finished := began.Add(20 * time.Second)
	results := []runResult{
		{Key: "digest", Value: "sha256:00", Type: typeTaskResult},
		{Key: "list", Value: `["a","b"]`, Type: typeTaskResult},
		{Key: "pair", Value: `{"x":"1"}`, Type: typeTaskResult},
	}
	for name, tc := range map[string]struct {
		turn    turn
		args    entrypointArgs
		results []runResult
		// want is the condition's reason and the step's exit code and reason.
		want        string
		wantResults string
	}{
		"success": {
			turn: turn{reason: "Completed"}, results: results,
			want: "Succeeded 0 Completed Completed", wantResults: `digest="sha256:00" list=["a","b"] pair={"x":"1"}`,
		},
		"compressed": {
			turn: turn{reason: "Completed"}, results: results, args: entrypointArgs{compress: true},
			want: "Succeeded 0 Completed Completed", wantResults: `digest="sha256:00" list=["a","b"] pair={"x":"1"}`,
		},
		"failure":  {turn: turn{exit: 3, reason: "Error"}, want: "StepFailed 3 Error Error"},
		"OOM":      {turn: turn{exit: 137, reason: "OOMKilled"}, want: "StepOOM 137 OOMKilled OOMKilled"},
		"timeout":  {turn: turn{exit: 1, reason: "Error", word: reasonTimeout}, want: "StepFailed 1 Error TimeoutExceeded"},
		"continue": {turn: turn{exit: 3, reason: "Error"}, args: entrypointArgs{onError: "continue"}, want: "Succeeded 3 Completed Continued"},
		"cancel":   {turn: turn{exit: 9, reason: "Error", word: reasonCancelled}, want: "StepFailed 9 Error Cancelled"},
		"skipped":  {turn: turn{reason: "Completed", word: reasonSkipped, skipped: true}, want: "Succeeded 0 Completed Skipped"},
	} {
		t.Run(name, func(t *testing.T) {
			c := &container{spec: &corev1.Container{Name: "step-one"}, step: "one", args: tc.args, began: began, started: began.Add(-time.Second)}
			exit, reason, message, _ := c.ending(&tc.turn, tc.results)
			c.end(finished, exit, reason, message)
			p := &pod{containers: []*container{c}}
			phase := corev1.PodSucceeded
			if exit != 0 {
				phase = corev1.PodFailed
			}
			obj := &corev1.Pod{
				Spec:   corev1.PodSpec{Containers: []corev1.Container{*c.spec}},
				Status: corev1.PodStatus{Phase: phase, ContainerStatuses: []corev1.ContainerStatus{p.containerStatus(c, false)}},
			}
			spec := &tektonv1.TaskSpec{
				Steps: []tektonv1.Step{{Name: "one"}},
				Results: []tektonv1.TaskResult{
					{Name: "digest", Type: tektonv1.ResultsTypeString}, {Name: "list", Type: tektonv1.ResultsTypeArray}, {Name: "pair", Type: tektonv1.ResultsTypeObject},
				},
			}
			tr := tektonv1.TaskRun{ObjectMeta: metav1.ObjectMeta{Name: "tr"}}
			tr.Status.TaskSpec = spec
			// Tekton reads results only once the TaskRun is done, which it learns
			// from the same status.
			status, err := tektonpod.MakeTaskRunStatus(context.Background(), zap.NewNop().Sugar(), tr, obj, fake.NewClientset(), spec)
			if err != nil {
				t.Fatal(err)
			}
			step := status.Steps[0]
			got := fmt.Sprintf("%s %d %s %s", status.GetCondition(apis.ConditionSucceeded).Reason, step.Terminated.ExitCode, step.Terminated.Reason, step.TerminationReason)
			if got != tc.want {
				t.Errorf("Tekton reads %q, want %q", got, tc.want)
			}
			if !step.Terminated.StartedAt.Time.Equal(began) {
				t.Errorf("step started at %v, want %v", step.Terminated.StartedAt, began)
			}
			var values []string
			for _, r := range status.Results {
				raw, err := json.Marshal(r.Value)
				if err != nil {
					t.Fatal(err)
				}
				values = append(values, r.Name+"="+string(raw))
			}
			if got := strings.Join(values, " "); got != tc.wantResults {
				t.Errorf("results %s, want %s", got, tc.wantResults)
			}
		})
	}
}

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

	"simctl.dev/simctl/sim/node/internal/entrypoint"
)

// TestTektonReadsStatuses hands the statuses that steps end with to Tekton's
// own code and looks at the TaskRun status that it makes of them.
func TestTektonReadsStatuses(t *testing.T) {
	began := time.Date(2100, 1, 1, 0, 0, 10, 500_000_000, time.UTC)
	finished := began.Add(20 * time.Second)
	results := []entrypoint.Result{
		entrypoint.TaskResult("digest", "sha256:00"),
		entrypoint.TaskResult("list", `["a","b"]`),
		entrypoint.TaskResult("pair", `{"x":"1"}`),
	}
	fails := func(_ entrypoint.Args, t *entrypoint.Turn) { t.Fail(3, "") }
	takesLong := func(a entrypoint.Args, t *entrypoint.Turn) {
		t.Duration = time.Hour
		a.Limit(t)
	}
	for name, tc := range map[string]struct {
		args entrypoint.Args
		// end has the step end; nil ends it as it would by itself.
		end     func(a entrypoint.Args, t *entrypoint.Turn)
		cancel  bool
		results []entrypoint.Result
		// want is the condition's reason and the step's exit code and reason.
		want        string
		wantResults string
	}{
		"success": {
			results: results,
			want:    "Succeeded 0 Completed Completed", wantResults: `digest="sha256:00" list=["a","b"] pair={"x":"1"}`,
		},
		"compressed": {
			results: results, args: entrypoint.Args{Compress: true},
			want: "Succeeded 0 Completed Completed", wantResults: `digest="sha256:00" list=["a","b"] pair={"x":"1"}`,
		},
		"failure":  {end: fails, want: "StepFailed 3 Error Error"},
		"OOM":      {end: func(_ entrypoint.Args, t *entrypoint.Turn) { t.KillForMemory(exitSIGKILL, false) }, want: "StepOOM 137 OOMKilled OOMKilled"},
		"timeout":  {args: entrypoint.Args{Timeout: time.Second}, end: takesLong, want: "StepFailed 1 Error TimeoutExceeded"},
		"continue": {args: entrypoint.Args{OnError: "continue"}, end: fails, want: "Succeeded 3 Completed Continued"},
		"cancel":   {cancel: true, want: "StepFailed 9 Error Cancelled"},
		"skipped":  {args: entrypoint.Args{When: []entrypoint.When{{Input: "a", Operator: "in"}}}, want: "Succeeded 0 Completed Skipped"},
	} {
		t.Run(name, func(t *testing.T) {
			c := &container{spec: &corev1.Container{Name: "step-one"}, step: "one", args: tc.args, began: began, started: began.Add(-time.Second)}
			turn := tc.args.Turn()
			if tc.end != nil {
				tc.end(tc.args, &turn)
			}
			e := tc.args.End(turn, began, tc.results)
			if tc.cancel {
				e = tc.args.Cancel(began)
			}
			c.end(finished, e.Exit, e.Reason, e.Message)
			p := &pod{containers: []*container{c}}
			phase := corev1.PodSucceeded
			if e.Exit != 0 {
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

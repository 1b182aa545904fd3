package entrypoint

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestParse: arguments as releases of Tekton write them; what follows "--"
// is the user's.
func TestParse(t *testing.T) {
	for name, tc := range map[string]struct {
		args string
		want Args
	}{
		"first step": {
			"-wait_file /tekton/downward/ready -wait_file_content -post_file /tekton/run/0/out -termination_path /tekton/termination -step_metadata_dir /tekton/run/0/status -results digest,url -entrypoint sh -- -results no",
			Args{WaitsForReady: true, Results: []string{"digest", "url"}},
		},
		"later step": {
			"-wait_file /tekton/run/0/out -post_file /tekton/run/1/out -on_error continue -timeout 1m0s -step_results a,b -breakpoint_on_failure -entrypoint x --",
			Args{OnError: "continue", Timeout: time.Minute, StepResults: []string{"a", "b"}},
		},
		"credentials and compression": {
			"-basic-docker=x=https://a -result_from sidecar-logs -compress_termination_message=true --",
			Args{ResultsFromSidecar: true, Compress: true},
		},
		"when": {
			`--when_expressions [{"input":"a","operator":"notin","values":["a"]}] --`,
			Args{When: []When{{Input: "a", Operator: "notin", Values: []string{"a"}}}},
		},
	} {
		if got := Parse(strings.Fields(tc.args)); !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: %+v, want %+v", name, got, tc.want)
		}
	}
}

func TestSkips(t *testing.T) {
	for expr, want := range map[string]bool{
		`[]`: false,
		`[{"input":"a","operator":"in","values":["a","b"]}]`:                                          false,
		`[{"input":"c","operator":"in","values":["a","b"]}]`:                                          true,
		`[{"input":"a","operator":"notin","values":["a"]}]`:                                           true,
		`[{"input":"$(steps.one.results.x)","operator":"in","values":["a"]}]`:                         false,
		`[{"cel":"'a' == 'b'"}]`:                                                                      false,
		`[{"input":"a","operator":"in","values":["a"]},{"input":"a","operator":"in","values":["b"]}]`: true,
	} {
		if got := Parse([]string{"-when_expressions", expr}).skips(); got != want {
			t.Errorf("%s: skips %v, want %v", expr, got, want)
		}
	}
}

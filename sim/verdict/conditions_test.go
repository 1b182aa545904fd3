package verdict

import (
	"strings"
	"testing"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/timeline"
)

func TestPast(t *testing.T) {
	for _, test := range []struct {
		seq, before int
		want        bool
	}{{0, 5, false}, {4, 5, true}, {5, 5, false}, {6, 5, false}} {
		x := &explainer{before: test.before}
		if got := x.past(test.seq); got != test.want {
			t.Errorf("entry %d before entry %d: %t", test.seq, test.before, got)
		}
	}
}

func TestTimedOut(t *testing.T) {
	for _, test := range []struct {
		reason, message string
		want            bool
	}{
		{"PipelineRunTimeout", "", true},
		{"Failed", "the run has timed out", true},
		{"Failed", `failed to finish within "1h"`, true},
		{"Failed", "exited with code 1", false},
	} {
		if got := timedOut(test.reason, test.message); got != test.want {
			t.Errorf("%s: %s: %t", test.reason, test.message, got)
		}
	}
}

// container is a container's end: its step or "-", and its exit code.
func container(seq int, step string, code int) timeline.Fact[history.Container] {
	c := timeline.Fact[history.Container]{Seq: seq, Data: history.Container{Name: step, Step: step, ExitCode: code}}
	if step == "-" {
		c.Data.Step = ""
	}
	return c
}

func TestFirstFailure(t *testing.T) {
	type ends = []timeline.Fact[history.Container]
	for name, test := range map[string]struct {
		ends ends
		want int
	}{
		"none failed":                  {ends{container(1, "a", 0), container(2, "-", 0)}, 0},
		"the first step":               {ends{container(1, "a", 0), container(2, "b", 1), container(3, "c", 2)}, 2},
		"a step behind a sidecar":      {ends{container(1, "-", 1), container(2, "a", 1)}, 2},
		"a step that ended well":       {ends{container(1, "-", 1), container(2, "a", 0)}, 1},
		"a sidecar behind a step":      {ends{container(1, "a", 1), container(2, "-", 1)}, 1},
		"the first of sidecars":        {ends{container(1, "-", 1), container(2, "-", 1)}, 1},
		"a sidecar ends well before":   {ends{container(1, "-", 0), container(2, "-", 3)}, 2},
		"a step behind several others": {ends{container(1, "-", 1), container(2, "a", 2), container(3, "b", 1)}, 2},
	} {
		got := 0
		if c := firstFailure(&timeline.Pod{Containers: test.ends}); c != nil {
			got = c.Seq
		}
		if got != test.want {
			t.Errorf("%s: entry %d, want %d", name, got, test.want)
		}
	}
}

func TestStepsWait(t *testing.T) {
	type ends = []timeline.Fact[history.Container]
	for name, test := range map[string]struct {
		ends ends
		stop int
		want bool
	}{
		"a step was killed":           {ends{container(4, "a", killed)}, 0, true},
		"before its pod was stopped":  {ends{container(4, "a", killed)}, 5, true},
		"since its pod was stopped":   {ends{container(6, "a", killed)}, 5, false},
		"a sidecar was killed":        {ends{container(4, "-", killed)}, 0, false},
		"a step failed by itself":     {ends{container(4, "a", 1)}, 0, false},
		"one of them, after another":  {ends{container(3, "a", 0), container(4, "b", killed)}, 0, true},
		"a sidecar of a stopped pod":  {ends{container(6, "-", 1)}, 5, false},
		"nothing is known of its end": {nil, 0, false},
	} {
		of := &judging{timeline.New()}
		if got := of.stepsWait(&timeline.Pod{Containers: test.ends, StopSeq: test.stop}) != nil; got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestRevived(t *testing.T) {
	stale, late := &timeline.Fact[history.Overlap]{Data: history.Overlap{Stale: true}}, &timeline.Fact[history.Overlap]{}
	for name, test := range map[string]struct {
		of   timeline.TaskRun
		want bool
	}{
		"by stale news":      {timeline.TaskRun{Again: 9, Overlap: stale}, true},
		"by other news":      {timeline.TaskRun{Again: 9, Overlap: late}, false},
		"nobody knows how":   {timeline.TaskRun{Again: 9}, false},
		"it ended and ended": {timeline.TaskRun{Overlap: stale}, false},
	} {
		if got := revived(&test.of) != nil; got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// Whether somebody is left to work on a run, by what the scenario did to the controller.
func TestStoppedLink(t *testing.T) {
	at := func(seq int, i history.Intervention) timeline.Fact[history.Intervention] {
		return timeline.Fact[history.Intervention]{Seq: seq, Data: i}
	}
	const failure = "it did not come up"
	for name, test := range map[string]struct {
		done          []timeline.Fact[history.Intervention]
		starts, exits []int
		want          string
	}{
		"nothing was done":            {},
		"stopped":                     {done: []timeline.Fact[history.Intervention]{at(3, history.Intervention{Controller: "stop"})}, starts: []int{1}, want: controllerStopped.ID},
		"stopped, no start is known":  {done: []timeline.Fact[history.Intervention]{at(3, history.Intervention{Controller: "stop"})}, want: controllerStopped.ID},
		"stopped and started":         {done: []timeline.Fact[history.Intervention]{at(3, history.Intervention{Controller: "stop"})}, starts: []int{1, 5}},
		"it could not be stopped":     {done: []timeline.Fact[history.Intervention]{at(3, history.Intervention{Controller: "stop", Failure: failure})}, exits: []int{2}},
		"the cell ended before":       {done: []timeline.Fact[history.Intervention]{at(3, history.Intervention{Controller: "stop", Missed: true})}},
		"killed":                      {done: []timeline.Fact[history.Intervention]{at(3, history.Intervention{Controller: "kill"})}},
		"a drain":                     {done: []timeline.Fact[history.Intervention]{at(3, history.Intervention{Action: "drain"})}, exits: []int{2}},
		"a drain that failed":         {done: []timeline.Fact[history.Intervention]{at(3, history.Intervention{Action: "drain", Failure: failure})}, exits: []int{2}},
		"a start that failed":         {done: []timeline.Fact[history.Intervention]{at(3, history.Intervention{Controller: "start", Failure: failure})}, exits: []int{2}, want: controllerNotUp.ID},
		"a restart that failed":       {done: []timeline.Fact[history.Intervention]{at(3, history.Intervention{Controller: "restart", Failure: failure})}, exits: []int{2}, want: controllerNotUp.ID},
		"a release that failed":       {done: []timeline.Fact[history.Intervention]{at(3, history.Intervention{Release: "1.0.0", Failure: failure})}, exits: []int{2}, want: controllerNotUp.ID},
		"a release":                   {done: []timeline.Fact[history.Intervention]{at(3, history.Intervention{Release: "1.0.0"})}, exits: []int{2}},
		"a start that was refused":    {done: []timeline.Fact[history.Intervention]{at(3, history.Intervention{Controller: "start", Failure: failure})}},
		"stopped, then another drain": {done: []timeline.Fact[history.Intervention]{at(3, history.Intervention{Controller: "stop"}), at(4, history.Intervention{Action: "drain"})}, want: controllerStopped.ID},
	} {
		of := timeline.New()
		of.Interventions = test.done
		for _, seq := range test.starts {
			of.Starts = append(of.Starts, timeline.Fact[history.Tekton]{Seq: seq})
		}
		for _, seq := range test.exits {
			of.Exits = append(of.Exits, timeline.Fact[history.Tekton]{Seq: seq})
		}
		got := ""
		if l, _ := (&judging{of}).stoppedLink(); l != nil {
			got = l.Rule
		}
		if got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

// Tasks that were not run are said in one sentence if all but their names is the same.
func TestSentencesOfTasksNotRun(t *testing.T) {
	c := Conduct{NotRun: []NotRun{
		{PipelineRun: "ci/r", Task: "a", Reason: "Parent Tasks were skipped"},
		{PipelineRun: "ci/r", Task: "b", Reason: "Parent Tasks were skipped"},
		{PipelineRun: "ci/q", Task: "c", Reason: "Parent Tasks were skipped"},
		{PipelineRun: "ci/r", Task: "d", Reason: "Parent Tasks were skipped", Finally: true},
		{PipelineRun: "ci/r", Task: "e", Reason: "PipelineRun was stopping"},
	}}
	said := c.Sentences()
	if len(said) != 4 || !strings.Contains(said[0], "a") || !strings.Contains(said[0], "b") {
		t.Errorf("%d sentences:\n%s", len(said), strings.Join(said, "\n"))
	}
}

func TestWhenExpressionHolds(t *testing.T) {
	for _, test := range []struct {
		when whenExpression
		want bool
	}{
		{whenExpression{Input: "a", Operator: "in", Values: []string{"a", "b"}}, true},
		{whenExpression{Input: "c", Operator: "in", Values: []string{"a", "b"}}, false},
		{whenExpression{Input: "a", Operator: "notin", Values: []string{"a", "b"}}, false},
		{whenExpression{Input: "c", Operator: "notin", Values: []string{"a", "b"}}, true},
		{whenExpression{Input: "a", Operator: "in", Values: []string{"a"}, CEL: "true"}, false},
		{whenExpression{CEL: "true"}, false},
	} {
		if got := test.when.holds(); got != test.want {
			t.Errorf("%s: %t", test.when, got)
		}
	}
}

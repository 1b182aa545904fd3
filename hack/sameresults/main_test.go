package main

import (
	"strings"
	"testing"

	"simctl.dev/simctl/sim/verdict"
)

func TestDifferences(t *testing.T) {
	finding := func(o verdict.Outcome, running float64, pod string) verdict.Finding {
		return verdict.Finding{Outcome: o, Timing: verdict.Timing{Tasks: []verdict.TaskTiming{{Task: "build", Pod: pod, Running: &running}}}}
	}
	x := finding(verdict.Success, 10, "run-abcde-build-pod")
	if got := differences(x, x); got != nil {
		t.Errorf("of the same: %v", got)
	}
	got := strings.Join(differences(x, finding(verdict.Deadlock, 11, "run-abcde-build-pod")), "\n")
	if !strings.Contains(got, `outcome "deadlock", was "success"`) || !strings.Contains(got, "task build") {
		t.Errorf("%s", got)
	}
}

func TestArguments(t *testing.T) {
	for _, judge := range []bool{true, false} {
		if _, err := compare(nil, judge, nil); err == nil || !strings.Contains(err.Error(), "folder") {
			t.Errorf("judge %t: %v", judge, err)
		}
	}
}

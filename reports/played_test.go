package reports

import (
	"testing"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/verdict"
)

// TestPlayed holds a table of faults and phases.
func TestPlayed(t *testing.T) {
	cell := func(release, at string, outcome verdict.Outcome, makespan float64) verdict.Cell {
		c := verdict.Cell{Axes: []string{"tekton", "fault"}, Values: map[string]string{"tekton": release, "fault": at}, Finding: verdict.Finding{Outcome: outcome}}
		if makespan > 0 {
			c.MakespanSeconds = &makespan
		}
		return c
	}
	late := cell("1.15.0", "node-dead@running", verdict.MultiAttach, 2100)
	late.Recovered = true
	missed := cell("1.15.0", "node-dead@done", verdict.Success, 1500)
	missed.Interventions = []verdict.Intervention{{Intervention: history.Intervention{Missed: true}}}
	endless := cell("1.3.1", "quota@queued", verdict.Failed, 0)
	endless.NeverEnd = []string{"r"}
	unmet := cell("1.15.0", "quota@done", verdict.Success, 1500)
	unmet.Interventions = []verdict.Intervention{{Met: &verdict.Met{}}}
	all := []verdict.Cell{
		cell("1.3.1", "node-dead@running", verdict.Failed, 0), cell("1.3.1", "node-dead@queued", verdict.Success, 1500),
		cell("1.15.0", "node-dead@queued", verdict.Success, 1530), late, missed, endless, unmet,
		cell("1.15.0", "other", verdict.Success, 60),
	}
	const want = `| fault | queued | running | done |
| --- | --- | --- | --- |
| node-dead | success | 1.3.1: failed; 1.15.0: multi-attach, recovered +10m | 1.15.0: success (came too late) |
| quota | 1.3.1: failed, never ends |  | 1.15.0: success (met nobody) |

`
	if got := Played(all, []string{"queued", "running", "done"}); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := Played(all[len(all)-1:], []string{"queued"}); got != "" {
		t.Errorf("of no fault: %q", got)
	}
}

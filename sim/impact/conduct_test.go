package impact

import (
	"testing"

	"simctl.dev/simctl/sim/verdict"
)

// TestCompareConduct: cells that end alike and do not do the same are a change; the
// words with which releases say the same are none.
func TestCompareConduct(t *testing.T) {
	notRun := func(task, reason string, finally bool) verdict.Conduct {
		return verdict.Conduct{NotRun: []verdict.NotRun{{PipelineRun: "ns/r", Task: task, Reason: reason, Finally: finally}}}
	}
	left := func(set string) verdict.Conduct {
		return verdict.Conduct{Left: []verdict.Left{{PipelineRun: "ns/r", Object: "StatefulSet ns/" + set, What: "it stays"}}}
	}
	retried := func(n int) verdict.Conduct {
		return verdict.Conduct{Retried: []verdict.Retried{{PipelineRun: "ns/r", Task: "a", Used: n, Of: 3}}}
	}
	for name, tc := range map[string]struct {
		x, y   verdict.Conduct
		after  verdict.Outcome
		what   string // "" if there is no change
		effect Effect
	}{
		"the same":                 {x: notRun("a", "", true), y: notRun("a", "", true)},
		"in other words":           {x: notRun("a", "it was late", true), y: notRun("a", "its time was up", true)},
		"under other names":        {x: left("affinity-assistant-24171aabb9"), y: left("affinity-assistant-1d22400c3f")},
		"a finally task is missed": {y: notRun("clean", "", true), what: "finally task clean no longer runs", effect: Worse},
		"a finally task is run":    {x: notRun("clean", "", true), what: "finally task clean runs", effect: Better},
		"its run had stopped":      {y: notRun("b", "PipelineRun was stopping", false)},
		"a finally task's time":    {y: notRun("clean", "PipelineRun Finally timeout has been reached", true), what: "finally task clean no longer runs", effect: Worse},
		"one for another":          {x: notRun("a", "", false), y: notRun("b", "", false), what: "task b no longer runs", effect: Worse},
		"something is left":        {y: left("set"), what: "StatefulSet ns/set is left behind", effect: Worse},
		"it is refused": {y: verdict.Conduct{Refused: []verdict.Refused{{Object: "Secret ns/a", Message: "no"}}},
			what: "Secret ns/a is refused", effect: Worse},
		"done twice": {x: verdict.Conduct{MadeAgain: []verdict.MadeAgain{{PipelineRun: "ns/r", Task: "a"}}},
			what: "task a is no longer begun a second time", effect: Better},
		"more retries":  {x: retried(1), y: retried(2), what: "task a uses 2 retries", effect: Other},
		"a claim stays": {y: verdict.Conduct{Claims: []verdict.Claim{{PipelineRun: "ns/r", Object: "PersistentVolumeClaim ns/a", Kept: true}}}, what: "PersistentVolumeClaim ns/a is kept", effect: Other},
		"the outcome decides": {x: notRun("clean", "", true), after: verdict.Deadlock,
			what: "finally task clean runs", effect: Worse},
	} {
		x, y := run("as-is", "0.68.1", verdict.Timeout, false, 0, nil), run("as-is", "1.9.0", verdict.Timeout, false, 0, nil)
		if tc.after != "" {
			x.Cell.Outcome, y.Cell.Outcome = verdict.Success, tc.after
		}
		x.Cell.Conduct, y.Cell.Conduct = tc.x, tc.y
		s := Compare([]Run{x}, []Run{y}, ReleaseOf("0.68.1"), ReleaseOf("1.9.0"))
		if tc.what == "" {
			if len(s.Changes) != 0 || s.Unchanged != 1 {
				t.Errorf("%s: %+v", name, s.Changes)
			}
			continue
		}
		if len(s.Changes) != 1 || s.Unchanged != 0 {
			t.Errorf("%s: %d changes, %d cells unchanged", name, len(s.Changes), s.Unchanged)
			continue
		}
		c := s.Changes[0]
		if len(c.Conduct) == 0 || c.Conduct[0].What != tc.what || c.Conduct[0].Before == "" || c.Conduct[0].After == "" {
			t.Errorf("%s: %+v", name, c.Conduct)
		}
		if c.Regression != (tc.effect == Worse) || c.Improvement() != (tc.effect == Better) {
			t.Errorf("%s: worse %t, better %t, want %s", name, c.Regression, c.Improvement(), tc.effect)
		}
		if tc.after == "" && (len(c.Reasons) > 0 || len(c.Chain) > 0 || c.Broken()) {
			t.Errorf("%s: what brought about an end that is no other is told: %+v, %+v", name, c.Reasons, c.Chain)
		}
	}
}

// A run that never ends is a change for the worse, and so is one that is cut off; a
// baseline that does not tell of conduct says nothing about it.
func TestCompareEndless(t *testing.T) {
	before, after := Release{Version: "1"}, Release{Version: "2"}
	ends, never := run("a", "1", verdict.Timeout, false, 0, nil), run("a", "2", verdict.Timeout, false, 0, nil)
	never.Cell.NeverEnd = []string{"PipelineRun n/r"}
	s := Compare([]Run{ends}, []Run{never}, before, after)
	if len(s.Changes) != 1 || !s.Changes[0].Regression || s.Changes[0].Conduct[0].What != "PipelineRun n/r never ends" {
		t.Errorf("a run that never ends: %+v", s.Changes)
	}
	never.Cell.NeverEnd, never.Cell.Bound = nil, "10 virtual hours"
	if s := Compare([]Run{ends}, []Run{never}, before, after); len(s.Changes) != 1 || !s.Changes[0].Regression {
		t.Errorf("a bound that is met: %+v", s.Changes)
	}
	ends.Silent = true
	if s := Compare([]Run{ends}, []Run{never}, before, after); s.Unchanged != 1 {
		t.Errorf("a baseline that does not tell: %+v", s.Changes)
	}
}

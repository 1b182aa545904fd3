package reports

import (
	"bytes"
	"strings"
	"testing"

	"github.com/jedib0t/go-pretty/v6/text"

	"simctl.dev/simctl/sim/impact"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/verdict"
)

// review is one in which a cell breaks, one is slower, and a flag dies.
func review() impact.Review {
	cell := func(change, version string, o verdict.Outcome, span float64) impact.Run {
		r := impact.Run{Flags: map[string]string{"disable-affinity-assistant": "true"}, Observed: &impact.Observed{}}
		r.Cell = verdict.Cell{Scenario: "incident", Axes: []string{"tekton", "change"}, Values: map[string]string{"tekton": version, "change": change}}
		r.Cell.Outcome = o
		if span > 0 {
			r.Cell.MakespanSeconds = &span
		}
		if o == verdict.Deadlock {
			r.Cell.Cause = []verdict.Link{
				{What: "Pod a of task b is Pending", Object: "Pod n/a", Evidence: "0/7 nodes are available: 3 node(s) didn't match pod affinity rules"},
				{What: "StatefulSet x has FailedCreate", Object: "StatefulSet n/x", Evidence: "unable to validate against any security context constraint: `[<provider>]` | *none*"},
			}
			r.Observed = &impact.Observed{Assistants: []impact.Assistant{{Name: "affinity-assistant-1", ServiceAccount: "default", SecurityContext: `{"fsGroup":2000}`, Failed: "unable to validate against any security context constraint"}}}
		}
		return r
	}
	var from, to []impact.Run
	from = append(from, cell("as-reported", "0.68.1", verdict.Success, 1480))
	to = append(to, cell("as-reported", "1.0.0", verdict.Deadlock, 0))
	for i := range 5 {
		from = append(from, cell("other", "0.68.1", verdict.Success, 100+float64(i)))
		to = append(to, cell("other", "1.0.0", verdict.Success, 200+float64(i)))
	}
	from, to = append(from, cell("late", "0.68.1", verdict.Timeout, 0)), append(to, cell("late", "1.0.0", verdict.Timeout, 0))
	to[len(to)-1].Cell.Conduct.NotRun = []verdict.NotRun{{PipelineRun: "ns/run", Task: "clean", Finally: true}}
	to[1].Cell.Busy = []string{"TaskRun of task build"}
	before, after := impact.ReleaseOf("0.68.1"), impact.ReleaseOf("1.0.0")
	s := impact.Compare(from, to, before, after)
	tried := []impact.Candidate{
		{Name: "coschedule-disabled", What: "co-scheduling off for the whole cluster", Cost: impact.CostFlag, Value: scenario.Value{Name: "coschedule-disabled"}},
		{Name: "rwx", What: "a claim of access mode ReadWriteMany", Cost: impact.CostStorage, Value: scenario.Value{Name: "rwx"}},
	}
	s.Changes[0].Tried(tried, [][]impact.Run{{cell("a", "1.0.0", verdict.Success, 1500)}, {cell("a", "1.0.0", verdict.Deadlock, 0)}})
	ended := cell("other", "0.68.1", verdict.Success, 100)
	changed := cell("other", "0.68.1", verdict.ChangedAfterEnd, 0)
	changed.Cell.Cause = []verdict.Link{{Rule: "release/takes-up-ended", What: "Tekton 1.0.0 was put in the place of 0.68.1", Object: "Deployment tekton-pipelines-controller", Evidence: "TektonStarted at 1h2m"}}
	changed.Cell.Conduct.Changed = []verdict.Changed{{PipelineRun: "n/r", Object: "PipelineRun n/r", By: "tekton", Was: "Succeeded", Is: "PipelineRunTimeout"}}
	unkept, _ := impact.Afterwards(impact.Bump, []impact.Run{ended}, []impact.Run{changed})
	unkept.Tried([]impact.Candidate{{Name: "prune-before", What: "runs that have ended are deleted before", Cost: impact.CostRun}}, []impact.Run{ended}, [][]impact.Run{{ended}})
	s.AfterRun = &impact.AfterRun{Played: map[impact.Way]int{impact.Bump: 3, impact.Rollback: 3}, Changes: []impact.AfterChange{unkept}}
	return impact.Review{APIVersion: impact.APIVersion, Kind: impact.Kind, Path: []impact.Release{before, after}, Steps: []impact.Step{s}, Rows: impact.Rows(from, to)}
}

func TestRenderReview(t *testing.T) {
	for format, file := range map[ReviewFormat]string{
		ReviewFormat(Table): "review.txt",
		Markdown:            "review.md",
		ReviewFormat(YAML):  "review.yaml",
		ReviewFormat(CSV):   "review.csv",
	} {
		t.Run(file, func(t *testing.T) {
			var got bytes.Buffer
			if err := RenderReview(&got, format, review(), Options{Width: 100}); err != nil {
				t.Fatal(err)
			}
			golden(t, file, got.Bytes())
		})
	}
}

// TestReviewOnNarrowTerminal: tables fit where there is room for their columns.
func TestReviewOnNarrowTerminal(t *testing.T) {
	r := review()
	r.Steps[0].Changes[0].Remedies[1].What = "the ServiceAccount default, under which the assistant runs, may use anyuid, and more words than there is room for"
	var got bytes.Buffer
	if err := RenderReview(&got, ReviewFormat(Table), r, Options{Width: 90}); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(got.String()) {
		if w := text.StringWidth(strings.TrimRight(line, "\n")); w > 90 {
			t.Errorf("%d columns: %s", w, line)
		}
	}
	if !strings.Contains(got.String(), "words than there is room for") {
		t.Errorf("words are lost:\n%s", got.String())
	}
}

// TestMarkdownCell has a name with what ends a cell of a Markdown table.
func TestMarkdownCell(t *testing.T) {
	got := markdown{}.table([]string{"a"}, [][]string{{"x|y\nz"}})
	if !strings.Contains(got, `| x\|y z |`) {
		t.Errorf("%q", got)
	}
}

// TestEffect: a change that is neither better nor worse is not called one of both.
func TestEffect(t *testing.T) {
	held := impact.Ended{Outcome: verdict.Deadlock}
	for name, c := range map[string]struct {
		change impact.Change
		marks  [2]string
	}{
		"worse":   {impact.Change{From: impact.Ended{Outcome: verdict.Success}, To: held, Regression: true}, [2]string{"✗ x", "### worse: x"}},
		"better":  {impact.Change{From: held, To: impact.Ended{Outcome: verdict.Success}}, [2]string{"✓ x", "### better: x"}},
		"neither": {impact.Change{From: held, To: impact.Ended{Outcome: verdict.Unschedulable}}, [2]string{"· x", "### other: x"}},
	} {
		for i, w := range []writing{plain{width: 80}, markdown{}} {
			if got := w.heading("x", c.change.Effect()); !strings.Contains(got, c.marks[i]) {
				t.Errorf("%s: %q, want %q", name, got, c.marks[i])
			}
		}
	}
}

package evidence

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"simctl.dev/simctl/sim/impact"
	"simctl.dev/simctl/sim/verdict"
)

// reviewed is a review of three releases and two teams: one cell of three breaks on the
// second release and is mended on the third, two break alike, others stay as they are.
func reviewed() impact.Review {
	versions := []string{"0.68.1", "1.0.0", "1.15.0"}
	var sides [][]impact.Run
	r := impact.Review{APIVersion: impact.APIVersion, Kind: impact.Kind, Run: "runs/x"}
	for i, v := range versions {
		var side []impact.Run
		add := func(scenario, size string, o verdict.Outcome) {
			c := verdict.Cell{Scenario: scenario, Axes: []string{"size"}, Values: map[string]string{"tekton": v, "size": size}, Finding: verdict.Finding{Outcome: o}}
			if o == verdict.Deadlock {
				c.Cause = []verdict.Link{
					{Rule: "pod/pending", What: "Pod ns/a-pod is Pending", Object: "Pod ns/a-pod", Evidence: "0/2 nodes <are> available"},
					{Rule: "admission/scc", What: "fsGroup 2000 is outside the range", Object: "ServiceAccount ns/default"},
				}
			}
			side = append(side, impact.Run{Cell: c})
		}
		broken := map[bool]verdict.Outcome{true: verdict.Deadlock, false: verdict.Success}[i == 1]
		add("build", "small", verdict.Success)
		add("build", "large", broken)
		add("build", "huge", broken)
		add("never", "small", verdict.Failed)
		add("deploy", "small", map[bool]verdict.Outcome{true: verdict.Failed, false: verdict.Success}[i == 0])
		sides = append(sides, side)
		r.Path = append(r.Path, impact.ReleaseOf(v))
		if i > 0 {
			r.Steps = append(r.Steps, impact.Compare(sides[i-1], side, r.Path[i-1], r.Path[i]))
		}
	}
	r.Rows = impact.Rows(sides...)
	for i := range r.Rows {
		r.Rows[i].Folder = map[bool]string{true: "teams/b", false: "teams/a"}[r.Rows[i].Scenario == "deploy"]
	}
	return r
}

// TestReviewHTML holds the page to its golden file, and its order: what got worse comes
// first, and of the scenarios those that change.
func TestReviewHTML(t *testing.T) {
	var b bytes.Buffer
	if err := ReviewHTML(&b, reviewed()); err != nil {
		t.Fatal(err)
	}
	got := b.String()
	// The style sheet has tests of its own.
	head, body, _ := strings.Cut(got, "</style>")
	if !strings.Contains(head, "<style>") || strings.Contains(got, "<script") || strings.Contains(got, "http://") || strings.Contains(got, "https://") {
		t.Errorf("the page wants more than itself:\n%s", got)
	}
	last := -1
	for _, part := range []string{"2 cells do worse after a step of the way. 3 better, 5 as before (2 of them without their work done)",
		`id="worse"`, "success → deadlock", "the same with 1 more", "build size=huge", `id="rollup"`, "teams/a: build", "1 of 3", "teams/b: deploy",
		"1 scenario ends alike", "teams/a: never", `id="better"`, "deadlock → success", `id="steps"`} {
		at := strings.Index(body[last+1:], part)
		if at < 0 {
			t.Fatalf("%q is not there, or not after what comes before it:\n%s", part, body)
		}
		last += at + 1
	}
	if strings.Contains(body, "<are>") {
		t.Error("evidence is not escaped")
	}
	golden(t, "review.html", body)
}

// TestReviewHTMLOfLittle: a review without a change, one that was stopped, one with a
// bump in the middle of runs.
func TestReviewHTMLOfLittle(t *testing.T) {
	path := []impact.Release{impact.ReleaseOf("1.3.1"), impact.ReleaseOf("1.15.0")}
	step := impact.Step{From: path[0], To: path[1], Unchanged: 3}
	mid := step
	mid.MidRun = []impact.MidRun{{Scenario: "s", Places: []impact.Place{{Task: "a", Phase: "queued"},
		{Task: "a", Phase: "running", Lost: true, Chain: []verdict.Link{{What: "the controller is gone"}}}}}}
	unkept := step
	unkept.AfterRun = &impact.AfterRun{Played: map[impact.Way]int{impact.Bump: 2}, Changes: []impact.AfterChange{{Way: impact.Bump, Change: impact.Change{Scenario: "s",
		To: impact.Ended{Outcome: verdict.ChangedAfterEnd}, Chain: []verdict.Link{{What: "the new one takes it up"}}}}}}
	timed := step
	timed.Timing = []impact.TimingChange{{Scenario: "s", Measure: "makespanSeconds", FromMedian: 60, ToMedian: 120, Significant: true, Effect: 1}}
	span := 75.0
	mended := step
	mended.Changes = []impact.Change{{Scenario: "s", To: impact.Ended{Outcome: verdict.Deadlock}, Remedies: []impact.Remedy{
		{Candidate: impact.Candidate{What: "set the flag"}, Mends: true, Ended: impact.Ended{Outcome: verdict.Success, MakespanSeconds: &span}}}}}
	for name, tt := range map[string]struct {
		r    impact.Review
		want []string
	}{
		"nothing":    {impact.Review{Path: path, Steps: []impact.Step{step}}, []string{"Nothing gets worse. 0 better, 3 as before", "<p>Nothing that was compared.</p>"}},
		"no steps":   {impact.Review{Path: path, Incomplete: []string{"1 of 2 cells are known"}}, []string{"Not complete: 1 of 2 cells are known.", "No cell could be compared."}},
		"mid-run":    {impact.Review{Path: path, Steps: []impact.Step{mid}}, []string{"1 cell loses its run", "lost at 1 of 2 moments", "when a is running", "the controller is gone"}},
		"after-run":  {impact.Review{Path: path, Steps: []impact.Step{unkept}}, []string{"1 cell does not keep a run that has ended", "ended runs change (bump)", "the new one takes it up", "<li>bump after the end of the runs, 2 cells: in 1 of them runs do not stay as they were</li>"}},
		"slower":     {impact.Review{Path: path, Steps: []impact.Step{timed}}, []string{"1 measure is slower", "<h3>Slower</h3>", "2m0s"}},
		"mended":     {impact.Review{Path: path, Steps: []impact.Step{mended}}, []string{"set the flag", "1m15s"}},
		"not played": {impact.Review{Path: path, Rows: []impact.Row{{Scenario: "s", On: []*impact.Ended{{Outcome: verdict.Success}, nil}}}}, []string{"not known", "1 scenario ends alike where that is known"}},
	} {
		var b bytes.Buffer
		if err := ReviewHTML(&b, tt.r); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, part := range tt.want {
			if !strings.Contains(b.String(), part) {
				t.Errorf("%s: no %q in\n%s", name, part, fmt.Sprint(strings.SplitN(b.String(), "</style>", 2)[1]))
			}
		}
	}
}

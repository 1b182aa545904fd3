package impact

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"simctl.dev/simctl/sim/internal/tree"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/verdict"
	"simctl.dev/simctl/sim/wellknown"
)

// Way is how runs that have ended meet another release.
type Way string

// The ways.
const (
	// Bump: runs of the old release meet the new one.
	Bump Way = "bump"
	// BumpAndBack: runs of the old release meet the new one, and the old one again.
	BumpAndBack Way = "bump and rollback"
	// Rollback: runs of the new release meet the old one.
	Rollback Way = "rollback"
)

// Ways are the ways of a review, which goes back again or not.
func Ways(rollback bool) []Way {
	if rollback {
		return []Way{Bump, BumpAndBack, Rollback}
	}
	return []Way{Bump}
}

// AfterRun says what becomes of runs that have ended when Tekton is replaced.
type AfterRun struct {
	// Played are how many cells, repeats apart, were played in each way.
	Played map[Way]int `json:"played"`
	// Changes are the cells in which they do not stay as they were.
	Changes []AfterChange `json:"changes,omitempty"`
}

// AfterChange is a cell whose runs, which had ended, do not stay as they were: From is how
// they had ended, To what is found with the bump after that end.
type AfterChange struct {
	Way Way `json:"way"`
	Change
}

// String returns a sentence for a heading.
func (c AfterChange) String() string {
	return fmt.Sprintf("ended runs change (%s): %s", c.Way, c.Change)
}

// Afterwards compares a cell's repeats with the same whose runs met another release after
// their end; false if these stay as they were. What else is kept, or is gone by then, is no
// change.
func Afterwards(way Way, before, after []Run) (c AfterChange, changed bool) {
	x, y := group(before), group(after)
	c = AfterChange{Way: way, Change: Change{
		Scenario: x[0].Cell.Scenario, Values: otherValues(x[0].Cell.Values), Axes: axes(x[0].Cell),
		From: x.ended(), To: y.ended(), Conduct: worsened(x, y), Regression: true, Reasons: []Reason{}, Chain: []verdict.Link{},
	}}
	if c.sameEnd() && len(c.Conduct) == 0 {
		return c, false
	}
	if worst := y.worst().Cell; !c.sameEnd() {
		c.Chain = worst.Cause
		c.Reasons = append(c.Reasons, Reason{Rule: worst.Root().Rule, What: worst.Root().What, Before: root(x.worst().Cell), After: root(worst)})
	}
	return c, true
}

// worsened is what the later of two sides does and should not.
func worsened(x, y group) []Difference {
	return slices.DeleteFunc(differences(x, y), func(d Difference) bool { return d.Effect != Worse })
}

// Spares says whether a candidate that was played leaves the runs alone, as they were before.
func Spares(before, with []Run) bool {
	x, y := group(before), group(with)
	a, b := x.ended(), y.ended()
	return a.Outcome == b.Outcome && a.Recovered == b.Recovered && len(worsened(x, y)) == 0
}

// Tried puts what came of candidates into a change, those that spare the runs first.
func (c *AfterChange) Tried(tried []Candidate, before []Run, runs [][]Run) {
	c.Change.Tried(tried, runs)
	for i := range c.Remedies {
		at := slices.IndexFunc(tried, func(t Candidate) bool { return t.Name == c.Remedies[i].Name })
		c.Remedies[i].Mends = Spares(before, runs[at])
	}
	slices.SortStableFunc(c.Remedies, func(a, b Remedy) int { return btoi(b.Mends) - btoi(a.Mends) })
}

// TimeIsUp is how long after the end of a cell's runs their time has passed twice in any
// case, as that of nearly all runs has which a bump meets on a cluster; 0.47.0 has a mind
// of its own about these (HasTimedOutForALongTime of pkg/apis/pipeline).
func TimeIsUp(cell scenario.Cell) time.Duration {
	longest := time.Hour
	if n, err := strconv.Atoi(cell.Spec.Tekton.Defaults[defaultTimeout]); err == nil {
		longest = max(longest, time.Duration(n)*time.Minute)
	}
	for _, o := range decodeAll(cell.Objects) {
		if tree.Tekton(o, "PipelineRun") || tree.Tekton(o, "TaskRun") {
			longest = max(longest, length(tree.Text(o, "spec", "timeouts", "pipeline")), length(tree.Text(o, "spec", "timeout")))
		}
	}
	return 2*longest + time.Minute
}

// Met returns the interventions by which a cell's runs meet other releases after their
// end, one after the other, as the value of an axis: what the cell has of its own comes
// before them.
func Met(cell scenario.Cell, name string, first []scenario.Intervention, releases ...string) (scenario.Value, error) {
	all := append(slices.Clone(cell.Spec.Interventions), first...)
	after := TimeIsUp(cell)
	for _, r := range releases {
		all = append(all, scenario.Intervention{When: &scenario.Moment{Run: scenario.AllRuns, Phase: scenario.PhaseDone}, After: after.String(), SwapRelease: r})
		after += 10 * time.Minute
	}
	// A merge patch replaces lists whole.
	patch, err := json.Marshal(map[string]any{"interventions": all})
	if err != nil {
		return scenario.Value{}, fmt.Errorf("writing interventions: %w", err)
	}
	return scenario.Value{Name: name, Patch: patch}, nil
}

// Pruned deletes the runs of a cell once they have ended, so that no other release meets
// them; nil where one of them has a name that is made up and no label.
func Pruned(cell scenario.Cell) []scenario.Intervention {
	var out []scenario.Intervention
	for _, o := range decodeAll(cell.Objects) {
		if !tree.Tekton(o, "PipelineRun") {
			continue
		}
		d := &scenario.ObjectDeletion{APIVersion: tree.Text(o, "apiVersion"), Kind: "PipelineRun", Namespace: tree.Text(o, "metadata", "namespace"), Name: tree.Text(o, "metadata", "name")}
		if d.Name == "" {
			pipeline := tree.Text(o, "spec", "pipelineRef", "name")
			if pipeline == "" {
				return nil
			}
			d.Labels = map[string]string{wellknown.PipelineLabel: pipeline}
		}
		out = append(out, scenario.Intervention{Name: "prune", When: &scenario.Moment{Run: scenario.AllRuns, Phase: scenario.PhaseDone}, After: "1m", Delete: d})
	}
	return out
}

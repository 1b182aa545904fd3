package review

import (
	"context"
	"fmt"
	"slices"

	"simctl.dev/simctl/sim/impact"
	"simctl.dev/simctl/sim/releases"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/verdict"
)

// afterRunAxis is the axis whose values are the releases that runs meet after their end.
const afterRunAxis = "after-run"

// meeting is a cell whose runs meet other releases after their end, in one of the ways.
type meeting struct {
	step int
	way  impact.Way
	cell scenario.Cell
	// releases are those that they meet, in this order.
	releases []string
	// before are the cell's repeats without, ids those with it.
	before, ids []string
}

// afterRun plays every cell whose runs end, however they do, with the bump after that end,
// and with the way back.
func (r *making) afterRun(ctx context.Context) error {
	var all cellSet
	var meetings []meeting
	for i := range r.out.Steps {
		from, to := r.Path[i], r.Path[i+1]
		for _, way := range impact.Ways(r.Rollback) {
			on, met := from, []string{to}
			switch way {
			case impact.BumpAndBack:
				met = []string{to, from}
			case impact.Rollback:
				on, met = to, []string{from}
			}
			for _, cell := range r.Cells {
				if cell.Repeat != 0 || cell.Spec.Tekton.Version != on || !ends(r.runs[cell.ID()].Cell) {
					continue
				}
				m := meeting{step: i, way: way, cell: cell, releases: met, before: r.repeatsOf(cell)}
				cells, _, err := r.meeting(cell, fmt.Sprintf("%s %s", way, met[0]), nil, met...)
				if err != nil {
					return err
				}
				m.ids = all.add(cells)
				meetings = append(meetings, m)
			}
		}
	}
	err := r.playAll(ctx, all.cells)
	known := 0
	var changed []meeting
	for _, m := range meetings {
		if !r.allKnown(m.ids) {
			continue
		}
		known++
		if !met(r.of(m.ids)) {
			continue
		}
		s := &r.out.Steps[m.step]
		if s.AfterRun == nil {
			s.AfterRun = &impact.AfterRun{Played: map[impact.Way]int{}}
		}
		s.AfterRun.Played[m.way]++
		if c, is := impact.Afterwards(m.way, r.of(m.before), r.of(m.ids)); is {
			s.AfterRun.Changes = append(s.AfterRun.Changes, c)
			changed = append(changed, m)
		}
	}
	if err != nil {
		r.incomplete(known, len(meetings), "bumps and rollbacks after the runs")
		return err
	}
	if !r.Remedies {
		return nil
	}
	return r.spare(ctx, changed)
}

// ends says whether the runs of a cell have an end, after which something can be done.
func ends(c verdict.Cell) bool {
	return c.Outcome != "" && c.Outcome != verdict.Error && len(c.NeverEnd) == 0 && c.Bound == ""
}

// met says whether the runs of a cell came to another release: they did not if none was
// taken.
func met(runs []impact.Run) bool {
	return !slices.ContainsFunc(runs, func(r impact.Run) bool {
		return slices.ContainsFunc(r.Cell.Interventions, func(v verdict.Intervention) bool { return v.Missed && v.Action == "swapRelease" })
	})
}

// repeatsOf are the repeats of a cell, itself among them.
func (r *making) repeatsOf(cell scenario.Cell) []string {
	var out []string
	for _, c := range r.Cells {
		if c.Scenario == cell.Scenario && c.Spec.Tekton.Version == cell.Spec.Tekton.Version && sameValues(c.Values, cell.Values, cell.Axes) {
			out = append(out, c.ID())
		}
	}
	return out
}

// meeting returns a cell's repeats with releases that its runs meet after their end, and
// the value that says so.
func (r *making) meeting(cell scenario.Cell, name string, first []scenario.Intervention, met ...string) ([]scenario.Cell, scenario.Value, error) {
	value, err := impact.Met(cell, name, first, met...)
	if err != nil {
		return nil, value, err
	}
	tells := impact.ReleaseAxes(r.Cells)[cell.Scenario]
	own := slices.DeleteFunc(slices.Clone(cell.Axes), func(a string) bool { return slices.Contains(tells, a) })
	cells, err := r.variant(r.files[cell.Scenario], own, cell.Values, cell.Spec.Tekton.Version, afterRunAxis, value)
	return cells, value, err
}

// spare plays what may leave the runs alone that a bump or rollback has changed: another
// release in the place of that one, and their deletion beforehand.
func (r *making) spare(ctx context.Context, changed []meeting) error {
	type attempt struct {
		candidate impact.Candidate
		ids       []string
	}
	var all cellSet
	attempts := make([][]attempt, len(changed))
	for i, m := range changed {
		add := func(c impact.Candidate, first []scenario.Intervention, met ...string) error {
			cells, value, err := r.meeting(m.cell, fmt.Sprintf("%s %s, %s", m.way, m.releases[0], c.Name), first, met...)
			if err != nil {
				return err
			}
			c.Value = value
			attempts[i] = append(attempts[i], attempt{c, all.add(cells)})
			return nil
		}
		if pruned := impact.Pruned(m.cell); pruned != nil {
			c := impact.Candidate{Name: "prune-before", What: "runs that have ended are deleted before", Cost: impact.CostRun}
			if err := add(c, pruned, m.releases...); err != nil {
				return err
			}
		}
		if m.way == impact.Rollback {
			continue
		}
		later := append(slices.Clone(r.Path[m.step+2:]), releases.BuiltIn)
		for _, v := range impact.Later(m.releases[0], later...) {
			c := impact.Candidate{Name: "straight-to-" + v, Kind: verdict.ChangeRelease, What: "straight to Tekton " + impact.ReleaseOf(v).String(), Cost: impact.CostRelease}
			if err := add(c, nil, append([]string{v}, m.releases[1:]...)...); err != nil {
				return err
			}
		}
	}
	err := r.try(ctx, all.cells)
	known, asked := 0, 0
	at := map[int]int{} // of each step, the next of its changes
	for i, m := range changed {
		var tried []impact.Candidate
		var runs [][]impact.Run
		for _, a := range attempts[i] {
			asked++
			if r.untried(trial{candidate: a.candidate, ids: a.ids}) || !r.allKnown(a.ids) {
				continue
			}
			known++
			tried, runs = append(tried, a.candidate), append(runs, r.of(a.ids))
		}
		if len(tried) > 0 {
			r.out.Steps[m.step].AfterRun.Changes[at[m.step]].Tried(tried, r.of(m.before), runs)
		}
		at[m.step]++
	}
	if err != nil {
		r.incomplete(known, asked, "changes that may spare runs that have ended")
	}
	return err
}

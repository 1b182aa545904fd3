package review

import (
	"context"
	"fmt"
	"slices"

	"simctl.dev/simctl/sim/impact"
	"simctl.dev/simctl/sim/releases"
	"simctl.dev/simctl/sim/scenario"
)

// remedyAxis is the axis that candidates are values of.
const remedyAxis = "remedy"

// place is a change's: the step and the change's index in it.
type place struct{ step, change int }

// trial is a candidate for a change with its cells.
type trial struct {
	place
	candidate impact.Candidate
	ids       []string
}

// remedies plays the candidates for every change that breaks a cell.
func (r *making) remedies(ctx context.Context) error {
	var all cellSet
	var trials []trial
	for i := range r.out.Steps {
		for j := range r.out.Steps[i].Changes {
			if !r.out.Steps[i].Changes[j].Broken() {
				continue
			}
			ts, err := r.candidates(place{i, j}, &all)
			if err != nil {
				return err
			}
			trials = append(trials, ts...)
		}
	}
	err := r.try(ctx, all.cells)
	tried := map[place][]impact.Candidate{}
	runs := map[place][][]impact.Run{}
	known := 0
	for _, t := range trials {
		if r.untried(t) || !r.allKnown(t.ids) {
			continue
		}
		known++
		tried[t.place], runs[t.place] = append(tried[t.place], t.candidate), append(runs[t.place], r.of(t.ids))
	}
	for p := range tried {
		r.out.Steps[p.step].Changes[p.change].Tried(tried[p], runs[p])
	}
	if err != nil {
		r.incomplete(known, len(trials), "changes that may mend a cell")
	}
	return err
}

// untried says whether one of a trial's cells could not be run, and tells it: nothing
// is known of such a candidate.
func (r *making) untried(t trial) bool {
	for _, id := range t.ids {
		if why, failed := r.failed(id); failed {
			if r.Untried != nil {
				r.Untried(t.candidate, why)
			}
			return true
		}
	}
	return false
}

// candidates adds the cells of each candidate for a change. One that changes nothing,
// or that the scenario does not allow, is left out.
func (r *making) candidates(p place, all *cellSet) ([]trial, error) {
	c := r.out.Steps[p.step].Changes[p.change]
	on := r.Path[p.step+1]
	f := r.files[c.Scenario]
	i := slices.IndexFunc(r.Cells, func(cell scenario.Cell) bool {
		return cell.Scenario == c.Scenario && cell.Spec.Tekton.Version == on && sameValues(cell.Values, c.Values, c.Axes)
	})
	if f == nil || i < 0 {
		return nil, fmt.Errorf("the cells of scenario %s are gone", c.Scenario)
	}
	broken := r.Cells[i]
	var out []trial
	for _, cand := range impact.Fitting(r.candidatesOf(f, broken, r.Path[p.step+2:]), broken, c.Chain) {
		version, value := on, cand.Value
		if value.Version != "" {
			// The versions of the options are put upon any value's.
			version, value.Version = value.Version, ""
		}
		cells, err := r.variant(f, c.Axes, c.Values, version, remedyAxis, value)
		if err != nil {
			if r.Unfit != nil {
				r.Unfit(c.Scenario, cand, err)
			}
			continue
		}
		if impact.ChangesNothing(cells[0], broken) {
			continue
		}
		out = append(out, trial{place: p, candidate: cand, ids: all.add(cells)})
	}
	return out, nil
}

// candidatesOf returns the candidates that there are for a cell: the releases after the one it
// is broken on are the rest of the path, the newest and those that the scenario's axes
// name.
func (r *making) candidatesOf(f *scenario.File, broken scenario.Cell, path []string) []impact.Candidate {
	later := append(slices.Clone(path), releases.BuiltIn)
	for _, l := range impact.LeftOutOf(f.Scenario, r.Cells) {
		later = append(later, l.Version)
	}
	out := impact.Candidates(broken.Spec, impact.Later(broken.Spec.Tekton.Version, later...))
	for _, fits := range []func(scenario.Cell) (impact.Candidate, bool){impact.OneWorkspacePerClaim, impact.TasksForClusterTasks} {
		if c, ok := fits(broken); ok {
			out = append(out, c)
		}
	}
	return out
}

func sameValues(a, b map[string]string, axes []string) bool {
	for _, x := range axes {
		if a[x] != b[x] {
			return false
		}
	}
	return true
}

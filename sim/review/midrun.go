package review

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"simctl.dev/simctl/sim/impact"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/verdict"
)

// midRunAxis is the axis whose values are the moments at which the bump comes.
const midRunAxis = "bump-at"

// moment is a phase of a task at which the bump comes, with its cells.
type moment struct {
	task, phase string
	ids         []string
}

// midRun plays every cell that does its work before a bump with the bump at each
// phase of each of its tasks.
func (r *making) midRun(ctx context.Context) error {
	type played struct {
		step    int
		cell    scenario.Cell
		moments []moment
	}
	var plays []played
	var all cellSet
	tells := impact.ReleaseAxes(r.Cells)
	for i := range r.out.Steps {
		for _, cell := range r.Cells {
			run := r.runs[cell.ID()].Cell
			if cell.Repeat != 0 || cell.Spec.Tekton.Version != r.Path[i] || run.Outcome != verdict.Success && !run.Recovered {
				continue
			}
			p := played{step: i, cell: cell}
			for _, task := range tasksOf(run) {
				for _, phase := range scenario.Phases {
					cells, err := r.bumped(cell, tells[cell.Scenario], task, phase, r.Path[i+1])
					if err != nil {
						return err
					}
					p.moments = append(p.moments, moment{task: task, phase: phase, ids: all.add(cells)})
				}
			}
			plays = append(plays, p)
		}
	}
	err := r.playAll(ctx, all.cells)
	known, asked := 0, 0
	for _, p := range plays {
		m := impact.MidRun{Scenario: p.cell.Scenario, Values: map[string]string{}}
		for _, a := range p.cell.Axes {
			if !slices.Contains(tells[p.cell.Scenario], a) {
				m.Axes, m.Values[a] = append(m.Axes, a), p.cell.Values[a]
			}
		}
		for _, at := range p.moments {
			asked++
			if !r.allKnown(at.ids) {
				continue
			}
			known++
			m.Places = append(m.Places, impact.At(at.task, at.phase, r.of(at.ids)))
		}
		if len(m.Places) > 0 {
			r.out.Steps[p.step].MidRun = append(r.out.Steps[p.step].MidRun, m)
		}
	}
	if err != nil {
		r.incomplete(known, asked, "moments for a bump in the middle of a run")
	}
	return err
}

// bumped returns a cell's repeats with the bump at a phase of a task. The axes that
// tell the release are not the file's own.
func (r *making) bumped(cell scenario.Cell, tells []string, task, phase, to string) ([]scenario.Cell, error) {
	bump := scenario.Intervention{When: &scenario.Moment{Task: task, Phase: phase}, SwapRelease: to}
	// A merge patch replaces lists whole.
	patch, err := json.Marshal(map[string]any{"interventions": append(slices.Clone(cell.Spec.Interventions), bump)})
	if err != nil {
		return nil, fmt.Errorf("writing an intervention: %w", err)
	}
	own := slices.DeleteFunc(slices.Clone(cell.Axes), func(a string) bool { return slices.Contains(tells, a) })
	return r.variant(r.files[cell.Scenario], own, cell.Values, cell.Spec.Tekton.Version, midRunAxis,
		scenario.Value{Name: to + " at " + task + " " + phase, Patch: patch})
}

// tasksOf names a run's tasks in the order in which they began.
func tasksOf(c verdict.Cell) []string {
	tasks := slices.Clone(c.Timing.Tasks)
	slices.SortStableFunc(tasks, func(a, b verdict.TaskTiming) int { return cmp.Compare(a.Start, b.Start) })
	var out []string
	for _, t := range tasks {
		if !slices.Contains(out, t.Task) {
			out = append(out, t.Task)
		}
	}
	return out
}

package impact

import (
	"slices"

	"simctl.dev/simctl/sim/verdict"
)

// Row is a cell, repeats together, on each release of a path.
type Row struct {
	// Folder is that of the scenario's file, where a review has scenarios of several.
	Folder   string            `json:"folder,omitempty"`
	Scenario string            `json:"scenario"`
	Values   map[string]string `json:"values"`
	Axes     []string          `json:"axes"`
	// On is how it ended on each release, in the order of the path; null where that is
	// not known.
	On []*Ended `json:"on"`
}

// Known says that it is known how the row ended on each release.
func (r Row) Known() bool { return !slices.Contains(r.On, nil) }

// Differs says that it does not end alike on two releases on which that is known.
func (r Row) Differs() bool {
	var first *Ended
	for _, e := range r.On {
		switch {
		case e == nil:
		case first == nil:
			first = e
		case e.Outcome != first.Outcome || e.Recovered != first.Recovered:
			return true
		}
	}
	return false
}

// Done says that the runs did their work.
func (e Ended) Done() bool { return severity(e) <= int(verdict.Delayed) }

// Rows sets the runs on each release of a path side by side. Cells are matched as by
// [Compare], in the order in which they come.
func Rows(sides ...[]Run) []Row {
	sides = withoutRelease(sides...)
	var out []Row
	at := map[string]int{}
	for i, side := range sides {
		byKey, order := groups(side)
		for _, k := range order {
			n, met := at[k]
			if !met {
				n = len(out)
				at[k] = n
				c := byKey[k][0].Cell
				out = append(out, Row{Scenario: c.Scenario, Values: otherValues(c.Values), Axes: axes(c), On: make([]*Ended, len(sides))})
			}
			e := byKey[k].ended()
			out[n].On[i] = &e
		}
	}
	return out
}

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

// Same says that the row is known to end alike on all releases.
func (r Row) Same() bool {
	return !slices.ContainsFunc(r.On, func(e *Ended) bool {
		return e == nil || r.On[0] == nil || e.Outcome != r.On[0].Outcome || e.Recovered != r.On[0].Recovered
	})
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
				out = append(out, Row{Scenario: c.Scenario, Values: without(c.Values, tektonAxis), Axes: axes(c), On: make([]*Ended, len(sides))})
			}
			e := byKey[k].ended()
			out[n].On[i] = &e
		}
	}
	return out
}

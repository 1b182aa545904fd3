package reports

import (
	"fmt"
	"slices"
	"strings"

	"simctl.dev/simctl/sim/impact"
)

// Roll is a scenario of a review on each release of the path.
type Roll struct {
	Folder, Scenario string
	// Cells are its rows, Changed those that do not end alike on all releases.
	Cells, Changed []impact.Row
	// Known says that each of the cells is known on all releases.
	Known bool
}

// Rolls puts a review's rows together by scenario, in the order of their folders: those
// with a cell that does not end alike on all releases, those without, and those without of
// which not all cells are known on all releases.
func Rolls(r impact.Review) (changed, alike, partly []*Roll) {
	var all []*Roll
	at := map[[2]string]*Roll{}
	for _, row := range r.Rows {
		k := [2]string{row.Folder, row.Scenario}
		if at[k] == nil {
			at[k] = &Roll{Folder: row.Folder, Scenario: row.Scenario, Known: true}
			all = append(all, at[k])
		}
		at[k].Cells = append(at[k].Cells, row)
		at[k].Known = at[k].Known && row.Known()
		if row.Differs() {
			at[k].Changed = append(at[k].Changed, row)
		}
	}
	slices.SortStableFunc(all, func(a, b *Roll) int { return strings.Compare(a.Folder, b.Folder) })
	for _, s := range all {
		switch {
		case len(s.Changed) > 0:
			changed = append(changed, s)
		case s.Known:
			alike = append(alike, s)
		default:
			partly = append(partly, s)
		}
	}
	return changed, alike, partly
}

// Name is the scenario's with its folder, and with the values of its one cell.
func (r *Roll) Name() string {
	name := r.Scenario
	if len(r.Cells) == 1 {
		name = CellName(name, r.Cells[0].Axes, r.Cells[0].Values)
	}
	if r.Folder == "" {
		return name
	}
	return r.Folder + ": " + name
}

// RowName is how a row is called within its scenario.
func RowName(row impact.Row) string {
	return strings.TrimPrefix(CellName("", row.Axes, row.Values), " ")
}

// On says what became of the scenario on a release: the outcome of its one cell, or how
// many of them do their work.
func (r *Roll) On(release int) string {
	if len(r.Cells) == 1 {
		return On(r.Cells[0], release)
	}
	known, done := 0, 0
	for _, c := range r.Cells {
		if e := c.On[release]; e != nil {
			known++
			if e.Done() {
				done++
			}
		}
	}
	switch {
	case known == 0:
		return notKnown
	case known < len(r.Cells):
		return fmt.Sprintf("%d of %d do their work, %d not known", done, len(r.Cells), len(r.Cells)-known)
	}
	return fmt.Sprintf("%d of %d do their work", done, len(r.Cells))
}

const notKnown = "not known"

// On says how a row ended on a release.
func On(row impact.Row, release int) string {
	if e := row.On[release]; e != nil {
		return e.Text()
	}
	return notKnown
}

// rollUp is the table of what changes, and a line on what does not.
func rollUp(r impact.Review, w writing) string {
	// Of one cell the changes tell all.
	if len(r.Rows) < 2 {
		return ""
	}
	header := []string{"scenario"}
	for _, p := range r.Path {
		header = append(header, p.Version)
	}
	var rows [][]string
	line := func(name string, on func(int) string) {
		row := []string{name}
		for i := range r.Path {
			row = append(row, on(i))
		}
		rows = append(rows, row)
	}
	changed, alike, partly := Rolls(r)
	for _, s := range changed {
		line(s.Name(), s.On)
		if len(s.Cells) == 1 {
			continue
		}
		for _, c := range s.Changed {
			line("· "+RowName(c), func(i int) string { return On(c, i) })
		}
	}
	out := ""
	if len(rows) > 0 {
		out = w.table(header, rows)
	}
	if n := len(alike); n > 0 {
		out += w.item(fmt.Sprintf("%s alike on all releases", SameScenarios(n)))
	}
	if n := len(partly); n > 0 {
		out += w.item(fmt.Sprintf("%s alike where that is known, and not all cells are known on all releases", SameScenarios(n)))
	}
	return out
}

// SameScenarios begins a sentence on scenarios without a change.
func SameScenarios(n int) string {
	if n == 1 {
		return "1 scenario ends"
	}
	return fmt.Sprintf("%d scenarios end", n)
}

package reports

import (
	"fmt"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"

	"simctl.dev/simctl/sim/verdict"
)

// maxTimingRows is how many combinations without repeats are listed one by one
// before they are taken together by outcome.
const maxTimingRows = 16

// timing shows where a scenario's virtual time went: statistics where cells
// were repeated, the single values where they were not.
func (g *group) timing(statistics []verdict.Statistic, s style) string {
	if g.repeats() {
		return g.statistics(statistics, s)
	}
	var timed []combo
	for _, c := range g.combos {
		if c.cells[0].MakespanSeconds != nil {
			timed = append(timed, c)
		}
	}
	switch {
	case len(timed) == 0:
		return ""
	case len(timed) > maxTimingRows:
		return g.timingByOutcome(timed, s)
	}
	t := newTable(s, s.within(2))
	header := table.Row{}
	for _, a := range g.axes {
		header = append(header, a)
	}
	t.AppendHeader(append(header, "makespan", "attaching", "mounting", "ownership", "pulling", "attaches", "detaches", "nodes"))
	for _, c := range timed {
		row := table.Row{}
		for _, a := range g.axes {
			row = append(row, c.values[a])
		}
		cell := c.cells[0]
		t.AppendRow(append(row, durationOrNone(cell.MakespanSeconds),
			Duration(cell.Timing.AttachSeconds), Duration(cell.Timing.MountSeconds),
			Duration(cell.Timing.OwnershipSeconds), Duration(cell.Timing.PullSeconds),
			cell.Timing.Attaches, cell.Timing.Detaches, len(cell.Timing.Nodes)))
	}
	return t.Render()
}

// timingByOutcome takes the combinations of one outcome together.
func (g *group) timingByOutcome(timed []combo, s style) string {
	t := newTable(s, s.within(2))
	t.AppendHeader(table.Row{"outcome", "cells", "makespan", "attaching", "mounting", "ownership", "pulling", "attaches", "nodes"})
	var order []string
	sets := map[string][]verdict.Cell{}
	for _, c := range timed {
		name := outcomeName(c.cells[0])
		if sets[name] == nil {
			order = append(order, name)
		}
		sets[name] = append(sets[name], c.cells[0])
	}
	for _, name := range order {
		set := sets[name]
		seconds := func(f func(verdict.Timing) float64) string {
			return span(set, func(c verdict.Cell) *float64 { v := f(c.Timing); return &v })
		}
		counts := func(f func(verdict.Timing) int) string {
			lo, hi := f(set[0].Timing), f(set[0].Timing)
			for _, c := range set {
				lo, hi = min(lo, f(c.Timing)), max(hi, f(c.Timing))
			}
			if lo == hi {
				return fmt.Sprint(lo)
			}
			return fmt.Sprintf("%d to %d", lo, hi)
		}
		t.AppendRow(table.Row{name, len(set),
			span(set, func(c verdict.Cell) *float64 { return c.MakespanSeconds }),
			seconds(func(t verdict.Timing) float64 { return t.AttachSeconds }),
			seconds(func(t verdict.Timing) float64 { return t.MountSeconds }),
			seconds(func(t verdict.Timing) float64 { return t.OwnershipSeconds }),
			seconds(func(t verdict.Timing) float64 { return t.PullSeconds }),
			counts(func(t verdict.Timing) int { return t.Attaches }),
			counts(func(t verdict.Timing) int { return len(t.Nodes) }),
		})
	}
	return t.Render()
}

// statistics has a row for each group of repeats and measure.
func (g *group) statistics(all []verdict.Statistic, s style) string {
	t := newTable(s, s.within(2))
	header := table.Row{}
	for _, a := range g.axes {
		header = append(header, a)
	}
	t.AppendHeader(append(header, "measure", "n", "min", "p50", "p95", "max", "mean", "95% interval of the mean"))
	rows := 0
	last := ""
	for _, st := range all {
		// A measure that is nought throughout says nothing.
		if st.Scenario != g.name || st.N == 0 || st.Min == 0 && st.Max == 0 {
			continue
		}
		row := table.Row{}
		k := key(st.Values, g.axes)
		for _, a := range g.axes {
			v := valueOf(st.Values, a)
			if rows > 0 && k == last {
				v = ""
			}
			row = append(row, v)
		}
		last = k
		name, show := measure(st.Measure)
		interval := markNone
		if st.MeanLow != nil && st.MeanHigh != nil {
			interval = show(*st.MeanLow) + " to " + show(*st.MeanHigh)
		}
		t.AppendRow(append(row, name, st.N, show(st.Min), show(st.P50), show(st.P95), show(st.Max), show(st.Mean), interval))
		rows++
	}
	if rows == 0 {
		return ""
	}
	return t.Render()
}

// measureNames are the names for people of measures in virtual seconds.
var measureNames = map[string]string{
	"attachSeconds":       "attaching",
	"mountSeconds":        "mounting",
	"pullSeconds":         "pulling",
	"blockedSinceSeconds": "stopped at",
}

// measure returns a measure's name for people and how to show its numbers.
func measure(name string) (string, func(float64) string) {
	short, seconds := strings.CutSuffix(name, "Seconds")
	if !seconds {
		return name, trimNumber
	}
	if n, ok := measureNames[name]; ok {
		short = n
	}
	return short, Duration
}

func trimNumber(v float64) string {
	return trimZeros(fmt.Sprintf("%.2f", v))
}

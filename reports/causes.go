package reports

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"simctl.dev/simctl/sim/verdict"
)

// cause is one causal chain with the cells that have it.
type cause struct {
	number    int
	outcome   verdict.Outcome
	recovered bool
	links     []verdict.Link
	// cells are places in the result.
	cells []int
	// judgement is the worst of its cells: not as expected, nothing expected, as
	// expected.
	judgement verdict.Judgement
}

// causes returns each distinct chain of the cells that deviate or that are no
// success once, numbered from 1: those with a cell that deviates first, then those
// with a cell of which nothing is expected. The map has the number by the cell's place in the result.
func causes(cells []verdict.Cell) ([]*cause, map[int]int) {
	byKey := map[string]*cause{}
	var all []*cause
	for i, c := range cells {
		if c.Outcome == verdict.Success && !Deviates(c) {
			continue
		}
		links := c.Cause
		if c.Outcome == verdict.Error {
			links = []verdict.Link{{What: "simctl could not run the cell", Evidence: c.Error}}
		}
		k := chainKey(c.Outcome, c.Recovered, links)
		if byKey[k] == nil {
			byKey[k] = &cause{outcome: c.Outcome, recovered: c.Recovered, links: links, judgement: verdict.AsExpected}
			all = append(all, byKey[k])
		}
		byKey[k].cells = append(byKey[k].cells, i)
		byKey[k].worsen(c)
	}
	var sorted []*cause
	for _, j := range judgements {
		for _, c := range all {
			if c.judgement == j {
				sorted = append(sorted, c)
			}
		}
	}
	numbers := map[int]int{}
	for i, c := range sorted {
		c.number = i + 1
		for _, cell := range c.cells {
			numbers[cell] = c.number
		}
	}
	return sorted, numbers
}

// judgements are in the order in which readers want them.
var judgements = []verdict.Judgement{verdict.NotAsExpected, verdict.NothingExpected, verdict.AsExpected}

// worsen takes the cell's judgement if it is a worse one.
func (c *cause) worsen(cell verdict.Cell) {
	j := cell.Judgement
	if Deviates(cell) {
		j = verdict.NotAsExpected
	}
	if slices.Index(judgements, j) < slices.Index(judgements, c.judgement) {
		c.judgement = j
	}
}

// chainKey is equal for chains that say the same of objects whose generated
// names differ.
func chainKey(o verdict.Outcome, recovered bool, links []verdict.Link) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %t\n", o, recovered)
	for _, l := range links {
		fmt.Fprintf(&b, "%q %q %q\n", cmp.Or(l.Rule, l.What), l.Object, l.Evidence)
	}
	return verdict.Canonical(b.String())
}

// render shows a chain: who has it, then the links from the symptom to the root.
func (c *cause) render(groups []*group, cells []verdict.Cell, width int, s style) string {
	var b strings.Builder
	name := string(c.outcome)
	if c.recovered {
		name += " (the run still finished)"
	}
	title := fmt.Sprintf("[%d] %s", c.number, name)
	if c.judgement == verdict.NotAsExpected {
		title = s.bad(title)
	} else {
		title = s.head(title)
	}
	fmt.Fprintf(&b, "%s  %s\n", title, s.dim(cellCount(len(c.cells))))

	mine := map[int]bool{}
	for _, i := range c.cells {
		mine[i] = true
	}
	for _, g := range groups {
		// The cells of one scenario by what was expected of them.
		byExpected := map[string][]verdict.Cell{}
		var order []string
		for n, i := range g.index {
			if !mine[i] {
				continue
			}
			cell := g.cells[n]
			e := expectation(cell)
			if byExpected[e] == nil {
				order = append(order, e)
			}
			byExpected[e] = append(byExpected[e], cell)
		}
		for _, e := range order {
			set := byExpected[e]
			note := e
			if Deviates(set[0]) {
				note = s.bad(note)
			} else {
				note = s.dim(note)
			}
			for i, d := range g.describe(set) {
				line := "    " + g.name + ": " + d
				if i == 0 {
					line += "  " + note
				}
				b.WriteString(line + "\n")
			}
		}
	}
	if since := c.since(cells); since != "" {
		fmt.Fprintf(&b, "    %s\n", s.dim("nothing could happen any more from "+since))
	}
	if len(c.links) == 0 && c.outcome != verdict.Success {
		b.WriteString("    " + s.dim("no cause was recorded") + "\n")
	}
	for i, l := range c.links {
		lead := "    "
		if i > 0 {
			lead = "  ← "
		}
		what := l.What
		if l.Object != "" && !strings.Contains(what, l.Object) {
			what += " (" + l.Object + ")"
		}
		for n, line := range wrap(what, width-4) {
			if n > 0 {
				lead = "    "
			}
			b.WriteString(lead + line + "\n")
		}
		for _, text := range []string{l.Evidence, l.Stays()} {
			if text == "" {
				continue
			}
			for _, line := range wrap(text, width-8) {
				b.WriteString("      " + s.dim("│ "+line) + "\n")
			}
		}
	}
	return b.String()
}

// since shows when the cells of a cause stopped for good.
func (c *cause) since(cells []verdict.Cell) string {
	var mine []verdict.Cell
	for _, i := range c.cells {
		mine = append(mine, cells[i])
	}
	t := span(mine, func(c verdict.Cell) *float64 { return c.BlockedSinceSeconds })
	if t == markNone {
		return ""
	}
	return t
}

// expectation says in words what was expected of a cell.
func expectation(c verdict.Cell) string {
	switch {
	case c.Outcome == verdict.Error:
		return "not run"
	case c.Judgement != verdict.NotAsExpected:
		return c.Judgement.String()
	}
	return "expected " + strings.ReplaceAll(c.Expected, "|", " or ")
}

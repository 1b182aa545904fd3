package reports

import (
	"fmt"
	"slices"
	"strings"

	"simctl.dev/simctl/sim/verdict"
)

// renderTable is the default format: the matrix of each scenario, then what
// deviates and why, then timing.
func renderTable(r verdict.RunResult, o Options, s style) string {
	var b strings.Builder
	width := o.Width
	groups := layout(r.Cells)
	chains, numbers := causes(r.Cells)

	b.WriteString(matrices(groups, r, o, numbers, s))
	if l := legend(r.Cells, s); l != "" {
		fmt.Fprintf(&b, "%s\n\n", l)
	}

	section := func(title string, judgement verdict.Judgement) {
		first := true
		for _, c := range chains {
			if c.judgement != judgement {
				continue
			}
			if first {
				fmt.Fprintf(&b, "%s\n\n", s.head(title))
				first = false
			}
			b.WriteString(c.render(groups, r.Cells, width, s))
			b.WriteString("\n")
		}
	}
	section("What deviates from what was expected, and why", verdict.NotAsExpected)
	section("Why cells of which nothing is expected did not succeed", verdict.NothingExpected)
	section("Why the others did not succeed, as expected", verdict.AsExpected)

	if remarks := Remarks(r.Cells); len(remarks) > 0 {
		fmt.Fprintf(&b, "%s\n\n", s.head(ConductTitle))
		for _, m := range remarks {
			b.WriteString(m.render(groups, width, s))
		}
		b.WriteString("\n")
	}

	list := func(title string, lines []string) {
		if len(lines) == 0 {
			return
		}
		fmt.Fprintf(&b, "%s\n\n", s.head(title))
		for _, line := range lines {
			b.WriteString(indent(strings.Join(wrap(line, width-2), "\n"), 2) + "\n")
		}
		b.WriteString("\n")
	}
	list("Manifests and fields without effect here", Inert(r.Cells))
	list("Made up, as the manifests do not have it", MadeUp(r.Cells))
	list("Interventions without effect", Ineffective(r.Cells))
	list("Tekton's controller follows its own writes without end", Busy(r.Cells))
	list("Never end", NeverEnd(r.Cells))
	list("Ended at a bound", Bounds(r.Cells))

	first := true
	for _, g := range groups {
		t := g.timing(r.Statistics, s)
		if t == "" {
			continue
		}
		if first {
			fmt.Fprintf(&b, "%s\n\n", s.head("Timing (virtual)"))
			first = false
		}
		fmt.Fprintf(&b, "%s\n%s\n\n", s.head(g.name), indent(t, 2))
	}
	fmt.Fprintf(&b, "%s\n", s.hang(summary(r, s), 0))
	return b.String()
}

// MadeUp lists the objects of all cells that stand for missing ones, each once.
func MadeUp(cells []verdict.Cell) []string {
	return once(cells, func(c *verdict.Cell) []string { return c.MadeUp })
}

// Inert lists the manifests of all cells that had no effect, or whose fields had none,
// each with the reason, once.
func Inert(cells []verdict.Cell) []string {
	return once(cells, func(c *verdict.Cell) []string { return c.Inert })
}

// once returns the lines of all cells in their order, each once.
func once(cells []verdict.Cell, lines func(*verdict.Cell) []string) []string {
	var out []string
	for i := range cells {
		for _, line := range lines(&cells[i]) {
			if !slices.Contains(out, line) {
				out = append(out, line)
			}
		}
	}
	return out
}

// Busy lists with which runs a release's controller was busy without end, and in how
// many cells.
func Busy(cells []verdict.Cell) []string {
	type release struct {
		runs  []string
		cells int
	}
	releases := map[string]*release{}
	var versions []string
	for _, c := range cells {
		if len(c.Busy) == 0 {
			continue
		}
		v := c.Values[tektonKey]
		if releases[v] == nil {
			releases[v] = &release{}
			versions = append(versions, v)
		}
		releases[v].cells++
		for _, run := range c.Busy {
			if !slices.Contains(releases[v].runs, run) {
				releases[v].runs = append(releases[v].runs, run)
			}
		}
	}
	var lines []string
	for _, v := range versions {
		lines = append(lines, fmt.Sprintf("%s, %s: %s", v, cellCount(releases[v].cells), strings.Join(releases[v].runs, ", ")))
	}
	return lines
}

// NeverEnd lists the runs that never end, each with the number of cells.
func NeverEnd(cells []verdict.Cell) []string {
	return counted(cells, func(c verdict.Cell) []string { return c.NeverEnd })
}

// Bounds lists the bounds at which cells were ended while things went on, each with the
// number of cells.
func Bounds(cells []verdict.Cell) []string {
	return counted(cells, func(c verdict.Cell) []string {
		if c.Bound == "" {
			return nil
		}
		return []string{c.Bound}
	})
}

// counted returns what cells say, each once, with how many say it.
func counted(cells []verdict.Cell, says func(verdict.Cell) []string) []string {
	var out []string
	times := map[string]int{}
	for _, c := range cells {
		for _, line := range says(c) {
			if times[line]++; times[line] == 1 {
				out = append(out, line)
			}
		}
	}
	for i, line := range out {
		out[i] = line + ", in " + cellCount(times[line])
	}
	return out
}

// Ineffective lists the interventions of all cells that were missed, refused or not drawn,
// and faults that nobody met,
// each with the reason and in how many cells it was so.
func Ineffective(cells []verdict.Cell) []string {
	var lines []string
	times := map[string]int{}
	for _, c := range cells {
		for _, v := range c.Interventions {
			line := v.What + ": " + v.Failure
			switch {
			case v.Missed:
				line = fmt.Sprintf("%s: the cell ended before its moment came (%s)", v.What, v.Trigger)
			case v.Spared:
				line = fmt.Sprintf("%s: not drawn, with a probability of %g", v.What, *v.Probability)
			case v.Met != nil && v.Met.Count == 0:
				line = v.What + ": it met nobody"
			case v.Failure == "":
				continue
			}
			if times[line]++; times[line] == 1 {
				lines = append(lines, line)
			}
		}
	}
	for i, line := range lines {
		lines[i] = cellCount(times[line]) + ", " + line
	}
	return lines
}

// legend explains the marks that were used.
func legend(cells []verdict.Cell, s style) string {
	var expected, deviates, unjudged, recovered, caused bool
	for _, c := range cells {
		switch {
		case Deviates(c):
			deviates = true
		case c.Judgement == verdict.NothingExpected:
			unjudged = true
		default:
			expected = true
		}
		recovered = recovered || c.Recovered
		caused = caused || Deviates(c) || c.Outcome != verdict.Success
	}
	var parts []string
	if expected {
		parts = append(parts, markAsExpected+" as expected")
	}
	if deviates {
		parts = append(parts, markDeviates+" not as expected")
	}
	if unjudged {
		parts = append(parts, markNotJudged+" nothing expected")
	}
	if recovered {
		parts = append(parts, recoveredMark+" the run still finished")
	}
	if caused {
		parts = append(parts, "[n] cause n below")
	}
	if len(parts) == 0 {
		return ""
	}
	return s.dim(strings.Join(parts, "   "))
}

// summary is the last line.
func summary(r verdict.RunResult, s style) string {
	var met, deviates, unjudged, undone, failed int
	for _, c := range r.Cells {
		switch {
		case c.Outcome == verdict.Error:
			failed++
		case Deviates(c):
			deviates++
		case c.Judgement == verdict.NothingExpected:
			unjudged++
			if !c.DidItsWork() {
				undone++
			}
		default:
			met++
		}
	}
	t := cellCount(len(r.Cells)) + ": "
	var parts []string
	if met+deviates > 0 || unjudged == 0 {
		parts = append(parts, fmt.Sprintf("%d as expected", met))
	}
	if deviates > 0 {
		parts = append(parts, s.bad(fmt.Sprintf("%d not as expected", deviates)))
	}
	if unjudged > 0 {
		part := fmt.Sprintf("%d of which nothing is expected", unjudged)
		if undone > 0 {
			part += s.bad(fmt.Sprintf(" (%d did not do their work)", undone))
		}
		parts = append(parts, part)
	}
	if failed > 0 {
		parts = append(parts, s.bad(fmt.Sprintf("%d that simctl could not run", failed)))
	}
	t += strings.Join(parts, ", ")
	if r.WallSeconds > 0 {
		t += " in " + Duration(r.WallSeconds)
	}
	if r.Interrupted {
		t += s.bad("; interrupted, not every cell was run")
	}
	return t
}

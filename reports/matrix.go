package reports

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"

	"simctl.dev/simctl/sim/verdict"
)

// Marks before an outcome.
const (
	markAsExpected = "✓"
	markDeviates   = "✗"
	markNotJudged  = "·"
	markNone       = "-"
)

// recoveredMark follows the outcome of a cell whose run finished all the same.
const recoveredMark = "*"

// Mark is the sign before a cell's outcome.
func Mark(c verdict.Cell) string {
	switch {
	case Deviates(c):
		return markDeviates
	case c.Judgement == verdict.NothingExpected:
		return markNotJudged
	}
	return markAsExpected
}

// outcomeName is a cell's outcome with the mark of a run that finished all the same.
func outcomeName(c verdict.Cell) string {
	if c.Recovered {
		return string(c.Outcome) + recoveredMark
	}
	return string(c.Outcome)
}

// outcomeText is a combination's entry in the matrix: a mark, the outcomes of
// its repeats, and the numbers of the causes below.
func outcomeText(c combo, causes map[int]int, s style) string {
	mark, judged := markNotJudged, false
	deviates, success := false, true
	var names []string
	counts := map[string]int{}
	var refs []string
	for i, cell := range c.cells {
		judged = judged || cell.Judgement != verdict.NothingExpected
		deviates = deviates || Deviates(cell)
		success = success && cell.Outcome == verdict.Success
		name := outcomeName(cell)
		if counts[name] == 0 {
			names = append(names, name)
		}
		counts[name]++
		if n, ok := causes[c.index[i]]; ok {
			if ref := fmt.Sprint(n); !slices.Contains(refs, ref) {
				refs = append(refs, ref)
			}
		}
	}
	if judged {
		mark = markAsExpected
	}
	if deviates {
		mark = markDeviates
	}
	for i, name := range names {
		if len(c.cells) > 1 {
			names[i] = fmt.Sprintf("%s ×%d", name, counts[name])
		}
	}
	t := mark + " " + strings.Join(names, ", ")
	switch {
	case deviates:
		t = s.bad(t)
	case success:
		t = s.good(t)
	default:
		t = s.held(t)
	}
	if len(refs) > 0 {
		t += " " + s.dim("["+strings.Join(refs, ",")+"]")
	}
	return t
}

// matrix shows a scenario's outcomes: one or two axes as columns where the
// result stays within width, a list otherwise.
func (g *group) matrix(width int, causes map[int]int, s style) string {
	texts := make([]string, len(g.combos))
	for i, c := range g.combos {
		texts[i] = outcomeText(c, causes, s)
	}
	cols := g.columnAxes(texts, width)
	if len(cols) == 0 {
		return g.list(texts, s)
	}
	return g.grid(cols, texts, s)
}

// list has a row for each combination.
func (g *group) list(texts []string, s style) string {
	t := newTable(s, s.within(2))
	header := table.Row{}
	for _, a := range g.axes {
		header = append(header, a)
	}
	if g.tektonFollows {
		header = append(header, tektonKey)
	}
	makespan, stopped := false, false
	for _, c := range g.cells {
		makespan = makespan || c.MakespanSeconds != nil
		stopped = stopped || c.BlockedSinceSeconds != nil
	}
	header = append(header, "outcome")
	if makespan {
		header = append(header, "makespan")
	}
	if stopped {
		header = append(header, "stopped at")
	}
	t.AppendHeader(header)
	for i, c := range g.combos {
		row := table.Row{}
		for _, a := range g.axes {
			row = append(row, c.values[a])
		}
		if g.tektonFollows {
			row = append(row, c.values[tektonKey])
		}
		row = append(row, texts[i])
		if makespan {
			row = append(row, span(c.cells, func(c verdict.Cell) *float64 { return c.MakespanSeconds }))
		}
		if stopped {
			row = append(row, span(c.cells, func(c verdict.Cell) *float64 { return c.BlockedSinceSeconds }))
		}
		t.AppendRow(row)
	}
	return t.Render()
}

// span shows a measure's least and greatest value over cells.
func span(cells []verdict.Cell, measure func(verdict.Cell) *float64) string {
	var lo, hi float64
	n := 0
	for _, c := range cells {
		v := measure(c)
		if v == nil {
			continue
		}
		if n == 0 || *v < lo {
			lo = *v
		}
		if n == 0 || *v > hi {
			hi = *v
		}
		n++
	}
	if n == 0 {
		return markNone
	}
	if a, b := Duration(lo), Duration(hi); a != b {
		return a + " to " + b
	}
	return Duration(lo)
}

// grid has the combinations of cols as columns and the others as rows.
func (g *group) grid(cols []string, texts []string, s style) string {
	rows := without(g.axes, cols)
	t := newTable(s, s.within(2))
	colKeys, colAt := g.distinctKeys(cols)
	rowKeys, rowAt := g.distinctKeys(rows)

	for depth, col := range cols {
		header := table.Row{}
		for _, r := range rows {
			if depth < len(cols)-1 {
				r = ""
			}
			header = append(header, r)
		}
		previous := ""
		for i, ck := range colKeys {
			v := col + "=" + colAt[ck][col]
			// The upper of two levels is written where it begins.
			if depth < len(cols)-1 {
				if i > 0 && v == previous {
					header = append(header, "")
					continue
				}
				previous = v
			}
			header = append(header, v)
		}
		t.AppendHeader(header)
	}

	cells := map[string]string{}
	for i, c := range g.combos {
		k := key(c.values, rows) + "\x00" + key(c.values, cols)
		cells[k] = texts[i]
	}
	var last map[string]string
	for _, rk := range rowKeys {
		row := table.Row{}
		same := last != nil
		for i, r := range rows {
			v := rowAt[rk][r]
			// A value is written once for the rows under it.
			same = same && i < len(rows)-1 && last[r] == v
			if same {
				v = ""
			}
			row = append(row, v)
		}
		last = rowAt[rk]
		for _, ck := range colKeys {
			v, ok := cells[rk+"\x00"+ck]
			if !ok {
				v = s.dim(markNone)
			}
			row = append(row, v)
		}
		t.AppendRow(row)
	}
	return t.Render()
}

// distinctKeys are the combinations of some axes' values that occur, in the
// order of the axes' values, and the values of each.
func (g *group) distinctKeys(axes []string) ([]string, map[string]map[string]string) {
	occurs := map[string]map[string]string{}
	for _, c := range g.combos {
		occurs[key(c.values, axes)] = c.values
	}
	keys := []string{""}
	for _, a := range axes {
		var next []string
		for _, k := range keys {
			for _, v := range g.values[a] {
				next = append(next, k+v+"\x00")
			}
		}
		keys = next
	}
	var out []string
	for _, k := range keys {
		if _, ok := occurs[k]; ok {
			out = append(out, k)
		}
	}
	return out, occurs
}

// columnAxes chooses the axes that stand as columns: of those choices of one
// or two that fit into width the one with the most columns, later axes first.
func (g *group) columnAxes(texts []string, width int) []string {
	if len(g.axes) < 2 || g.tektonFollows && len(g.axes) < 3 {
		return nil
	}
	var best []string
	most := 1
	try := func(cols []string) {
		keys, _ := g.distinctKeys(cols)
		if n := len(keys); n >= most && g.gridWidth(cols, texts) <= width {
			best, most = cols, n
		}
	}
	for i := range g.axes {
		try([]string{g.axes[i]})
	}
	if len(g.axes) > 2 {
		for i := range g.axes {
			for j := i + 1; j < len(g.axes); j++ {
				try([]string{g.axes[i], g.axes[j]})
			}
		}
	}
	return best
}

// gridWidth is how wide the grid with these columns would be.
func (g *group) gridWidth(cols []string, texts []string) int {
	width := 0
	for _, r := range without(g.axes, cols) {
		w := textWidth(r)
		for _, v := range g.values[r] {
			w = max(w, textWidth(v))
		}
		width += w + columnGap
	}
	keys, values := g.distinctKeys(cols)
	byColumn := map[string]int{}
	for i, c := range g.combos {
		k := key(c.values, cols)
		byColumn[k] = max(byColumn[k], textWidth(texts[i]))
	}
	for _, k := range keys {
		w := byColumn[k]
		for _, c := range cols {
			w = max(w, textWidth(c+"="+values[k][c]))
		}
		width += w + columnGap
	}
	return width
}

func without(all, some []string) []string {
	var out []string
	for _, a := range all {
		if !slices.Contains(some, a) {
			out = append(out, a)
		}
	}
	return out
}

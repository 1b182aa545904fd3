package reports

import (
	"slices"
	"strings"

	"simctl.dev/simctl/sim/verdict"
)

// ConductTitle heads what the outcomes do not tell.
const ConductTitle = "Refused, not run, done again, left behind"

// Remark is a sentence of one or more cells' conduct.
type Remark struct {
	Text string
	// Cells are places in the result.
	Cells []int
}

// Remarks returns each sentence of the cells' conduct once, in the order in which they
// come; those that differ in generated names are one.
func Remarks(cells []verdict.Cell) []Remark {
	var out []Remark
	at := map[string]int{}
	for i, c := range cells {
		for _, text := range c.Conduct.Sentences() {
			k := verdict.Canonical(text)
			n, met := at[k]
			if !met {
				n = len(out)
				at[k] = n
				out = append(out, Remark{Text: text})
			}
			if !slices.Contains(out[n].Cells, i) {
				out[n].Cells = append(out[n].Cells, i)
			}
		}
	}
	return out
}

// render shows a remark and whose it is.
func (r Remark) render(groups []*group, width int, s style) string {
	var b strings.Builder
	for n, line := range wrap(strings.Join(strings.Fields(r.Text), " "), width-4) {
		lead := "  - "
		if n > 0 {
			lead = "    "
		}
		b.WriteString(lead + line + "\n")
	}
	for _, g := range groups {
		var mine []verdict.Cell
		for n, i := range g.index {
			if slices.Contains(r.Cells, i) {
				mine = append(mine, g.cells[n])
			}
		}
		if len(mine) == 0 {
			continue
		}
		for _, d := range g.describe(mine) {
			for _, line := range wrap(g.name+": "+d, width-4) {
				b.WriteString("    " + s.dim(line) + "\n")
			}
		}
	}
	return b.String()
}

// conduct is all of a cell's conduct on one line.
func conduct(c verdict.Cell) string {
	return strings.Join(strings.Fields(strings.Join(c.Conduct.Sentences(), "; ")), " ")
}

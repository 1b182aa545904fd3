package evidence

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"simctl.dev/simctl/reports"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/verdict"
)

// markdown escapes what Markdown and the HTML in it would take for markup.
var markdown = strings.NewReplacer("\\", "\\\\", "`", "\\`", "*", "\\*", "_", "\\_", "[", "\\[", "]", "\\]",
	"<", "&lt;", ">", "&gt;", "&", "&amp;", "|", "\\|", "#", "\\#", "~", "\\~", "\n", " ", "\r", " ")

func md(s string) string { return markdown.Replace(s) }

// code returns s as inline code, whatever backticks are in it.
func code(s string) string {
	s = strings.NewReplacer("\n", " ", "\r", " ", "|", "\\|").Replace(s)
	fence := "`"
	for strings.Contains(s, fence) {
		fence += "`"
	}
	if len(fence) > 1 {
		s = " " + s + " "
	}
	return fence + s + fence
}

// block returns text as a code block, whatever fences are in it.
func block(lang, text string) string {
	fence := "```"
	for strings.Contains(text, fence) {
		fence += "`"
	}
	return fence + lang + "\n" + strings.TrimRight(text, "\n") + "\n" + fence + "\n\n"
}

// ref links to a cell.
func ref(c *Cell) string { return "[" + md(c.Label) + "](#" + c.Anchor + ")" }

// MarkdownLimit is how many characters a report in Markdown has at most: as many as a
// comment on GitHub takes.
const MarkdownLimit = 65536

// What a report in Markdown is made of, the most important first. Where not all of it
// fits, the last goes.
const (
	partHead = iota
	partDeviating
	partCauseTitle
	partCause
	partChange
	partMessage
	partStopped
	partRemark
	partProof
	partLaterCause
	partLaterChange
	partAlternative
	partExpected
	partReproduce
	partDeviatingCell
	partTiming
	partCell
)

// firstCauses is how many causes come before all that is of the others.
const firstCauses = 6

// leftOut names the parts that may be left out, one and several.
var leftOut = map[int][2]string{
	partCauseTitle: {"cause", "causes"}, partCause: {"cause's chain", "causes' chains"}, partLaterCause: {"cause's chain", "causes' chains"},
	partChange: {"change", "changes"}, partLaterChange: {"change", "changes"}, partAlternative: {"change at a price", "changes at a price"},
	partMessage: {"message to the admin", "messages to the admin"}, partRemark: {"remark on what outcomes do not tell", "remarks on what outcomes do not tell"},
	partDeviating: {"row of the matrix", "rows of the matrix"}, partStopped: {"row of the matrix", "rows of the matrix"}, partExpected: {"row of the matrix", "rows of the matrix"},
	partProof: {"cell's section", "cells' sections"}, partDeviatingCell: {"cell's section", "cells' sections"}, partCell: {"cell's section", "cells' sections"},
	partReproduce: {"list of what was run", "lists of what was run"}, partTiming: {"row of times", "rows of times"},
}

// pages collects a report's parts in the order in which they stand.
type pages struct{ parts []part }

type part struct {
	rank int
	text strings.Builder
}

// at begins a part and returns what writes to it.
func (d *pages) at(rank int) printf {
	d.parts = append(d.parts, part{rank: rank})
	i := len(d.parts) - 1
	return func(format string, args ...any) { fmt.Fprintf(&d.parts[i].text, format, args...) }
}

// within returns the parts that fit, the most important before the others, and says how
// many of which there are not.
func (d *pages) within(limit int) (kept []bool, missing map[int]int) {
	order := make([]int, len(d.parts))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(d.parts[i].rank, d.parts[j].rank) })
	kept, missing = make([]bool, len(d.parts)), map[int]int{}
	size := 0
	for _, i := range order {
		n := d.parts[i].text.Len()
		if kept[i] = d.parts[i].rank == partHead || size+n <= limit; kept[i] {
			size += n
			continue
		}
		missing[d.parts[i].rank]++
	}
	return kept, missing
}

// render joins the parts that fit. after is the part behind which it is said what is not
// there.
func (d *pages) render(after int) string {
	// Room for the sentence on what is left out.
	const sentence = 1000
	kept, missing := d.within(MarkdownLimit - sentence)
	var b strings.Builder
	for i := range d.parts {
		if kept[i] {
			b.WriteString(d.parts[i].text.String())
		}
		if i == after && len(missing) > 0 {
			b.WriteString(notHere(missing))
		}
	}
	return landing(b.String())
}

// notHere says what is left out, and where it is.
func notHere(missing map[int]int) string {
	counts := map[[2]string]int{}
	var names [][2]string
	for rank := range partCell + 1 {
		if n := missing[rank]; n > 0 {
			if counts[leftOut[rank]] == 0 {
				names = append(names, leftOut[rank])
			}
			counts[leftOut[rank]] += n
		}
	}
	var parts []string
	for _, name := range names {
		parts = append(parts, count(counts[name], name[0], name[1]))
	}
	return fmt.Sprintf("> Left out here, to stay below %d characters: %s. All of it is in the page that `simctl report RUN --output report.html` writes; `simctl explain RUN CELL` tells of one cell.\n\n",
		MarkdownLimit, strings.Join(parts, ", "))
}

var (
	anchors = regexp.MustCompile(`<a id="([^"]+)"></a>`)
	inward  = regexp.MustCompile(`\[((?:[^\[\]\\\n]|\\.)*)\]\(#((?:cell|cause)-[^)\s]+)\)`)
)

// landing makes plain text of the links to what is not there.
func landing(text string) string {
	there := map[string]bool{}
	for _, m := range anchors.FindAllStringSubmatch(text, -1) {
		there[m[1]] = true
	}
	return inward.ReplaceAllStringFunc(text, func(link string) string {
		m := inward.FindStringSubmatch(link)
		if there[m[2]] {
			return link
		}
		return m[1]
	})
}

// Markdown returns the report as Markdown, for a ticket, a comment or a step summary. It
// has at most MarkdownLimit characters, for which it leaves out what matters least and
// says so.
func (r *Report) Markdown() string {
	d := &pages{}
	p := d.at(partHead)
	p("# %s\n\n", md(r.Title))
	p("%s\n\n**Verdict.** %s\n\n", md(r.Summary.Run), md(r.Summary.Verdict))
	p("| | |\n|---|---|\n| Severity | %s: %s |\n| Who must act | %s |\n\n", md(r.Summary.Severity), md(r.Summary.Why), md(r.Summary.Act))

	p = d.at(partHead)
	p("## Matrix\n\n")
	for i, s := range r.shapes() {
		_, means, _ := strings.Cut(s.Means, ": ")
		p("%s%s %s", map[bool]string{true: ", "}[i > 0], s.Symbol, means)
	}
	p("\n\n")
	for _, s := range r.Scenarios {
		s.markdown(d)
	}
	if len(r.Causes) > 0 {
		d.at(partHead)("## Root causes\n\n")
	}
	for i, c := range r.Causes {
		rank := partCause
		if i >= firstCauses {
			rank = partLaterCause
		}
		c.markdown(d, rank)
	}
	if len(r.Remarks) > 0 {
		d.at(partHead)("## %s\n\n", reports.ConductTitle)
	}
	for _, m := range r.Remarks {
		m.markdown(d.at(partRemark))
	}
	if len(r.Remarks) > 0 {
		d.at(partHead)("\n")
	}
	if len(r.Changes) > 0 {
		d.at(partHead)("## Proposed change\n\n")
		split(r.Changes).markdown(d, partChange, partLaterChange)
	}
	if len(r.Alternatives) > 0 {
		d.at(partHead)("## What ends too, at a price\n\n")
		split(r.Alternatives).markdown(d, partAlternative, partAlternative)
	}
	r.timing(d)
	d.at(partMessage)("## Message to the admin\n\n%s", block("text", r.Message))
	d.at(partHead)("## Cells\n\n")
	for c := range r.all() {
		if c.Detail != nil {
			c.markdown(d.at(c.part()))
		}
	}
	if r.Omitted > 0 {
		d.at(partHead)("%s: simctl explain tells of each.\n\n", count(r.Omitted, "cell has no section of its own", "cells have no section of their own"))
	}
	r.Reproduce.markdown(d)
	p = d.at(partHead)
	p("## What is simulated\n\n")
	for _, line := range r.Simulated {
		p("- %s\n", md(line))
	}
	return d.render(0)
}

// part is how much a cell's section matters.
func (c *Cell) part() int {
	switch {
	case c.First():
		return partProof
	case reports.Deviates(c.Result):
		return partDeviatingCell
	}
	return partCell
}

// row is how much a cell's row of the matrix matters.
func (c *Cell) row() int {
	switch {
	case reports.Deviates(c.Result):
		return partDeviating
	case c.Cause != nil:
		return partStopped
	}
	return partExpected
}

// markdown is a line of a list; of many cells the first are named.
func (m Remark) markdown(p printf) {
	p("- %s:", md(m.Text))
	for i, cell := range m.Cells {
		if i == most {
			p(" and %d more", len(m.Cells)-most)
			break
		}
		p(" %s", ref(cell))
	}
	p("\n")
}

type printf func(format string, args ...any)

func (s *Scenario) markdown(d *pages) {
	p := d.at(partHead)
	p("### %s\n\n", md(s.Name))
	if s.Description != "" {
		p("%s\n\n", md(s.Description))
	}
	p("|")
	for _, a := range s.Axes {
		p(" %s |", md(a.Name))
	}
	p(" Tekton | outcome | | makespan | stopped at | cause |\n|%s\n", strings.Repeat("---|", len(s.Axes)+6))
	for _, c := range s.Cells {
		p = d.at(c.row())
		p("|")
		for i, v := range c.Values {
			name := md(v)
			if i == 0 && c.Detail != nil {
				name = fmt.Sprintf("[%s](#%s)", name, c.Anchor)
			}
			p(" %s |", name)
		}
		cause := ""
		if c.Cause != nil {
			cause = fmt.Sprintf("[%d](#cause-%d)", c.Cause.Number, c.Cause.Number)
		}
		p(" %s | %s %s | %s | %s | %s | %s |\n", md(c.Tekton), c.Badge.Symbol, md(c.Badge.Text), md(c.Badge.Expected), c.Time, c.Stopped, cause)
	}
	d.at(partHead)("\n")
}

// markdown writes a cause's title, and its chain as a part of the rank given.
func (c *Cause) markdown(d *pages, rank int) {
	d.at(partCauseTitle)("<a id=\"cause-%d\"></a>\n\n### %d. %s: %s\n\n", c.Number, c.Number, md(string(c.Outcome)), md(c.Root.What))
	p := d.at(rank)
	p("From the symptom to the root, in %s:\n\n", ref(c.Cells[0]))
	links(p, c.Chain)
	if len(c.Cells) > 1 {
		p("The same root has %s:", count(len(c.Cells)-1, "other cell", "other cells"))
		for i, cell := range c.Cells[1:] {
			if i == most {
				p(" and more")
				break
			}
			p(" %s", ref(cell))
		}
		p("\n\n")
	}
	if len(c.RuledOut) > 0 {
		p("**Ruled out**, for the outcome stays the same, for the same reason:\n\n")
		for i, r := range c.RuledOut {
			if i == listed {
				p("- %d more.\n", len(c.RuledOut)-listed)
				break
			}
			p("- %s. Proof: %s differs from %s in that alone.\n", md(r.String()), ref(r.Proof), ref(r.Base))
		}
		p("\n")
	}
}

func links(p printf, chain []verdict.Link) {
	for i, l := range chain {
		p("%d. %s", i+1, md(l.What))
		if l.Object != "" && !strings.Contains(l.What, l.Object) {
			p(" (%s)", md(l.Object))
		}
		p("\n\n")
		if l.Evidence != "" {
			p("%s", indent(block("text", l.Evidence)))
		}
		if stays := l.Stays(); stays != "" {
			p("   %s\n\n", md(stays))
		}
	}
}

// indent makes a block part of a list's item.
func indent(s string) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	return "   " + strings.Join(lines, "\n   ") + "\n\n"
}

// markdown writes the changes: the first of a cause as a part of one rank, what follows as
// one of another.
func (c changes) markdown(d *pages, first, later int) {
	for i, x := range c.Whole {
		rank := first
		if c.Again(i) {
			rank = later
		}
		x.markdown(d.at(rank), i+1)
	}
	if len(c.Brief) == 0 {
		return
	}
	p := d.at(later)
	for i, x := range c.Brief {
		if i == listed {
			p("- %d more.\n", len(c.Brief)-listed)
			break
		}
		p("- %s mends cause [%d](#cause-%d) as well: %s\n", md(x.What), x.Cause.Number, x.Cause.Number, ref(x.Proof))
	}
	p("\n")
}

func (c *Change) markdown(p printf, n int) {
	p("### Option %d: %s\n\n", n, md(c.What))
	p("Mends cause [%d](#cause-%d). To be done by %s.\n\n", c.Cause.Number, c.Cause.Number, md(c.Scope))
	p("Proof: %s is %s, %s is %s; %s.\n\n", ref(c.Base), md(c.Base.Badge.Text), ref(c.Proof), md(c.Proof.Badge.Text), md(c.Alone()))
	for _, x := range c.Patches {
		p("**%s**\n\nBefore:\n\n%sAfter:\n\n%s", md(x.Title), block(x.Format, x.Before), block(x.Format, x.After))
		if x.Command != "" {
			p("Apply:\n\n%s", block("sh", x.Command))
		}
		if x.Undo != "" {
			p("Take back:\n\n%s", block("sh", x.Undo))
		}
	}
	if u := c.Untouched(); u != "" {
		p("%s\n\n", md(u))
	}
	p("- Risk: %s\n- Other workloads: %s\n- Rollback: %s\n- How long it takes: %s\n\n", md(c.Risk), md(c.Impact), md(c.Rollback), md(c.Takes))
	for i, w := range c.Worse {
		if i == most {
			break
		}
		p("- Worse: %s becomes %s in %s\n", md(w.Before.Badge.Text), md(w.After.Badge.Text), ref(w.After))
	}
	if len(c.Verify) > 0 {
		p("To verify on the live cluster:\n\n")
		for _, v := range c.Verify {
			p("%s", block("console", "$ "+v.Command+"\n"+v.Expect))
		}
	}
}

func (r *Report) timing(d *pages) {
	rows := r.TimingRows()
	if len(rows) == 0 {
		return
	}
	p := d.at(partHead)
	p("## Timing\n\nVirtual time; summed over the pods of a run, so that what went on side by side counts twice.\n\n")
	p("| cell | makespan | attaching | mounting | ownership | pulling | attaches | nodes |\n|---|---|---|---|---|---|---|---|\n")
	for _, x := range rows {
		d.at(partTiming)("| %s | %s | %s | %s | %s | %s | %s | %s |\n", md(x.Label), x.Makespan, x.Attach, x.Mount, x.Ownership, x.Pull, x.Attaches, x.Nodes)
	}
	d.at(partHead)("\n")
}

func (c *Cell) markdown(p printf) {
	p("<a id=\"%s\"></a>\n\n### %s %s: %s\n\n", c.Anchor, c.Badge.Symbol, md(c.Label), md(c.Badge.Text))
	p("%s, Tekton %s.\n\n", md(c.Badge.Expected), md(c.Tekton))
	if c.Detail.Missing != "" {
		p("%s\n\n", md(c.Detail.Missing))
	}
	if c.Cause != nil {
		p("Why: cause [%d](#cause-%d).\n\n", c.Cause.Number, c.Cause.Number)
		if c.Cause.Cells[0] != c {
			links(p, c.Result.Cause)
		}
	}
	p("Time line, virtual time:\n\n%s", block("text", c.Detail.TimeLine.Text()))
	for _, x := range c.Detail.Refusals {
		p("The scheduler's reasons for Pod %s at %s:\n\n| node | plugin | reasons |\n|---|---|---|\n", md(x.Pod), reports.Duration(x.T))
		for _, n := range x.Nodes {
			p("| %s | %s | %s |\n", md(n.Node), md(n.Plugin), md(reasons(n)))
		}
		p("\n")
	}
	for _, x := range c.Detail.Exhibits {
		p("<details><summary>%s</summary>\n\n%s\n\n%s</details>\n\n", md(x.Title), code(x.Command), block("text", x.Text))
	}
}

func reasons(n history.NodeRefusal) string {
	s := strings.Join(n.Reasons, "; ")
	if len(n.Taints) > 0 {
		s += " {" + strings.Join(n.Taints, ", ") + "}"
	}
	return s
}

func (r Reproduce) markdown(d *pages) {
	d.at(partHead)("## How to reproduce\n\n%s", block("sh", r.Command))
	p := d.at(partReproduce)
	p("| | |\n|---|---|\n")
	for _, row := range r.Rows() {
		p("| %s | %s |\n", md(row[0]), code(row[1]))
	}
	p("\n")
}

package evidence

import (
	"fmt"
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

// Markdown returns the report as Markdown, for a ticket or a step summary.
func (r *Report) Markdown() string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format, args...) }
	p("# %s\n\n", md(r.Title))
	p("%s\n\n**Verdict.** %s\n\n", md(r.Summary.Run), md(r.Summary.Verdict))
	p("| | |\n|---|---|\n| Severity | %s: %s |\n| Who must act | %s |\n\n", md(r.Summary.Severity), md(r.Summary.Why), md(r.Summary.Act))

	p("## Matrix\n\n✓ success, △ finished with trouble on the way, ✗ did not do its work, ! not run\n\n")
	for _, s := range r.Scenarios {
		s.markdown(p)
	}
	if len(r.Causes) > 0 {
		p("## Root causes\n\n")
	}
	for _, c := range r.Causes {
		c.markdown(p)
	}
	if len(r.Remarks) > 0 {
		p("## %s\n\n", reports.ConductTitle)
	}
	for i, m := range r.Remarks {
		m.markdown(p)
		if i == len(r.Remarks)-1 {
			p("\n")
		}
	}
	if len(r.Changes) > 0 {
		p("## Proposed change\n\n")
		split(r.Changes).markdown(p)
	}
	if len(r.Alternatives) > 0 {
		p("## What ends too, at a price\n\n")
		split(r.Alternatives).markdown(p)
	}
	r.timing(p)
	p("## Message to the admin\n\n%s", block("text", r.Message))
	p("## Cells\n\n")
	for _, s := range r.Scenarios {
		for _, c := range s.Cells {
			if c.Detail != nil {
				c.markdown(p)
			}
		}
	}
	if r.Omitted > 0 {
		p("%s: simctl explain tells of each.\n\n", count(r.Omitted, "cell has no section of its own", "cells have no section of their own"))
	}
	r.Reproduce.markdown(p)
	p("## What is simulated\n\n")
	for _, line := range r.Simulated {
		p("- %s\n", md(line))
	}
	return b.String()
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

func (s *Scenario) markdown(p printf) {
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
	p("\n")
}

func (c *Cause) markdown(p printf) {
	p("<a id=\"cause-%d\"></a>\n\n### %d. %s: %s\n\n", c.Number, c.Number, md(string(c.Outcome)), md(c.Root.What))
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

func (c changes) markdown(p printf) {
	for i, x := range c.Whole {
		x.markdown(p, i+1)
	}
	for i, x := range c.Brief {
		if i == listed {
			p("- %d more.\n", len(c.Brief)-listed)
			break
		}
		p("- %s mends cause [%d](#cause-%d) as well: %s\n", md(x.What), x.Cause.Number, x.Cause.Number, ref(x.Proof))
	}
	if len(c.Brief) > 0 {
		p("\n")
	}
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

func (r *Report) timing(p printf) {
	rows := r.TimingRows()
	if len(rows) == 0 {
		return
	}
	p("## Timing\n\nVirtual time; summed over the pods of a run, so that what went on side by side counts twice.\n\n")
	p("| cell | makespan | attaching | mounting | ownership | pulling | attaches | nodes |\n|---|---|---|---|---|---|---|---|\n")
	for _, x := range rows {
		p("| %s | %s | %s | %s | %s | %s | %s | %s |\n", md(x.Label), x.Makespan, x.Attach, x.Mount, x.Ownership, x.Pull, x.Attaches, x.Nodes)
	}
	p("\n")
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

func (r Reproduce) markdown(p printf) {
	p("## How to reproduce\n\n%s", block("sh", r.Command))
	p("| | |\n|---|---|\n")
	for _, row := range r.Rows() {
		p("| %s | %s |\n", md(row[0]), code(row[1]))
	}
	p("\n")
}

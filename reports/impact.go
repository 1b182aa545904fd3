package reports

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"sigs.k8s.io/yaml"

	"simctl.dev/simctl/sim/impact"
)

// ReviewFormat is a way to show an upgrade review.
type ReviewFormat string

// Markdown is a review for a ticket, HTML a page, which package evidence writes; the other
// formats are named as a result's.
const (
	Markdown ReviewFormat = "markdown"
	HTML     ReviewFormat = "html"
)

// ReviewFormats lists the formats of reviews, the default first.
var ReviewFormats = []ReviewFormat{ReviewFormat(Table), Markdown, HTML, ReviewFormat(JSON), ReviewFormat(YAML), ReviewFormat(CSV)}

// ParseReviewFormat returns the format of that name, or an error that lists them.
func ParseReviewFormat(name string) (ReviewFormat, error) {
	return parse("output format", name, ReviewFormats)
}

// RenderReview writes r to w in format f, which is not [HTML].
func RenderReview(w io.Writer, f ReviewFormat, r impact.Review, o Options) error {
	look, o := o.look()
	var out []byte
	var err error
	switch f {
	case ReviewFormat(JSON):
		if out, err = json.MarshalIndent(r, "", "  "); err == nil {
			out = append(out, '\n')
		}
	case ReviewFormat(YAML):
		out, err = yaml.Marshal(r)
	case ReviewFormat(CSV):
		var text string
		text, err = reviewCSV(r)
		out = []byte(text)
	case Markdown:
		out = []byte(reviewText(r, markdown{}))
	case ReviewFormat(Table):
		out = []byte(reviewText(r, plain{style: look, width: o.Width}))
	default:
		err = fmt.Errorf("no such format: %q", f)
	}
	if err != nil {
		return fmt.Errorf("rendering the review: %w", err)
	}
	if _, err := w.Write(out); err != nil {
		return fmt.Errorf("writing the review: %w", err)
	}
	return nil
}

// A writing is how the parts of a review look.
type writing interface {
	title(s string) string
	heading(s string, e impact.Effect) string
	// item is a line of a list, verbatim a piece of evidence below it, link one of
	// a causal chain.
	item(s string) string
	verbatim(label, s string) string
	link(what, evidence string) string
	table(header []string, rows [][]string) string
}

// ReviewTitle is the title of a review, which names its path.
func ReviewTitle(r impact.Review) string {
	var path []string
	for _, p := range r.Path {
		path = append(path, p.String())
	}
	return "Upgrade review: " + strings.Join(path, " → ")
}

// reviewText puts a review together.
func reviewText(r impact.Review, w writing) string {
	var b strings.Builder
	b.WriteString(w.title(ReviewTitle(r)))
	for _, text := range r.Incomplete {
		b.WriteString(w.item("not complete: " + text))
	}
	b.WriteString(w.table([]string{"step", "worse", "better", "other", "same", "flags", "timing"}, overview(r)))
	b.WriteString(rollUp(r, w))
	for _, l := range r.LeftOut {
		b.WriteString(w.item(fmt.Sprintf("left out: %s, which only chooses release %s", CellName(l.Scenario, []string{l.Axis}, map[string]string{l.Axis: l.Value}), l.Version)))
	}
	for _, s := range r.Steps {
		b.WriteString(w.title(s.From.String() + " → " + s.To.String()))
		for _, c := range s.Changes {
			b.WriteString(w.heading(CellName(c.Scenario, c.Axes, c.Values)+": "+c.String(), c.Effect()))
			b.WriteString(changeBody(c, w))
		}
		for _, f := range s.Flags {
			set := cellCount(f.Cells)
			if f.Value != "" {
				set = fmt.Sprintf("set to %q by %s", f.Value, set)
			}
			b.WriteString(w.item(fmt.Sprintf("%s (%s; %s)", f.What, f.Evidence, set)))
		}
		if len(s.Busy) > 0 {
			b.WriteString(w.item("Tekton's controller now follows its own writes without end and did not before: " + strings.Join(s.Busy, ", ")))
		}
		if len(s.Rested) > 0 {
			b.WriteString(w.item("Tekton's controller no longer follows its own writes without end: " + strings.Join(s.Rested, ", ")))
		}
		if rows := timingRows(s.Timing); len(rows) > 0 {
			b.WriteString(w.table([]string{"timing", "measure", "before", "after", "significant"}, rows))
		}
		for _, m := range s.MidRun {
			b.WriteString(midRun(m, w))
		}
		b.WriteString(afterRun(s.AfterRun, w))
		same := fmt.Sprintf("%s unchanged", cellCount(s.Unchanged))
		if s.Still > 0 {
			same += fmt.Sprintf(", %d of them without their work done on either side", s.Still)
		}
		b.WriteString(w.item(same))
		for _, m := range s.Missing {
			b.WriteString(w.item("not compared: " + m))
		}
	}
	return strings.Trim(b.String(), "\n") + "\n"
}

// changeBody is what stands below the heading of a change.
func changeBody(c impact.Change, w writing) string {
	var b strings.Builder
	for _, x := range c.AllReasons() {
		b.WriteString(w.item(x.What))
		b.WriteString(w.verbatim("before", x.Before))
		b.WriteString(w.verbatim("after", x.After))
	}
	if len(c.Chain) > 0 {
		b.WriteString(w.item("from the symptom to the root:"))
		for _, l := range c.Chain {
			b.WriteString(w.link(l.What, l.Evidence))
		}
	}
	b.WriteString(remedies(c, w))
	return b.String()
}

// AfterRunText says in a line for each way how many cells were played and in how many of
// them runs that had ended did not stay as they were.
func AfterRunText(a *impact.AfterRun) []string {
	var out []string
	for _, way := range impact.Ways(true) {
		n, changed := a.Played[way], 0
		if n == 0 {
			continue
		}
		for _, c := range a.Changes {
			if c.Way == way {
				changed++
			}
		}
		text := "all runs stay as they were"
		if changed > 0 {
			text = fmt.Sprintf("in %d of them runs do not stay as they were", changed)
		}
		out = append(out, fmt.Sprintf("%s after the end of the runs, %s: %s", way, cellCount(n), text))
	}
	return out
}

// afterRun shows what becomes of runs that have ended.
func afterRun(a *impact.AfterRun, w writing) string {
	if a == nil {
		return ""
	}
	var b strings.Builder
	for _, c := range a.Changes {
		b.WriteString(w.heading(CellName(c.Scenario, c.Axes, c.Values)+": "+c.String(), impact.Worse))
		b.WriteString(changeBody(c.Change, w))
	}
	for _, text := range AfterRunText(a) {
		b.WriteString(w.item(text))
	}
	return b.String()
}

func overview(r impact.Review) [][]string {
	var rows [][]string
	for _, s := range r.Steps {
		var worse, better, other, slower int
		for _, c := range s.Changes {
			switch c.Effect() {
			case impact.Worse:
				worse++
			case impact.Better:
				better++
			default:
				other++
			}
		}
		for _, t := range s.Timing {
			if t.Significant {
				slower++
			}
		}
		row := []string{s.From.Version + " → " + s.To.Version}
		for _, n := range []int{worse, better, other, s.Unchanged, len(s.Flags), slower} {
			row = append(row, fmt.Sprint(n))
		}
		rows = append(rows, row)
	}
	return rows
}

// CellName names a cell for people: "incident change=as-reported".
func CellName(scenario string, axes []string, values map[string]string) string {
	parts := []string{scenario}
	for _, a := range axes {
		parts = append(parts, a+"="+values[a])
	}
	return strings.Join(parts, " ")
}

func remedies(c impact.Change, w writing) string {
	if c.Remedies == nil {
		return ""
	}
	var rows [][]string
	mended := 0
	for _, r := range c.Remedies {
		mark := "no"
		if r.Mends {
			mark = "yes"
			mended++
		}
		span := ""
		if r.Ended.MakespanSeconds != nil {
			span = Duration(*r.Ended.MakespanSeconds)
		}
		rows = append(rows, []string{mark, r.What, r.Cost.String(), r.Ended.Text(), span})
	}
	head := "what mends it, each run as a cell:"
	if mended == 0 {
		head = "none of the changes that were run mends it:"
	}
	return w.item(head) + w.table([]string{"mends", "change", "in", "outcome", "makespan"}, rows)
}

// midRun shows the tasks as rows and the phases as columns.
func midRun(m impact.MidRun, w writing) string {
	var phases, tasks []string
	at := map[string]string{}
	var lost *impact.Place
	for i, p := range m.Places {
		if !slices.Contains(phases, p.Phase) {
			phases = append(phases, p.Phase)
		}
		if !slices.Contains(tasks, p.Task) {
			tasks = append(tasks, p.Task)
		}
		text := markAsExpected
		if p.Lost {
			text = markDeviates + " " + string(p.Ended.Outcome)
			if lost == nil {
				lost = &m.Places[i]
			}
		}
		at[p.Task+"\x00"+p.Phase] = text
	}
	var rows [][]string
	for _, t := range tasks {
		row := []string{t}
		for _, p := range phases {
			row = append(row, at[t+"\x00"+p])
		}
		rows = append(rows, row)
	}
	effect := impact.Better
	if lost != nil {
		effect = impact.Worse
	}
	out := w.heading(fmt.Sprintf("%s: the bump comes in the middle of the run: lost at %d of %d moments",
		CellName(m.Scenario, m.Axes, m.Values), m.Lost(), len(m.Places)), effect)
	out += w.table(append([]string{"when task"}, phases...), rows)
	if lost != nil {
		out += w.item("when " + lost.Task + " is " + lost.Phase + ", from the symptom to the root:")
		for _, l := range lost.Chain {
			out += w.link(l.What, l.Evidence)
		}
	}
	return out
}

func timingRows(changes []impact.TimingChange) [][]string {
	var rows [][]string
	for _, t := range changes {
		if !t.Significant && Duration(t.FromMedian) == Duration(t.ToMedian) {
			continue
		}
		sure := fmt.Sprintf("too few repeats (%d and %d)", t.FromN, t.ToN)
		if t.P != nil {
			sure = fmt.Sprintf("no (p=%.2g, effect %+.2f)", *t.P, t.Effect)
			if t.Significant {
				sure = fmt.Sprintf("yes (p=%.2g, effect %+.2f)", *t.P, t.Effect)
			}
		}
		rows = append(rows, []string{CellName(t.Scenario, t.Axes, t.Values), strings.TrimSuffix(t.Measure, "Seconds"), Duration(t.FromMedian), Duration(t.ToMedian), sure})
	}
	return rows
}

// plain is a review on a terminal.
type plain struct {
	style style
	width int
}

func (p plain) title(s string) string {
	var b strings.Builder
	b.WriteString("\n")
	for _, l := range wrap(s, p.width) {
		b.WriteString(p.style.head(l) + "\n")
	}
	b.WriteString("\n")
	return b.String()
}

func (p plain) heading(s string, e impact.Effect) string {
	switch e {
	case impact.Worse:
		return p.style.bad(markDeviates+" "+s) + "\n"
	case impact.Better:
		return p.style.good(markAsExpected+" "+s) + "\n"
	}
	return p.style.head(markNotJudged+" "+s) + "\n"
}

func (p plain) item(s string) string { return p.hang("  - ", s) }

func (p plain) verbatim(label, s string) string {
	return indent(p.hang("  ", label+": "+s), 4)
}

// link leaves the evidence out, which is long; `-o markdown` and `simctl explain`
// have it.
func (p plain) link(what, _ string) string { return indent(p.hang("← ", what), 4) }

// hang puts a mark before the first line and as much space before the others.
func (p plain) hang(mark, s string) string {
	pad := strings.Repeat(" ", textWidth(mark))
	return mark + strings.Join(wrap(s, p.width-len(pad)-4), "\n"+pad) + "\n"
}

func (p plain) table(header []string, rows [][]string) string {
	t := newTable(p.style, p.style.within(tableIndent))
	t.AppendHeader(cells(header))
	for _, r := range rows {
		t.AppendRow(cells(r))
	}
	return indent(t.Render(), tableIndent) + "\n\n"
}

// tableIndent is how far in a table of a review stands.
const tableIndent = 4

func cells(texts []string) table.Row {
	row := table.Row{}
	for _, t := range texts {
		row = append(row, t)
	}
	return row
}

// markdown is a review for a ticket.
type markdown struct{}

func (markdown) title(s string) string { return "## " + escapeMarkdown(s) + "\n\n" }

func (markdown) heading(s string, e impact.Effect) string {
	return "\n### " + string(e) + ": " + escapeMarkdown(s) + "\n\n"
}

func (markdown) item(s string) string { return "- " + escapeMarkdown(s) + "\n" }

func (markdown) verbatim(label, s string) string {
	return "  - " + escapeMarkdown(label) + ": " + codeSpan(s) + "\n"
}

func (m markdown) link(what, evidence string) string { return m.verbatim(what, evidence) }

func (markdown) table(header []string, rows [][]string) string {
	t := table.NewWriter()
	t.AppendHeader(cells(header))
	for _, r := range rows {
		var escaped []string
		for _, c := range r {
			// The table escapes what ends a cell by itself.
			escaped = append(escaped, strings.ReplaceAll(escapeMarkdown(c), `\|`, "|"))
		}
		t.AppendRow(cells(escaped))
	}
	return "\n" + t.RenderMarkdown() + "\n\n"
}

// escapeMarkdown keeps text from being read as markup.
func escapeMarkdown(s string) string {
	return strings.NewReplacer("\n", " ", "<", "&lt;", ">", "&gt;", "*", `\*`, "_", `\_`, "`", "\\`", "[", `\[`, "|", `\|`).Replace(s)
}

// codeSpan quotes text verbatim, with a fence longer than any in it.
func codeSpan(s string) string {
	if s == "" {
		return ""
	}
	fence := "`"
	for strings.Contains(s, fence) {
		fence += "`"
	}
	return fence + " " + strings.ReplaceAll(s, "\n", " ") + " " + fence
}

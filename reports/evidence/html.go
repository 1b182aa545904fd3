package evidence

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"iter"
	"reflect"
	"slices"
	"strings"

	"simctl.dev/simctl/reports"
	"simctl.dev/simctl/sim/timeline"
	"simctl.dev/simctl/sim/verdict"
)

//go:embed report.css
var styleSheet string

//go:embed report.html.tmpl
var pageText string

// page is the report's template. It escapes by context whatever comes from the
// run; only the pictures, which escape by themselves, and numbers of its own are
// taken as they are.
var page = template.Must(template.New("report").Funcs(template.FuncMap{
	"svg":      func(c *Cell) template.HTML { return template.HTML(c.Detail.TimeLine.SVG("Time line of " + c.Label)) },
	"mini":     func(c *Cell) template.HTML { return template.HTML(NewTimeLine(c.Result, timeline.New()).Mini()) },
	"duration": reports.Duration,
	"reasons":  reasons,
	"inc":      func(i int) int { return i + 1 },
	"trim":     func(s string) string { return strings.TrimRight(s, "\n") },
	"named":    func(l verdict.Link) bool { return l.Object != "" && !strings.Contains(l.What, l.Object) },
	"glyph":    glyph,
	"lines":    func(s string) []string { return strings.Split(strings.TrimRight(s, "\n"), "\n") },
	"marks": func(t TimeLine) []Mark {
		return slices.DeleteFunc(slices.Clone(t.Marks), func(m Mark) bool { return m.Kind == "end" })
	},
	"place": func(t TimeLine, m Mark) int { return slices.Index(t.Marks, m) + 1 },
	"own":   own, "sentence": sentence,
	"first": first,
	"more":  more,
}).Parse(pageText))

// own returns a cell's chain without the evidence that its cause shows already, but
// for generated names.
func own(c *Cell) []verdict.Link {
	out := slices.Clone(c.Result.Cause)
	for i := range out {
		if i < len(c.Cause.Chain) && verdict.Canonical(out[i].Evidence) == verdict.Canonical(c.Cause.Chain[i].Evidence) {
			out[i].Evidence = ""
		}
	}
	return out
}

// listed is how many cells of a list the page names one by one.
const listed = 12

// first returns the beginning of a list that may be long, more how many follow.
func first(list any) any {
	v := reflect.ValueOf(list)
	return v.Slice(0, min(v.Len(), listed)).Interface()
}

func more(list any) int { return max(reflect.ValueOf(list).Len()-listed, 0) }

// glyph is an outcome's letter: it tells outcomes apart where colours do not.
func glyph(o verdict.Outcome) string { return o.Info().Letter }

// grid is a scenario's matrix: its last axis with few enough values makes the
// columns, the others the rows.
type grid struct {
	Heads   []string
	ColAxis string
	Columns []gridHead
	Rows    []gridRow
}

// gridHead is a column, or the value of an axis at the beginning of a row. Class
// has what the filter goes by.
type gridHead struct{ Text, Class string }

type gridRow struct {
	Class string
	Heads []gridHead
	Cells []gridCell
}

// gridCell is the repeats of one combination.
type gridCell struct {
	Class string
	Chips []chip

	cells []*Cell
}

// Makespan and Stopped are the least and the greatest of the repeats.
func (g gridCell) Makespan() string {
	return span(g.cells, func(c *Cell) *float64 { return c.Result.MakespanSeconds })
}

// Stopped is like Makespan for the moment at which the runs stopped.
func (g gridCell) Stopped() string {
	return span(g.cells, func(c *Cell) *float64 { return c.Result.BlockedSinceSeconds })
}

func span(cells []*Cell, of func(*Cell) *float64) string {
	var v []float64
	for _, c := range cells {
		if x := of(c); x != nil {
			v = append(v, *x)
		}
	}
	if len(v) == 0 {
		return ""
	}
	low, high := reports.Duration(slices.Min(v)), reports.Duration(slices.Max(v))
	if low == high {
		return low
	}
	return low + " to " + high
}

// chip is one outcome with how many repeats have it; Cell is the first of them.
type chip struct {
	Cell     *Cell
	Times    int
	Deviates bool
}

// maxColumns is how many values of an axis stand side by side.
const maxColumns = 8

// filterClass marks what belongs to a value of an axis: "f3" what axis 3 filters
// at all, "v3-1" what has its value 1. The numbers count through all scenarios.
func filterClass(axis, value int) string { return fmt.Sprintf("f%d v%d-%d", axis, axis, value) }

// A report shows so many changes whole, for all causes together and for each one,
// and lists the others.
const (
	maxChanges      = 12
	maxCauseChanges = 3
)

// changes are those of a section: Whole ones are shown with all there is to
// say, Brief ones by a line.
type changes struct{ Whole, Brief []*Change }

// Again says that one before a change that is shown whole mends the same cause.
func (c changes) Again(i int) bool {
	return slices.ContainsFunc(c.Whole[:i], func(x *Change) bool { return x.Cause == c.Whole[i].Cause })
}

func split(all []*Change) changes {
	var out changes
	perCause := map[*Cause]int{}
	for _, c := range all {
		if len(out.Whole) < maxChanges && perCause[c.Cause] < maxCauseChanges {
			perCause[c.Cause]++
			out.Whole = append(out.Whole, c)
			continue
		}
		out.Brief = append(out.Brief, c)
	}
	return out
}

// view is a scenario as the page shows it.
type view struct {
	*Scenario
	Anchor  string
	Grid    grid
	Filters []filter
	// Compact are the cells without a section of their own.
	Compact   []compact
	Detailed  []compact
	Makespans template.HTML
	Losses    template.HTML
	Unplotted int
}

// compact is a cell with its classes for the filter.
type compact struct {
	*Cell
	Class string
}

type filter struct {
	Name   string
	Axis   int
	Values []string
}

// HTML writes the report as one page that needs nothing else: no network, no
// script. The error is that of a plot or of w.
func (r *Report) HTML(w io.Writer) error {
	data := struct {
		*Report
		Views    []*view
		Mending  changes
		AtAPrice changes
		Style    template.CSS
		Outcomes []verdict.Outcome
		Shapes   []shape
		Deviate  bool
		Phases   []phaseName
		Losses   []legendEntry
	}{Report: r, Mending: split(r.Changes), AtAPrice: split(r.Alternatives),
		Shapes: r.shapes(), Deviate: r.deviates(), Phases: r.phases()}
	var filters strings.Builder
	axis := 0
	for i, s := range r.Scenarios {
		v := &view{Scenario: s, Anchor: fmt.Sprintf("scenario-%d", i+1)}
		base := axis
		for _, a := range s.Axes {
			v.Filters = append(v.Filters, filter{Name: a.Name, Axis: axis, Values: a.Values})
			for n := range a.Values {
				// A browser that does not know :has() shows everything.
				fmt.Fprintf(&filters, "body:has(#a%d-%d:checked) .f%d:not(.v%d-%d){display:none}\n", axis, n, axis, axis, n)
			}
			axis++
		}
		v.Grid = newGrid(s, base)
		for _, c := range s.Cells {
			x := compact{Cell: c, Class: s.classes(c, base)}
			if c.Detail == nil {
				v.Compact = append(v.Compact, x)
			} else {
				v.Detailed = append(v.Detailed, x)
			}
			if !slices.Contains(data.Outcomes, c.Result.Outcome) {
				data.Outcomes = append(data.Outcomes, c.Result.Outcome)
			}
		}
		if err := v.plot(); err != nil {
			return err
		}
		data.Views = append(data.Views, v)
	}
	for _, l := range r.losses() {
		data.Losses = append(data.Losses, legendEntry{l.name, template.CSS(fmt.Sprintf("#%02x%02x%02x", l.color.R, l.color.G, l.color.B))})
	}
	// What is written here is the file's own text and numbers.
	data.Style = template.CSS(styleSheet + filters.String())
	if err := page.Execute(w, data); err != nil {
		return fmt.Errorf("rendering the report as HTML: %w", err)
	}
	return nil
}

// shape is how the cells of a kind are drawn, with what it means; a legend has those that
// are there.
type shape struct{ Class, Symbol, Letter, Means string }

func (r *Report) shapes() []shape {
	var out []shape
	for _, s := range []shape{
		{Class: "good", Means: "circle: did its work"},
		{Class: "held", Means: "dashed: did its work, with trouble on the way"},
		{Class: "bad", Means: "square: did not do its work"},
		{Class: "error", Means: "square: simctl could not run the cell"},
	} {
		for c := range r.all() {
			if c.Badge.Class == s.Class {
				s.Symbol, s.Letter = c.Badge.Symbol, glyph(c.Result.Outcome)
				out = append(out, s)
				break
			}
		}
	}
	return out
}

// all are the cells of all scenarios.
func (r *Report) all() iter.Seq[*Cell] {
	return func(yield func(*Cell) bool) {
		for _, s := range r.Scenarios {
			for _, c := range s.Cells {
				if !yield(c) {
					return
				}
			}
		}
	}
}

func (r *Report) deviates() bool {
	for c := range r.all() {
		if reports.Deviates(c.Result) {
			return true
		}
	}
	return false
}

// phases are those in the time lines of the page.
func (r *Report) phases() []phaseName {
	seen := map[Phase]bool{}
	for c := range r.all() {
		tl := NewTimeLine(c.Result, timeline.New())
		if c.Detail != nil {
			tl = c.Detail.TimeLine
		}
		for _, b := range tl.Bars {
			for _, s := range b.Spans {
				seen[s.Phase] = true
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(phaseNames), func(p phaseName) bool { return !seen[p.Phase] })
}

// losses are those that some run which did its work had.
func (r *Report) losses() []lost {
	return slices.DeleteFunc(slices.Clone(losses), func(l lost) bool {
		for c := range r.all() {
			if c.Result.MakespanSeconds != nil && l.of(c.Result.Timing) > 0 {
				return false
			}
		}
		return true
	})
}

// First says that a cell is the one that its cause is told by.
func (c *Cell) First() bool { return c.Cause != nil && c.Cause.Cells[0] == c }

// legendEntry is a colour of a plot with its name.
type legendEntry struct {
	Name  string
	Color template.CSS
}

func (v *view) plot() error {
	o := v.options()
	makespans, err := plotMakespans(o)
	if err != nil {
		return err
	}
	losses, err := plotLosses(o)
	if err != nil {
		return err
	}
	v.Makespans, v.Losses, v.Unplotted = template.HTML(makespans), template.HTML(losses), max(len(o)-maxPlotted, 0)
	return nil
}

// classes are what the filter goes by in a cell's own section or row.
func (s *Scenario) classes(c *Cell, base int) string {
	var out []string
	for i, a := range s.Axes {
		out = append(out, filterClass(base+i, slices.Index(a.Values, c.Values[i])))
	}
	return strings.Join(out, " ")
}

// newGrid lays a scenario's cells out. base is the number of its first axis.
func newGrid(s *Scenario, base int) grid {
	column := -1
	if len(s.Axes) > 1 {
		for i, a := range s.Axes {
			if len(a.Values) <= maxColumns {
				column = i
			}
		}
	}
	g := grid{}
	for i, a := range s.Axes {
		if i == column {
			g.ColAxis = a.Name
			for n, v := range a.Values {
				g.Columns = append(g.Columns, gridHead{v, filterClass(base+i, n)})
			}
			continue
		}
		g.Heads = append(g.Heads, a.Name)
	}
	if column < 0 {
		g.Columns = []gridHead{{Text: "outcome"}}
	}
	rows := map[string]int{}
	for _, c := range s.Cells {
		var key, class []string
		var heads []gridHead
		at := 0
		for i, a := range s.Axes {
			n := slices.Index(a.Values, c.Values[i])
			if i == column {
				at = n
				continue
			}
			key = append(key, c.Values[i])
			class = append(class, filterClass(base+i, n))
			heads = append(heads, gridHead{Text: c.Values[i]})
		}
		k := strings.Join(key, "\x00")
		i, ok := rows[k]
		if !ok {
			i = len(g.Rows)
			rows[k] = i
			row := gridRow{Class: strings.Join(class, " "), Heads: heads, Cells: make([]gridCell, len(g.Columns))}
			for n, h := range g.Columns {
				row.Cells[n].Class = h.Class
			}
			g.Rows = append(g.Rows, row)
		}
		cell := &g.Rows[i].Cells[at]
		cell.cells = append(cell.cells, c)
		deviates := reports.Deviates(c.Result)
		n := slices.IndexFunc(cell.Chips, func(x chip) bool { return x.Cell.Badge == c.Badge })
		if n < 0 {
			cell.Chips = append(cell.Chips, chip{Cell: c, Times: 1, Deviates: deviates})
			continue
		}
		cell.Chips[n].Times++
	}
	return g
}

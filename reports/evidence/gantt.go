package evidence

import (
	"cmp"
	"fmt"
	"html"
	"math"
	"slices"
	"strings"

	"simctl.dev/simctl/reports"
)

// The measures of a drawn time line, in the units of its viewBox.
const (
	ganttWidth  = 960.0
	ganttLabel  = 245.0
	ganttRight  = 14.0
	ganttRow    = 20.0
	ganttBar    = 12.0
	ganttAxis   = 26.0
	ganttCaps   = 38
	ganttCharW  = 6.4
	miniWidth   = 220.0
	miniRow     = 3.0
	maxMiniRows = 12
)

type phaseName struct {
	Phase Phase
	Means string
}

// phaseNames are the phases in the order of a pod's life, with what the legend
// says of them.
var phaseNames = []phaseName{
	{Queued, "waiting for its pod"},
	{Scheduling, "no node takes the pod yet"},
	{Attaching, "waiting for the volume's attach"},
	{Mounting, "mount and ownership change"},
	{Pulling, "images come"},
	{Running, "steps run"},
	{Attached, "volume attached to the node"},
}

// SVG draws the time line: pods and volumes by node against virtual time, and
// what happened at certain moments. The colours and patterns are classes that the
// report's style sheet defines. The text in it is escaped.
func (tl TimeLine) SVG(label string) string {
	type row struct {
		bars   []Bar
		name   string
		header bool
	}
	// The bars of a node stand together. Several attachments of one volume to one
	// node share a row.
	var nodes []string
	for _, b := range tl.Bars {
		if !slices.Contains(nodes, b.Node) {
			nodes = append(nodes, b.Node)
		}
	}
	slices.SortStableFunc(nodes, func(a, b string) int {
		if (a == "") != (b == "") {
			return cmp.Compare(len(b), len(a))
		}
		return 0
	})
	var rows []row
	for _, n := range nodes {
		name := n
		if n == "" {
			name = "no node"
		}
		rows = append(rows, row{name: name, header: true})
		at := map[string]int{}
		for _, b := range tl.Bars {
			if b.Node != n {
				continue
			}
			k := fmt.Sprintf("%t\x00%s", b.Volume, b.Name)
			if i, ok := at[k]; ok && b.Volume {
				rows[i].bars = append(rows[i].bars, b)
				continue
			}
			at[k] = len(rows)
			name := b.Name
			if b.Volume {
				name = "volume " + name
			}
			rows = append(rows, row{name: name, bars: []Bar{b}})
		}
	}
	height := float64(len(rows))*ganttRow + ganttAxis + 6
	end := max(tl.End, 1)
	x := func(t float64) float64 {
		return ganttLabel + (ganttWidth-ganttLabel-ganttRight)*min(max(t, 0), end)/end
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="gantt" viewBox="0 0 %s %s" role="img" aria-label="%s">`, num(ganttWidth), num(height), html.EscapeString(label))
	bottom := height - ganttAxis
	for _, t := range ticks(end) {
		fmt.Fprintf(&b, `<path class="grid" d="M%s 0V%s"/><text class="tick" x="%s" y="%s" text-anchor="%s">%s</text>`,
			num(x(t)), num(bottom), num(x(t)), num(height-8), anchor(t, end), html.EscapeString(reports.Duration(t)))
	}
	for i, r := range rows {
		y := float64(i) * ganttRow
		if r.header {
			fmt.Fprintf(&b, `<path class="rule" d="M0 %sH%s"/><text class="node" x="0" y="%s">%s</text>`,
				num(y+1), num(ganttWidth), num(y+ganttRow-5), html.EscapeString(shorten(r.name, 60)))
			continue
		}
		fmt.Fprintf(&b, `<text class="lane" x="12" y="%s">%s</text>`, num(y+ganttRow-6), html.EscapeString(shorten(r.name, ganttCaps)))
		for _, bar := range r.bars {
			for _, s := range bar.Spans {
				drawSpan(&b, bar, s, x, y)
			}
		}
	}
	for i, m := range tl.Marks {
		if m.Kind == "end" {
			continue
		}
		fmt.Fprintf(&b, `<g class="mark %s"><title>%s</title><path d="M%s 0V%s"/><circle cx="%s" cy="%s" r="7"/><text x="%s" y="%s" text-anchor="middle">%d</text></g>`,
			html.EscapeString(m.Kind), html.EscapeString(reports.Duration(m.T)+": "+m.Text), num(x(m.T)), num(bottom),
			num(x(m.T)), num(bottom-2), num(x(m.T)), num(bottom+2), i+1)
	}
	b.WriteString(`</svg>`)
	return b.String()
}

func drawSpan(b *strings.Builder, bar Bar, s Span, x func(float64) float64, y float64) {
	from, to := x(s.From), x(s.To)
	width := max(to-from, 1.5)
	top, h := y+(ganttRow-ganttBar)/2, ganttBar
	if bar.Volume {
		top, h = top+3, ganttBar-6
	}
	fmt.Fprintf(b, `<rect class="ph-%s" x="%s" y="%s" width="%s" height="%s"><title>%s</title></rect>`,
		s.Phase, num(from), num(top), num(width), num(h), html.EscapeString(spanTitle(bar, s)))
	// The length stands on a bar that has room for it, so that a print says it too.
	text := reports.Duration(s.To - s.From)
	if bar.Volume {
		return
	}
	if s.Open {
		text = string(s.Phase) + ", never ended"
	} else if s.Phase != Running {
		text = string(s.Phase) + " " + text
	}
	if float64(len(text))*ganttCharW < width-6 {
		fmt.Fprintf(b, `<text class="on on-%s" x="%s" y="%s">%s</text>`, s.Phase, num(from+5), num(y+ganttRow-6.5), html.EscapeString(text))
	}
}

func spanTitle(bar Bar, s Span) string {
	t := fmt.Sprintf("%s: %s from %s for %s", bar.Name, s.Phase, reports.Duration(s.From), reports.Duration(s.To-s.From))
	if s.Open {
		t += " and never ended"
	}
	return t
}

// Mini draws the pods of a time line as strokes, for a cell in a list.
func (tl TimeLine) Mini() string {
	end := max(tl.End, 1)
	paths := map[Phase]*strings.Builder{}
	rows := 0
	for _, bar := range tl.Bars {
		if bar.Volume || rows == maxMiniRows {
			continue
		}
		y := float64(rows)*(miniRow+1) + miniRow/2
		rows++
		for _, s := range bar.Spans {
			if paths[s.Phase] == nil {
				paths[s.Phase] = &strings.Builder{}
			}
			from := miniWidth * s.From / end
			fmt.Fprintf(paths[s.Phase], "M%s %sh%s", num(from), num(y), num(max(miniWidth*s.To/end-from, 1)))
		}
	}
	if rows == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="mini" viewBox="0 0 %s %s" aria-hidden="true">`, num(miniWidth), num(float64(rows)*(miniRow+1)))
	for _, p := range phaseNames {
		if d := paths[p.Phase]; d != nil {
			fmt.Fprintf(&b, `<path class="st-%s" d="%s"/>`, p.Phase, d)
		}
	}
	b.WriteString(`</svg>`)
	return b.String()
}

// ticks returns four to seven round moments from 0 to end.
func ticks(end float64) []float64 {
	steps := []float64{1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400}
	step := steps[len(steps)-1] * math.Ceil(end/(6*steps[len(steps)-1]))
	for _, s := range steps {
		if end/s <= 6 {
			step = s
			break
		}
	}
	var out []float64
	for t := 0.0; t <= end; t += step {
		out = append(out, t)
	}
	return out
}

// anchor keeps the texts of the axis within the picture.
func anchor(t, end float64) string {
	switch {
	case t == 0:
		return "start"
	case t > 0.97*end:
		return "end"
	}
	return "middle"
}

// shorten cuts a text that is longer than n characters in its middle: names that
// a controller made up differ at their ends.
func shorten(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	head := (n - 1) / 2
	return string(r[:head]) + "…" + string(r[len(r)-(n-1-head):])
}

// num writes a coordinate with no more digits than can be seen.
func num(v float64) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.1f", v), "0"), ".")
}

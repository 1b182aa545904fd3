package evidence

import (
	"bytes"
	"fmt"
	"image/color"
	"math"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"simctl.dev/simctl/sim/verdict"
)

// maxPlotted is how many options one plot shows.
const maxPlotted = 24

// lost is a kind of time that a run spends on something else than its steps.
type lost struct {
	name  string
	color color.RGBA
	of    func(verdict.Timing) float64
}

// losses are in the order in which they are stacked. The colours are of the
// palette of Okabe and Ito, which colour-blind readers can tell apart, and differ
// in brightness as well.
var losses = []lost{
	{"attach and detach", color.RGBA{0xd5, 0x5e, 0x00, 0xff}, func(t verdict.Timing) float64 { return t.AttachSeconds }},
	{"image pulls", color.RGBA{0x56, 0xb4, 0xe9, 0xff}, func(t verdict.Timing) float64 { return t.PullSeconds }},
	{"ownership change", color.RGBA{0xf0, 0xe4, 0x42, 0xff}, func(t verdict.Timing) float64 { return t.OwnershipSeconds }},
	{"mounting", color.RGBA{0x99, 0x99, 0x99, 0xff}, func(t verdict.Timing) float64 { return t.MountSeconds }},
}

// option is one combination of values with the cells of its repeats that did
// their work.
type option struct {
	Label string
	Cells []verdict.Cell
}

// options returns the combinations of a scenario whose runs did their work.
func (s *Scenario) options() []option {
	at := map[string]int{}
	var out []option
	for _, c := range s.Cells {
		if c.Result.MakespanSeconds == nil {
			continue
		}
		k := strings.Join(c.Values, "\x00")
		i, ok := at[k]
		if !ok {
			i = len(out)
			at[k] = i
			label := strings.Join(c.Values, ", ")
			if label == "" {
				label = s.Name
			}
			out = append(out, option{Label: label})
		}
		out[i].Cells = append(out[i].Cells, c.Result)
	}
	return out
}

// makespans are the makespans of an option in minutes, sorted.
func (o option) makespans() []float64 {
	var out []float64
	for _, c := range o.Cells {
		out = append(out, *c.MakespanSeconds/60)
	}
	slices.Sort(out)
	return out
}

// mean returns the mean of a kind of lost time in seconds.
func (o option) mean(l lost) float64 {
	var v []float64
	for _, c := range o.Cells {
		v = append(v, l.of(c.Timing))
	}
	return stat.Mean(v, nil)
}

// plotMakespans draws the distribution of makespans for each option: a box where
// there are five repeats or more, else a point for each. It gives "" if there is
// nothing to draw.
func plotMakespans(options []option) (string, error) {
	if len(options) == 0 {
		return "", nil
	}
	options = options[:min(len(options), maxPlotted)]
	p := newPlot(options, "makespan, minutes of virtual time")
	for i, o := range options {
		// The first option stands on top.
		y := float64(len(options) - 1 - i)
		v := o.makespans()
		if len(v) >= 5 {
			box, err := plotter.NewBoxPlot(vg.Points(11), y, plotter.Values(v))
			if err != nil {
				return "", fmt.Errorf("plotting makespans: %w", err)
			}
			box.Horizontal = true
			box.FillColor = color.RGBA{0x56, 0xb4, 0xe9, 0xff}
			box.GlyphStyle.Radius = vg.Points(1.8)
			p.Add(box)
			continue
		}
		var points plotter.XYs
		for _, m := range v {
			points = append(points, plotter.XY{X: m, Y: y})
		}
		s, err := plotter.NewScatter(points)
		if err != nil {
			return "", fmt.Errorf("plotting makespans: %w", err)
		}
		s.GlyphStyle = draw.GlyphStyle{Color: color.RGBA{0x00, 0x72, 0xb2, 0xff}, Radius: vg.Points(3.5), Shape: draw.CircleGlyph{}}
		p.Add(s)
	}
	p.X.Min, p.X.Max = 0, p.X.Max*1.03
	return render(p, len(options))
}

// plotLosses draws, for each option, the mean time that the run's pods lost to
// attach and detach, image pulls, ownership changes and mounting. It gives "" if
// there is nothing to draw.
func plotLosses(options []option) (string, error) {
	if len(options) == 0 {
		return "", nil
	}
	options = options[:min(len(options), maxPlotted)]
	p := newPlot(options, "seconds of virtual time, summed over the run's pods")
	var below *plotter.BarChart
	total := 0.0
	for _, l := range losses {
		v := make(plotter.Values, len(options))
		for i, o := range options {
			v[len(options)-1-i] = o.mean(l)
			total += o.mean(l)
		}
		bars, err := plotter.NewBarChart(v, vg.Points(11))
		if err != nil {
			return "", fmt.Errorf("plotting lost time: %w", err)
		}
		bars.Horizontal = true
		bars.Color = l.color
		bars.LineStyle.Width = vg.Points(0.4)
		if below != nil {
			bars.StackOn(below)
		}
		below = bars
		p.Add(bars)
	}
	if total == 0 {
		return "", nil
	}
	p.X.Min, p.X.Max = 0, p.X.Max*1.03
	return render(p, len(options))
}

// newPlot returns an empty plot with a row for each option.
func newPlot(options []option, axis string) *plot.Plot {
	p := plot.New()
	// A plot stands on the page's own background, light or dark.
	p.BackgroundColor = color.Transparent
	p.X.Label.Text = axis
	small := font.Font{Typeface: plot.DefaultFont.Typeface, Variant: "Sans", Size: vg.Points(9)}
	p.X.Label.TextStyle.Font = small
	p.X.Tick.Label.Font, p.Y.Tick.Label.Font = small, small
	// What is drawn without width keeps the labels off the bars.
	p.Y.LineStyle.Width, p.Y.Tick.LineStyle.Width, p.Y.Tick.Length = 0, 0, vg.Points(6)
	p.X.Tick.Marker = plot.TickerFunc(roundTicks)
	var ticks []plot.Tick
	for i, o := range options {
		ticks = append(ticks, plot.Tick{Value: float64(len(options) - 1 - i), Label: shorten(o.Label, 44) + "\u2002"})
	}
	// The space at the end keeps a label off the bars where the font is a wider one.
	p.Y.Tick.Marker = plot.ConstantTicks(ticks)
	p.Y.Min, p.Y.Max = -0.7, float64(len(options))-0.3
	grid := plotter.NewGrid()
	grid.Horizontal.Width = 0
	grid.Vertical.Color = color.RGBA{0x80, 0x80, 0x80, 0x50}
	p.Add(grid)
	return p
}

// roundTicks gives the axis whole numbers, four to seven of them.
func roundTicks(low, high float64) []plot.Tick {
	step := 1.0
	for i := 0; (high-low)/step > 6; i++ {
		// 1, 2, 5, 10, 20, 50, ...
		step *= []float64{2, 2.5, 2}[i%3]
	}
	var out []plot.Tick
	for v := math.Ceil(low/step) * step; v <= high; v += step {
		out = append(out, plot.Tick{Value: v, Label: strconv.FormatFloat(v, 'f', -1, 64)})
	}
	return out
}

// render returns the plot as an SVG element that takes its text's colour from the
// page.
func render(p *plot.Plot, rows int) (string, error) {
	height := vg.Length(rows)*vg.Points(19) + vg.Points(46)
	width := vg.Points(620)
	c := vgsvg.New(width, height)
	p.Draw(draw.New(c))
	var raw bytes.Buffer
	if _, err := c.WriteTo(&raw); err != nil {
		return "", fmt.Errorf("writing a plot: %w", err)
	}
	s := raw.String()
	// The prologue is for a file, and the size is the page's business.
	s = s[strings.Index(s, "<svg"):]
	end := strings.IndexByte(s, '>')
	// Black is what the canvas leaves out, as SVG's own default.
	s = fmt.Sprintf(`<svg class="plot" viewBox="0 0 %s %s" role="img" fill="currentColor">`, num(float64(width)), num(float64(height))) + s[end+1:]
	return strings.ReplaceAll(s, "#000000", "currentColor"), nil
}

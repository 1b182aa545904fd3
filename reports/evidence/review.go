package evidence

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"

	"simctl.dev/simctl/reports"
	"simctl.dev/simctl/sim/impact"
	"simctl.dev/simctl/sim/verdict"
)

//go:embed review.html.tmpl
var reviewText string

var reviewPage = template.Must(template.New("review").Funcs(template.FuncMap{
	"duration": reports.Duration,
	"glyph":    glyph,
	"named":    func(l verdict.Link) bool { return l.Object != "" && !strings.Contains(l.What, l.Object) },
	"trim":     func(s string) string { return strings.TrimRight(s, "\n") },
	"fate":     fate,
	"afterRun": reports.AfterRunText,
	"on":       reports.On,
	"cell":     reports.RowName,
	"same":     reports.SameScenarios,
}).Parse(reviewText))

// fate is the class that colours how a cell ended.
func fate(e *impact.Ended) string {
	switch {
	case e == nil:
		return ""
	case e.Outcome == verdict.Success:
		return "good"
	case e.Done():
		return "held"
	}
	return "bad"
}

// changed is a change with the step that it comes with, and others that are like it.
type changed struct {
	impact.Change
	Step *impact.Step
	Like []impact.Change
}

// Name is the cell's.
func (c changed) Name() string { return reports.CellName(c.Scenario, c.Axes, c.Values) }

// ToEnd is how it ends after the step.
func (c changed) ToEnd() *impact.Ended { return &c.To }

// Others are the names of the cells with the same change.
func (c changed) Others() []string {
	var out []string
	for _, o := range c.Like {
		out = append(out, reports.CellName(o.Scenario, o.Axes, o.Values))
	}
	return out
}

// like is equal for changes of one step that say the same of other cells: by the outcomes,
// the rules and objects of the chain, the reasons, and what mends it.
func like(c impact.Change) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s\n", c.Scenario, c)
	for _, l := range c.Chain {
		fmt.Fprintf(&b, "%s %s\n", l.Rule, l.Object)
		if l.Rule == "" {
			b.WriteString(l.What + "\n")
		}
	}
	for _, r := range c.AllReasons() {
		b.WriteString(r.What + "\n")
	}
	for _, m := range c.Remedies {
		fmt.Fprintf(&b, "%s %t\n", m.Name, m.Mends)
	}
	return verdict.Canonical(b.String())
}

// lostRun is a cell that a bump in the middle of its run costs its work.
type lostRun struct {
	impact.MidRun
	Step *impact.Step
}

// Name is the cell's.
func (l lostRun) Name() string { return reports.CellName(l.Scenario, l.Axes, l.Values) }

// First is the first moment at which it is.
func (l lostRun) First() impact.Place {
	for _, p := range l.Places {
		if p.Lost {
			return p
		}
	}
	return impact.Place{}
}

// At are the moments at which it is.
func (l lostRun) At() []string {
	var out []string
	for _, p := range l.Places {
		if p.Lost {
			out = append(out, p.Task+" is "+p.Phase)
		}
	}
	return out
}

// unkept is a cell whose runs, which had ended, do not stay as they were.
type unkept struct {
	changed
	Way impact.Way
}

// slower is a measure that is surely another one after a step.
type slower struct {
	impact.TimingChange
	Step *impact.Step
}

// Name is the cell's.
func (s slower) Name() string { return reports.CellName(s.Scenario, s.Axes, s.Values) }

// reviewView is a review as its page shows it.
type reviewView struct {
	impact.Review
	Title, Verdict       string
	Worse, Better, Other []*changed
	Lost                 []lostRun
	// Unkept are cells whose runs, which had ended, do not stay as they were.
	Unkept         []unkept
	Slower, Faster []slower
	// Changed are the scenarios with a cell that does not end alike on all releases,
	// Alike those without; of Partly not all cells are known on all releases.
	Changed, Alike, Partly []*reports.Roll
	Style                  template.CSS
}

func newReviewView(r impact.Review) *reviewView {
	v := &reviewView{Review: r, Title: reports.ReviewTitle(r), Style: template.CSS(styleSheet)}
	worse, better, unchanged, still := 0, 0, 0, 0
	for i := range r.Steps {
		s := &r.Steps[i]
		unchanged, still = unchanged+s.Unchanged, still+s.Still
		met := map[string]*changed{}
		for _, c := range s.Changes {
			to := &v.Other
			switch c.Effect() {
			case impact.Worse:
				worse++
				to = &v.Worse
			case impact.Better:
				better++
				to = &v.Better
			}
			k := like(c)
			if first := met[k]; first != nil {
				first.Like = append(first.Like, c)
				continue
			}
			n := &changed{Change: c, Step: s}
			met[k] = n
			*to = append(*to, n)
		}
		for _, m := range s.MidRun {
			if m.Lost() > 0 {
				v.Lost = append(v.Lost, lostRun{m, s})
			}
		}
		if s.AfterRun != nil {
			for _, c := range s.AfterRun.Changes {
				v.Unkept = append(v.Unkept, unkept{changed{Change: c.Change, Step: s}, c.Way})
			}
		}
		for _, t := range s.Timing {
			switch {
			case t.Significant && t.Effect > 0:
				v.Slower = append(v.Slower, slower{t, s})
			case t.Significant:
				v.Faster = append(v.Faster, slower{t, s})
			}
		}
	}
	v.Changed, v.Alike, v.Partly = reports.Rolls(r)
	if worse+better+unchanged+len(v.Other) == 0 {
		v.Verdict = "No cell could be compared."
		return v
	}
	v.Verdict = "Nothing gets worse."
	if n := worse + len(v.Lost) + len(v.Unkept) + len(v.Slower); n > 0 {
		var parts []string
		for _, p := range []struct {
			n         int
			one, more string
		}{
			{worse, "cell does worse", "cells do worse"},
			{len(v.Lost), "cell loses its run when the bump comes in the middle of it", "cells lose their run when the bump comes in the middle of it"},
			{len(v.Unkept), "cell does not keep a run that has ended", "cells do not keep runs that have ended"},
			{len(v.Slower), "measure is slower", "measures are slower"},
		} {
			switch {
			case p.n == 1:
				parts = append(parts, "1 "+p.one)
			case p.n > 1:
				parts = append(parts, fmt.Sprintf("%d %s", p.n, p.more))
			}
		}
		v.Verdict = strings.Join(parts, "; ") + " after a step of the way."
	}
	v.Verdict += fmt.Sprintf(" %d better, %d as before", better, unchanged)
	if still > 0 {
		v.Verdict += fmt.Sprintf(" (%d of them without their work done)", still)
	}
	v.Verdict += ", each step counted."
	return v
}

// ReviewHTML writes a review as one page that needs nothing else: no network, no script.
// It opens with what gets worse.
func ReviewHTML(w io.Writer, r impact.Review) error {
	if err := reviewPage.Execute(w, newReviewView(r)); err != nil {
		return fmt.Errorf("rendering the review as HTML: %w", err)
	}
	return nil
}

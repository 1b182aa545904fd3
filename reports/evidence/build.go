package evidence

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"simctl.dev/simctl/reports"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/timeline"
	"simctl.dev/simctl/sim/verdict"
	"simctl.dev/simctl/sim/wellknown"
)

// A run of so many cells gets a section for each; of a larger one at most
// maxDetails cells do.
const (
	smallRun   = 24
	maxDetails = 40
)

type builder struct {
	in Input
	r  *Report
	// timelines are histories that were read, by the cell's ID.
	timelines map[string]*timeline.Timeline
}

// New makes the report of a run. The error is that of reading a history.
func New(in Input) (*Report, error) {
	if in.Example {
		var err error
		if in, err = stable(in); err != nil {
			return nil, err
		}
	}
	b := &builder{in: in, r: &Report{}, timelines: map[string]*timeline.Timeline{}}
	b.cells()
	b.causes()
	b.remarks()
	for _, s := range b.r.Scenarios {
		for _, c := range b.r.Causes {
			b.findChanges(s, c)
		}
	}
	if err := b.details(); err != nil {
		return nil, err
	}
	b.summarize()
	b.reproduce()
	return b.r, nil
}

func (b *builder) cells() {
	byName := map[string]*Scenario{}
	for i, result := range b.in.Result.Cells {
		s := byName[result.Scenario]
		if s == nil {
			s = &Scenario{Name: result.Scenario}
			byName[result.Scenario] = s
			b.r.Scenarios = append(b.r.Scenarios, s)
		}
		id := scenario.IDOf(result)
		c := &Cell{ID: id, Anchor: "cell-" + id, Result: result, index: i, spec: b.in.Specs[id], Tekton: result.Values["tekton"], Badge: badge(result)}
		if c.spec != nil && s.Description == "" {
			s.Description = c.spec.Spec.Description
		}
		if m := result.MakespanSeconds; m != nil {
			c.Time = reports.Duration(*m)
		}
		if t := result.BlockedSinceSeconds; t != nil {
			c.Stopped = reports.Duration(*t)
		}
		s.Cells = append(s.Cells, c)
	}
	for _, s := range b.r.Scenarios {
		s.arrange()
	}
}

// arrange finds the axes that vary and names the cells by them.
func (s *Scenario) arrange() {
	names := slices.Clone(s.Cells[0].Result.Axes)
	if !slices.Contains(names, "tekton") && s.tektonVaries(names) {
		names = append(names, "tekton")
	}
	var fixed []string
	for _, name := range names {
		a := Axis{Name: name}
		for _, c := range s.Cells {
			if v := c.Result.Values[name]; !slices.Contains(a.Values, v) {
				a.Values = append(a.Values, v)
			}
		}
		if len(a.Values) > 1 {
			s.Axes = append(s.Axes, a)
		} else {
			fixed = append(fixed, name+" "+a.Values[0])
		}
	}
	s.Fixed = strings.Join(fixed, ", ")
	for _, c := range s.Cells {
		var parts []string
		for _, a := range s.Axes {
			c.Values = append(c.Values, c.Result.Values[a.Name])
			parts = append(parts, a.Name+"="+c.Result.Values[a.Name])
		}
		if c.Result.Repeat > 0 {
			parts = append(parts, fmt.Sprintf("repeat %d", c.Result.Repeat))
		}
		c.Label = strings.Join(parts, ", ")
		if c.Label == "" {
			c.Label = s.Name
		}
	}
}

// tektonVaries says that cells that are equal in all axes have several releases.
func (s *Scenario) tektonVaries(axes []string) bool {
	seen := map[string]string{}
	for _, c := range s.Cells {
		var values []string
		for _, a := range axes {
			values = append(values, c.Result.Values[a])
		}
		k := fmt.Sprintf("%q", values)
		if v, ok := seen[k]; ok && v != c.Tekton {
			return true
		}
		seen[k] = c.Tekton
	}
	return false
}

// badge shows an outcome without relying on colour.
func badge(c verdict.Cell) Badge {
	b := Badge{Text: string(c.Outcome), Symbol: "✗", Class: "bad", Expected: reports.Expectation(c)}
	switch {
	case c.Outcome == verdict.Success:
		b.Symbol, b.Class = "✓", "good"
	case c.Outcome == verdict.Error:
		b.Symbol, b.Class = "!", "error"
	case c.MakespanSeconds != nil:
		b.Symbol, b.Class, b.Text = "△", "held", string(c.Outcome)+", still finished"
	}
	return b
}

// causes groups the cells by what is at the root.
func (b *builder) causes() {
	byKey := map[string]*Cause{}
	for _, s := range b.r.Scenarios {
		for _, c := range s.Cells {
			chain := c.Result.Cause
			if c.Result.Outcome == verdict.Error {
				chain = []verdict.Link{{What: "simctl could not run the cell", Evidence: c.Result.Error}}
			}
			if c.Result.Outcome == verdict.Success {
				continue
			}
			root := verdict.Link{What: "no cause was recorded"}
			if len(chain) > 0 {
				root = chain[len(chain)-1]
			}
			// The evidence of a root may hold what was changed and made no
			// difference, so its rule and its object decide.
			fatal := c.Result.MakespanSeconds == nil
			k := fmt.Sprintf("%s\x00%t\x00%s", c.Result.Outcome, fatal, c.Result.Key())
			if c.Result.Outcome == verdict.Error {
				k = "error\x00" + root.Evidence
			}
			cause := byKey[k]
			if cause == nil {
				cause = &Cause{Outcome: c.Result.Outcome, Root: root, Chain: chain, Fatal: fatal && c.Result.Outcome != verdict.Error}
				byKey[k] = cause
				b.r.Causes = append(b.r.Causes, cause)
			}
			cause.Cells = append(cause.Cells, c)
			c.Cause = cause
		}
	}
	slices.SortStableFunc(b.r.Causes, func(x, y *Cause) int {
		// What nobody expects comes first, then what most cells have.
		return cmp.Or(cmp.Compare(causeRank(x), causeRank(y)), cmp.Compare(y.deviating(), x.deviating()),
			cmp.Compare(len(y.Cells), len(x.Cells)))
	})
	for i, c := range b.r.Causes {
		c.Number = i + 1
	}
}

// remarks says of each cell what its outcome does not tell.
func (b *builder) remarks() {
	byIndex := map[int]*Cell{}
	for _, s := range b.r.Scenarios {
		for _, c := range s.Cells {
			byIndex[c.index] = c
		}
	}
	for _, m := range reports.Remarks(b.in.Result.Cells) {
		r := Remark{Text: m.Text}
		for _, i := range m.Cells {
			r.Cells = append(r.Cells, byIndex[i])
		}
		b.r.Remarks = append(b.r.Remarks, r)
	}
}

// deviating is how many of a cause's cells did not come out as expected.
func (c *Cause) deviating() int {
	n := 0
	for _, cell := range c.Cells {
		if reports.Deviates(cell.Result) {
			n++
		}
	}
	return n
}

func causeRank(c *Cause) int {
	switch {
	case c.Fatal:
		return 0
	case c.Outcome != verdict.Error:
		return 1
	}
	return 2
}

// details gives the cells that matter a section of their own.
func (b *builder) details() error {
	var wanted []*Cell
	want := func(c *Cell) {
		if c != nil && !slices.Contains(wanted, c) && (len(wanted) < maxDetails || b.in.Detailed != nil) {
			wanted = append(wanted, c)
		}
	}
	total := len(b.in.Result.Cells)
	if b.in.Detailed == nil {
		for _, c := range b.r.Causes {
			want(c.Cells[0])
			for _, r := range c.RuledOut {
				want(r.Proof)
			}
		}
		for _, c := range append(slices.Clone(b.r.Changes), b.r.Alternatives...) {
			want(c.Proof)
		}
	}
	for _, s := range b.r.Scenarios {
		for _, c := range s.Cells {
			switch {
			case b.in.Detailed != nil:
				if b.in.Detailed(c.Result) {
					want(c)
				}
			case total <= smallRun || reports.Deviates(c.Result):
				want(c)
			}
		}
	}
	for _, c := range wanted {
		if err := b.detail(c); err != nil {
			return err
		}
	}
	b.r.Omitted = total - len(wanted)
	return nil
}

// cli is the command that an admin of the cell's cluster types.
func (b *builder) cli(c *Cell) string {
	if c.spec != nil && c.spec.Spec.Cluster.OpenShift.Enabled {
		return "oc"
	}
	return "kubectl"
}

// tektonNamespace is where Tekton is installed.
func (b *builder) tektonNamespace(c *Cell) string {
	if c.spec != nil && c.spec.Spec.Cluster.OpenShift.Enabled {
		return wellknown.OpenShiftPipelinesNamespace
	}
	return wellknown.TektonNamespace
}

package verdict

import (
	"maps"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"simctl.dev/simctl/sim/timeline"
)

// measure is a number that a cell may have.
type measure struct {
	name string
	of   func(Cell) (float64, bool)
}

// done takes a measure of the cells whose runs did their work only: the others'
// sums end wherever the run did.
func done(name string, of func(Cell) float64) measure {
	return measure{name, func(c Cell) (float64, bool) {
		if c.MakespanSeconds == nil {
			return 0, false
		}
		return of(c), true
	}}
}

// phase sums one phase over a cell's TaskRuns.
func phase(p timeline.Phase) measure {
	return done(string(p)+"Seconds", func(c Cell) float64 {
		var sum float64
		for _, t := range c.Timing.Tasks {
			if v := t.Length(p); v != nil {
				sum += *v
			}
		}
		return sum
	})
}

// measures are taken in this order. All are virtual seconds.
var measures = []measure{
	done("makespanSeconds", func(c Cell) float64 { return *c.MakespanSeconds }),
	phase(timeline.Queued),
	phase(timeline.Scheduled),
	done("attachSeconds", func(c Cell) float64 { return c.Timing.AttachSeconds }),
	done("mountSeconds", func(c Cell) float64 { return c.Timing.MountSeconds }),
	done("ownershipSeconds", func(c Cell) float64 { return c.Timing.OwnershipSeconds }),
	done("pullSeconds", func(c Cell) float64 { return c.Timing.PullSeconds }),
	phase(timeline.Running),
	{"blockedSinceSeconds", func(c Cell) (float64, bool) {
		if c.BlockedSinceSeconds == nil {
			return 0, false
		}
		return *c.BlockedSinceSeconds, true
	}},
}

// Summarize returns the statistics of each scenario's combinations of values over
// their repeats, in the order in which the combinations first appear. All but
// blockedSinceSeconds are taken over the cells whose runs did their work; a
// measure that no cell of a combination has is left out. P50 and P95 are values
// that occurred: the smallest that half, or 95 %, of the values do not exceed.
func Summarize(cells []Cell) []Statistic {
	var order []string
	groups := map[string][]Cell{}
	for _, c := range cells {
		key := groupKey(c)
		if groups[key] == nil {
			order = append(order, key)
		}
		groups[key] = append(groups[key], c)
	}
	out := []Statistic{}
	for _, key := range order {
		group := groups[key]
		for _, m := range measures {
			var values []float64
			for _, c := range group {
				if v, ok := m.of(c); ok {
					values = append(values, v)
				}
			}
			if len(values) == 0 {
				continue
			}
			s := describe(values)
			s.Scenario, s.Values, s.Measure = group[0].Scenario, maps.Clone(group[0].Values), m.name
			out = append(out, s)
		}
	}
	return out
}

func groupKey(c Cell) string {
	var b strings.Builder
	b.WriteString(c.Scenario)
	for _, axis := range slices.Sorted(maps.Keys(c.Values)) {
		b.WriteString("\x00" + axis + "\x00" + c.Values[axis])
	}
	return b.String()
}

// describe returns the numbers of one measure. The mean's interval is Student's,
// which takes the values for draws from about a normal distribution.
func describe(values []float64) Statistic {
	x := slices.Sorted(slices.Values(values))
	n := len(x)
	s := Statistic{
		N: n, Min: x[0], Max: x[n-1],
		P50:  stat.Quantile(0.5, stat.Empirical, x, nil),
		P95:  stat.Quantile(0.95, stat.Empirical, x, nil),
		Mean: stat.Mean(x, nil),
	}
	if n < 2 {
		return s
	}
	t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: float64(n - 1)}.Quantile(0.975)
	half := t * stat.StdErr(stat.StdDev(x, nil), float64(n))
	if math.IsNaN(half) {
		return s
	}
	low, high := s.Mean-half, s.Mean+half
	s.MeanLow, s.MeanHigh = &low, &high
	return s
}

package scenario

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"gonum.org/v1/gonum/stat/distuv"
)

// z95 is the standard normal distribution's 95th percentile.
var z95 = distuv.UnitNormal.Quantile(0.95)

// Validate says what is wrong with the distribution, in one line.
func (d *Distribution) Validate() error {
	_, err := d.parse()
	return err
}

// form is a distribution read: exactly one of its three is used, a constant
// being a uniform of no width.
type form struct {
	kind           string
	low, mid, high time.Duration
}

func (d *Distribution) parse() (form, error) {
	if d == nil {
		return form{}, fmt.Errorf("no distribution given")
	}
	var set []string
	if d.Constant != "" {
		set = append(set, "constant")
	}
	if d.Uniform != nil {
		set = append(set, "uniform")
	}
	if d.Triangular != nil {
		set = append(set, "triangular")
	}
	if d.Lognormal != nil {
		set = append(set, "lognormal")
	}
	if len(set) == 0 {
		return form{}, fmt.Errorf("a distribution must have one of constant, uniform, triangular, lognormal")
	}
	if len(set) > 1 {
		return form{}, fmt.Errorf("a distribution has one form, this one has %s and %s; "+
			"remove one (in a patch, set the other to null)", set[0], set[1])
	}
	f := form{kind: set[0]}
	read := func(into *time.Duration, name, text string) error {
		if text == "" {
			return fmt.Errorf("%s must have %s", f.kind, name)
		}
		v, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("%s: %q is no duration; write it as 90s, 12m or 1h30m", name, text)
		}
		if v < 0 {
			return fmt.Errorf("%s: %s is negative", name, text)
		}
		*into = v
		return nil
	}
	switch f.kind {
	case "constant":
		err := read(&f.low, "constant", d.Constant)
		f.mid, f.high = f.low, f.low
		return f, err
	case "uniform":
		if err := read(&f.low, "min", d.Uniform.Min); err != nil {
			return f, err
		}
		if err := read(&f.high, "max", d.Uniform.Max); err != nil {
			return f, err
		}
	case "triangular":
		if err := read(&f.low, "min", d.Triangular.Min); err != nil {
			return f, err
		}
		if err := read(&f.mid, "mode", d.Triangular.Mode); err != nil {
			return f, err
		}
		if err := read(&f.high, "max", d.Triangular.Max); err != nil {
			return f, err
		}
		if f.mid < f.low || f.mid > f.high {
			return f, fmt.Errorf("mode %s is not between min %s and max %s",
				d.Triangular.Mode, d.Triangular.Min, d.Triangular.Max)
		}
	case "lognormal":
		if err := read(&f.mid, "median", d.Lognormal.Median); err != nil {
			return f, err
		}
		if err := read(&f.high, "p95", d.Lognormal.P95); err != nil {
			return f, err
		}
		if f.mid == 0 {
			return f, fmt.Errorf("the median of a lognormal must be more than 0")
		}
		if f.mid > f.high {
			return f, fmt.Errorf("median %s is greater than p95 %s", d.Lognormal.Median, d.Lognormal.P95)
		}
		return f, nil
	}
	if f.low > f.high {
		return f, fmt.Errorf("min %s is greater than max %s", f.low, f.high)
	}
	return f, nil
}

// Sample draws a duration, rounded to milliseconds; the draw depends on r alone.
// A nil or empty distribution gives fallback. It is an error if the
// distribution is not valid.
func (d *Distribution) Sample(r *rand.Rand, fallback time.Duration) (time.Duration, error) {
	if d == nil || *d == (Distribution{}) {
		return fallback, nil
	}
	f, err := d.parse()
	if err != nil {
		return 0, fmt.Errorf("drawing a duration: %w", err)
	}
	low, mid, high := f.low.Seconds(), f.mid.Seconds(), f.high.Seconds()
	var seconds float64
	switch {
	case f.kind == "constant", f.low == f.high, f.kind == "lognormal" && f.mid == f.high:
		return f.high.Round(time.Millisecond), nil
	case f.kind == "uniform":
		seconds = distuv.Uniform{Min: low, Max: high, Src: r}.Rand()
	case f.kind == "triangular":
		seconds = distuv.NewTriangle(low, high, mid, r).Rand()
	default:
		mu := math.Log(mid)
		seconds = distuv.LogNormal{Mu: mu, Sigma: (math.Log(high) - mu) / z95, Src: r}.Rand()
	}
	// The tail of a very wide lognormal can lie beyond what a Duration holds.
	if seconds >= math.MaxInt64/float64(time.Second) {
		return math.MaxInt64, nil
	}
	return time.Duration(math.Round(seconds*1000)) * time.Millisecond, nil
}

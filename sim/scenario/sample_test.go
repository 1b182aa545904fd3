package scenario

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"gonum.org/v1/gonum/stat"
)

// TestSample draws many times and holds the quantiles against what the
// distribution says of itself.
func TestSample(t *testing.T) {
	const n = 20_000
	tests := []struct {
		name string
		d    *Distribution
		// quantile -> seconds
		want     map[float64]float64
		low, top time.Duration
	}{
		{name: "constant", d: &Distribution{Constant: "90s"}, want: map[float64]float64{0.5: 90}, low: 90 * time.Second, top: 90 * time.Second},
		{name: "uniform", d: &Distribution{Uniform: &Uniform{Min: "10s", Max: "30s"}},
			want: map[float64]float64{0.25: 15, 0.5: 20, 0.75: 25}, low: 10 * time.Second, top: 30 * time.Second},
		{name: "triangular", d: &Distribution{Triangular: &Triangular{Min: "0s", Mode: "100s", Max: "100s"}},
			want: map[float64]float64{0.25: 50, 0.64: 80, 0.81: 90}, top: 100 * time.Second},
		{name: "lognormal", d: &Distribution{Lognormal: &Lognormal{Median: "12m", P95: "17m"}},
			want: map[float64]float64{0.5: 720, 0.95: 1020}, top: math.MaxInt64},
		{name: "no width", d: &Distribution{Lognormal: &Lognormal{Median: "12m", P95: "12m"}},
			want: map[float64]float64{0.5: 720}, low: 12 * time.Minute, top: 12 * time.Minute},
		{name: "uniform of no width", d: &Distribution{Uniform: &Uniform{Min: "5s", Max: "5s"}},
			want: map[float64]float64{0.5: 5}, low: 5 * time.Second, top: 5 * time.Second},
		{name: "triangular of no width", d: &Distribution{Triangular: &Triangular{Min: "5s", Mode: "5s", Max: "5s"}},
			want: map[float64]float64{0.5: 5}, low: 5 * time.Second, top: 5 * time.Second},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if err := test.d.Validate(); err != nil {
				t.Fatal(err)
			}
			r := rand.New(rand.NewPCG(1, 2))
			draws := make([]float64, n)
			for i := range draws {
				d, err := test.d.Sample(r, 0)
				if err != nil {
					t.Fatal(err)
				}
				if d < test.low || d > test.top || d%time.Millisecond != 0 {
					t.Fatalf("drew %s", d)
				}
				draws[i] = d.Seconds()
			}
			slices.Sort(draws)
			for q, want := range test.want {
				if have := stat.Quantile(q, stat.Empirical, draws, nil); math.Abs(have-want) > 0.02*want {
					t.Errorf("quantile %g: have %g s, want %g s", q, have, want)
				}
			}
			first, _ := test.d.Sample(rand.New(rand.NewPCG(1, 2)), 0)
			again, _ := test.d.Sample(rand.New(rand.NewPCG(1, 2)), 0)
			if first != again {
				t.Errorf("the same source drew %s and %s", first, again)
			}
		})
	}
}

func TestSampleFallsBack(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, d := range []*Distribution{nil, {}} {
		if have, err := d.Sample(r, time.Minute); err != nil || have != time.Minute {
			t.Errorf("%v: have %s, %v", d, have, err)
		}
	}
	if _, err := (&Distribution{Constant: "soon"}).Sample(r, time.Minute); err == nil {
		t.Error("a duration that is none was drawn")
	}
	// Half of the draws of this one are beyond what a Duration holds.
	wide := &Distribution{Lognormal: &Lognormal{Median: "2562047h", P95: "2562047h40m"}}
	if have, err := wide.Sample(r, 0); err != nil || have <= 0 {
		t.Errorf("a very long duration: have %s, %v", have, err)
	}
}

func TestSampleRefuses(t *testing.T) {
	for name, d := range map[string]*Distribution{
		"no duration":  {Constant: "soon"},
		"negative":     {Constant: "-1s"},
		"upside down":  {Uniform: &Uniform{Min: "2s", Max: "1s"}},
		"mode outside": {Triangular: &Triangular{Min: "1s", Mode: "5s", Max: "3s"}},
		"p95 < median": {Lognormal: &Lognormal{Median: "2s", P95: "1s"}},
		"median zero":  {Lognormal: &Lognormal{Median: "0s", P95: "1s"}},
	} {
		if v, err := d.Sample(rand.New(rand.NewPCG(1, 2)), 0); err == nil {
			t.Errorf("%s: drew %v, want an error", name, v)
		}
	}
}

package scenario

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestSample draws from every form and compares quantiles with what the
// distribution says.
func TestSample(t *testing.T) {
	const n = 20_000
	for name, tc := range map[string]struct {
		d                  *Distribution
		low, p50, p95, top time.Duration
	}{
		"none":       {nil, 7 * time.Second, 7 * time.Second, 7 * time.Second, 7 * time.Second},
		"constant":   {&Distribution{Constant: "1m"}, time.Minute, time.Minute, time.Minute, time.Minute},
		"uniform":    {&Distribution{Uniform: &Uniform{Min: "10s", Max: "30s"}}, 10 * time.Second, 20 * time.Second, 29 * time.Second, 30 * time.Second},
		"triangular": {&Distribution{Triangular: &Triangular{Min: "0s", Mode: "0s", Max: "100s"}}, 0, 29289 * time.Millisecond, 77639 * time.Millisecond, 100 * time.Second},
		"lognormal":  {&Distribution{Lognormal: &Lognormal{Median: "10m", P95: "20m"}}, 0, 10 * time.Minute, 20 * time.Minute, 24 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			var all []time.Duration
			for range n {
				v, err := tc.d.Sample(r, 7*time.Second)
				if err != nil {
					t.Fatal(err)
				}
				if v < tc.low || v > tc.top {
					t.Fatalf("drew %v, outside %v..%v", v, tc.low, tc.top)
				}
				all = append(all, v)
			}
			slices.Sort(all)
			for what, pair := range map[string][2]time.Duration{"median": {all[n/2], tc.p50}, "p95": {all[n*95/100], tc.p95}} {
				if got, want := pair[0].Seconds(), pair[1].Seconds(); got < want*0.97-0.001 || got > want*1.03+0.001 {
					t.Errorf("%s is %v, want about %v", what, pair[0], pair[1])
				}
			}
		})
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

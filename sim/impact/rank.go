package impact

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat/combin"
	"gonum.org/v1/gonum/stat/distuv"
)

// minRepeats is how many values each side needs: of fewer, no order is rare
// enough to mean anything (of 3 and 3, one in ten is as extreme).
const minRepeats = 4

// exactUpTo bounds the number of arrangements that are counted one by one.
const exactUpTo = 20_000

// rankTest is Mann and Whitney's test of whether the values of b tend to be
// greater or smaller than those of a: the two-sided probability of such ranks by
// chance, and Cliff's delta as the effect's size, from -1 (every b is smaller) to
// 1 (every b is greater). Small samples are counted exactly, ties included;
// larger ones use the normal approximation with the correction for ties.
func rankTest(a, b []float64) (p, delta float64) {
	n, m := len(a), len(b)
	if n == 0 || m == 0 {
		return 1, 0
	}
	ranks, ties := midRanks(a, b)
	var sum float64 // of b's ranks
	for _, r := range ranks[n:] {
		sum += r
	}
	u := sum - float64(m*(m+1))/2
	mean := float64(n*m) / 2
	delta = 2*u/float64(n*m) - 1
	if combin.GeneralizedBinomial(float64(n+m), float64(m)) <= exactUpTo {
		return exact(ranks, m, math.Abs(u-mean)), delta
	}
	total := float64(n + m)
	variance := float64(n*m) / 12 * (total + 1 - ties/(total*(total-1)))
	if variance == 0 {
		return 1, delta
	}
	z := max(math.Abs(u-mean)-0.5, 0) / math.Sqrt(variance)
	return min(2*distuv.UnitNormal.Survival(z), 1), delta
}

// exact counts the ways to choose m of the ranks whose U is at least as far from
// the mean.
func exact(ranks []float64, m int, distance float64) float64 {
	n := len(ranks) - m
	mean := float64(n*m) / 2
	var extreme, all float64
	g := combin.NewCombinationGenerator(len(ranks), m)
	chosen := make([]int, m)
	for g.Next() {
		var sum float64
		for _, i := range g.Combination(chosen) {
			sum += ranks[i]
		}
		all++
		if math.Abs(sum-float64(m*(m+1))/2-mean) >= distance-1e-9 {
			extreme++
		}
	}
	return extreme / all
}

// midRanks ranks the values of both, equal ones sharing the mean of their ranks,
// and sums t³-t over the groups of equal ones.
func midRanks(a, b []float64) (ranks []float64, ties float64) {
	values := slices.Concat(a, b)
	order := make([]int, len(values))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int { return cmp.Compare(values[i], values[j]) })
	ranks = make([]float64, len(values))
	for i := 0; i < len(order); {
		j := i
		for j < len(order) && values[order[j]] == values[order[i]] {
			j++
		}
		for _, k := range order[i:j] {
			ranks[k] = float64(i+j+1) / 2
		}
		t := float64(j - i)
		ties += t*t*t - t
		i = j
	}
	return ranks, ties
}

// holm corrects probabilities for their number, by Holm's step-down method.
func holm(p []float64) []float64 {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int { return cmp.Compare(p[i], p[j]) })
	out := make([]float64, len(p))
	last := 0.0
	for k, i := range order {
		last = max(last, min(float64(len(p)-k)*p[i], 1))
		out[i] = last
	}
	return out
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

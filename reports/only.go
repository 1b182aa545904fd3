package reports

import (
	"fmt"
	"slices"
	"strings"

	"simctl.dev/simctl/sim/impact"
	"simctl.dev/simctl/sim/verdict"
)

// Only says which cells of a result are shown.
type Only string

// The choices.
const (
	OnlyFailing    Only = "failing"    // those that did not do their work
	OnlyChanged    Only = "changed"    // those that fare differently on another release
	OnlyUnexpected Only = "unexpected" // those that are not as expected
)

// Onlys are all choices.
var Onlys = []Only{OnlyFailing, OnlyChanged, OnlyUnexpected}

// ParseOnly returns the choice of that name, or an error that lists them.
func ParseOnly(name string) (Only, error) {
	return parse("choice of cells", name, Onlys)
}

// parse returns the one of that name, or an error that lists them.
func parse[T ~string](what, name string, all []T) (T, error) {
	var names []string
	for _, v := range all {
		if string(v) == name {
			return v, nil
		}
		names = append(names, string(v))
	}
	return "", fmt.Errorf("unknown %s %q: use one of %s", what, name, strings.Join(names, ", "))
}

// Select returns a result with the cells of a choice alone; their statistics go along.
// Changed cells are there on all releases, so that both sides are seen; the error says
// that no cell was run on two.
func Select(r verdict.RunResult, only Only) (verdict.RunResult, error) {
	var keep func(verdict.Cell) bool
	switch only {
	case OnlyFailing:
		keep = func(c verdict.Cell) bool { return c.Outcome == verdict.Error || !c.DidItsWork() }
	case OnlyUnexpected:
		keep = Deviates
	case OnlyChanged:
		changed, err := changedCells(r.Cells)
		if err != nil {
			return r, err
		}
		keep = changed
	default:
		_, err := ParseOnly(string(only))
		return r, err
	}
	all := r.Cells
	r.Cells = nil
	for _, c := range all {
		if keep(c) {
			r.Cells = append(r.Cells, c)
		}
	}
	r.Statistics = verdict.Summarize(r.Cells)
	return r, nil
}

// changedCells tells the cells that do not end alike on all releases.
func changedCells(cells []verdict.Cell) (func(verdict.Cell) bool, error) {
	tells := impact.ReleaseAxesOf(cells)
	of := func(c verdict.Cell) string {
		own := without(c.Axes, tells[c.Scenario])
		return c.Scenario + "\x00" + strings.Join(own, "\x00") + "\x00" + key(c.Values, own)
	}
	// A cell's repeats on each release.
	on := map[string]map[string][]verdict.Cell{}
	several := false
	for _, c := range cells {
		k, v := of(c), c.Values[tektonKey]
		if on[k] == nil {
			on[k] = map[string][]verdict.Cell{}
		}
		on[k][v] = append(on[k][v], c)
		several = several || len(on[k]) > 1
	}
	if !several {
		return nil, fmt.Errorf("no cell was run on two releases: run it with --tekton 1.3.1,1.15.0, or ask simctl upgrade or compare")
	}
	changed := map[string]bool{}
	for k, sides := range on {
		fates := map[string]bool{}
		for _, side := range sides {
			if f := outcomesOf(side); f != "" {
				fates[f] = true
			}
		}
		changed[k] = len(fates) > 1
	}
	return func(c verdict.Cell) bool { return changed[of(c)] }, nil
}

// outcomesOf are the outcomes of repeats, each once; empty if simctl could not run one.
func outcomesOf(cells []verdict.Cell) string {
	var out []string
	for _, c := range cells {
		if c.Outcome == verdict.Error {
			return ""
		}
		if o := outcomeName(c); !slices.Contains(out, o) {
			out = append(out, o)
		}
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

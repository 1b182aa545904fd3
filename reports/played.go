package reports

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"simctl.dev/simctl/sim/verdict"
)

// phaseMark stands in the values of an axis of faults between a fault and its phase.
const phaseMark = "@"

// Played returns a Markdown table of faults and phases, from the cells of a scenario with
// an axis whose values are FAULT@PHASE, in the order of phases: what became of the runs,
// release by release where it is not the same, and how much later than in the quickest
// cell they had done their work; empty if no cell has such a value.
func Played(all []verdict.Cell, phases []string) string {
	type place struct{ fault, phase string }
	found := map[place]map[string]verdict.Cell{} // by release
	var faults, releases []string
	best := map[string]float64{}
	for _, c := range all {
		at, ok := placeOf(c)
		if !ok {
			continue
		}
		p, release := place{at[0], at[1]}, c.Values["tekton"]
		if found[p] == nil {
			found[p] = map[string]verdict.Cell{}
		}
		found[p][release] = c
		if !slices.Contains(faults, p.fault) {
			faults = append(faults, p.fault)
		}
		if !slices.Contains(releases, release) {
			releases = append(releases, release)
		}
		if s := c.MakespanSeconds; s != nil && (best[release] == 0 || *s < best[release]) {
			best[release] = *s
		}
	}
	if len(faults) == 0 {
		return ""
	}
	var rows [][]string
	for _, fault := range faults {
		row := []string{fault}
		for _, phase := range phases {
			texts := map[string]string{}
			for release, c := range found[place{fault, phase}] {
				texts[release] = fateAt(c, best[release])
			}
			row = append(row, together(releases, texts))
		}
		rows = append(rows, row)
	}
	return strings.TrimLeft(markdown{}.table(append([]string{"fault"}, phases...), rows), "\n")
}

// placeOf returns the fault and the phase of a cell.
func placeOf(c verdict.Cell) (at [2]string, ok bool) {
	for _, axis := range c.Axes {
		if fault, phase, found := strings.Cut(c.Values[axis], phaseMark); found {
			return [2]string{fault, phase}, true
		}
	}
	return at, false
}

// fateAt says what became of a cell, and how many minutes later than at best.
func fateAt(c verdict.Cell, best float64) string {
	out := string(c.Outcome)
	if c.Recovered {
		out += ", recovered"
	}
	if s := c.MakespanSeconds; s != nil && *s >= best+60 {
		out += " +" + strings.TrimSuffix(time.Duration((*s-best)*float64(time.Second)).Round(time.Minute).String(), "0s")
	}
	if len(c.NeverEnd) > 0 {
		out += ", never ends"
	}
	switch {
	case len(c.Interventions) > 0 && c.Interventions[0].Missed: // the last ones are those that the cell did not come to
		out += " (came too late)"
	case slices.ContainsFunc(c.Interventions, func(v verdict.Intervention) bool { return v.Met != nil && v.Met.Count == 0 }):
		out += " (met nobody)"
	}
	return out
}

// together joins what is the same on all releases.
func together(releases []string, texts map[string]string) string {
	if len(texts) == 0 {
		return ""
	}
	same := slices.Compact(slices.Sorted(maps.Values(texts)))
	if len(texts) == len(releases) && len(same) == 1 {
		return same[0]
	}
	var out []string
	for _, release := range releases {
		if text, ok := texts[release]; ok {
			out = append(out, fmt.Sprintf("%s: %s", release, text))
		}
	}
	return strings.Join(out, "; ")
}

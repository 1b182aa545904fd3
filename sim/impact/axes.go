package impact

import (
	"maps"
	"slices"

	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/verdict"
)

// ReleaseAxes names, for each scenario, the axes that do nothing but tell the
// release: those whose value is the release in every cell. A list of releases
// takes the place of such an axis and keeps its name, whatever that is.
func ReleaseAxes(cells []scenario.Cell) map[string][]string {
	f := axisFinder{}
	for _, c := range cells {
		f.see(c.Scenario, c.Axes, c.Values)
	}
	return f
}

// ReleaseAxesOf is like [ReleaseAxes] for the cells of a result.
func ReleaseAxesOf(cells []verdict.Cell) map[string][]string {
	f := axisFinder{}
	for _, c := range cells {
		f.see(c.Scenario, c.Axes, c.Values)
	}
	return f
}

// axisFinder is the axes by scenario that may still be releases'.
type axisFinder map[string][]string

func (f axisFinder) see(scenario string, axes []string, values map[string]string) {
	if _, met := f[scenario]; !met {
		f[scenario] = slices.Clone(axes)
	}
	f[scenario] = slices.DeleteFunc(f[scenario], func(a string) bool { return values[a] != values[tektonAxis] })
}

// withoutRelease takes those axes out of the cells of all sides, so that a cell
// has the same values on every release.
func withoutRelease(sides ...[]Run) [][]Run {
	f := axisFinder{}
	for _, r := range slices.Concat(sides...) {
		f.see(r.Cell.Scenario, r.Cell.Axes, r.Cell.Values)
	}
	var all [][]Run
	for _, runs := range sides {
		out := slices.Clone(runs)
		for i := range out {
			c := &out[i].Cell
			drop := f[c.Scenario]
			c.Axes = slices.DeleteFunc(slices.Clone(c.Axes), func(a string) bool { return slices.Contains(drop, a) })
			c.Values = maps.Clone(c.Values)
			for _, a := range drop {
				delete(c.Values, a)
			}
		}
		all = append(all, out)
	}
	return all
}

// LeftOut is a value of an axis that a review does not play, since all it does is
// to choose a release.
type LeftOut struct {
	Scenario string `json:"scenario"`
	Axis     string `json:"axis"`
	Value    string `json:"value"`
	// Version is the release; it counts as one that may mend a cell.
	Version string `json:"version"`
}

// LeftOutOf lists the values of a scenario's axes that choose a release and that
// none of its cells has, though the axis is there. An axis of nothing but releases
// leaves its place to the releases that are played.
func LeftOutOf(s scenario.Scenario, cells []scenario.Cell) []LeftOut {
	var out []LeftOut
	tells := ReleaseAxes(cells)[s.Metadata.Name]
	for _, axis := range s.Axes {
		if slices.Contains(tells, axis.Name) {
			continue
		}
		for _, v := range axis.Values {
			played := slices.ContainsFunc(cells, func(c scenario.Cell) bool {
				return c.Scenario == s.Metadata.Name && c.Values[axis.Name] == v.Name
			})
			if v.Version != "" && !played {
				out = append(out, LeftOut{Scenario: s.Metadata.Name, Axis: axis.Name, Value: v.Name, Version: scenario.NormalizeVersion(v.Version)})
			}
		}
	}
	return out
}

// Later lists the releases newer than one, oldest first, each once.
func Later(than string, versions ...string) []string {
	out := slices.DeleteFunc(slices.Clone(versions), func(v string) bool { return compareVersions(v, than) <= 0 })
	slices.SortFunc(out, compareVersions)
	return slices.Compact(out)
}

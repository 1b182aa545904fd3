package reports

import (
	"maps"
	"sort"
	"strings"

	"simctl.dev/simctl/sim/verdict"
)

// tektonKey is the key of a cell's values that is always there.
const tektonKey = "tekton"

// group is one scenario's cells.
type group struct {
	name string
	// index are the cells' places in the result, in order.
	index []int
	cells []verdict.Cell
	// axes are those with more than one value, in the scenario's order; values
	// has the values of all axes in the order in which they appear.
	axes   []string
	values map[string][]string
	// fixed are the axes with one value only.
	fixed []string
	// tektonFollows says that the release is no axis and yet not the same
	// everywhere: it follows from another axis.
	tektonFollows bool
	combos        []combo
}

// combo is one combination of values: the cells of its repeats.
type combo struct {
	values map[string]string
	cells  []verdict.Cell
	index  []int
}

// layout groups a result by scenario, in the order of the cells.
func layout(cells []verdict.Cell) []*group {
	byName := map[string]*group{}
	var groups []*group
	for i, c := range cells {
		g := byName[c.Scenario]
		if g == nil {
			g = &group{name: c.Scenario}
			byName[c.Scenario] = g
			groups = append(groups, g)
		}
		g.index = append(g.index, i)
		g.cells = append(g.cells, c)
	}
	for _, g := range groups {
		g.arrange()
	}
	return groups
}

// noValue stands for the value of an axis that a cell is not on.
const noValue = "-"

func (g *group) arrange() {
	names := axisNames(g.cells)
	for i := range g.cells {
		c := &g.cells[i]
		for _, name := range names {
			if _, has := c.Values[name]; !has {
				c.Values = maps.Clone(c.Values)
				if c.Values == nil {
					c.Values = map[string]string{}
				}
				c.Values[name] = noValue
			}
		}
	}
	g.values = map[string][]string{}
	for _, name := range names {
		g.values[name] = distinct(g.cells, name)
	}
	for _, name := range names {
		if len(g.values[name]) > 1 {
			g.axes = append(g.axes, name)
		} else {
			g.fixed = append(g.fixed, name)
		}
	}
	if _, isAxis := g.values[tektonKey]; !isAxis {
		g.values[tektonKey] = distinct(g.cells, tektonKey)
		switch {
		case len(g.values[tektonKey]) == 1:
			g.fixed = append(g.fixed, tektonKey)
		case g.follows(tektonKey):
			g.tektonFollows = true
		default:
			g.axes = append(g.axes, tektonKey)
		}
	}
	at := map[string]int{}
	for i, c := range g.cells {
		k := key(c.Values, append(g.axes[:len(g.axes):len(g.axes)], tektonKey))
		n, ok := at[k]
		if !ok {
			n = len(g.combos)
			at[k] = n
			g.combos = append(g.combos, combo{values: c.Values})
		}
		g.combos[n].cells = append(g.combos[n].cells, c)
		g.combos[n].index = append(g.combos[n].index, g.index[i])
	}
}

// axisNames are the axes that the scenario's cells are on; a result that names
// none has its values'. An upgrade review plays some cells with an axis more.
func axisNames(cells []verdict.Cell) []string {
	names := once(cells, func(c *verdict.Cell) []string { return c.Axes })
	if len(names) > 0 {
		return names
	}
	for name := range cells[0].Values {
		if name != tektonKey {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	return names
}

func distinct(cells []verdict.Cell, name string) []string {
	var out []string
	seen := map[string]bool{}
	for _, c := range cells {
		if v := c.Values[name]; !seen[v] {
			seen[v] = true
			out = append(out, v)
		}
	}
	return out
}

// follows says that the axes' values decide the value of name.
func (g *group) follows(name string) bool {
	seen := map[string]string{}
	for _, c := range g.cells {
		k := key(c.Values, g.axes)
		if v, ok := seen[k]; ok && v != c.Values[name] {
			return false
		}
		seen[k] = c.Values[name]
	}
	return true
}

// key joins the values of some axes so that they can be compared.
func key(values map[string]string, names []string) string {
	var b strings.Builder
	for _, n := range names {
		b.WriteString(valueOf(values, n))
		b.WriteByte(0)
	}
	return b.String()
}

// valueOf returns a value, or what stands for one.
func valueOf(values map[string]string, name string) string {
	if v, has := values[name]; has {
		return v
	}
	return noValue
}

// describe names a set of the group's cells by their values, in as few lines
// as it takes: "accessMode=RWO|RWX, taints=gpu". Axes that do not matter to the
// set are left out; a set of all cells is "all".
func (g *group) describe(cells []verdict.Cell) []string {
	type box map[string]map[string]bool
	var boxes []box
	seen := map[string]bool{}
	for _, c := range cells {
		k := key(c.Values, g.axes)
		if seen[k] {
			continue
		}
		seen[k] = true
		b := box{}
		for _, a := range g.axes {
			b[a] = map[string]bool{valueOf(c.Values, a): true}
		}
		boxes = append(boxes, b)
	}
	equal := func(x, y map[string]bool) bool {
		if len(x) != len(y) {
			return false
		}
		for k := range x {
			if !y[k] {
				return false
			}
		}
		return true
	}
	// Two boxes that differ along one axis only are one box.
	for merged := true; merged; {
		merged = false
		for i := 0; i < len(boxes) && !merged; i++ {
			for j := i + 1; j < len(boxes) && !merged; j++ {
				differ := ""
				n := 0
				for _, a := range g.axes {
					if !equal(boxes[i][a], boxes[j][a]) {
						differ = a
						n++
					}
				}
				if n != 1 {
					continue
				}
				for v := range boxes[j][differ] {
					boxes[i][differ][v] = true
				}
				boxes = append(boxes[:j], boxes[j+1:]...)
				merged = true
			}
		}
	}
	// What an axis says is left out where it keeps no cell away: all values, or
	// those of the only combinations there are.
	inside := func(b box, c combo) bool {
		for _, a := range g.axes {
			if b[a] != nil && !b[a][c.values[a]] {
				return false
			}
		}
		return true
	}
	covered := map[string]bool{}
	var out []string
	for _, b := range boxes {
		news := false
		for _, c := range g.combos {
			if k := key(c.values, g.axes); inside(b, c) && !covered[k] {
				news = true
			}
		}
		if !news {
			continue
		}
		for _, a := range g.axes {
			was := b[a]
			delete(b, a)
			for _, c := range g.combos {
				if inside(b, c) && !seen[key(c.values, g.axes)] {
					b[a] = was
					break
				}
			}
		}
		for _, c := range g.combos {
			if inside(b, c) {
				covered[key(c.values, g.axes)] = true
			}
		}
		var parts []string
		for _, a := range g.axes {
			if b[a] == nil {
				continue
			}
			var vs []string
			for _, v := range g.values[a] {
				if b[a][v] {
					vs = append(vs, v)
				}
			}
			parts = append(parts, a+"="+strings.Join(vs, "|"))
		}
		if len(parts) == 0 {
			parts = []string{"all"}
		}
		out = append(out, strings.Join(parts, ", "))
	}
	return out
}

// title is the scenario's name with what is the same in all of its cells.
func (g *group) title(s style) string {
	var parts []string
	for _, name := range g.fixed {
		if v := g.values[name][0]; v != "" {
			parts = append(parts, name+" "+v)
		}
	}
	t := s.head(g.name)
	if len(parts) > 0 {
		t += s.dim("  " + strings.Join(parts, ", "))
	}
	return t
}

func (g *group) repeats() bool {
	return len(g.cells) > len(g.combos)
}

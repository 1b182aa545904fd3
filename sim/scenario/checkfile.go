package scenario

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"simctl.dev/simctl/sim/internal/tree"
	"simctl.dev/simctl/sim/releases"
)

// check checks all of a scenario file; what is wrong goes to its document.
func (f *File) check() {
	s := f.Scenario
	s.Axes, s.Include, s.Exclude, s.Expect = nil, nil, nil, nil
	base, err := json.Marshal(s)
	if err != nil {
		f.doc.problems = append(f.doc.problems, &Problem{File: f.Path, Message: err.Error()})
		return
	}
	f.base = base

	c := &checker{}
	c.head(&f.Scenario)
	f.axes(c)
	f.selectors(c)
	f.place(c.issues)

	if len(f.doc.problems) == 0 {
		f.cells()
		return
	}
	// With the axes or fields in doubt, only what the file says without them
	// can be checked. What an axis may give is not missing then.
	spec, _ := f.assemble(nil)
	if spec.Tekton.Version == "" && len(f.Scenario.Axes) > 0 {
		spec.Tekton.Version = releases.BuiltIn
	}
	_, issues := f.evaluate(spec)
	f.place(issues)
}

// place adds issues as problems where they stand in the file, but for those
// that only follow from problems there already.
func (f *File) place(issues []issue) {
	for _, is := range issues {
		if is.at != nil {
			f.doc.problems = append(f.doc.problems, is.at)
			continue
		}
		if f.doc.silent(is.path) || (is.path == "cluster.nodePools" && f.doc.brokenBelow(is.path)) {
			continue
		}
		at := f.doc.at(is.path)
		f.doc.problems = append(f.doc.problems, &Problem{File: f.Path, Line: at.line, Column: at.column, Message: is.message})
	}
}

// axes checks the axes by themselves.
func (f *File) axes(c *checker) {
	seen := map[string]bool{}
	for i, a := range f.Scenario.Axes {
		at := fmt.Sprintf("axes[%d]", i)
		switch {
		case a.Name == "":
			c.add(at+".name", "%s has no name", at)
		case seen[a.Name]:
			c.add(at+".name", "axis %q is given twice; rename one or put their values together", a.Name)
		case strings.ContainsAny(a.Name, "=,"):
			c.add(at+".name", "axis name %q must not have = or , in it", a.Name)
		}
		seen[a.Name] = true
		if len(a.Values) == 0 && !f.doc.silent(at+".values") {
			c.add(at+".values", "axis %q has no values; give it some or remove it", a.Name)
		}
		values := map[string]bool{}
		for j := range a.Values {
			v := &f.Scenario.Axes[i].Values[j]
			where := fmt.Sprintf("%s.values[%d]", at, j)
			if a.Name == TektonAxis && v.Version != "" {
				v.Name = NormalizeVersion(v.Name)
				if v.Name != NormalizeVersion(v.Version) {
					c.add(where+".name", "a value of the axis tekton is named for its version, and %q is not %q; rename it, or the axis", v.Name, v.Version)
				}
			}
			switch {
			case v.Name == "":
				c.add(where+".name", "%s has no name", where)
			case values[v.Name]:
				c.add(where+".name", "axis %q has the value %q twice; rename or remove one", a.Name, v.Name)
			case strings.Contains(v.Name, ","):
				c.add(where+".name", "value name %q must not have , in it", v.Name)
			}
			values[v.Name] = true
			f.twice(c, where, v)
		}
	}
	if n := count(f.dimensions()); n > maxCombinations {
		c.add("axes", "the axes have more than %d combinations; take values out or make several scenarios", maxCombinations)
	}
}

// twice finds what a value sets both by shorthand and by patch.
func (f *File) twice(c *checker, at string, v *Value) {
	if len(v.Patch) == 0 {
		return
	}
	patch, err := decodeObject(v.Patch)
	if err != nil {
		return // reported as a field
	}
	set := func(what string, given bool, path ...string) {
		if given && tree.Get(patch, path...) != nil {
			c.add(at+".patch."+strings.Join(path, "."), "value %q sets %s twice, as %s and in its patch; remove one", v.Name, strings.Join(path, "."), what)
		}
	}
	set("version", v.Version != "", "tekton", "version")
	for _, key := range sortedKeys(v.Flags) {
		set("flags", true, "tekton", "flags", key)
	}
	set("taints", len(v.Taints) > 0, "cluster", "nodePools")
	overrides := []string{"workload", "overrides"}
	for _, o := range []struct {
		shorthand, field string
		given            bool
	}{
		{"accessMode", "accessMode", v.AccessMode != ""},
		{"storageClass", "storageClass", v.StorageClass != ""},
		{"claim", "claim", v.Claim != ""},
		{"tolerations", "tolerations", v.Tolerations != nil},
		{"serviceAccount", "serviceAccountName", v.ServiceAccount != ""},
	} {
		set(o.shorthand, o.given, append(slices.Clone(overrides), o.field)...)
	}
	for _, key := range sortedKeys(v.SecurityContext) {
		set("securityContext", true, append(slices.Clone(overrides), "securityContext", key)...)
	}
}

// selectors checks that include, exclude and expect name what there is.
func (f *File) selectors(c *checker) {
	axes := map[string][]string{TektonAxis: f.versions()}
	axisNames := []string{}
	for _, a := range f.Scenario.Axes {
		axisNames = append(axisNames, a.Name)
		if a.Name == TektonAxis {
			continue
		}
		for _, v := range a.Values {
			axes[a.Name] = append(axes[a.Name], v.Name)
		}
	}
	if !slices.Contains(axisNames, TektonAxis) {
		axisNames = append(axisNames, TektonAxis)
	}
	check := func(at string, s Selector) {
		for _, axis := range sortedKeys(s) {
			values, ok := axes[axis]
			if !ok {
				c.add(at+"."+axis, "unknown axis %q%s", axis, Suggest(axis, axisNames))
				continue
			}
			if len(s[axis]) == 0 {
				c.add(at+"."+axis, "no value of axis %q is named, so nothing matches", axis)
			}
			for i, want := range s[axis] {
				if !slices.ContainsFunc(values, func(v string) bool { return sameValue(axis, want, v) }) && !f.doc.silent("axes") {
					where := fmt.Sprintf("%s.%s[%d]", at, axis, i)
					if axis == TektonAxis {
						c.add(where, "no cell runs on Tekton %q%s", want, Suggest(want, values))
					} else {
						c.add(where, "axis %q has no value %q%s", axis, want, Suggest(want, values))
					}
				}
			}
		}
	}
	for i, s := range f.Scenario.Include {
		at := fmt.Sprintf("include[%d]", i)
		if len(s) == 0 {
			c.add(at, "an empty selector includes everything; remove it")
		}
		check(at, s)
	}
	for i, s := range f.Scenario.Exclude {
		at := fmt.Sprintf("exclude[%d]", i)
		if len(s) == 0 {
			c.add(at, "an empty selector excludes everything; remove it")
		}
		check(at, s)
	}
	for i, e := range f.Scenario.Expect {
		at := fmt.Sprintf("expect[%d]", i)
		if len(e.Outcome) == 0 {
			c.add(at+".outcome", "%s has no outcome", at)
		}
		for _, o := range e.Outcome {
			c.choice(at+".outcome", "outcome", o, outcomes())
		}
		check(at+".when", e.When)
	}
}

// versions are the Tekton versions that a cell of the file can have.
func (f *File) versions() []string {
	var out []string
	add := func(v string) {
		if v = NormalizeVersion(v); v != "" && !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	add(f.Scenario.Tekton.Version)
	for _, a := range f.Scenario.Axes {
		for _, v := range a.Values {
			add(v.Version)
			var patch struct {
				Tekton struct {
					Version string `json:"version"`
				} `json:"tekton"`
			}
			if len(v.Patch) > 0 && json.Unmarshal(v.Patch, &patch) == nil {
				add(patch.Tekton.Version)
			}
		}
	}
	return out
}

// cells checks every combination, and that each axis and expectation matters.
func (f *File) cells() {
	dims := f.dimensions()
	var problems []*Problem
	known := map[string]bool{}
	expected := make([]bool, len(f.Scenario.Expect))
	views := map[string][]view{} // by axis name: each cell's others and its content
	left, openshift := 0, false
	for _, c := range f.combinations(dims) {
		spec, issues := f.assemble(c)
		values := valuesOf(dims, c, spec)
		if len(issues) == 0 && !f.wanted(values) {
			continue
		}
		left++
		openshift = openshift || spec.Cluster.OpenShift.Enabled
		for i, e := range f.Scenario.Expect {
			expected[i] = expected[i] || e.When.matches(values)
		}
		objects, more := f.evaluate(spec)
		var fresh []issue
		for _, is := range append(issues, more...) {
			id := is.path + "\x00" + is.message
			if is.at != nil {
				id = is.at.Error()
			}
			if !known[id] {
				known[id] = true
				fresh = append(fresh, is)
			}
		}
		problems = append(problems, f.attribute(c, fresh)...)
		for i, d := range dims {
			views[d.name] = append(views[d.name], view{
				others:  others(dims, c, i),
				content: contentOf(spec, objects),
				without: slices.Delete(slices.Clone(c), i, i+1),
			})
		}
	}
	f.doc.problems = append(f.doc.problems, problems...)
	if len(problems) > 0 {
		return
	}
	if left == 0 {
		path := "exclude"
		if !f.doc.has(path) {
			path = "include"
		}
		f.place([]issue{issuef(path, "include and exclude leave no cell; take something out of them")})
		return
	}
	for i, d := range dims {
		if !f.matters(views[d.name]) {
			what := "its values all give the same cell"
			if len(d.values) == 1 {
				what = "its one value gives the cell that is there without it"
			}
			f.place([]issue{issuef(fmt.Sprintf("axes[%d]", i),
				"axis %q changes nothing: %s; remove it, or write into its values what they change", d.name, what)})
		}
	}
	for i, matched := range expected {
		if !matched {
			f.place([]issue{issuef(fmt.Sprintf("expect[%d]", i), "this expectation matches no cell that include and exclude leave; remove it or change its `when`")})
		}
	}
	o := f.Scenario.Cluster.OpenShift
	if !openshift && (o.UIDRange != "" || o.SupplementalGroups != "" || len(o.Grants) > 0 || o.PipelinesSCC != nil) {
		f.place([]issue{issuef("cluster.openshift", "OpenShift is off in every cell, so what cluster.openshift says has no effect; set enabled: true or remove it")})
	}
}

// view is what a cell looks like to one of its axes.
type view struct {
	// others are the values of the other axes, content what the cell runs.
	others, content string
	without         []choice
}

func others(dims []dimension, c []choice, without int) string {
	var b strings.Builder
	for i := range dims {
		if i != without {
			b.WriteString(c[i].Name)
			b.WriteByte(0)
		}
	}
	return b.String()
}

// matters reports whether an axis changes any cell: two cells that differ in
// its value alone run different things. Where include and exclude leave no such
// two, a cell is held against the one that it would be without the axis.
func (f *File) matters(views []view) bool {
	groups := map[string]string{}
	pairs := false
	for _, p := range views {
		if content, ok := groups[p.others]; ok {
			if content != p.content {
				return true
			}
			pairs = true
		}
		groups[p.others] = p.content
	}
	if pairs {
		return false
	}
	return slices.ContainsFunc(views, func(p view) bool {
		spec, _ := f.assemble(p.without)
		objects, _ := f.evaluate(spec)
		return contentOf(spec, objects) != p.content
	})
}

package scenario

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"simctl.dev/simctl/sim/releases"
)

// maxCombinations bounds the combinations of one scenario: more of them are a
// slip, and would not end.
const maxCombinations = 100_000

// Options change what cells a scenario has.
type Options struct {
	// Versions are Tekton versions that every combination is run on, in place
	// of those that the file names.
	Versions []string
	// Set keeps, of the axis it names, only the values it names. An axis that
	// the file does not have is added if its name is a shorthand's.
	Set map[string][]string
	// Extra are axes varied after the file's own, so that what they change is put
	// upon what those set.
	Extra []Axis
	// Seed and Repeats replace the file's.
	Seed    *int64
	Repeats *int
}

// Expand returns the cells of several scenarios, in their order. An axis that
// opts.Set names must be in one of them at least, or be a shorthand's.
func Expand(files []*File, opts Options) ([]Cell, error) {
	var errs []error
	for _, name := range sortedKeys(opts.Set) {
		if err := knownAxis(files, name); err != nil {
			errs = append(errs, err)
		}
	}
	if _, err := releases.ParseAll(versionWords(files, opts)); err != nil {
		errs = append(errs, err)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	var cells []Cell
	for _, f := range files {
		own := opts
		own.Set = map[string][]string{}
		for name, values := range opts.Set {
			if f.axis(name) != nil || slices.Contains(shorthandNames(), name) {
				own.Set[name] = values
			}
		}
		c, err := f.Cells(own)
		if err != nil {
			errs = append(errs, err)
		}
		cells = append(cells, c...)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return cells, nil
}

// versionWords are what the options call releases, but for the names of axis values.
func versionWords(files []*File, opts Options) []string {
	words := slices.Clone(opts.Versions)
	for _, axis := range []string{TektonAxis, "version"} {
		var values []Value
		for _, f := range files {
			if a := f.axis(axis); a != nil {
				values = append(values, a.Values...)
			}
		}
		for _, w := range opts.Set[axis] {
			if !slices.ContainsFunc(values, func(v Value) bool { return v.Name == w }) {
				words = append(words, w)
			}
		}
	}
	return words
}

func knownAxis(files []*File, name string) error {
	if slices.Contains(shorthandNames(), name) {
		return nil
	}
	var names []string
	for _, f := range files {
		if f.axis(name) != nil {
			return nil
		}
		for _, a := range f.Scenario.Axes {
			if !slices.Contains(names, a.Name) {
				names = append(names, a.Name)
			}
		}
	}
	near := Suggest(name, names)
	if nearest(name, names) == "" && nearest(name, shorthandNames()) != "" {
		near = Suggest(name, shorthandNames())
	}
	return fmt.Errorf("unknown axis %q%s", name, near)
}

// axis returns the file's axis of a name; nil if there is none.
func (f *File) axis(name string) *Axis {
	for i := range f.Scenario.Axes {
		if f.Scenario.Axes[i].Name == name {
			return &f.Scenario.Axes[i]
		}
	}
	return nil
}

// dimension is an axis as it is varied: with the values that the options leave
// or give it.
type dimension struct {
	name   string
	values []choice
	// forced is put upon what the other axes set.
	forced bool
}

// choice is one value of a dimension and its path in the file; "" if it is not
// from there.
type choice struct {
	Value
	path   string
	forced bool
}

func (f *File) dimensions() []dimension {
	var dims []dimension
	for i, a := range f.Scenario.Axes {
		d := dimension{name: a.Name}
		for j, v := range a.Values {
			d.values = append(d.values, choice{Value: v, path: fmt.Sprintf("axes[%d].values[%d]", i, j)})
		}
		dims = append(dims, d)
	}
	return dims
}

// Cells returns every combination of the axes' values that include and exclude
// leave, each as often as it is repeated, in the order of the axes, the last
// one and the repeats fastest. What the options cause to be wrong is an error.
func (f *File) Cells(opts Options) ([]Cell, error) {
	dims, err := f.vary(opts)
	if err != nil {
		return nil, err
	}
	repeats := max(f.Scenario.Repeats, 1)
	if opts.Repeats != nil {
		if repeats = *opts.Repeats; repeats < 1 {
			return nil, &Problem{File: f.Path, Message: fmt.Sprintf("repeats is %d and must be at least 1", repeats)}
		}
	}
	var cells []Cell
	var problems []*Problem
	for _, c := range f.combinations(dims) {
		spec, issues := f.assemble(c)
		values := valuesOf(dims, c, spec)
		if len(issues) == 0 && !f.wanted(values) {
			continue
		}
		b, more := f.evaluate(spec)
		if issues = append(issues, more...); len(issues) > 0 {
			problems = append(problems, f.attribute(c, issues)...)
			continue
		}
		f.finish(spec, opts.Seed)
		spec.Repeats = repeats
		cell := f.cell(dims, values, spec, b)
		for r := range repeats {
			cell.Repeat = r
			cells = append(cells, cell)
		}
	}
	if len(problems) > 0 {
		return nil, join(problems)
	}
	if len(cells) == 0 {
		return nil, &Problem{File: f.Path, Message: "no cell is left: include, exclude and the values asked for leave none"}
	}
	return cells, nil
}

// cell is the first cell of a combination.
func (f *File) cell(dims []dimension, values map[string]string, spec *Scenario, b built) Cell {
	return Cell{
		Scenario: f.Scenario.Metadata.Name, File: f.Path, Values: values, Axes: names(dims),
		Spec: *spec, Expected: f.expected(values), Objects: b.objects, Remotes: b.remotes, MadeUp: madeUp(b.objects),
		from: &origins{file: f.Path, doc: f.doc, objects: b.sources, remotes: b.remoteSources, tasks: b.tasks},
	}
}

// finish puts the defaults into a cell's scenario that have one place only.
func (f *File) finish(s *Scenario, seed *int64) {
	s.Tekton.Version = NormalizeVersion(s.Tekton.Version)
	s.Workload.Namespace = cmp.Or(s.Workload.Namespace, DefaultNamespace)
	s.Seed = cmp.Or(s.Seed, 1)
	if seed != nil {
		s.Seed = *seed
	}
	for i := range s.Interventions {
		f.finishIntervention(s, i)
	}
}

// vary applies the options to the axes.
func (f *File) vary(opts Options) ([]dimension, error) {
	dims := f.dimensions()
	for _, a := range opts.Extra {
		d := dimension{name: a.Name}
		for _, v := range a.Values {
			d.values = append(d.values, choice{Value: v})
		}
		dims = append(dims, d)
	}
	var errs []error
	fail := func(format string, args ...any) {
		errs = append(errs, &Problem{File: f.Path, Message: fmt.Sprintf(format, args...)})
	}
	versions := opts.Versions
	for _, name := range sortedKeys(opts.Set) {
		want := opts.Set[name]
		if len(want) == 0 {
			fail("axis %q is asked for with no value", name)
			continue
		}
		i := slices.IndexFunc(dims, func(d dimension) bool { return d.name == name })
		if i < 0 && (name == TektonAxis || name == "version") {
			if len(opts.Versions) > 0 {
				fail("the Tekton versions are asked for twice, as versions and as axis %q; remove one", name)
			}
			versions = want
			continue
		}
		if i < 0 {
			added, err := addedDimension(name, want)
			if err != nil {
				fail("%v", f.noAxis(name))
				continue
			}
			dims = append(dims, added)
			continue
		}
		var kept []choice
		var have []string
		for _, c := range dims[i].values {
			have = append(have, c.Name)
			if slices.ContainsFunc(want, func(w string) bool { return sameValue(name, w, c.Name) }) {
				kept = append(kept, c)
			}
		}
		for _, w := range want {
			if !slices.ContainsFunc(have, func(h string) bool { return sameValue(name, w, h) }) {
				fail("axis %q has no value %q%s", name, w, Suggest(w, have))
			}
		}
		dims[i].values = kept
	}
	if len(versions) > 0 {
		var err error
		if dims, err = force(dims, versions); err != nil {
			fail("%v", err)
		}
	}
	return dims, errors.Join(errs...)
}

func (f *File) noAxis(name string) error { return knownAxis([]*File{f}, name) }

func addedDimension(name string, values []string) (dimension, error) {
	d := dimension{name: name}
	for _, text := range values {
		v, err := shorthand(name, text)
		if err != nil {
			return d, err
		}
		d.values = append(d.values, choice{Value: v})
	}
	return d, nil
}

func sameValue(axis, a, b string) bool {
	if axis == TektonAxis || axis == "version" {
		a, b = NormalizeVersion(a), NormalizeVersion(b)
	}
	return a == b
}

// force has every combination run on the versions. They take the place of an
// axis that only chooses the release; among other values, those that do nothing
// else are left out.
func force(dims []dimension, versions []string) ([]dimension, error) {
	added := dimension{name: TektonAxis, forced: true}
	for _, text := range versions {
		v, err := shorthand(TektonAxis, text)
		if err == nil {
			err = checkVersion(v.Version)
		}
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(added.values, func(c choice) bool { return c.Name == v.Name }) {
			added.values = append(added.values, choice{Value: v, forced: true})
		}
	}
	var out []dimension
	placed := false
	for _, d := range dims {
		d.values = slices.DeleteFunc(slices.Clone(d.values), func(c choice) bool { return onlyVersion(&c.Value) })
		if len(d.values) > 0 {
			out = append(out, d)
			continue
		}
		if !placed {
			added.name, placed = d.name, true
			out = append(out, added)
		}
	}
	if !placed {
		out = append([]dimension{added}, out...)
	}
	return out, nil
}

// onlyVersion reports whether all that a value does is to choose the release.
func onlyVersion(v *Value) bool {
	rest := *v
	rest.Name, rest.Version, rest.Patch = "", "", nil
	data, err := json.Marshal(rest)
	if err != nil || string(data) != `{"name":""}` {
		return false
	}
	if len(v.Patch) == 0 {
		return v.Version != ""
	}
	var patch map[string]map[string]any
	if json.Unmarshal(v.Patch, &patch) != nil {
		return false
	}
	return len(patch) == 1 && len(patch["tekton"]) == 1 && patch["tekton"]["version"] != nil
}

func names(dims []dimension) []string {
	out := make([]string, len(dims))
	for i, d := range dims {
		out[i] = d.name
	}
	return out
}

func count(dims []dimension) int {
	n := 1
	for _, d := range dims {
		if n *= len(d.values); n > maxCombinations {
			return n
		}
	}
	return n
}

// combinations lists the product of the dimensions, the last one fastest.
func (f *File) combinations(dims []dimension) [][]choice {
	out := [][]choice{{}}
	for _, d := range dims {
		next := make([][]choice, 0, len(out)*len(d.values))
		for _, c := range out {
			for _, v := range d.values {
				next = append(next, append(slices.Clone(c), v))
			}
		}
		out = next
	}
	return out
}

func valuesOf(dims []dimension, c []choice, spec *Scenario) map[string]string {
	values := map[string]string{}
	for i, d := range dims {
		values[d.name] = c[i].Name
	}
	values[TektonAxis] = NormalizeVersion(spec.Tekton.Version)
	return values
}

// assemble applies values to the scenario, forced ones last.
func (f *File) assemble(c []choice) (*Scenario, []issue) {
	s := &Scenario{}
	var issues []issue
	if err := json.Unmarshal(f.base, s); err != nil {
		panic(fmt.Sprintf("a scenario just written is not read: %v", err))
	}
	for _, forced := range []bool{false, true} {
		for i := range c {
			if c[i].forced != forced {
				continue
			}
			next, more := apply(s, &c[i])
			s = next
			issues = append(issues, more...)
		}
	}
	return s, issues
}

// apply applies one value: its shorthands, then its patch.
func apply(s *Scenario, c *choice) (*Scenario, []issue) {
	var issues []issue
	if c.Version != "" {
		s.Tekton.Version = c.Version
	}
	for k, v := range c.Flags {
		if s.Tekton.Flags == nil {
			s.Tekton.Flags = map[string]string{}
		}
		s.Tekton.Flags[k] = v
	}
	for _, pool := range sortedKeys(c.Taints) {
		found := false
		var pools []string
		for i := range s.Cluster.NodePools {
			pools = append(pools, s.Cluster.NodePools[i].Name)
			if s.Cluster.NodePools[i].Name == pool {
				s.Cluster.NodePools[i].Taints = c.Taints[pool]
				found = true
			}
		}
		if !found {
			issues = append(issues, issuef(c.path+".taints."+pool, "taints are given for node pool %q, which the cluster does not have%s", pool, Suggest(pool, pools)))
		}
	}
	o := &s.Workload.Overrides
	o.AccessMode = cmp.Or(c.AccessMode, o.AccessMode)
	o.StorageClass = cmp.Or(c.StorageClass, o.StorageClass)
	o.Claim = cmp.Or(c.Claim, o.Claim)
	o.ServiceAccountName = cmp.Or(c.ServiceAccount, o.ServiceAccountName)
	if c.Tolerations != nil {
		o.Tolerations = c.Tolerations
	}
	for k, v := range c.SecurityContext {
		if o.SecurityContext == nil {
			o.SecurityContext = map[string]json.RawMessage{}
		}
		o.SecurityContext[k] = v
	}
	if len(c.Patch) == 0 {
		return s, issues
	}
	merged := &Scenario{}
	patch, err := decodeObject(c.Patch)
	if err == nil {
		var doc []byte
		if doc, err = json.Marshal(merge(plain(s), patch)); err == nil {
			err = json.Unmarshal(doc, merged)
		}
	}
	if err != nil {
		return s, append(issues, issuef(c.path+".patch", "the patch does not apply: %v", err))
	}
	return merged, issues
}

// evaluate returns a spec's objects and what is wrong with the spec or them.
func (f *File) evaluate(spec *Scenario) (built, []issue) {
	c := &checker{}
	c.spec(spec)
	b, issues := f.build(spec)
	return b, append(c.issues, issues...)
}

// attribute gives the issues of a combination their places: in the scenario as
// such if it has them by itself, else in the value that brings them in.
func (f *File) attribute(c []choice, issues []issue) []*Problem {
	var problems []*Problem
	place := func(path, message string) {
		at := f.doc.at(path)
		problems = append(problems, &Problem{File: f.Path, Line: at.line, Column: at.column, Message: message})
	}
	for _, is := range issues {
		switch {
		case is.at != nil:
			problems = append(problems, is.at)
		case strings.HasPrefix(is.path, "axes["):
			place(is.path, is.message)
		default:
			place(f.origin(c, is), is.message)
		}
	}
	return problems
}

// origin returns the path that an issue is best shown at.
func (f *File) origin(c []choice, is issue) string {
	has := func(n int) bool {
		spec, _ := f.assemble(c[:n])
		_, issues := f.evaluate(spec)
		return slices.ContainsFunc(issues, func(o issue) bool { return o.path == is.path && o.message == is.message })
	}
	if has(0) {
		return is.path
	}
	for i := range c {
		if c[i].path == "" || !has(i+1) {
			continue
		}
		if p := c[i].path + ".patch." + is.path; f.doc.has(c[i].path + ".patch") {
			return p
		}
		last := is.path[strings.LastIndexAny(is.path, ".")+1:]
		return c[i].path + "." + last
	}
	return is.path
}

// wanted reports whether include and exclude leave the combination.
func (f *File) wanted(values map[string]string) bool {
	matches := func(s Selector) bool { return s.matches(values) }
	return (len(f.Scenario.Include) == 0 || slices.ContainsFunc(f.Scenario.Include, matches)) &&
		!slices.ContainsFunc(f.Scenario.Exclude, matches)
}

func (s Selector) matches(values map[string]string) bool {
	for axis, want := range s {
		if !slices.ContainsFunc(want, func(w string) bool { return sameValue(axis, w, values[axis]) }) {
			return false
		}
	}
	return true
}

// expected returns the last expectation that matches.
func (f *File) expected(values map[string]string) *Expectation {
	for i := len(f.Scenario.Expect) - 1; i >= 0; i-- {
		if f.Scenario.Expect[i].When.matches(values) {
			e := f.Scenario.Expect[i]
			return &e
		}
	}
	return nil
}

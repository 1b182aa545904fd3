package evidence

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"simctl.dev/simctl/reports"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/releases"
	"simctl.dev/simctl/sim/verdict"
)

// Who has to make a change, in order of how little it touches.
const (
	scopeRun      = "the owner of the pipeline"
	scopeCluster  = "a cluster admin"
	scopeOperator = "the owner of the Tekton operator"
	scopeMatrix   = "whoever owns what the axis changes"
)

var scopes = []string{scopeRun, scopeCluster, scopeOperator, scopeMatrix}

// neighbours returns those cells of a scenario that differ from one of them in the
// values of n axes, each with the moves that lead there.
func (s *Scenario) neighbours(c *Cell, n int) []neighbour {
	var out []neighbour
	for _, other := range s.Cells {
		if other == c || other.Result.Repeat != c.Result.Repeat {
			continue
		}
		var moves []Move
		for i, a := range s.Axes {
			if c.Values[i] != other.Values[i] {
				moves = append(moves, Move{Axis: a.Name, From: c.Values[i], To: other.Values[i], at: i})
			}
		}
		if len(moves) == n {
			out = append(out, neighbour{other, moves})
		}
	}
	return out
}

type neighbour struct {
	cell  *Cell
	moves []Move
}

// findChanges looks for what mends a cause, what ends at a price, and what makes
// no difference. Several values are changed together only where fewer do not mend
// it.
func (b *builder) findChanges(s *Scenario, cause *Cause) {
	base := cause.first(s)
	// Where runs stop for good, what only costs time can wait.
	if base == nil || cause.Outcome == verdict.Error || !cause.Fatal && s.stops() {
		return
	}
	var mends, prices []*Change
	for n := 1; n <= len(s.Axes) && len(mends) == 0; n++ {
		var dear []*Change
		for _, other := range s.neighbours(base, n) {
			d := compare(base.spec, other.cell.spec)
			done := other.cell.Result.MakespanSeconds != nil && other.cell.Result.Outcome != verdict.Error
			switch {
			case other.cell.Cause == cause:
				if n == 1 {
					cause.RuledOut = append(cause.RuledOut, RuledOut{Move: other.moves[0], What: d.words(other.moves), Base: base, Proof: other.cell})
				}
			case done && (cause.Fatal || other.cell.Result.Outcome == verdict.Success):
				c := &Change{Cause: cause, Moves: other.moves, Base: base, Proof: other.cell,
					What: d.words(other.moves), Scope: d.scope()}
				b.pairs(s, c)
				b.patches(c, d)
				b.consequences(c, d)
				if other.cell.Result.Outcome == verdict.Success {
					mends = append(mends, c)
				} else {
					dear = append(dear, c)
				}
			}
		}
		if len(prices) == 0 {
			prices = dear
		}
	}
	for _, list := range [][]*Change{mends, prices} {
		slices.SortStableFunc(list, func(x, y *Change) int {
			return cmp.Or(cmp.Compare(slices.Index(scopes, x.Scope), slices.Index(scopes, y.Scope)),
				cmp.Compare(len(x.Worse), len(y.Worse)))
		})
	}
	b.r.Changes = append(b.r.Changes, mends...)
	b.r.Alternatives = append(b.r.Alternatives, prices...)
}

// stops says that some runs of the scenario do not do their work.
func (s *Scenario) stops() bool {
	return slices.ContainsFunc(s.Cells, func(c *Cell) bool { return c.Cause != nil && c.Cause.Fatal })
}

// first returns the cause's first cell in a scenario.
func (c *Cause) first(s *Scenario) *Cell {
	for _, cell := range c.Cells {
		if slices.Contains(s.Cells, cell) {
			return cell
		}
	}
	return nil
}

// pairs finds every pair of cells that differ by this change alone.
func (b *builder) pairs(s *Scenario, c *Change) {
	key := func(cell *Cell) string {
		values := slices.Clone(cell.Values)
		for _, m := range c.Moves {
			values[m.at] = ""
		}
		return fmt.Sprintf("%q %d", values, cell.Result.Repeat)
	}
	has := func(cell *Cell, value func(Move) string) bool {
		return !slices.ContainsFunc(c.Moves, func(m Move) bool { return cell.Values[m.at] != value(m) })
	}
	after := map[string]*Cell{}
	for _, cell := range s.Cells {
		if has(cell, func(m Move) string { return m.To }) {
			after[key(cell)] = cell
		}
	}
	for _, cell := range s.Cells {
		other := after[key(cell)]
		if other == nil || !has(cell, func(m Move) string { return m.From }) {
			continue
		}
		p := Pair{cell, other}
		x, y := rankOf(cell), rankOf(other)
		switch {
		case cell.Cause == c.Cause && y < x:
			c.Proofs = append(c.Proofs, p)
		case y > x:
			c.Worse = append(c.Worse, p)
		default:
			c.Same = append(c.Same, p)
		}
	}
}

// rankOf orders cells by how well they came out.
func rankOf(c *Cell) int {
	switch {
	case c.Result.Outcome == verdict.Success:
		return 0
	case c.Result.MakespanSeconds != nil:
		return 1
	}
	return 2
}

// scope says who has to make a change.
func (d delta) scope() string {
	switch {
	case d.version != nil:
		return scopeOperator
	case len(d.flags) > 0 || len(d.defaults) > 0 || !d.cluster.same():
		return scopeCluster
	case len(d.objects) > 0:
		return scopeRun
	}
	return scopeMatrix
}

func (b *builder) patches(c *Change, d delta) {
	ns, cli := b.tektonNamespace(c.Base), b.cli(c.Base)
	if len(d.flags) > 0 {
		fragment := func(which int, of func(map[string][2]string, int) map[string]any) string {
			return asYAML(withoutNil(of(d.flags, which)))
		}
		line := func(object string, of func(map[string][2]string, int) map[string]any, which int) string {
			return fmt.Sprintf("%s patch %s --type merge -p %s", cli, object, quote(asJSON(of(d.flags, which))))
		}
		config := "tektonconfig config"
		flags := "configmap feature-flags -n " + ns
		c.Patches = append(c.Patches, Patch{Title: "TektonConfig config (where the operator manages Tekton; it renders the ConfigMap)",
			Command: line(config, tektonConfigPatch, 1), Undo: line(config, tektonConfigPatch, 0), Format: "yaml",
			Before: fragment(0, tektonConfigPatch), After: fragment(1, tektonConfigPatch),
			apply: &toApply{object: "tektonconfig", line: live(cli, config), body: tektonConfigPatch(d.flags, 1)}},
			Patch{Title: fmt.Sprintf("ConfigMap %s/feature-flags (without an operator; one would undo it)", ns),
				Command: line(flags, configMapPatch, 1), Undo: line(flags, configMapPatch, 0), Format: "yaml",
				Before: fragment(0, configMapPatch), After: fragment(1, configMapPatch),
				apply: &toApply{object: "configmap-feature-flags", line: live(cli, flags), body: configMapPatch(d.flags, 1)}})
	}
	if len(d.defaults) > 0 {
		object := "configmap config-defaults -n " + ns
		c.Patches = append(c.Patches, Patch{Title: "ConfigMap " + ns + "/config-defaults", Format: "yaml",
			Command: cli + " patch " + object + " --type merge -p " + quote(asJSON(configMapPatch(d.defaults, 1))),
			Undo:    cli + " patch " + object + " --type merge -p " + quote(asJSON(configMapPatch(d.defaults, 0))),
			Before:  asYAML(withoutNil(configMapPatch(d.defaults, 0))), After: asYAML(withoutNil(configMapPatch(d.defaults, 1))),
			apply: &toApply{object: "configmap-config-defaults", line: live(cli, object), body: configMapPatch(d.defaults, 1)}})
	}
	if v := d.version; v != nil {
		p := Patch{Title: "The release of Tekton Pipelines", Format: "text", Before: release(v[0]) + "\n", After: release(v[1]) + "\n"}
		before, after := carrier(v[0]), carrier(v[1])
		switch {
		case cli == "kubectl":
			const apply = "kubectl apply -f https://storage.googleapis.com/tekton-releases/pipeline/previous/v%s/release.yaml"
			p.Command, p.Undo = fmt.Sprintf(apply, v[1]), fmt.Sprintf(apply, v[0])
			p.apply = &toApply{object: "release", script: []string{p.Command}}
		case before != "" && after != "":
			// An operator goes forward only: there is nothing that takes it back.
			p.Title = "The operator's subscription, under the name it has by default"
			p.Format, p.Before, p.After = "yaml", subscription(before, v[0]), subscription(after, v[1])
			channel, target := map[string]any{"spec": map[string]any{"channel": "pipelines-" + after}}, "subscription openshift-pipelines-operator-rh -n openshift-operators"
			p.Command = fmt.Sprintf("oc patch %s --type merge -p %s", target, quote(asJSON(channel)))
			p.apply = &toApply{object: "subscription", line: live("oc", target), body: channel}
		}
		c.Patches = append(c.Patches, p)
	}
	for _, o := range d.objects {
		title := fmt.Sprintf("%s %s", o.kind, strings.TrimPrefix(o.namespace+"/"+o.name, "/"))
		if strings.HasSuffix(o.name, "-") {
			title += "... (the file it is created from)"
		}
		p := Patch{Title: title, Format: "yaml", Before: asYAML(along(o.before, o.patch)), After: asYAML(along(o.after, o.patch)), apply: o.toApply(cli)}
		switch {
		case o.before == nil:
			p.Before, p.After = notSet+"\n", asYAML(o.after)
		case o.after == nil:
			p.Before, p.After = asYAML(o.before), notSet+"\n"
		case !o.frozen():
			target := fmt.Sprintf("%s patch %s", cli, o.target())
			p.Command = target + " --type merge -p " + quote(asJSON(o.patch))
			p.Undo = target + " --type merge -p " + quote(asJSON(history.MergePatch(o.after, o.before)))
		}
		c.Patches = append(c.Patches, p)
	}
	if before, after := d.cluster.pruned(); !d.cluster.same() {
		c.Patches = append(c.Patches, Patch{Title: "The cluster, as the scenario describes it", Format: "yaml", Before: before, After: after, apply: clusterToApply(d.cluster, cli)})
	}
}

// carrier is the version of OpenShift Pipelines that carries a release of Tekton,
// or "".
func carrier(version string) string {
	for _, r := range releases.Known() {
		if r.Version == version {
			return r.OpenShiftPipelines
		}
	}
	return ""
}

func release(version string) string {
	if c := carrier(version); c != "" {
		return fmt.Sprintf("Tekton %s (OpenShift Pipelines %s)", version, c)
	}
	return "Tekton " + version
}

func subscription(channel, tekton string) string {
	return fmt.Sprintf("spec:\n  channel: pipelines-%s # Tekton %s\n", channel, tekton)
}

// withoutNil leaves out what is null: before and after show what stands there.
func withoutNil(m map[string]any) map[string]any {
	out := map[string]any{}
	for k, v := range m {
		switch v := v.(type) {
		case nil:
		case map[string]any:
			if below := withoutNil(v); len(below) > 0 {
				out[k] = below
			}
		default:
			out[k] = v
		}
	}
	return out
}

// consequences says what a change costs, on whom it works, how it is taken back
// and how it is seen to work.
func (b *builder) consequences(c *Change, d delta) {
	t := c.Proof.Result.Timing
	switch c.Scope {
	case scopeRun:
		c.Risk = "Works on new runs made from this file and on nothing else."
	case scopeCluster:
		c.Risk = "Works on every namespace of the cluster, on runs that start from then on."
	case scopeOperator:
		c.Risk = "Replaces the release for every namespace; what else it changes is told by simctl upgrade on your own pipelines."
	default:
		c.Risk = "Depends on what the axis stands for."
	}
	if t.Attaches > 1 {
		c.Risk += fmt.Sprintf(" The volumes were attached %d times in all and the pods waited %s for that; the run used %d nodes.",
			t.Attaches, reports.Duration(t.AttachSeconds), len(t.Nodes))
	}
	if c.Proof.Result.Outcome != verdict.Success && len(c.Proof.Result.Cause) > 0 {
		c.Risk += " What it met: " + c.Proof.Result.Cause[0].What + "."
	}
	others := len(c.Same) + len(c.Worse)
	switch {
	case others == 0:
		c.Impact = fmt.Sprintf("Shown by %s; the matrix has no other workload on which this change was tried.", count(len(c.Proofs), "pair of cells", "pairs of cells"))
	case len(c.Worse) == 0:
		c.Impact = fmt.Sprintf("Mends %s; %s with the same change came out no worse.", count(len(c.Proofs), "pair of cells", "pairs of cells"), count(others, "other pair", "other pairs"))
	default:
		c.Impact = fmt.Sprintf("Mends %s, but makes %s worse: see the list.", count(len(c.Proofs), "pair of cells", "pairs of cells"), count(len(c.Worse), "other", "others"))
	}
	c.Rollback = "Put the former value back."
	if d.version != nil && b.cli(c.Base) == "oc" {
		c.Rollback = "An operator does not go back to an older channel: remove it and install the former one. Try the change on a cluster that you can lose."
	}
	for _, p := range c.Patches {
		if p.Undo != "" {
			c.Rollback = "The lines that take it back put the former values in."
			break
		}
	}
	c.Takes = "It works on runs that are created afterwards; those that have failed have to be started again."
	if c.Cause.Outcome.Info().Severity == verdict.Waiting {
		c.Takes = "It works on runs that are created afterwards; runs that hang now keep the pods they have, so cancel them and start them again."
	}
	if m := c.Proof.Result.MakespanSeconds; m != nil {
		c.Takes += fmt.Sprintf(" The run then took %s in virtual time.", reports.Duration(*m))
	}
	c.Verify = b.verify(c, d)
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// Alone says in which axes the two cells differ, and that it is in these alone.
func (c *Change) Alone() string {
	if len(c.Moves) == 1 {
		return "they differ in the axis " + c.Moves[0].Axis + " alone"
	}
	var names []string
	for _, m := range c.Moves {
		names = append(names, m.Axis)
	}
	last := len(names) - 1
	return "they differ in the axes " + strings.Join(names[:last], ", ") + " and " + names[last] + " alone; no smaller change in the matrix mends it"
}

// Untouched says which of the objects that come to mind first a change leaves
// alone; "" if it touches all of them.
func (c *Change) Untouched() string {
	if len(c.Patches) == 0 {
		return ""
	}
	touched := func(kind string) bool {
		return slices.ContainsFunc(c.Patches, func(p Patch) bool { return strings.HasPrefix(p.Title, kind+" ") })
	}
	var out []string
	if !touched("ConfigMap") && !touched("TektonConfig") {
		out = append(out, "the ConfigMap feature-flags", "TektonConfig")
	}
	if !touched("PipelineRun") {
		out = append(out, "the PipelineRun")
	}
	switch len(out) {
	case 0:
		return ""
	case 1:
		return "No change in " + out[0] + "."
	}
	return "No change in " + strings.Join(out[:len(out)-1], ", ") + " and " + out[len(out)-1] + "."
}

package evidence

import (
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// PatchFile is a change, or a part of one, as a file to apply. Name is that of the file.
type PatchFile struct{ Name, Text string }

// toApply is what a patch's file holds: a merge patch, a whole manifest, or commands.
type toApply struct {
	// object names it in the file's name.
	object string
	// line applies the file, whose name takes the place of fileHere; it is "" for commands.
	line string
	// body is the merge patch or the manifest, script the commands.
	body   map[string]any
	script []string
	// hand is what is to be done by hand, in words.
	hand []string
}

// fileHere stands for the file's name in the line that applies it.
const fileHere = "%FILE%"

// PatchFiles returns the changes that the report proposes, and those at a price, as files:
// merge patches, manifests and commands, each with the line that applies it at its head. A
// change that is none of the cluster's or the manifests' has none. The options have the
// numbers that they have on the page; those that the page has a line for follow.
func (r *Report) PatchFiles() []PatchFile {
	var out []PatchFile
	for _, list := range []struct {
		name, title string
		changes     []*Change
	}{{"option", "Option", r.Changes}, {"price", "At a price", r.Alternatives}} {
		s := split(list.changes)
		for i, c := range append(slices.Clone(s.Whole), s.Brief...) {
			head := []string{
				fmt.Sprintf("%s %d: %s", list.title, i+1, c.What),
				fmt.Sprintf("Mends cause %d. To be done by %s. Proved by %s against %s.", c.Cause.Number, c.Scope, c.Proof.Label, c.Base.Label),
			}
			n := 0
			for _, p := range c.Patches {
				if p.apply == nil {
					continue
				}
				n++
				name := fmt.Sprintf("%s-%02d-%d-%s", list.name, i+1, n, fileWord(p.apply.object))
				out = append(out, p.apply.file(name, append(slices.Clone(head), p.Title)))
			}
		}
	}
	return out
}

// file is the file of a name, which gets its ending.
func (a *toApply) file(name string, head []string) PatchFile {
	var b strings.Builder
	comment := func(s string) { fmt.Fprintf(&b, "# %s\n", strings.Join(strings.Fields(s), " ")) }
	if a.body == nil {
		name += ".sh"
		b.WriteString("#!/bin/sh\n")
		for _, line := range head {
			comment(line)
		}
		for _, line := range a.hand {
			comment("By hand: " + line)
		}
		b.WriteString("set -e\n")
		for _, line := range a.script {
			b.WriteString(line + "\n")
		}
		return PatchFile{name, b.String()}
	}
	name += ".yaml"
	for _, line := range head {
		comment(line)
	}
	for _, line := range strings.Split(strings.Replace(a.line, fileHere, name, 1), "\n") {
		comment(line)
	}
	raw, err := yaml.Marshal(a.body)
	if err != nil {
		raw = []byte(asJSON(a.body))
	}
	b.Write(raw)
	return PatchFile{name, b.String()}
}

// fileWord makes a part of a file's name of a word.
func fileWord(s string) string {
	const longest = 60
	var b strings.Builder
	for _, r := range strings.ToLower(s) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			b.WriteRune(r)
			continue
		}
		if !strings.HasSuffix(b.String(), "-") {
			b.WriteByte('-')
		}
	}
	w := b.String()
	return strings.Trim(w[:min(len(w), longest)], "-")
}

// live is the line that patches an object of a cluster.
func live(cli, target string) string {
	return cli + " patch " + target + " --type merge --patch-file " + fileHere
}

// local is the line that patches the file which an object is created from.
func local(cli, kind string) string {
	return fmt.Sprintf("FILE holds the %s alone.\n%s patch --local -f FILE --type merge --patch-file %s -o yaml | %s create -f -", kind, cli, fileHere, cli)
}

// frozen says that the API server takes the change of an object in its file alone: a run's
// spec does not change once it is there, nor does a claim's but for its size, nor a class.
func (o objectDelta) frozen() bool {
	switch o.kind {
	case "PipelineRun", "TaskRun", "StorageClass":
		return true
	case "PersistentVolumeClaim":
		spec, _ := o.patch["spec"].(map[string]any)
		for field := range spec {
			if field != "resources" {
				return true
			}
		}
	}
	return strings.HasSuffix(o.name, "-")
}

// target names an object as kubectl takes it.
func (o objectDelta) target() string {
	t := strings.ToLower(o.kind) + " " + o.name
	if o.namespace != "" {
		t += " -n " + o.namespace
	}
	return t
}

// toApply is the change of an object as a file.
func (o objectDelta) toApply(cli string) *toApply {
	a := &toApply{object: o.kind + "-" + o.name, body: o.patch}
	switch {
	case o.before == nil:
		a.body, a.line = o.after, cli+" create -f "+fileHere
	case o.after == nil && strings.HasSuffix(o.name, "-"):
		// What a file of that name made has a name of its own.
		a.body, a.hand = nil, []string{fmt.Sprintf("create no %s from the file of %s", o.kind, o.name)}
	case o.after == nil:
		a.body, a.script = nil, []string{cli + " delete " + shellWords(o.target())}
	case o.frozen():
		a.line = local(cli, o.kind)
	default:
		a.line = live(cli, shellWords(o.target()))
	}
	return a
}

// shellWords quotes those words of a target that a shell would not take as they are.
func shellWords(s string) string {
	words := strings.Fields(s)
	for i, w := range words {
		words[i] = shellWord(w)
	}
	return strings.Join(words, " ")
}

func shellWord(w string) string {
	for _, r := range w {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_./:=", r) {
			return quote(w)
		}
	}
	return w
}

// clusterToApply is what is done to the machines and to who may use what: taints, labels,
// cordons and grants as commands, the rest in words.
func clusterToApply(d pairOf, cli string) *toApply {
	a := &toApply{object: "cluster"}
	before, after := elements(d.before["nodePools"], "name"), elements(d.after["nodePools"], "name")
	for _, name := range keys(before, after) {
		x, y := before[name], after[name]
		if x == nil || y == nil {
			continue
		}
		var nodes []string
		for i := range int(number(y["count"])) {
			nodes = append(nodes, fmt.Sprintf("%s-%d", name, i))
		}
		a.nodes(cli, shellWords(strings.Join(nodes, " ")), x, y)
	}
	a.grants(d)
	// What the commands do is taken out, what is left is told.
	a.hand = append(a.hand, fieldOrders(withoutCommanded(d.before), withoutCommanded(d.after), "the cluster")...)
	return a
}

// nodes writes the commands that make the nodes of a pool as they are afterwards.
func (a *toApply) nodes(cli, nodes string, before, after map[string]any) {
	add := func(format string, args ...any) { a.script = append(a.script, cli+" "+fmt.Sprintf(format, args...)) }
	find := func(list []any, e any) bool {
		return slices.ContainsFunc(list, func(x any) bool { return asJSON(x) == asJSON(e) })
	}
	x, _ := before["taints"].([]any)
	y, _ := after["taints"].([]any)
	for _, t := range x {
		if m, ok := t.(map[string]any); ok && !find(y, t) {
			add("taint nodes %s %s-", nodes, shellWord(fmt.Sprintf("%v:%v", m["key"], m["effect"])))
		}
	}
	for _, t := range y {
		if m, ok := t.(map[string]any); ok && !find(x, t) {
			add("taint nodes %s %s", nodes, shellWord(taintText(m)))
		}
	}
	xl, _ := before["labels"].(map[string]any)
	yl, _ := after["labels"].(map[string]any)
	for _, k := range keys(xl, yl) {
		switch _, has := yl[k]; {
		case !has:
			add("label nodes %s %s-", nodes, shellWord(k))
		case xl[k] != yl[k]:
			add("label nodes %s %s --overwrite", nodes, shellWord(fmt.Sprintf("%s=%v", k, yl[k])))
		}
	}
	was, _ := before["unschedulable"].(bool)
	is, _ := after["unschedulable"].(bool)
	switch {
	case is && !was:
		add("cordon %s", nodes)
	case was && !is:
		add("uncordon %s", nodes)
	}
}

// grants writes the commands that let ServiceAccounts use SCCs, and no longer.
func (a *toApply) grants(d pairOf) {
	of := func(m map[string]any) map[string]map[string]any {
		openshift, _ := m["openshift"].(map[string]any)
		return elements(openshift["grants"], "")
	}
	before, after := of(d.before), of(d.after)
	for _, k := range keys(before, after) {
		verb, g := "add-scc-to-user", after[k]
		if before[k] != nil && after[k] != nil {
			continue
		}
		if g == nil {
			verb, g = "remove-scc-from-user", before[k]
		}
		line := fmt.Sprintf("oc adm policy %s %s -z %s", verb, shellWord(fmt.Sprint(g["scc"])), shellWord(fmt.Sprint(g["serviceAccount"])))
		if ns, ok := g["namespace"].(string); ok && ns != "" {
			line += " -n " + shellWord(ns)
		}
		a.script = append(a.script, line)
	}
}

// withoutCommanded is a cluster without what there are commands for.
func withoutCommanded(cluster map[string]any) map[string]any {
	out := asMap(cluster)
	pools, _ := out["nodePools"].([]any)
	for _, p := range pools {
		if m, ok := p.(map[string]any); ok {
			delete(m, "taints")
			delete(m, "labels")
			delete(m, "unschedulable")
		}
	}
	if openshift, ok := out["openshift"].(map[string]any); ok {
		delete(openshift, "grants")
	}
	return out
}

// elements returns a list's maps by a field, by all that is in them for "".
func elements(list any, field string) map[string]map[string]any {
	out := map[string]map[string]any{}
	l, _ := list.([]any)
	for _, e := range l {
		if m, ok := e.(map[string]any); ok {
			k := asJSON(m)
			if field != "" {
				k = fmt.Sprint(m[field])
			}
			out[k] = m
		}
	}
	return out
}

func number(v any) float64 {
	f, _ := v.(float64)
	return f
}

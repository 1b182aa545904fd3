package scenario

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"simctl.dev/simctl/sim/internal/resolver"
	"simctl.dev/simctl/sim/internal/tree"
	"simctl.dev/simctl/sim/stub"
	"simctl.dev/simctl/sim/wellknown"
)

// DefaultNamespace is where objects without a namespace go if the scenario
// names none.
const DefaultNamespace = "default"

// tektonNamespaces are where Tekton's own ConfigMaps stand.
var tektonNamespaces = []string{wellknown.TektonNamespace, wellknown.OpenShiftPipelinesNamespace}

// creationOrder gives the kinds that must exist before others; kinds not named
// come after the first group and before Tekton's.
var creationOrder = [][]string{
	{"Namespace"},
	{"CustomResourceDefinition", "PriorityClass", "RuntimeClass", "StorageClass", "Node", "SecurityContextConstraints"},
	{"ServiceAccount"},
	{"ClusterRole", "Role", "ClusterRoleBinding", "RoleBinding"},
	{"Secret", "ConfigMap", "LimitRange", "ResourceQuota"},
	{"PersistentVolume"},
	{"PersistentVolumeClaim"},
	nil, // every other kind
	{"StepAction", "ClusterTask", "Task"},
	{"Pipeline"},
	{"TaskRun"},
	{"PipelineRun"},
}

func creationRank(kind string) int {
	other := 0
	for i, kinds := range creationOrder {
		if slices.Contains(kinds, kind) {
			return i
		}
		if kinds == nil {
			other = i
		}
	}
	return other
}

// read returns the objects of a list of manifest paths, which is the field `at` of
// the scenario, read once.
func (f *File) read(at string, paths []string) *manifestSet {
	key := strings.Join(append([]string{at}, paths...), "\x00")
	f.mu.Lock()
	defer f.mu.Unlock()
	if set, ok := f.manifests[key]; ok {
		return set
	}
	r, set := &reader{inputs: &f.inputs}, &manifestSet{}
	for i, p := range paths {
		full := p
		if !filepath.IsAbs(p) {
			full = filepath.Join(filepath.Dir(f.Path), p)
		}
		if err := r.path(full); err != nil {
			set.issues = append(set.issues, issuef(fmt.Sprintf("%s[%d]", at, i), "%v", err))
		}
	}
	r.pacFiles()
	for _, p := range r.problems {
		set.issues = append(set.issues, issue{at: p})
	}
	set.objects = r.objects
	f.manifests[key] = set
	return set
}

// world is a cell's objects while they are put together.
type world struct {
	spec    *Scenario
	objects []*object
	issues  []issue
	// remote are those that resolvers can be asked for, some of which are not created.
	remote     []*object
	candidates []resolver.Candidate
	// all is what [world.every] gave.
	all *world
}

// built is what a cell's manifests come to.
type built struct {
	objects []json.RawMessage
	remotes []Remote
	// sources and remoteSources are where they stand.
	sources, remoteSources []source
	// tasks are the names that models of the runs' tasks can go by.
	tasks runTasks
}

func (w *world) problem(p *Problem) { w.issues = append(w.issues, issue{at: p}) }

// build returns the objects of a spec, ready to be created, and what is wrong
// with them.
func (f *File) build(spec *Scenario) (built, []issue) {
	read := f.read("workload.manifests", spec.Workload.Manifests)
	if len(read.issues) > 0 {
		return built{}, read.issues
	}
	w := &world{spec: spec}
	for _, o := range read.objects {
		w.objects = append(w.objects, o.copy())
	}
	for _, o := range w.objects {
		if o.namespaced() && o.namespace() == "" {
			set(o.data, cmp.Or(spec.Workload.Namespace, DefaultNamespace), "metadata", "namespace")
		}
	}
	claimed := w.claimNames()
	w.override()
	if spec.Workload.StubMissing {
		w.stubs(filepath.Dir(f.Path))
	}
	w.elsewhere(filepath.Dir(f.Path))
	w.duplicates()
	w.references()
	w.settings(f, claimed)
	for i := range spec.Interventions {
		w.intervention(f, fmt.Sprintf("interventions[%d]", i), &spec.Interventions[i])
	}
	w.namespaces()
	slices.SortStableFunc(w.objects, func(a, b *object) int {
		return cmp.Compare(creationRank(a.kind()), creationRank(b.kind()))
	})
	out := built{objects: make([]json.RawMessage, 0, len(w.objects)), tasks: w.every(f).runTasks()}
	for _, o := range w.objects {
		data, err := json.Marshal(o.data)
		if err != nil {
			w.problem(o.problem(nil, "%s cannot be written as JSON: %v", o, err))
			continue
		}
		out.objects, out.sources = append(out.objects, data), append(out.sources, source{o.file, o.node})
	}
	if !asksResolvers(spec, out.objects) {
		return out, w.issues
	}
	for i, o := range w.remote {
		if data, err := json.Marshal(o.data); err == nil { // else reported
			out.remotes = append(out.remotes, Remote{File: w.candidates[i].File, Object: data})
			out.remoteSources = append(out.remoteSources, source{o.file, o.node})
		}
	}
	return out, w.issues
}

// asksResolvers reports whether a resolver may be asked for something: by a reference
// anywhere in the objects, by Tekton's default, or by what comes in the middle of the runs.
func asksResolvers(spec *Scenario, objects []json.RawMessage) bool {
	const word = "resolver"
	if slices.ContainsFunc(objects, func(o json.RawMessage) bool { return bytes.Contains(o, []byte(word)) }) {
		return true
	}
	if slices.ContainsFunc(spec.Interventions, func(v Intervention) bool {
		return v.Apply != nil && len(v.Apply.Files) > 0
	}) {
		return true
	}
	// The error is of writing what was read as JSON.
	rest, _ := json.Marshal([]any{spec.Interventions, spec.Tekton.Defaults})
	return bytes.Contains(rest, []byte(word))
}

// find returns the object of a kind; nil if there is none.
func (w *world) find(kind, namespace, name string) *object {
	for _, o := range w.objects {
		if o.kind() == kind && tree.Text(o.data, "metadata", "name") == name && (!o.namespaced() || o.namespace() == namespace) {
			return o
		}
	}
	return nil
}

// names lists the objects of a kind in a namespace.
func (w *world) names(kind, namespace string) []string {
	var names []string
	for _, o := range w.objects {
		if o.kind() == kind && (!o.namespaced() || o.namespace() == namespace) {
			names = append(names, o.name())
		}
	}
	return names
}

// duplicates finds what is given twice. What only resolvers fetch may be, in files of
// its own: no cluster has to have both.
func (w *world) duplicates() {
	first := map[string]*object{}
	again := map[string][]*object{}
	for _, o := range w.objects {
		name := tree.Text(o.data, "metadata", "name")
		if name == "" {
			continue // generateName: each gets a name of its own
		}
		id := strings.Join([]string{o.group(), o.kind(), o.namespace(), name}, "/")
		if first[id] != nil {
			again[id] = append(again[id], o)
		} else {
			first[id] = o
		}
	}
	for _, id := range sortedKeys(again) {
		f, more := first[id], again[id]
		if slices.Contains(w.remote, f) && !slices.ContainsFunc(more, func(o *object) bool { return o.file == f.file }) && !w.named(f) {
			w.objects = slices.DeleteFunc(w.objects, func(o *object) bool { return o == f || slices.Contains(more, o) })
			continue
		}
		at := f.problem(nil, "")
		for _, o := range more {
			w.problem(o.problem(nil, "%s is given twice, first in %s:%d; remove one", o, at.File, at.Line))
		}
	}
}

// elsewhere lists what resolvers can be asked for. Files are named from the folder of
// the scenario, so that where it stands makes no difference.
func (w *world) elsewhere(folder string) {
	for _, o := range w.objects {
		if o.group() != "tekton.dev" || !slices.Contains(resolver.Kinds, o.kind()) {
			continue
		}
		w.remote = append(w.remote, o)
		w.candidates = append(w.candidates, resolver.CandidateOf(o.fileFrom(folder), o.data))
	}
}

// named says whether anything names the object in the cluster.
func (w *world) named(o *object) bool {
	var in func(v any) bool
	in = func(v any) bool {
		switch v := v.(type) {
		case []any:
			return slices.ContainsFunc(v, in)
		case map[string]any:
			for key, e := range v {
				if slices.Contains([]string{"taskRef", "pipelineRef", "ref"}, key) {
					name := local(e)
					if tree.Text(e, "resolver") == resolver.Cluster {
						name = paramsOf(e)["name"]
					}
					if name == o.name() {
						return true
					}
				}
				if in(e) {
					return true
				}
			}
		}
		return false
	}
	return slices.ContainsFunc(w.objects, func(other *object) bool { return in(other.data["spec"]) })
}

// namespaces makes up the Namespace objects that the manifests do not have.
func (w *world) namespaces() {
	have, need := map[string]bool{}, map[string]bool{}
	for _, o := range w.objects {
		if o.kind() == "Namespace" {
			have[o.name()] = true
		} else if o.namespaced() {
			need[o.namespace()] = true
		}
	}
	for _, name := range sortedKeys(need) {
		if !have[name] {
			w.objects = append(w.objects, &object{data: map[string]any{
				"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": name},
			}})
		}
	}
}

// references finds what the runs name and no manifest has: what Tekton could
// only report as missing. Whatever Tekton can judge by itself is left to it.
func (w *world) references() {
	runs := 0
	for _, o := range w.objects {
		switch {
		case o.tekton("PipelineRun"):
			runs++
			w.accounts(o)
			if spec := tree.Get(o.data, "spec", "pipelineSpec"); spec != nil {
				w.pipelineSpec(o, o.namespace(), spec, []any{"spec", "pipelineSpec"}, map[string]bool{})
			}
			w.pipelineRef(o, o.namespace(), tree.Get(o.data, "spec", "pipelineRef"), []any{"spec", "pipelineRef"}, map[string]bool{})
		case o.tekton("TaskRun"):
			w.accounts(o)
			w.taskRef(o, o.namespace(), tree.Get(o.data, "spec", "taskRef"), []any{"spec", "taskRef"})
		}
	}
	if runs == 0 && len(w.spec.Workload.Manifests) > 0 {
		w.issues = append(w.issues, issuef("workload.manifests", "the manifests have no PipelineRun; add the file of the run to workload.manifests"))
	}
}

// local returns the name of a reference that the cluster itself must resolve;
// "" for one that a resolver, a bundle or a parameter supplies.
func local(ref any) string {
	name := resolver.Local(ref)
	if strings.Contains(name, "$(") {
		return ""
	}
	return name
}

// byResolver checks what a reference by a resolver means, which manifests stand
// for, and gives it; nil if there is none, or parameters decide at run time.
func (w *world) byResolver(from *object, ref any, at []any, kinds ...string) *object {
	name := tree.Text(ref, "resolver")
	if !resolver.Known(name) {
		return nil
	}
	params := paramsOf(ref)
	for _, value := range params {
		if strings.Contains(value, "$(") {
			return nil
		}
	}
	target, err := resolver.Of(name, params)
	if err != nil {
		return nil // Tekton says so
	}
	var of []*object
	var candidates []resolver.Candidate
	for i, o := range w.remote {
		if slices.Contains(kinds, o.kind()) && (name != resolver.Cluster || slices.Contains(w.objects, o)) {
			of, candidates = append(of, o), append(candidates, w.candidates[i])
		}
	}
	i, err := target.Choose(candidates)
	if err != nil {
		w.problem(from.problem(append(at, "resolver"), "%s takes by resolver %s what is given more than once: %v", from, name, err))
		return nil
	}
	if i >= 0 {
		return of[i]
	}
	if target.Kind == "" {
		target.Kind = kinds[0]
	}
	w.problem(from.problem(append(at, "resolver"), "%s, which %s takes by resolver %s, is not among the manifests; add it to workload.manifests: they stand for what resolvers fetch",
		target, from, name))
	return nil
}

// paramsOf are the parameters of a reference by a resolver.
func paramsOf(ref any) map[string]string {
	params := map[string]string{}
	for _, p := range tree.List(ref, "params") {
		params[tree.Text(p, "name")] = tree.Text(p, "value")
	}
	return params
}

func (w *world) pipelineRef(from *object, namespace string, ref any, at []any, seen map[string]bool) {
	if o := w.byResolver(from, ref, at, "Pipeline"); o != nil {
		if key := "resolver " + o.String(); !seen[key] {
			seen[key] = true
			w.pipelineSpec(o, namespace, tree.Get(o.data, "spec"), []any{"spec"}, seen)
		}
		return
	}
	name := local(ref)
	if name == "" || seen[name] {
		return
	}
	seen[name] = true
	p := w.find("Pipeline", namespace, name)
	if p == nil {
		w.problem(from.problem(append(at, "name"), "Pipeline %q, which %s refers to, is not among the manifests%s",
			name, from, w.addFile(name, "Pipeline", namespace)))
		return
	}
	w.pipelineSpec(p, namespace, tree.Get(p.data, "spec"), []any{"spec"}, seen)
}

func (w *world) pipelineSpec(o *object, namespace string, spec any, at []any, seen map[string]bool) {
	for _, section := range []string{"tasks", "finally"} {
		for i, t := range tree.List(spec, section) {
			here := append(slices.Clone(at), section, i)
			if ref := tree.Get(t, "taskRef"); ref != nil {
				w.taskRef(o, namespace, ref, append(slices.Clone(here), "taskRef"))
			}
			for j, step := range tree.List(tree.Get(t, "taskSpec"), "steps") {
				w.byResolver(o, tree.Get(step, "ref"), append(slices.Clone(here), "taskSpec", "steps", j, "ref"), "StepAction")
			}
			if ref := tree.Get(t, "pipelineRef"); ref != nil {
				w.pipelineRef(o, namespace, ref, append(slices.Clone(here), "pipelineRef"), seen)
			}
			if sub := tree.Get(t, "pipelineSpec"); sub != nil {
				w.pipelineSpec(o, namespace, sub, append(slices.Clone(here), "pipelineSpec"), seen)
			}
		}
	}
}

func (w *world) taskRef(from *object, namespace string, ref any, at []any) {
	w.byResolver(from, ref, at, "Task")
	name := local(ref)
	if kind := tree.Text(ref, "kind"); name == "" || (kind != "" && kind != "Task") {
		return
	}
	if w.find("Task", namespace, name) == nil {
		w.problem(from.problem(append(at, "name"), "Task %q, which %s refers to, is not among the manifests%s",
			name, from, w.addFile(name, "Task", namespace)))
	}
}

// addFile ends a message about a missing object.
func (w *world) addFile(name, kind, namespace string) string {
	for _, o := range w.objects {
		if o.kind() == kind && o.name() == name {
			return fmt.Sprintf(" of namespace %s, only among those of %s", namespace, o.namespace())
		}
	}
	if near := nearest(name, w.names(kind, namespace)); near != "" {
		return "; did you mean " + quoted(near) + "?"
	}
	return "; add its file to workload.manifests"
}

// accounts checks the ServiceAccounts that a run names. `default` is in every
// namespace, `pipeline` where OpenShift Pipelines is.
func (w *world) accounts(run *object) {
	check := func(name string, at ...any) {
		if name == "" || name == "default" || name == "pipeline" || strings.Contains(name, "$(") ||
			w.find("ServiceAccount", run.namespace(), name) != nil {
			return
		}
		if name == w.spec.Workload.Overrides.ServiceAccountName {
			w.issues = append(w.issues, issuef("workload.overrides.serviceAccountName", "ServiceAccount %q is not among the manifests%s",
				name, w.addFile(name, "ServiceAccount", run.namespace())))
			return
		}
		w.problem(run.problem(at, "ServiceAccount %q, which %s refers to, is not among the manifests%s",
			name, run, w.addFile(name, "ServiceAccount", run.namespace())))
	}
	check(tree.Text(run.data, "spec", "serviceAccountName"), "spec", "serviceAccountName")
	check(tree.Text(run.data, "spec", "taskRunTemplate", "serviceAccountName"), "spec", "taskRunTemplate", "serviceAccountName")
	for i, s := range tree.List(run.data, "spec", "taskRunSpecs") {
		for _, field := range []string{"serviceAccountName", "taskServiceAccountName"} {
			check(tree.Text(s, field), "spec", "taskRunSpecs", i, field)
		}
	}
}

// claimNames are the claims among the objects, as NAME and NAMESPACE/NAME.
func (w *world) claimNames() map[string]bool {
	names := map[string]bool{}
	for _, o := range w.objects {
		if o.kind() == "PersistentVolumeClaim" {
			names[o.name()] = true
			names[o.namespace()+"/"+o.name()] = true
		}
	}
	return names
}

// settings checks what the scenario says against what the manifests have.
func (w *world) settings(f *File, claimed map[string]bool) {
	add := func(path, format string, args ...any) {
		w.issues = append(w.issues, issuef(path, format, args...))
	}
	cl, wl := &w.spec.Cluster, &w.spec.Workload

	// simctl writes Tekton's configuration itself, so what a manifest says of it
	// would be lost or overwritten.
	for _, o := range w.objects {
		switch {
		case o.kind() == "TektonConfig":
			w.problem(o.problem(nil, "TektonConfig %s is not applied; write its keys into tekton.flags and tekton.defaults, with via: TektonConfig", o.name()))
		case o.kind() == "ConfigMap" && (o.name() == wellknown.FeatureFlags || o.name() == wellknown.ConfigDefaults) && slices.Contains(tektonNamespaces, o.namespace()):
			w.problem(o.problem(nil, "ConfigMap %s of Tekton is not applied; write its keys into tekton.flags or tekton.defaults", o.name()))
		}
	}

	nodes := len(w.names("Node", ""))
	for _, p := range cl.NodePools {
		nodes += max(p.Count, 0)
	}
	if nodes == 0 {
		add("cluster.nodePools", "the cluster has no node; give cluster.nodePools a pool, or Node manifests to the workload")
	}

	if class := wl.Overrides.StorageClass; class != "" {
		var classes []string
		for _, sc := range cl.StorageClasses {
			classes = append(classes, sc.Name)
		}
		classes = append(classes, w.names("StorageClass", "")...)
		if !slices.Contains(classes, class) {
			add("workload.overrides.storageClass", "storage class %q is not in cluster.storageClasses%s", class, Suggest(class, classes))
		}
	}

	if cl.OpenShift.Enabled {
		sccs := slices.Concat(StockSCCs, w.names("SecurityContextConstraints", ""))
		for i, g := range cl.OpenShift.Grants {
			at := fmt.Sprintf("cluster.openshift.grants[%d]", i)
			if g.SCC != "" && !slices.Contains(sccs, g.SCC) {
				add(at+".scc", "unknown SCC %q%s", g.SCC, Suggest(g.SCC, sccs))
			}
			// Those that OpenShift itself makes in every namespace.
			accounts, where := []string{"default", "builder", "deployer", "pipeline"}, "among the manifests"
			if g.Namespace != "" {
				where = "in namespace " + g.Namespace
			}
			for _, o := range w.objects {
				if o.kind() == "ServiceAccount" && (g.Namespace == "" || o.namespace() == g.Namespace) {
					accounts = append(accounts, o.name())
				}
			}
			if g.ServiceAccount != "" && !slices.Contains(accounts, g.ServiceAccount) {
				add(at+".serviceAccount", "ServiceAccount %q is not %s%s", g.ServiceAccount, where, Suggest(g.ServiceAccount, accounts))
			}
		}
	}

	after := w.claimNames()
	for _, name := range sortedKeys(wl.Volumes) {
		if !claimed[name] && !after[name] {
			known := slices.DeleteFunc(append(sortedKeys(claimed), sortedKeys(after)...), func(k string) bool {
				return strings.Contains(k, "/") != strings.Contains(name, "/")
			})
			add("workload.volumes."+name, "claim %q is not among the manifests%s", name, Suggest(name, known))
		}
	}
	w.models(w.every(f).tasks(), add)
}

// models checks the task models against the tasks they are for.
func (w *world) models(tasks taskNames, add func(path, format string, args ...any)) {
	names := append(sortedKeys(tasks.specs), "*")
	for _, name := range sortedKeys(w.spec.Workload.Tasks) {
		at := "workload.tasks." + name
		if name == "*" {
			continue
		}
		specs, ok := tasks.specs[name]
		if !ok {
			if !tasks.open {
				add(at, "no pipeline task and no Task is named %q%s", name, Suggest(name, names))
			}
			continue
		}
		steps, workspaces, results := map[string]bool{}, map[string]bool{}, map[string]bool{}
		known := len(specs) > 0
		for _, spec := range specs {
			known = known && spec != nil
			for i, s := range tree.List(spec, "steps") {
				steps[cmp.Or(tree.Text(s, "name"), fmt.Sprintf("unnamed-%d", i))] = true
			}
			for _, ws := range tree.List(spec, "workspaces") {
				workspaces[tree.Text(ws, "name")] = true
			}
			for _, r := range tree.List(spec, "results") {
				results[tree.Text(r, "name")] = true
			}
		}
		if !known {
			continue // a remote task: nothing is known of it
		}
		check := func(at, what, have string, valid map[string]bool) {
			if have != "" && !valid[have] {
				add(at, "task %s has no %s %q%s", name, what, have, Suggest(have, sortedKeys(valid)))
			}
		}
		m := w.spec.Workload.Tasks[name]
		for _, s := range sortedKeys(m.Steps) {
			check(at+".steps."+s, "step", s, steps)
		}
		for _, r := range sortedKeys(m.Results) {
			check(at+".results."+r, "result", r, results)
		}
		for i, f := range m.Failures {
			check(fmt.Sprintf("%s.failures[%d].step", at, i), "step", f.Step, steps)
		}
		for i, f := range m.Writes {
			check(fmt.Sprintf("%s.writes[%d].workspace", at, i), "workspace", f.Workspace, workspaces)
		}
		for i, f := range m.Reads {
			check(fmt.Sprintf("%s.reads[%d].workspace", at, i), "workspace", f.Workspace, workspaces)
		}
		for i, f := range m.Deletes {
			check(fmt.Sprintf("%s.deletes[%d].workspace", at, i), "workspace", f.Workspace, workspaces)
		}
	}
}

// taskNames are the names that task models can be given by, with the task
// specs that go by each; nil among them is a spec that is not known here.
type taskNames struct {
	specs map[string][]any
	// open says that pipelines come from elsewhere, so that any name may be
	// one of theirs.
	open bool
}

func (w *world) tasks() taskNames {
	out := taskNames{specs: map[string][]any{}}
	var pipeline func(namespace string, spec any)
	pipeline = func(namespace string, spec any) {
		for _, section := range []string{"tasks", "finally"} {
			for _, t := range tree.List(spec, section) {
				if sub := tree.Get(t, "pipelineSpec"); sub != nil {
					pipeline(namespace, sub)
				}
				task := tree.Get(t, "taskSpec")
				if name := local(tree.Get(t, "taskRef")); name != "" {
					// Of one that was made up, no more is known than of a remote one.
					if o := w.find("Task", namespace, name); o != nil && !stub.Made(o.data) {
						task = tree.Get(o.data, "spec")
					}
				}
				name := tree.Text(t, "name")
				out.specs[name] = append(out.specs[name], task)
			}
		}
	}
	objects := slices.Clone(w.objects)
	for _, o := range w.remote {
		if !slices.Contains(objects, o) {
			objects = append(objects, o)
		}
	}
	for _, o := range objects {
		switch {
		case o.tekton("Task"), o.tekton("ClusterTask"):
			spec := tree.Get(o.data, "spec")
			if stub.Made(o.data) {
				spec = nil
			}
			out.specs[o.name()] = append(out.specs[o.name()], spec)
		case o.tekton("Pipeline"):
			pipeline(o.namespace(), tree.Get(o.data, "spec"))
		case o.tekton("PipelineRun"):
			if ref := tree.Get(o.data, "spec", "pipelineRef"); ref != nil && local(ref) == "" {
				out.open = true
			}
			pipeline(o.namespace(), tree.Get(o.data, "spec", "pipelineSpec"))
		}
	}
	return out
}

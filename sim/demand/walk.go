package demand

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"simctl.dev/simctl/sim/internal/resolver"
	"simctl.dev/simctl/sim/internal/resultref"
	"simctl.dev/simctl/sim/internal/tree"
)

// Of returns what the runs among manifests, and all that they come to, ask of others.
// Each manifest is decoded JSON; one without a namespace counts as being in the given
// one.
func Of(objects []map[string]any, namespace string) *Demands {
	return OfFiles(objects, make([]string, len(objects)), namespace)
}

// OfFiles is [Of] manifests of which it is known in which file each stands, which is what
// some resolvers ask for.
func OfFiles(objects []map[string]any, files []string, namespace string) *Demands {
	w := &walker{objects: objects, files: files, namespace: namespace, out: &Demands{}, open: map[string]bool{}, accounts: map[string]bool{}}
	for i, o := range objects {
		switch {
		case tree.Tekton(o, "PipelineRun"):
			w.pipelineRun(i)
		case tree.Tekton(o, "TaskRun"):
			w.taskRun(i)
		}
	}
	return w.out
}

type walker struct {
	objects   []map[string]any
	files     []string
	namespace string
	out       *Demands
	// open are the Pipelines that are being walked through, for circles.
	open map[string]bool
	// accounts are the ServiceAccounts that have been looked at.
	accounts map[string]bool
}

func (w *walker) namespaceOf(o map[string]any) string {
	return cmp.Or(tree.Text(o, "metadata", "namespace"), w.namespace)
}

// clusterScoped are the kinds that are referred to and have no namespace.
var clusterScoped = []string{"ClusterTask", "StorageClass", "PriorityClass", "RuntimeClass"}

// find gives the index of an object, or -1.
func (w *walker) find(kind, namespace, name string) int {
	return slices.IndexFunc(w.objects, func(o map[string]any) bool {
		return tree.Text(o, "kind") == kind && tree.Text(o, "metadata", "name") == name &&
			(slices.Contains(clusterScoped, kind) || w.namespaceOf(o) == namespace)
	})
}

// scope is where a walk is: whose parameters are known there, and where on the
// manifests it stands.
type scope struct {
	namespace string
	at        Place
	by        string
	params    map[string]any
	// run is what the pods of the run have.
	run *run
}

// run is a PipelineRun or TaskRun.
type run struct {
	place Place
	name  string
	// template is the pod template, account the ServiceAccount.
	template   any
	templateAt Place
	account    string
	// tasks are the settings of single pipeline tasks.
	tasks []any
}

func (s scope) below(path ...any) scope {
	s.at.Path = append(slices.Clone(s.at.Path), path...)
	return s
}

func (w *walker) refer(r Reference) {
	if r.Name == "" || strings.Contains(r.Name, "$(") {
		return
	}
	r.Given = r.Given || w.find(r.Kind, r.Namespace, r.Name) >= 0
	w.out.References = append(w.out.References, r)
}

func (w *walker) pipelineRun(i int) {
	o := w.objects[i]
	spec := tree.Map(o, "spec")
	name := "PipelineRun " + tree.Name(o)
	s := scope{namespace: w.namespaceOf(o), by: name, at: Place{Object: i}, params: map[string]any{}}
	r := &run{place: Place{Object: i}, name: name, account: tree.Text(spec, "serviceAccountName"), tasks: tree.List(spec, "taskRunSpecs")}
	at := s.below("spec")
	if t := tree.Map(spec, "taskRunTemplate"); t != nil {
		r.account = cmp.Or(r.account, tree.Text(t, "serviceAccountName"))
		r.template, r.templateAt = tree.Get(t, "podTemplate"), at.below("taskRunTemplate", "podTemplate").at
		w.account(at.below("taskRunTemplate", "serviceAccountName"), tree.Text(t, "serviceAccountName"))
	} else {
		r.template, r.templateAt = tree.Get(spec, "podTemplate"), at.below("podTemplate").at
	}
	s.run, at.run = r, r
	w.account(at.below("serviceAccountName"), tree.Text(spec, "serviceAccountName"))
	w.podTemplate(at, r.template, r.templateAt)
	var settings []string
	for j, t := range r.tasks {
		here := at.below("taskRunSpecs", j)
		settings = union(settings, []string{tree.Text(t, "pipelineTaskName")})
		for _, field := range []string{"serviceAccountName", "taskServiceAccountName"} {
			w.account(here.below(field), tree.Text(t, field))
		}
		for _, field := range []string{"podTemplate", "taskPodTemplate"} {
			w.podTemplate(here, tree.Get(t, field), here.below(field).at)
		}
	}
	given, bound, use := w.passed(at)
	use.Tasks = settings
	s.params = given
	if inline := tree.Get(spec, "pipelineSpec"); inline != nil {
		w.pipeline(s.below("spec", "pipelineSpec"), inline, given, bound)
	}
	if ref := tree.Get(spec, "pipelineRef"); ref != nil {
		w.pipelineRef(s.below("spec", "pipelineRef"), ref, given, bound, use)
	}
}

func (w *walker) taskRun(i int) {
	o := w.objects[i]
	spec := tree.Map(o, "spec")
	name := "TaskRun " + tree.Name(o)
	s := scope{namespace: w.namespaceOf(o), by: name, at: Place{Object: i}, params: map[string]any{}}
	r := &run{place: Place{Object: i}, name: name, account: tree.Text(spec, "serviceAccountName"), template: tree.Get(spec, "podTemplate")}
	at := s.below("spec")
	r.templateAt = at.below("podTemplate").at
	s.run, at.run = r, r
	w.account(at.below("serviceAccountName"), r.account)
	w.podTemplate(at, r.template, r.templateAt)
	given, _, use := w.passed(at)
	if inline := tree.Get(spec, "taskSpec"); inline != nil {
		w.task(s.below("spec", "taskSpec"), inline, given, name, nil)
	}
	if ref := tree.Get(spec, "taskRef"); ref != nil {
		w.taskRef(s.below("spec", "taskRef"), ref, given, name, nil, use)
	}
}

// passed returns what a run, in whose spec the walk is, passes on: the values of its
// parameters and the names of its workspaces, and both as what is used of others.
func (w *walker) passed(s scope) (given map[string]any, bound []string, use Use) {
	spec := tree.Map(w.objects[s.at.Object], "spec")
	given = map[string]any{}
	for _, p := range tree.List(spec, "params") {
		given[tree.Text(p, "name")] = tree.Get(p, "value")
		use.Params = append(use.Params, w.param(p, s, nil))
	}
	bound = w.workspaces(s, tree.List(spec, "workspaces"))
	for _, name := range bound {
		use.Workspaces = append(use.Workspaces, Workspace{Name: name})
	}
	return given, bound, use
}

// account has a ServiceAccount referred to. `default` is in every namespace; of
// `pipeline` the caller knows whether OpenShift Pipelines makes it.
func (w *walker) account(s scope, name string) {
	if name == "" || name == "default" {
		return
	}
	w.refer(Reference{Kind: "ServiceAccount", Namespace: s.namespace, Name: name, At: s.at, By: s.by})
	i := w.find("ServiceAccount", s.namespace, name)
	if i < 0 || w.accounts[s.namespace+"/"+name] {
		return
	}
	w.accounts[s.namespace+"/"+name] = true
	by := "ServiceAccount " + name
	for j, r := range tree.List(w.objects[i], "secrets") {
		w.refer(Reference{Kind: "Secret", Namespace: s.namespace, Name: tree.Text(r, "name"), By: by,
			At: Place{Object: i, Path: []any{"secrets", j}}})
	}
	for j, r := range tree.List(w.objects[i], "imagePullSecrets") {
		w.pullSecret(s.namespace, by, r, Place{Object: i, Path: []any{"imagePullSecrets", j}})
	}
}

func (w *walker) pullSecret(namespace, by string, ref any, at Place) {
	w.refer(Reference{Kind: "Secret", Namespace: namespace, Name: tree.Text(ref, "name"), By: by, At: at, Lenient: true,
		Use: Use{SecretType: "kubernetes.io/dockerconfigjson", Keys: []string{".dockerconfigjson"}}})
}

// workspaces looks at what a run binds its workspaces to, and gives their names.
func (w *walker) workspaces(s scope, list []any) []string {
	var names []string
	for i, ws := range list {
		here := s.below("workspaces", i)
		name := tree.Text(ws, "name")
		names = append(names, name)
		by := "workspace " + name + " of " + s.by
		if t := tree.Map(ws, "volumeClaimTemplate"); t != nil {
			w.claim(tree.Get(t, "spec"), "", by, here.below("volumeClaimTemplate").at)
		}
		here.by = by
		w.volume(here, ws)
	}
	return names
}

// claimNamed has a claim referred to, and looks at it if it is given.
func (w *walker) claimNamed(s scope, name string) {
	w.refer(Reference{Kind: "PersistentVolumeClaim", Namespace: s.namespace, Name: name, At: s.at, By: s.by})
	if i := w.find("PersistentVolumeClaim", s.namespace, name); i >= 0 {
		w.claim(tree.Get(w.objects[i], "spec"), name, s.by, Place{Object: i, Path: []any{"spec"}})
	}
}

func (w *walker) claim(spec any, name, by string, at Place) {
	c := Claim{Name: name, Class: tree.Text(spec, "storageClassName"), By: by, At: at}
	for _, m := range tree.List(spec, "accessModes") {
		if mode, ok := m.(string); ok {
			c.AccessModes = append(c.AccessModes, mode)
		}
	}
	w.out.Claims = append(w.out.Claims, c)
}

// volume looks at what a volume or workspace is of: secret, configMap, projected,
// persistentVolumeClaim.
func (w *walker) volume(s scope, v any) {
	source := func(here scope, kind string, m any, nameKey string) {
		name, _ := s.fill(tree.Text(m, nameKey))
		use := Use{}
		for _, item := range tree.List(m, "items") {
			if key, ok := s.fill(tree.Text(item, "key")); ok && key != "" {
				use.Keys = union(use.Keys, []string{key})
			}
		}
		optional, _ := tree.Get(m, "optional").(bool)
		w.refer(Reference{Kind: kind, Namespace: s.namespace, Name: name, At: here.below(nameKey).at, By: s.by,
			Optional: optional, Use: use})
	}
	if m := tree.Map(v, "secret"); m != nil {
		source(s.below("secret"), "Secret", m, "secretName")
	}
	if m := tree.Map(v, "configMap"); m != nil {
		source(s.below("configMap"), "ConfigMap", m, "name")
	}
	for i, p := range tree.List(v, "projected", "sources") {
		here := s.below("projected", "sources", i)
		if m := tree.Map(p, "secret"); m != nil {
			source(here.below("secret"), "Secret", m, "name")
		}
		if m := tree.Map(p, "configMap"); m != nil {
			source(here.below("configMap"), "ConfigMap", m, "name")
		}
	}
	if m := tree.Map(v, "persistentVolumeClaim"); m != nil {
		name, _ := s.fill(tree.Text(m, "claimName"))
		w.claimNamed(s.below("persistentVolumeClaim", "claimName"), name)
	}
}

// environment looks at where the variables of a container come from.
func (w *walker) environment(s scope, c any) {
	one := func(here scope, kind string, m any) {
		name, _ := s.fill(tree.Text(m, "name"))
		optional, _ := tree.Get(m, "optional").(bool)
		use := Use{}
		if key, ok := s.fill(tree.Text(m, "key")); ok && key != "" {
			use.Keys = []string{key}
		}
		w.refer(Reference{Kind: kind, Namespace: s.namespace, Name: name, At: here.below("name").at, By: s.by, Optional: optional, Use: use})
	}
	for i, e := range tree.List(c, "env") {
		for field, kind := range map[string]string{"secretKeyRef": "Secret", "configMapKeyRef": "ConfigMap"} {
			if m := tree.Map(e, "valueFrom", field); m != nil {
				one(s.below("env", i, "valueFrom", field), kind, m)
			}
		}
	}
	for i, e := range tree.List(c, "envFrom") {
		for field, kind := range map[string]string{"secretRef": "Secret", "configMapRef": "ConfigMap"} {
			if m := tree.Map(e, field); m != nil {
				one(s.below("envFrom", i, field), kind, m)
			}
		}
	}
}

// podTemplate looks at what a run gives all its pods.
func (w *walker) podTemplate(s scope, t any, at Place) {
	s.at = at
	for i, v := range tree.List(t, "volumes") {
		w.volume(s.below("volumes", i), v)
	}
	for i, r := range tree.List(t, "imagePullSecrets") {
		w.pullSecret(s.namespace, s.by, r, s.below("imagePullSecrets", i).at)
	}
	w.environment(s, t)
}

// target is the object that a reference means: its index, or -1 with the reference to it.
// The name is empty if only Tekton can tell.
func (w *walker) target(s scope, ref any, kind string) (int, Reference) {
	r := Reference{Kind: kind, Namespace: s.namespace, By: s.by}
	if name := resolver.Local(ref); name != "" {
		if k := tree.Text(ref, "kind"); k == "ClusterTask" {
			r.Kind, r.Namespace = k, ""
		} else if k != "" && k != kind {
			return -1, Reference{}
		}
		var ok bool
		if r.Name, ok = s.fill(name); !ok {
			return -1, Reference{}
		}
		r.At = s.below("name").at
		return w.find(r.Kind, r.Namespace, r.Name), r
	}
	by := tree.Text(ref, "resolver")
	if !resolver.Known(by) {
		return -1, Reference{}
	}
	params := map[string]string{}
	for _, p := range tree.List(ref, "params") {
		value, ok := s.fill(tree.Text(p, "value"))
		if !ok {
			return -1, Reference{}
		}
		params[tree.Text(p, "name")] = value
	}
	t, err := resolver.Of(by, params)
	if err != nil {
		return -1, Reference{}
	}
	r.Name, r.Resolver, r.At = t.Name, by, s.below("resolver").at
	if t.Namespace != "" {
		r.Namespace = t.Namespace
	}
	var of []int
	var candidates []resolver.Candidate
	for i, o := range w.objects {
		if tree.Tekton(o, kind) {
			c := resolver.CandidateOf(w.files[i], o)
			c.Namespace = w.namespaceOf(o)
			of, candidates = append(of, i), append(candidates, c)
		}
	}
	i, err := t.Choose(candidates)
	if err != nil {
		return -1, Reference{} // several are given: nothing is missing
	}
	if i < 0 {
		return -1, r
	}
	r.Given = true
	return of[i], r
}

func (w *walker) pipelineRef(s scope, ref any, given map[string]any, bound []string, use Use) {
	i, r := w.target(s, ref, "Pipeline")
	r.Use = use
	w.refer(r)
	if i < 0 {
		return
	}
	id := s.namespace + "/" + r.Name
	if w.open[id] {
		return
	}
	w.open[id] = true
	defer delete(w.open, id)
	s.at = Place{Object: i, Path: []any{"spec"}}
	s.by = "Pipeline " + r.Name
	w.pipeline(s, tree.Get(w.objects[i], "spec"), given, bound)
}

// pipeline walks through a pipeline's tasks.
func (w *walker) pipeline(s scope, spec any, given map[string]any, bound []string) {
	s.params = defaults(spec, given, s.params)
	results := resultsUsed(spec)
	optional := map[string]bool{}
	for _, ws := range tree.List(spec, "workspaces") {
		if o, _ := tree.Get(ws, "optional").(bool); o {
			optional[tree.Text(ws, "name")] = true
		}
	}
	for _, section := range []string{"tasks", "finally"} {
		for i, t := range tree.List(spec, section) {
			w.pipelineTask(s.below(section, i), spec, t, results, optional, bound)
		}
	}
}

func (w *walker) pipelineTask(s scope, pipeline, t any, results map[string][]Result, optional map[string]bool, bound []string) {
	name := tree.Text(t, "name")
	owner := s.by
	s.by = "task " + name + " of " + owner
	var use Use
	given := map[string]any{}
	for _, p := range slices.Concat(tree.List(t, "params"), matrixParams(t)) {
		if n := tree.Text(p, "name"); !slices.ContainsFunc(use.Params, func(q Param) bool { return q.Name == n }) {
			use.Params = append(use.Params, w.param(p, s, pipeline))
		}
		if value := s.fillAll(tree.Get(p, "value")); value != nil {
			given[tree.Text(p, "name")] = value
		}
	}
	for _, p := range matrixParams(t) {
		// Each of its runs has another value.
		delete(given, tree.Text(p, "name"))
	}
	for _, ws := range tree.List(t, "workspaces") {
		n := cmp.Or(tree.Text(ws, "workspace"), tree.Text(ws, "name"))
		use.Workspaces = append(use.Workspaces, Workspace{Name: tree.Text(ws, "name"), Optional: optional[n]})
	}
	for _, r := range results[name] {
		if tree.Get(t, "matrix") != nil {
			// Each run has a text; together they are a list.
			r.Type, r.Length, r.Properties = "string", 0, nil
		}
		use.Results = append(use.Results, r)
	}
	if ref := tree.Get(t, "taskRef"); ref != nil {
		w.taskRef(s.below("taskRef"), ref, given, name, t, use)
	}
	if inline := tree.Get(t, "taskSpec"); inline != nil && resolver.Custom(inline) == "" {
		// The pipeline's parameters are those of a task within it.
		here := s.below("taskSpec")
		w.task(here, inline, given, name, t)
	}
	if ref := tree.Get(t, "pipelineRef"); ref != nil {
		w.pipelineRef(s.below("pipelineRef"), ref, given, bound, use)
	}
	if inline := tree.Get(t, "pipelineSpec"); inline != nil {
		w.pipeline(s.below("pipelineSpec"), inline, given, bound)
	}
}

func matrixParams(t any) []any {
	var out []any
	for _, p := range tree.List(t, "matrix", "params") {
		// A list of values, one for each run.
		out = append(out, map[string]any{"name": tree.Get(p, "name"), "value": ""})
	}
	for _, include := range tree.List(t, "matrix", "include") {
		out = append(out, tree.List(include, "params")...)
	}
	return out
}

// param says what is passed.
func (w *walker) param(p any, s scope, pipeline any) Param {
	out := Param{Name: tree.Text(p, "name"), Type: "string"}
	switch v := tree.Get(p, "value").(type) {
	case []any:
		out.Type = "array"
	case map[string]any:
		out.Type, out.Properties = "object", sortedKeys(v)
	case string:
		whole := strings.TrimSpace(v)
		if name, ok := cut(whole, "$(params.", "[*])"); ok {
			out.Type = "array"
			for _, d := range tree.List(pipeline, "params") {
				if tree.Text(d, "name") != name {
					continue
				}
				if properties := tree.Map(d, "properties"); properties != nil {
					out.Type, out.Properties = "object", sortedKeys(properties)
				}
			}
			if o, ok := s.params[name].(map[string]any); ok {
				out.Type, out.Properties = "object", sortedKeys(o)
			}
		}
		if refs := resultref.Find(whole); len(refs) == 1 && refs[0].Text == whole && refs[0].Part == "*" {
			out.Type = "array"
			for _, r := range resultsUsed(pipeline)[refs[0].Task] {
				if r.Name == refs[0].Result && r.Type == "object" {
					out.Type, out.Properties = "object", r.Properties
				}
			}
		}
	}
	return out
}

func cut(text, before, after string) (string, bool) {
	rest, ok := strings.CutPrefix(text, before)
	if !ok {
		return "", false
	}
	return strings.CutSuffix(rest, after)
}

// resultsUsed finds the results that a pipeline uses, by pipeline task.
func resultsUsed(spec any) map[string][]Result {
	out := map[string][]Result{}
	texts(spec, func(text string) {
		for _, r := range resultref.Find(text) {
			out[r.Task] = addResult(out[r.Task], used(r))
		}
	})
	return out
}

// used says what a reference to a result uses of it.
func used(r resultref.Ref) Result {
	use := Result{Name: r.Result, Type: "string"}
	switch n, err := strconv.Atoi(r.Part); {
	case r.Part == "":
	case r.Part == "*":
		use.Type = "array"
	case err == nil:
		use.Type, use.Length = "array", n+1
	default:
		use.Type, use.Properties = "object", []string{r.Part}
	}
	return use
}

// texts calls f with every text below v, in order of keys.
func texts(v any, f func(string)) {
	switch v := v.(type) {
	case string:
		f(v)
	case []any:
		for _, e := range v {
			texts(e, f)
		}
	case map[string]any:
		for _, k := range sortedKeys(v) {
			texts(v[k], f)
		}
	}
}

// defaults are the values of a pipeline's or task's parameters: what is given, then
// their defaults, then those of outside, which an inline spec sees.
func defaults(spec any, given, outside map[string]any) map[string]any {
	out := map[string]any{}
	for k, v := range outside {
		out[k] = v
	}
	for _, p := range tree.List(spec, "params") {
		name := tree.Text(p, "name")
		delete(out, name)
		if d := tree.Get(p, "default"); d != nil {
			out[name] = d
		}
	}
	for k, v := range given {
		out[k] = v
	}
	return out
}

// fill puts the parameters that are known into a text; false if something else
// remains to be put in.
func (s scope) fill(text string) (string, bool) {
	if !strings.Contains(text, "$(") {
		return text, true
	}
	for name, v := range s.params {
		var with map[string]string
		switch v := v.(type) {
		case string:
			with = map[string]string{"": v}
		case map[string]any:
			with = map[string]string{}
			for k, e := range v {
				if t, ok := e.(string); ok {
					with["."+k] = t
				}
			}
		case []any:
			with = map[string]string{}
			for i, e := range v {
				if t, ok := e.(string); ok {
					with["["+strconv.Itoa(i)+"]"] = t
				}
			}
		}
		for suffix, value := range with {
			if strings.Contains(value, "$(") {
				continue
			}
			for _, form := range []string{"$(params.%s%s)", "$(inputs.params.%s%s)", `$(params["%s"]%s)`, `$(params['%s']%s)`} {
				text = strings.ReplaceAll(text, fmt.Sprintf(form, name, suffix), value)
			}
		}
	}
	return text, !strings.Contains(text, "$(")
}

// fillAll fills a value in; nil if something of it is not known.
func (s scope) fillAll(v any) any {
	switch v := v.(type) {
	case string:
		if name, ok := cut(strings.TrimSpace(v), "$(params.", "[*])"); ok && s.params[name] != nil {
			return s.params[name]
		}
		if t, ok := s.fill(v); ok {
			return t
		}
		return nil
	case []any:
		out := make([]any, 0, len(v))
		for _, e := range v {
			if e = s.fillAll(e); e == nil {
				return nil
			}
			out = append(out, e)
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for k, e := range v {
			if e = s.fillAll(e); e != nil {
				out[k] = e
			}
		}
		return out
	}
	return v
}

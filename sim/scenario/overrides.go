package scenario

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"simctl.dev/simctl/sim/internal/tree"
)

// override applies workload.overrides to the objects.
func (w *world) override() {
	o := &w.spec.Workload.Overrides
	// Patches name manifests as they are written, so they come before a claim
	// turns into a template.
	for i, p := range o.Patches {
		w.patch(i, p)
	}
	switch o.Claim {
	case "template":
		w.claimsToTemplates()
	case "existing":
		w.templatesToClaims()
	}
	for _, spec := range w.claimSpecs() {
		if mode, err := NormalizeAccessMode(o.AccessMode); err == nil {
			spec["accessModes"] = []any{mode}
		}
		if o.StorageClass != "" {
			spec["storageClassName"] = o.StorageClass
		}
	}
	for _, run := range w.objects {
		if run.tekton("PipelineRun") {
			w.overrideRun(run, o)
		}
		if o.Retries != nil {
			retry(run, *o.Retries)
		}
	}
}

// retry has tasks tried again as often as is given.
func retry(o *object, retries int) {
	spec := []string{"spec"}
	switch {
	case o.tekton("TaskRun"):
		set(o.data, plain(retries), "spec", "retries")
		return
	case o.tekton("PipelineRun"):
		spec = append(spec, "pipelineSpec")
	case !o.tekton("Pipeline"):
		return
	}
	for _, list := range []string{"tasks", "finally"} {
		for _, task := range tree.List(o.data, append(slices.Clone(spec), list)...) {
			if m, ok := task.(map[string]any); ok {
				m["retries"] = plain(retries)
			}
		}
	}
}

// claimSpecs returns the spec of every claim and every claim template.
func (w *world) claimSpecs() []map[string]any {
	var specs []map[string]any
	add := func(parent map[string]any) {
		if s, ok := parent["spec"].(map[string]any); ok {
			specs = append(specs, s)
			return
		}
		s := map[string]any{}
		parent["spec"] = s
		specs = append(specs, s)
	}
	for _, o := range w.objects {
		switch {
		case o.kind() == "PersistentVolumeClaim":
			add(o.data)
		case o.tekton("PipelineRun"), o.tekton("TaskRun"):
			for _, ws := range tree.List(o.data, "spec", "workspaces") {
				if t, ok := tree.Get(ws, "volumeClaimTemplate").(map[string]any); ok {
					add(t)
				}
			}
		}
	}
	return specs
}

// overrideRun puts the overrides of a PipelineRun where its API version has
// them.
func (w *world) overrideRun(run *object, o *Overrides) {
	base := []string{"spec", "taskRunTemplate"}
	if strings.HasSuffix(run.apiVersion(), "/v1beta1") {
		base = []string{"spec"}
	}
	at := func(path ...string) []string { return slices.Concat(base, path) }
	if o.ServiceAccountName != "" {
		set(run.data, o.ServiceAccountName, at("serviceAccountName")...)
	}
	if o.Tolerations != nil {
		if len(o.Tolerations) == 0 {
			if t, ok := tree.Get(run.data, at("podTemplate")...).(map[string]any); ok {
				delete(t, "tolerations")
			}
		} else {
			set(run.data, plain(o.Tolerations), at("podTemplate", "tolerations")...)
		}
	}
	if len(o.NodeSelector) > 0 {
		set(run.data, plain(o.NodeSelector), at("podTemplate", "nodeSelector")...)
	}
	if len(o.SecurityContext) > 0 {
		sc := tree.Get(run.data, at("podTemplate", "securityContext")...)
		set(run.data, merge(sc, plain(o.SecurityContext)), at("podTemplate", "securityContext")...)
	}
}

// plain returns a value as decoded JSON.
func plain(v any) any {
	data, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("a value that was read from JSON is JSON: %v", err))
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var out any
	if err := dec.Decode(&out); err != nil {
		panic(fmt.Sprintf("JSON just written is JSON: %v", err))
	}
	return out
}

// patch applies a merge patch to the manifests that it names.
func (w *world) patch(i int, p ManifestPatch) {
	at := fmt.Sprintf("workload.overrides.patches[%d]", i)
	if p.Kind == "" || !isObject(p.Patch) {
		return // reported with the scenario
	}
	patch, err := decodeObject(p.Patch)
	if err != nil {
		w.issues = append(w.issues, issuef(at+".patch", "%s.patch: %v", at, err))
		return
	}
	var kinds, names []string
	matched := false
	for _, o := range w.objects {
		if !slices.Contains(kinds, o.kind()) {
			kinds = append(kinds, o.kind())
		}
		if o.kind() != p.Kind {
			continue
		}
		names = append(names, o.name())
		if p.Name != "" && o.name() != p.Name {
			continue
		}
		matched = true
		merge(o.data, copyValue(patch))
	}
	switch {
	case matched:
	case len(names) > 0:
		w.issues = append(w.issues, issuef(at+".name", "no %s is named %q%s", p.Kind, p.Name, Suggest(p.Name, names)))
	default:
		w.issues = append(w.issues, issuef(at+".kind", "the manifests have no %s%s", p.Kind, Suggest(p.Kind, kinds)))
	}
}

// claimsToTemplates has the PipelineRuns make the claims they use: each bound
// claim becomes a volumeClaimTemplate with the claim's spec. A claim that
// nothing else uses is no longer made beforehand.
func (w *world) claimsToTemplates() {
	turned := map[*object]bool{}
	for _, run := range w.objects {
		if !run.tekton("PipelineRun") {
			continue
		}
		for i, ws := range tree.List(run.data, "spec", "workspaces") {
			m, ok := ws.(map[string]any)
			name := tree.Text(m, "persistentVolumeClaim", "claimName")
			if !ok || name == "" {
				continue
			}
			claim := w.find("PersistentVolumeClaim", run.namespace(), name)
			if claim == nil {
				w.problem(run.problem([]any{"spec", "workspaces", i, "persistentVolumeClaim", "claimName"},
					"claim %q is not among the manifests, so claim: template has nothing to make a template of%s",
					name, w.addFile(name, "PersistentVolumeClaim", run.namespace())))
				continue
			}
			turned[claim] = true
			meta := map[string]any{"name": name}
			for _, key := range []string{"labels", "annotations"} {
				if v := tree.Get(claim.data, "metadata", key); v != nil {
					meta[key] = copyValue(v)
				}
			}
			spec, _ := copyValue(tree.Get(claim.data, "spec")).(map[string]any)
			delete(spec, "volumeName") // a volume is one claim's, a template is for many
			delete(m, "persistentVolumeClaim")
			m["volumeClaimTemplate"] = map[string]any{"metadata": meta, "spec": spec}
		}
	}
	w.objects = slices.DeleteFunc(w.objects, func(o *object) bool {
		return turned[o] && !w.claimUsed(o.namespace(), o.name())
	})
}

// claimUsed reports whether any object of the namespace names the claim.
func (w *world) claimUsed(namespace, name string) bool {
	var uses func(v any) bool
	uses = func(v any) bool {
		switch v := v.(type) {
		case map[string]any:
			if v["claimName"] == name {
				return true
			}
			for _, e := range v {
				if uses(e) {
					return true
				}
			}
		case []any:
			return slices.ContainsFunc(v, uses)
		}
		return false
	}
	return slices.ContainsFunc(w.objects, func(o *object) bool {
		return o.namespace() == namespace && uses(o.data)
	})
}

// templatesToClaims makes the claims of the PipelineRuns' templates beforehand.
// A claim gets the template's name, or RUN-WORKSPACE if it has none or the name
// is taken.
func (w *world) templatesToClaims() {
	for _, run := range slices.Clone(w.objects) {
		if !run.tekton("PipelineRun") {
			continue
		}
		for _, ws := range tree.List(run.data, "spec", "workspaces") {
			m, _ := ws.(map[string]any)
			template, ok := tree.Get(m, "volumeClaimTemplate").(map[string]any)
			if !ok {
				continue
			}
			name := tree.Text(template, "metadata", "name")
			if name == "" || w.find("PersistentVolumeClaim", run.namespace(), name) != nil {
				name = strings.TrimSuffix(run.name(), "-") + "-" + tree.Text(m, "name")
			}
			for base, n := name, 2; w.find("PersistentVolumeClaim", run.namespace(), name) != nil; n++ {
				name = fmt.Sprintf("%s-%d", base, n)
			}
			claim := &object{file: run.file, node: run.node, data: map[string]any{
				"apiVersion": "v1", "kind": "PersistentVolumeClaim",
			}}
			meta, _ := copyValue(tree.Get(template, "metadata")).(map[string]any)
			if meta == nil {
				meta = map[string]any{}
			}
			delete(meta, "creationTimestamp")
			meta["name"], meta["namespace"] = name, run.namespace()
			claim.data["metadata"] = meta
			claim.data["spec"] = copyValue(tree.Get(template, "spec"))
			w.objects = append(w.objects, claim)
			delete(m, "volumeClaimTemplate")
			m["persistentVolumeClaim"] = map[string]any{"claimName": name}
		}
	}
}

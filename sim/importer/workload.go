package importer

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"simctl.dev/simctl/sim/internal/tree"
	"simctl.dev/simctl/sim/wellknown"
)

// workload keeps the runs to replay with all that they need, and what stands in
// their way.
func (c *converter) workload() error {
	if err := c.pickRuns(); err != nil {
		return err
	}
	var specs []any
	for _, u := range c.runs {
		specs = append(specs, c.run(u))
	}
	c.rights()
	for _, kind := range []string{"ResourceQuota", "LimitRange"} {
		for _, u := range c.ix.in(kind+".", c.o.Namespace) {
			c.keep("quotas.yaml", u)
			if used := tree.Map(u.Object, "status", "used"); len(used) > 0 {
				var parts []string
				for k, v := range used {
					parts = append(parts, fmt.Sprintf("%s %v", k, v))
				}
				c.note("workload", "ResourceQuota %s: the cluster had counted %s; here only these runs count", u.GetName(), joined(parts))
			}
		}
	}
	c.configMaps()
	c.references()
	c.durations(specs)
	if len(c.runs) == 0 {
		c.note("workload", "no PipelineRun was read in namespace %s, and there must be one: write the run to replay into manifests/runs.yaml", c.o.Namespace)
	}
	return nil
}

// pickRuns chooses the runs to replay.
func (c *converter) pickRuns() error {
	all := c.ix.in("PipelineRun.tekton.dev", c.o.Namespace)
	if len(c.o.Runs) > 0 {
		for _, name := range c.o.Runs {
			u := c.ix.get("PipelineRun.tekton.dev", c.o.Namespace, name)
			if u == nil {
				var have []string
				for _, r := range all {
					have = append(have, r.GetName())
				}
				return fmt.Errorf("namespace %s has no PipelineRun %q; it has: %s", c.o.Namespace, name, joined(have))
			}
			c.runs = append(c.runs, u)
		}
		return nil
	}
	latest := map[string]*unstructured.Unstructured{}
	var order []string
	for _, u := range all {
		p := pipelineOf(u)
		old := latest[p]
		if old == nil {
			order = append(order, p)
		}
		if old == nil || !u.GetCreationTimestamp().Time.Before(old.GetCreationTimestamp().Time) {
			latest[p] = u
		}
	}
	for _, p := range order {
		c.runs = append(c.runs, latest[p])
	}
	if n := len(all) - len(c.runs); n > 0 {
		c.note("workload", "the latest run of each Pipeline is replayed; %d earlier %s left out", n, plural(n, "run is", "runs are"))
	}
	return nil
}

// pipelineOf names what a run is a run of.
func pipelineOf(run *unstructured.Unstructured) string {
	if name := tree.Text(run.Object, "spec", "pipelineRef", "name"); name != "" {
		return name
	}
	if name := run.GetLabels()[wellknown.PipelineLabel]; name != "" && name != run.GetName() {
		return name
	}
	if g := run.GetGenerateName(); g != "" {
		return g
	}
	return run.GetName()
}

// run keeps a PipelineRun with its Pipeline and Tasks, and returns its pipeline's
// spec.
func (c *converter) run(u *unstructured.Unstructured) any {
	o := c.keep("runs.yaml", u)
	spec := tree.Map(o, "spec")
	// That a run was cancelled is not what it is to be.
	delete(spec, "status")
	if labels := tree.Map(o, "metadata", "labels"); labels != nil {
		for k := range labels {
			if strings.HasPrefix(k, "tekton.dev/") {
				delete(labels, k)
			}
		}
		if len(labels) == 0 {
			delete(tree.Map(o, "metadata"), "labels")
		}
	}
	ref := tree.Map(spec, "pipelineRef")
	if ref == nil {
		c.tasks(u, tree.Map(spec, "pipelineSpec"))
		return spec["pipelineSpec"]
	}
	if name := local(ref); name != "" {
		if p := c.ix.get("Pipeline.tekton.dev", c.o.Namespace, name); p != nil {
			for _, kept := range c.kept["pipelines.yaml"] {
				if tree.Text(kept, "metadata", "name") == name {
					return kept["spec"]
				}
			}
			kept := c.keep("pipelines.yaml", p)
			c.tasks(u, tree.Map(kept, "spec"))
			return kept["spec"]
		}
	}
	resolved, _ := tree.Get(u.DeepCopy().Object, "status", "pipelineSpec").(map[string]any)
	if resolved == nil {
		if local(ref) != "" {
			c.note("workload", "run %s: its Pipeline %s was not read; put it into manifests/pipelines.yaml", u.GetName(), local(ref))
		} else {
			c.note("workload", "run %s takes its Pipeline by resolver %s, which the simulation cannot ask, and its status does not have it", u.GetName(), tree.Text(ref, "resolver"))
		}
		return nil
	}
	delete(spec, "pipelineRef")
	spec["pipelineSpec"] = resolved
	c.note("workload", "run %s: its pipeline is the one in its status, with the parameters' values of then", u.GetName())
	c.tasks(u, resolved)
	return resolved
}

// local is the name of an object of the namespace that a reference names.
func local(ref map[string]any) string {
	if tree.Text(ref, "resolver") != "" || tree.Text(ref, "bundle") != "" {
		return ""
	}
	return tree.Text(ref, "name")
}

// tasks keeps the Tasks of a pipeline's spec. One that cannot be read is taken
// from the status of a TaskRun.
func (c *converter) tasks(run *unstructured.Unstructured, spec map[string]any) {
	for _, section := range []string{"tasks", "finally"} {
		for _, t := range tree.List(spec, section) {
			m, _ := t.(map[string]any)
			ref := tree.Map(m, "taskRef")
			if inner := tree.Map(m, "pipelineSpec"); inner != nil {
				c.tasks(run, inner)
			}
			if api := tree.Text(ref, "apiVersion"); ref == nil || api != "" && !strings.HasPrefix(api, "tekton.dev/") {
				continue // in the pipeline itself, or a custom task
			}
			if name := local(ref); name != "" && c.task(tree.Text(ref, "kind"), name) {
				continue
			}
			if found := c.taskSpecOf(run, tree.Text(m, "name")); found != nil {
				delete(m, "taskRef")
				m["taskSpec"] = found
				c.note("workload", "task %s: its spec is the one in the status of a TaskRun, with the parameters' values of then", tree.Text(m, "name"))
				continue
			}
			what := "Task " + local(ref)
			if local(ref) == "" {
				what = "its Task, by resolver " + tree.Text(ref, "resolver") + ","
			}
			c.note("workload", "task %s: %s was not read; put it into manifests/tasks.yaml", tree.Text(m, "name"), what)
		}
	}
}

// task keeps a Task or ClusterTask, once, and says whether it was read.
func (c *converter) task(kind, name string) bool {
	namespace := c.o.Namespace
	if kind == "" {
		kind = "Task"
	}
	if kind == "ClusterTask" {
		namespace = ""
	}
	u := c.ix.get(kind+".tekton.dev", namespace, name)
	if u == nil {
		return false
	}
	for _, kept := range c.kept["tasks.yaml"] {
		if tree.Text(kept, "kind") == kind && tree.Text(kept, "metadata", "name") == name {
			return true
		}
	}
	kept := c.keep("tasks.yaml", u)
	for _, step := range tree.List(kept, "spec", "steps") {
		if ref := tree.Map(step, "ref"); local(ref) != "" {
			if a := c.ix.get("StepAction.tekton.dev", c.o.Namespace, local(ref)); a != nil {
				if !slices.ContainsFunc(c.kept["stepactions.yaml"], func(k map[string]any) bool { return tree.Text(k, "metadata", "name") == a.GetName() }) {
					c.keep("stepactions.yaml", a)
				}
			} else {
				c.note("workload", "Task %s: StepAction %s was not read; put it into manifests/stepactions.yaml", name, local(ref))
			}
		}
	}
	return true
}

// taskSpecOf returns the spec that a pipeline task had when it ran, of this run if
// it can be.
func (c *converter) taskSpecOf(run *unstructured.Unstructured, task string) map[string]any {
	var found map[string]any
	for _, tr := range c.ix.in("TaskRun.tekton.dev", c.o.Namespace) {
		l := tr.GetLabels()
		if l[wellknown.PipelineTaskLabel] != task || l[wellknown.PipelineLabel] != run.GetLabels()[wellknown.PipelineLabel] && l[wellknown.PipelineRunLabel] != run.GetName() {
			continue
		}
		if spec := tree.Map(tr.DeepCopy().Object, "status", "taskSpec"); spec != nil {
			found = spec
			if l[wellknown.PipelineRunLabel] == run.GetName() {
				break
			}
		}
	}
	return found
}

// rights keeps ServiceAccounts, Secrets without their values, Roles and
// RoleBindings.
func (c *converter) rights() {
	secrets := map[string]bool{}
	for _, u := range c.ix.in("Secret.", c.o.Namespace) {
		t := tree.Text(u.Object, "type")
		if t == string(corev1.SecretTypeServiceAccountToken) || strings.HasPrefix(t, "helm.sh/") {
			continue
		}
		secrets[u.GetName()] = true
		c.kept["secrets.yaml"] = append(c.kept["secrets.yaml"], blank(u, c.o.Namespace))
	}
	if len(secrets) > 0 {
		c.note("workload", "Secrets have their names and types and no values")
	}
	have := map[string]bool{"default": true, pipelineAccount: true}
	for _, u := range c.ix.in("ServiceAccount.", c.o.Namespace) {
		have[u.GetName()] = true
		o := c.keep("rights.yaml", u)
		for _, field := range []string{"secrets", "imagePullSecrets"} {
			var refs []any
			for _, r := range tree.List(o, field) {
				// A Secret that is not there would stop every task.
				if secrets[tree.Text(r, "name")] {
					refs = append(refs, r)
				}
			}
			delete(o, field)
			if refs != nil {
				o[field] = refs
			}
		}
	}
	for _, kind := range []string{"Role", "RoleBinding"} {
		for _, u := range c.ix.in(kind+".rbac.authorization.k8s.io", c.o.Namespace) {
			// The scenario's grants and pipelinesSCC are bindings of the same names.
			if role := tree.Text(u.Object, "roleRef", "name"); kind == "RoleBinding" &&
				(strings.HasPrefix(role, "system:openshift:scc:") || role == pipelineSCC+"-clusterrole") {
				continue
			}
			c.keep("rights.yaml", u)
		}
	}
	// Runs need their ServiceAccounts, whether they could be read or not.
	for _, name := range c.accounts() {
		if !have[name] {
			c.kept["rights.yaml"] = append(c.kept["rights.yaml"], map[string]any{
				"apiVersion": "v1", "kind": "ServiceAccount", "metadata": map[string]any{"name": name, "namespace": c.o.Namespace}})
			c.note("workload", "ServiceAccount %s, which runs use, was not read; one without Secrets stands in for it", name)
		}
	}
}

// blank is a Secret without its values: of its annotations those by which Tekton
// knows what it is for, and where the type demands keys, something in them.
func blank(u *unstructured.Unstructured, namespace string) map[string]any {
	meta := map[string]any{"name": u.GetName(), "namespace": namespace}
	annotations := map[string]any{}
	for k, v := range u.GetAnnotations() {
		if strings.HasPrefix(k, "tekton.dev/") {
			annotations[k] = v
		}
	}
	if len(annotations) > 0 {
		meta["annotations"] = annotations
	}
	o := map[string]any{"apiVersion": "v1", "kind": "Secret", "metadata": meta}
	t := tree.Text(u.Object, "type")
	if t != "" {
		o["type"] = t
	}
	needs := map[corev1.SecretType]map[string]string{
		corev1.SecretTypeDockercfg:        {corev1.DockerConfigKey: "{}"},
		corev1.SecretTypeDockerConfigJson: {corev1.DockerConfigJsonKey: "{}"},
		corev1.SecretTypeBasicAuth:        {corev1.BasicAuthUsernameKey: "left-out", corev1.BasicAuthPasswordKey: "left-out"},
		corev1.SecretTypeSSHAuth:          {corev1.SSHAuthPrivateKey: "left-out"},
		corev1.SecretTypeTLS:              {corev1.TLSCertKey: "left-out", corev1.TLSPrivateKeyKey: "left-out"},
	}[corev1.SecretType(t)]
	if needs != nil {
		data := map[string]any{}
		for k, v := range needs {
			data[k] = base64.StdEncoding.EncodeToString([]byte(v))
		}
		o["data"] = data
	}
	return o
}

// configMaps keeps those that the runs and tasks name.
func (c *converter) configMaps() {
	named := map[string]bool{}
	for _, file := range []string{"runs.yaml", "pipelines.yaml", "tasks.yaml", "stepactions.yaml"} {
		for _, o := range c.kept[file] {
			walk(o, func(m map[string]any) {
				for _, k := range []string{"configMap", "configMapRef", "configMapKeyRef", "configmap"} {
					if ref := tree.Map(m, k); ref != nil {
						named[tree.Text(ref, "name")] = true
					}
				}
			})
		}
	}
	for _, u := range c.ix.in("ConfigMap.", c.o.Namespace) {
		if named[u.GetName()] {
			c.keep("configmaps.yaml", u)
		}
	}
}

// references finds the nodes and node labels that manifests select by.
func (c *converter) references() {
	for _, objects := range c.kept {
		for _, o := range objects {
			walk(o, func(m map[string]any) {
				for k, v := range tree.Map(m, "nodeSelector") {
					c.selected[k] = true
					if s, ok := v.(string); ok && k == corev1.LabelHostname {
						c.pinned[s] = true
					}
				}
				if name := tree.Text(m, "nodeName"); name != "" {
					c.pinned[name] = true
				}
				if k := tree.Text(m, "topologyKey"); k != "" {
					c.selected[k] = true
				}
				for _, e := range append(tree.List(m, "matchExpressions"), tree.List(m, "matchFields")...) {
					k := tree.Text(e, "key")
					c.selected[k] = true
					if k == corev1.LabelHostname || k == "metadata.name" {
						for _, v := range stringsOf(tree.List(e, "values")) {
							c.pinned[v] = true
						}
					}
				}
			})
		}
	}
}

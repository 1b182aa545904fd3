package importer

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"simctl.dev/simctl/sim/internal/tree"
	"simctl.dev/simctl/sim/scenario"
)

const (
	sccGroup     = "security.openshift.io"
	sccKind      = "SecurityContextConstraints." + sccGroup
	sccResources = "securitycontextconstraints"
	ranges       = "openshift.io/sa.scc."
	// everybodys is the SCC that everybody may use.
	everybodys = "restricted-v2"
	// pipelineSCC is what OpenShift Pipelines lets its ServiceAccount use.
	pipelineSCC, pipelineAccount = "pipelines-scc", "pipeline"
)

// openshift converts the namespace and the rights to use SCCs.
func (c *converter) openshift() {
	ns := c.ix.get("Namespace.", "", c.o.Namespace)
	if ns == nil {
		// OpenShift's kind for whoever may not read namespaces.
		if p := c.ix.get("Project.project.openshift.io", "", c.o.Namespace); p != nil {
			ns = p.DeepCopy()
			ns.SetAPIVersion("v1")
			ns.SetKind("Namespace")
		}
	}
	onOpenShift := len(c.ix[sccKind]) > 0
	ranged := false
	if ns != nil {
		o := clean(ns)
		delete(o, "spec")
		meta := tree.Map(o, "metadata")
		annotations := tree.Map(meta, "annotations")
		for k := range annotations {
			switch {
			case strings.HasPrefix(k, ranges):
				onOpenShift, ranged = true, true
			case k != "openshift.io/node-selector" && k != "scheduler.alpha.kubernetes.io/node-selector":
				delete(annotations, k)
			}
		}
		if len(annotations) == 0 {
			delete(meta, "annotations")
		}
		if labels := tree.Map(meta, "labels"); labels != nil {
			delete(labels, "kubernetes.io/metadata.name")
		}
		c.kept["namespace.yaml"] = append(c.kept["namespace.yaml"], o)
	} else {
		c.note("cluster", "Namespace %s was not read: its labels and ranges of ids are not known", c.o.Namespace)
	}
	if !onOpenShift {
		return
	}
	c.s.Cluster.OpenShift.Enabled = true
	if !ranged {
		c.note("cluster", "the namespace's ranges of ids are not known; write them down as  uidRange: 1000970000/10000")
	}
	c.sccs()
}

// accounts are the ServiceAccounts of the namespace.
func (c *converter) accounts() []string {
	names := []string{"default"}
	for _, u := range c.ix.in("ServiceAccount.", c.o.Namespace) {
		names = append(names, u.GetName())
	}
	for _, u := range c.runs {
		walk(u.Object["spec"], func(m map[string]any) {
			if name := tree.Text(m, "serviceAccountName"); name != "" {
				names = append(names, name)
			}
		})
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// sccs finds which ServiceAccount may use which SCC, by the SCCs themselves and
// by RBAC, and keeps the SCCs that are not OpenShift's own.
func (c *converter) sccs() {
	accounts := c.accounts()
	var all []string
	for _, u := range c.ix[sccKind] {
		all = append(all, u.GetName())
	}
	all = append(all, scenario.StockSCCs...)
	slices.Sort(all)
	all = slices.Compact(all)

	uses := map[string]map[string]bool{}
	grant := func(scc, account string) {
		if uses[scc] == nil {
			uses[scc] = map[string]bool{}
		}
		uses[scc][account] = true
	}
	for _, u := range c.ix[sccKind] {
		for _, account := range accounts {
			if slices.Contains(stringsOf(tree.List(u.Object, "users")), "system:serviceaccount:"+c.o.Namespace+":"+account) ||
				slices.ContainsFunc(stringsOf(tree.List(u.Object, "groups")), c.memberOf) {
				grant(u.GetName(), account)
			}
		}
	}
	for _, kind := range []string{"RoleBinding", "ClusterRoleBinding"} {
		for _, u := range c.ix[kind+".rbac.authorization.k8s.io"] {
			if kind == "RoleBinding" && u.GetNamespace() != c.o.Namespace {
				continue
			}
			var b rbacv1.RoleBinding
			if runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &b) != nil {
				continue
			}
			names := c.usable(b.RoleRef, all)
			for _, s := range b.Subjects {
				for _, account := range accounts {
					if s.Kind == rbacv1.ServiceAccountKind && s.Name == account && (s.Namespace == c.o.Namespace || s.Namespace == "" && kind == "RoleBinding") ||
						s.Kind == rbacv1.UserKind && s.Name == "system:serviceaccount:"+c.o.Namespace+":"+account ||
						s.Kind == rbacv1.GroupKind && c.memberOf(s.Name) {
						for _, scc := range names {
							grant(scc, account)
						}
					}
				}
			}
		}
	}
	o := &c.s.Cluster.OpenShift
	stock := map[string]*unstructured.Unstructured{}
	for _, u := range c.o.StockSCCs {
		stock[u.GetName()] = u
	}
	for _, scc := range all {
		if u := c.ix.get(sccKind, "", scc); u != nil && !slices.Contains(scenario.StockSCCs, scc) {
			if len(uses[scc]) > 0 {
				kept := c.keep("sccs.yaml", u)
				// Who may use it is said by the grants; the lists name people.
				kept["users"], kept["groups"] = []any{}, []any{}
			}
		} else if u != nil && stock[scc] != nil {
			if fields := differing(u, stock[scc]); len(fields) > 0 {
				c.note("cluster", "SCC %s of the cluster differs from OpenShift's own in %s; the simulation has OpenShift's own", scc, strings.Join(fields, ", "))
			}
		}
		for _, account := range accounts {
			if scc == everybodys || !uses[scc][account] || scc == pipelineSCC && account == pipelineAccount {
				continue
			}
			o.Grants = append(o.Grants, scenario.SCCGrant{SCC: scc, ServiceAccount: account, Namespace: c.o.Namespace})
		}
	}
	if !uses[pipelineSCC][pipelineAccount] && len(c.ix.in("RoleBinding.rbac.authorization.k8s.io", c.o.Namespace)) > 0 {
		no := false
		o.PipelinesSCC = &no
	}
	if len(c.ix[sccKind]) == 0 {
		c.note("cluster", "no SCC was read: OpenShift's own stand in for them, and grants are those of RBAC alone")
	}
}

// memberOf says whether every ServiceAccount of the namespace is in a group.
func (c *converter) memberOf(group string) bool {
	return group == "system:serviceaccounts" || group == "system:authenticated" || group == "system:serviceaccounts:"+c.o.Namespace
}

// usable are the SCCs that a role lets somebody use.
func (c *converter) usable(ref rbacv1.RoleRef, all []string) []string {
	// Those that oc makes say it by their names, to whoever may not read them.
	if scc, ok := strings.CutPrefix(ref.Name, "system:openshift:scc:"); ok && ref.Kind == "ClusterRole" {
		return []string{scc}
	}
	u := c.ix.get("ClusterRole.rbac.authorization.k8s.io", "", ref.Name)
	if ref.Kind == "Role" {
		u = c.ix.get("Role.rbac.authorization.k8s.io", c.o.Namespace, ref.Name)
	}
	if u == nil {
		if ref.Kind == "ClusterRole" && ref.Name == pipelineSCC+"-clusterrole" {
			return []string{pipelineSCC}
		}
		return nil
	}
	var role rbacv1.ClusterRole
	if runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &role) != nil {
		return nil
	}
	var names []string
	for _, r := range role.Rules {
		has := func(list []string, value string) bool {
			return slices.Contains(list, value) || slices.Contains(list, "*")
		}
		if !has(r.APIGroups, sccGroup) || !has(r.Resources, sccResources) || !has(r.Verbs, "use") {
			continue
		}
		if len(r.ResourceNames) == 0 {
			return all
		}
		names = append(names, r.ResourceNames...)
	}
	return names
}

// differing names the fields in which an SCC differs from another, but for who
// may use it.
func differing(a, b *unstructured.Unstructured) []string {
	var out []string
	keys := map[string]bool{}
	for k := range a.Object {
		keys[k] = true
	}
	for k := range b.Object {
		keys[k] = true
	}
	for k := range keys {
		switch k {
		case "apiVersion", "kind", "metadata", "users", "groups":
			continue
		}
		x, y := norm(a.Object[k]), norm(b.Object[k])
		if x != y {
			out = append(out, k)
		}
	}
	slices.Sort(out)
	return out
}

// norm writes a value so that equal ones are equal: no list is an empty list,
// and the order of a list of words does not matter.
func norm(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case []any:
		if len(v) == 0 {
			return ""
		}
		var words []string
		for _, e := range v {
			words = append(words, fmt.Sprint(e))
		}
		slices.Sort(words)
		return strings.Join(words, ",")
	case bool:
		if !v {
			return ""
		}
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(raw)
}

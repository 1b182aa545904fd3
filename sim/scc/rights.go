package scc

import (
	"cmp"
	"fmt"
	"slices"

	"simctl.dev/simctl/sim/demand"
	"simctl.dev/simctl/sim/internal/tree"
)

// Rights are the SCCs that there are and who may use them, as manifests say it. The zero
// value has none.
type Rights struct {
	sccs []map[string]any
	// rules are by the role's kind, namespace and name.
	rules    map[[3]string][]any
	bindings []any
}

// Take takes what an object says: an SCC, a role or a binding. Others say nothing.
func (r *Rights) Take(o map[string]any) {
	kind := tree.Text(o, "kind")
	switch kind {
	case "SecurityContextConstraints":
		r.sccs = slices.DeleteFunc(r.sccs, func(s map[string]any) bool { return tree.Name(s) == tree.Name(o) })
		r.sccs = append(r.sccs, o)
	case "Role", "ClusterRole":
		if r.rules == nil {
			r.rules = map[[3]string][]any{}
		}
		r.rules[[3]string{kind, tree.Text(o, "metadata", "namespace"), tree.Name(o)}] = tree.List(o, "rules")
	case "RoleBinding", "ClusterRoleBinding":
		r.bindings = append(r.bindings, o)
	}
}

// Usable are the SCCs that a ServiceAccount may use.
func (r *Rights) Usable(namespace, account string) []map[string]any {
	user := "system:serviceaccount:" + namespace + ":" + account
	groups := []string{"system:serviceaccounts", "system:serviceaccounts:" + namespace, "system:authenticated"}
	var rules []any
	for _, b := range r.bindings {
		in := tree.Text(b, "metadata", "namespace")
		if in != "" && in != namespace || !slices.ContainsFunc(tree.List(b, "subjects"), func(s any) bool {
			name := tree.Text(s, "name")
			switch tree.Text(s, "kind") {
			case "ServiceAccount":
				return name == account && cmp.Or(tree.Text(s, "namespace"), in) == namespace
			case "Group":
				return slices.Contains(groups, name)
			}
			return name == user
		}) {
			continue
		}
		role := [3]string{tree.Text(b, "roleRef", "kind"), "", tree.Text(b, "roleRef", "name")}
		if role[0] == "Role" {
			role[1] = in
		}
		rules = append(rules, r.rules[role]...)
		if role[2] == "cluster-admin" { // the API server's own
			all := []any{"*"}
			rules = append(rules, map[string]any{"apiGroups": all, "resources": all, "verbs": all})
		}
	}
	var out []map[string]any
	for _, s := range r.sccs {
		among := func(field string, want ...string) bool {
			return slices.ContainsFunc(tree.List(s, field), func(e any) bool { return slices.Contains(want, fmt.Sprint(e)) })
		}
		if among("users", user) || among("groups", groups...) || slices.ContainsFunc(rules, func(rule any) bool { return allowsUse(rule, tree.Name(s)) }) {
			out = append(out, s)
		}
	}
	return out
}

// allowsUse says whether a rule is for the use of an SCC.
func allowsUse(rule any, name string) bool {
	names := tree.List(rule, "resourceNames")
	return has(tree.List(rule, "verbs"), "use") && has(tree.List(rule, "apiGroups"), "security.openshift.io") &&
		has(tree.List(rule, "resources"), "securitycontextconstraints") && (len(names) == 0 || slices.Contains(names, any(name)))
}

// Refused is an SCC that does not take a pod.
type Refused struct {
	SCC     string
	Reasons []Refusal
}

// Refusal says of each SCC that an account may use why it does not take a pod, and which
// would do, see [Least]. It is empty if one of them takes it.
func (r *Rights) Refusal(p demand.Pod, account string, ranges Ranges) ([]Refused, map[string]any) {
	if len(p.Security) == 0 {
		return nil, nil
	}
	var out []Refused
	for _, s := range r.Usable(p.Namespace, account) {
		reasons := Refuses(s, p, ranges)
		if len(reasons) == 0 {
			return nil, nil
		}
		out = append(out, Refused{tree.Name(s), reasons})
	}
	return out, Least(r.sccs, p, ranges)
}

package openshift

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"simctl.dev/simctl/sim/demand"
	"simctl.dev/simctl/sim/internal/tree"
	"simctl.dev/simctl/sim/scc"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/stub"
)

// Foresee says which pods of a cell's runs SCC admission is likely to refuse, by what is
// known without playing it: what pods want, who may use which SCC, and what these allow. It
// is for warnings: the admission itself decides when the cell is played.
func Foresee(c *scenario.Cell) ([]*scenario.Problem, error) {
	o := c.Spec.Cluster.OpenShift
	if !o.Enabled {
		return nil, nil
	}
	w := c.Wants()
	namespaces, err := namespacesOf(w, o)
	if err != nil {
		return nil, err
	}
	r, err := rightsOf(w, o, namespaces)
	if err != nil {
		return nil, err
	}
	account := c.Spec.Tekton.Defaults["default-service-account"]
	if account == "" {
		// What the operator makes of it.
		account = pipelineAccount
	}
	type same struct{ why, place string }
	var order []same
	by := map[same][]string{}
	at := map[same]demand.Place{}
	for _, p := range w.Pods {
		why, place := r.refusal(p, cmp.Or(p.Account, account), scc.RangesOf(namespaceNamed(namespaces, p.Namespace)))
		if why == "" {
			continue
		}
		id := same{why, w.Problem(place, "").Place()}
		if by[id] == nil {
			order, at[id] = append(order, id), place
		}
		by[id] = append(by[id], p.Of)
	}
	var out []*scenario.Problem
	for _, id := range order {
		out = append(out, w.Problem(at[id], "SCC admission is likely to refuse the pod of %s: %s", stub.Who(by[id]), id.why))
	}
	return out, nil
}

// namespacesOf are the cell's namespaces with the ranges that they will have.
func namespacesOf(w *scenario.Wants, o scenario.OpenShift) ([]*corev1.Namespace, error) {
	var out []*corev1.Namespace
	for _, object := range w.Of("Namespace", "") {
		n := &corev1.Namespace{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(plainNumbers(object), n); err != nil {
			return nil, fmt.Errorf("reading a Namespace: %w", err)
		}
		out = append(out, n)
	}
	slices.SortFunc(out, func(a, b *corev1.Namespace) int { return strings.Compare(a.Name, b.Name) })
	for i, n := range out {
		Annotate(n, o, i)
	}
	return out, nil
}

func namespaceNamed(all []*corev1.Namespace, name string) any {
	for _, n := range all {
		if n.Name == name {
			return map[string]any{"metadata": map[string]any{"annotations": anyValues(n.Annotations)}}
		}
	}
	return nil
}

func anyValues(m map[string]string) map[string]any {
	out := map[string]any{}
	for k, v := range m {
		out[k] = v
	}
	return out
}

// rights are the SCCs that there are and who may use them.
type rights struct {
	stock, sccs []map[string]any
	// rules are by the role's kind, namespace and name.
	rules    map[[3]string][]rbacv1.PolicyRule
	bindings []binding
}

// binding is a RoleBinding, or a ClusterRoleBinding with an empty namespace.
type binding struct {
	namespace string
	ref       rbacv1.RoleRef
	subjects  []rbacv1.Subject
}

func rightsOf(w *scenario.Wants, o scenario.OpenShift, namespaces []*corev1.Namespace) (*rights, error) {
	r := &rights{rules: map[[3]string][]rbacv1.PolicyRule{}}
	cluster, err := ClusterObjects()
	if err != nil {
		return nil, err
	}
	grants, err := Grants(o, namespaces)
	if err != nil {
		return nil, err
	}
	for _, u := range cluster {
		if u.GetKind() == "SecurityContextConstraints" {
			r.stock = append(r.stock, u.Object)
		}
	}
	for _, u := range append(cluster, grants...) {
		if err := r.take(u.Object); err != nil {
			return nil, err
		}
	}
	for _, object := range w.Objects {
		if err := r.take(plainNumbers(object)); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// take takes what an object says of rights.
func (r *rights) take(o map[string]any) error {
	read := func(v any) error {
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o, v); err != nil {
			return fmt.Errorf("reading %s %s: %w", tree.Text(o, "kind"), tree.Name(o), err)
		}
		return nil
	}
	switch tree.Text(o, "kind") {
	case "SecurityContextConstraints":
		r.sccs = slices.DeleteFunc(r.sccs, func(s map[string]any) bool { return tree.Name(s) == tree.Name(o) })
		r.sccs = append(r.sccs, o)
	case "Role":
		v := &rbacv1.Role{}
		if err := read(v); err != nil {
			return err
		}
		r.rules[[3]string{"Role", v.Namespace, v.Name}] = v.Rules
	case "ClusterRole":
		v := &rbacv1.ClusterRole{}
		if err := read(v); err != nil {
			return err
		}
		r.rules[[3]string{"ClusterRole", "", v.Name}] = v.Rules
	case "RoleBinding":
		v := &rbacv1.RoleBinding{}
		if err := read(v); err != nil {
			return err
		}
		r.bindings = append(r.bindings, binding{v.Namespace, v.RoleRef, v.Subjects})
	case "ClusterRoleBinding":
		v := &rbacv1.ClusterRoleBinding{}
		if err := read(v); err != nil {
			return err
		}
		r.bindings = append(r.bindings, binding{"", v.RoleRef, v.Subjects})
	}
	return nil
}

// usable are the SCCs that a ServiceAccount may use.
func (r *rights) usable(namespace, account string) []map[string]any {
	user := "system:serviceaccount:" + namespace + ":" + account
	groups := []string{"system:serviceaccounts", "system:serviceaccounts:" + namespace, "system:authenticated"}
	var rules []rbacv1.PolicyRule
	for _, b := range r.bindings {
		if b.namespace != "" && b.namespace != namespace || !slices.ContainsFunc(b.subjects, func(s rbacv1.Subject) bool {
			switch s.Kind {
			case rbacv1.ServiceAccountKind:
				return s.Name == account && cmp.Or(s.Namespace, b.namespace) == namespace
			case rbacv1.GroupKind:
				return slices.Contains(groups, s.Name)
			}
			return s.Name == user
		}) {
			continue
		}
		role := [3]string{b.ref.Kind, "", b.ref.Name}
		if b.ref.Kind == "Role" {
			role[1] = b.namespace
		}
		rules = append(rules, r.rules[role]...)
		if b.ref.Name == "cluster-admin" {
			rules = append(rules, rbacv1.PolicyRule{APIGroups: []string{"*"}, Resources: []string{"*"}, Verbs: []string{"*"}})
		}
	}
	var out []map[string]any
	for _, s := range r.sccs {
		name := tree.Name(s)
		among := func(field string, want ...string) bool {
			return slices.ContainsFunc(tree.List(s, field), func(e any) bool { return slices.Contains(want, fmt.Sprint(e)) })
		}
		if among("users", user) || among("groups", groups...) || slices.ContainsFunc(rules, func(rule rbacv1.PolicyRule) bool { return allows(rule, name) }) {
			out = append(out, s)
		}
	}
	return out
}

// allows says whether a rule is for the use of an SCC.
func allows(rule rbacv1.PolicyRule, name string) bool {
	in := func(list []string, word string) bool {
		return slices.Contains(list, word) || slices.Contains(list, "*")
	}
	return in(rule.Verbs, "use") && in(rule.APIGroups, sccResource.Group) && in(rule.Resources, sccResource.Resource) &&
		(len(rule.ResourceNames) == 0 || slices.Contains(rule.ResourceNames, name))
}

// refusal says why none of the SCCs that an account may use takes a pod, and where that is
// said; "" if one does.
func (r *rights) refusal(p demand.Pod, account string, ranges scc.Ranges) (string, demand.Place) {
	if len(p.Security) == 0 {
		return "", demand.Place{}
	}
	var why []string
	at := p.Security[0].At
	for i, s := range r.usable(p.Namespace, account) {
		refusals := scc.Refuses(s, p, ranges)
		if len(refusals) == 0 {
			return "", demand.Place{}
		}
		if i == 0 {
			at = refusals[0].At
		}
		var words []string
		for _, refused := range refusals {
			if !slices.Contains(words, refused.Why) {
				words = append(words, refused.Why)
			}
		}
		why = append(why, tree.Name(s)+" ("+strings.Join(words, "; ")+")")
	}
	text := fmt.Sprintf("of what ServiceAccount %s may use, none takes it: %s", account, strings.Join(why, ", "))
	if least := scc.Least(r.stock, p, ranges); least != nil {
		text += fmt.Sprintf("; a grant of %s would (it allows %s)", tree.Name(least), scc.Allows(least))
	}
	return text, at
}

// plainNumbers returns an object with its numbers as the API's types take them.
func plainNumbers(o map[string]any) map[string]any {
	u := &unstructured.Unstructured{Object: o}
	raw, err := u.MarshalJSON()
	if err != nil {
		return o
	}
	var out unstructured.Unstructured
	if err := out.UnmarshalJSON(raw); err != nil {
		return o
	}
	return out.Object
}

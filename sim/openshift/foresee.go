package openshift

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
		why, place := refusal(r, p, cmp.Or(p.Account, account), scc.RangesOf(namespaceNamed(namespaces, p.Namespace)))
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

// rightsOf are the SCCs that the cell has, and who may use them.
func rightsOf(w *scenario.Wants, o scenario.OpenShift, namespaces []*corev1.Namespace) (*scc.Rights, error) {
	objects, err := sccObjects(o, namespaces)
	if err != nil {
		return nil, err
	}
	r := &scc.Rights{}
	for _, u := range objects {
		r.Take(u.Object)
	}
	for _, object := range w.Objects {
		r.Take(object)
	}
	return r, nil
}

// SCCObjects are what a cluster with OpenShift Pipelines has of SCCs and of who may use
// them in some namespaces.
func SCCObjects(namespaces []string) ([]*unstructured.Unstructured, error) {
	var list []*corev1.Namespace
	for _, n := range namespaces {
		list = append(list, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: n}})
	}
	return sccObjects(scenario.OpenShift{Enabled: true}, list)
}

func sccObjects(o scenario.OpenShift, namespaces []*corev1.Namespace) ([]*unstructured.Unstructured, error) {
	cluster, err := ClusterObjects()
	if err != nil {
		return nil, err
	}
	grants, err := Grants(o, namespaces)
	return append(cluster, grants...), err
}

// refusal says why none of the SCCs that an account may use takes a pod, and where that is
// said; "" if one does.
func refusal(r *scc.Rights, p demand.Pod, account string, ranges scc.Ranges) (string, demand.Place) {
	refused, least := r.Refusal(p, account, ranges)
	if len(refused) == 0 {
		return "", demand.Place{}
	}
	var why []string
	for _, s := range refused {
		var words []string
		for _, reason := range s.Reasons {
			if !slices.Contains(words, reason.Why) {
				words = append(words, reason.Why)
			}
		}
		why = append(why, s.SCC+" ("+strings.Join(words, "; ")+")")
	}
	text := fmt.Sprintf("of what ServiceAccount %s may use, none takes it: %s", account, strings.Join(why, ", "))
	if least != nil {
		text += fmt.Sprintf("; a grant of %s would (it allows %s)", tree.Name(least), scc.Allows(least))
	}
	return text, refused[0].Reasons[0].At
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

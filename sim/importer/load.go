package importer

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	resourcehelper "k8s.io/component-helpers/resource"

	"simctl.dev/simctl/sim/internal/tree"
)

// loadNamespace holds the pods that stand for what else runs on the cluster.
const loadNamespace = "other-load"

// roomOf is as much of a pod as says what it takes of its node: neither commands nor
// environments, where secrets may stand.
func roomOf(u *unstructured.Unstructured) map[string]any {
	containers := func(kind string) any {
		var out []any
		for _, c := range tree.List(u.Object, "spec", kind) {
			slim := map[string]any{}
			for _, k := range []string{"name", "resources", "restartPolicy"} {
				if v := tree.Get(c, k); v != nil {
					slim[k] = v
				}
			}
			out = append(out, slim)
		}
		return out
	}
	spec := map[string]any{"nodeName": tree.Text(u.Object, "spec", "nodeName"), "containers": containers("containers"), "initContainers": containers("initContainers")}
	for _, k := range []string{"overhead", "resources"} {
		if v := tree.Get(u.Object, "spec", k); v != nil {
			spec[k] = v
		}
	}
	meta := map[string]any{"name": u.GetName(), "namespace": u.GetNamespace()}
	for _, k := range []string{"labels", "ownerReferences"} {
		if v := tree.Get(u.Object, "metadata", k); v != nil {
			meta[k] = v
		}
	}
	return map[string]any{"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec,
		"status": map[string]any{"phase": tree.Text(u.Object, "status", "phase")}}
}

// load makes a pod for each node that asks for as much as all the pods there that
// the scenario has not. Nodes are given by their names on the cluster with those
// that they have in the scenario.
func (c *converter) load(names map[string]simNode) {
	sums := map[string]corev1.ResourceList{}
	counts := map[string]int{}
	for _, u := range c.ix["Pod."] {
		if u.GetNamespace() == c.o.Namespace && ofRun(u) {
			continue // The scenario makes it anew.
		}
		var p corev1.Pod
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &p); err != nil {
			c.note("cluster", "pod %s/%s is left out: %v", u.GetNamespace(), u.GetName(), err)
			continue
		}
		if _, known := names[p.Spec.NodeName]; !known || p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed {
			continue
		}
		sum := sums[p.Spec.NodeName]
		if sum == nil {
			sum = corev1.ResourceList{}
			sums[p.Spec.NodeName] = sum
		}
		counts[p.Spec.NodeName]++
		for name, q := range resourcehelper.PodRequests(&p, resourcehelper.PodResourcesOptions{}) {
			have := sum[name]
			have.Add(q)
			sum[name] = have
		}
	}
	if len(c.ix["Pod."]) == 0 {
		c.note("cluster", "no pods were read; the nodes are as if nothing else ran on them")
		return
	}
	var pods []map[string]any
	for _, node := range slices.Sorted(maps.Keys(sums)) {
		n := names[node]
		requests, limits := map[string]any{}, map[string]any{}
		for name, q := range sums[node] {
			most, ok := n.quantity(string(name))
			if !ok || q.IsZero() {
				continue
			}
			if q.Cmp(most) > 0 {
				q = most // what a node has is rounded down
			}
			requests[string(name)] = q.String()
			if strings.Contains(string(name), "/") || strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix) {
				limits[string(name)] = q.String()
			}
		}
		if len(requests) == 0 {
			continue
		}
		resources := map[string]any{"requests": requests}
		if len(limits) > 0 {
			resources["limits"] = limits
		}
		pods = append(pods, map[string]any{
			"apiVersion": "v1", "kind": "Pod",
			"metadata": map[string]any{"name": "on-" + n.name, "namespace": loadNamespace,
				"annotations": map[string]any{"simctl.dev/stands-for": fmt.Sprintf("%d %s", counts[node], plural(counts[node], "pod", "pods"))}},
			"spec": map[string]any{
				"nodeName": n.name,
				// What runs there is not to be pushed aside for a run.
				"priorityClassName": "system-cluster-critical",
				"tolerations":       []any{map[string]any{"operator": "Exists"}},
				"containers":        []any{map[string]any{"name": "load", "image": "load", "resources": resources}},
			},
		})
	}
	if len(pods) == 0 {
		c.note("cluster", "no pod but those of runs asks for anything; the nodes are as if nothing else ran on them")
		return
	}
	c.kept["load.yaml"] = append([]map[string]any{
		{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": loadNamespace}},
	}, pods...)
	c.note("cluster", "what other pods asked for when this was read stands in manifests/load.yaml, in one pod for each node")
}

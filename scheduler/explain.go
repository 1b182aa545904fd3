package scheduler

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/names"

	"simctl.dev/simctl/sim/history"
)

// Statuses returns the scheduler's refusal of each node; framework.NodeToStatus
// implements it.
type Statuses interface {
	// Get returns a node's status; nil or success is no refusal.
	Get(node string) *fwk.Status
}

// Explain says which plugin refused each of the nodes to the pod, and why. The
// entries are sorted by node name; a node that was not refused has none.
func Explain(pod *corev1.Pod, nodes []*corev1.Node, statuses Statuses) []history.NodeRefusal {
	out := make([]history.NodeRefusal, 0, len(nodes))
	for _, node := range nodes {
		s := statuses.Get(node.Name)
		if s.IsSuccess() {
			continue
		}
		r := history.NodeRefusal{
			Node:         node.Name,
			Plugin:       s.Plugin(),
			Reasons:      slices.Clone(s.Reasons()),
			Unresolvable: s.Code() == fwk.UnschedulableAndUnresolvable,
		}
		if r.Plugin == "" {
			r.Plugin = preFiltered(r.Reasons)
		}
		if r.Plugin == names.TaintToleration {
			for _, t := range Untolerated(node.Spec.Taints, pod.Spec.Tolerations) {
				r.Taints = append(r.Taints, t.Key+": "+t.Value)
			}
		}
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b history.NodeRefusal) int { return strings.Compare(a.Node, b.Node) })
	return out
}

// preFiltered finds the plugins that narrowed the nodes before any filter ran:
// for those the scheduler has no status of its own, only words
// ("node(s) didn't satisfy plugin(s) [NodeAffinity]").
func preFiltered(reasons []string) string {
	for _, reason := range reasons {
		if _, list, ok := strings.Cut(reason, "didn't satisfy plugin(s) ["); ok {
			return strings.ReplaceAll(strings.TrimSuffix(list, "]"), " ", ",")
		}
	}
	return ""
}

// Untolerated returns the taints that keep a pod with these tolerations off a
// node, in the node's order: the ones with effect NoSchedule or NoExecute.
func Untolerated(taints []corev1.Taint, tolerations []corev1.Toleration) []corev1.Taint {
	var out []corev1.Taint
	for i := range taints {
		t := &taints[i]
		if t.Effect != corev1.TaintEffectNoSchedule && t.Effect != corev1.TaintEffectNoExecute {
			continue
		}
		if !slices.ContainsFunc(tolerations, func(tol corev1.Toleration) bool {
			// Comparison operators (Gt, Lt) are an alpha feature, off here.
			return tol.ToleratesTaint(klog.Logger{}, t, false)
		}) {
			out = append(out, *t)
		}
	}
	return out
}

// PerTaint is the scheduler's message in the wording up to Kubernetes 1.33,
// which named on each node the first taint that was not tolerated; from 1.34 on
// all taints are one "node(s) had untolerated taint(s)". allNodes is the number
// of nodes the scheduler considered. preFilter, if not empty, is the refusal
// that came before any node was looked at. What preemption had to add is left
// out.
func PerTaint(allNodes int, preFilter string, refusals []history.NodeRefusal) string {
	head := fmt.Sprintf("0/%d nodes are available:", allNodes)
	if preFilter != "" {
		return fmt.Sprintf("%s %s.", head, preFilter)
	}
	count := map[string]int{}
	for _, r := range refusals {
		reasons := r.Reasons
		if len(r.Taints) > 0 {
			reasons = []string{fmt.Sprintf("node(s) had untolerated taint {%s}", r.Taints[0])}
		}
		for _, reason := range reasons {
			count[reason]++
		}
	}
	parts := make([]string, 0, len(count))
	for reason, n := range count {
		parts = append(parts, fmt.Sprintf("%d %s", n, reason))
	}
	if len(parts) == 0 {
		return head
	}
	slices.Sort(parts)
	return fmt.Sprintf("%s %s.", head, strings.Join(parts, ", "))
}

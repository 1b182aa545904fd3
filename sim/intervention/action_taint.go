package intervention

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/scenario"
)

func taint(all *Interventions, v *scenario.Intervention, f *history.Intervention) error {
	t := v.Taint
	return all.updateNode(t.Node, f, func(n *corev1.Node) {
		n.Spec.Taints = append(without(n.Spec.Taints, t.Key, t.Effect),
			corev1.Taint{Key: t.Key, Value: t.Value, Effect: corev1.TaintEffect(t.Effect)})
	})
}

func untaint(all *Interventions, v *scenario.Intervention, f *history.Intervention) error {
	t := v.Untaint
	return all.updateNode(t.Node, f, func(n *corev1.Node) { n.Spec.Taints = without(n.Spec.Taints, t.Key, t.Effect) })
}

// without gives the taints that have not this key and effect; every effect if it
// is empty.
func without(taints []corev1.Taint, key, effect string) []corev1.Taint {
	return slices.DeleteFunc(slices.Clone(taints), func(t corev1.Taint) bool {
		return t.Key == key && (effect == "" || string(t.Effect) == effect)
	})
}

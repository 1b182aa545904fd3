package intervention

import (
	corev1 "k8s.io/api/core/v1"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/scenario"
)

func cordon(all *Interventions, v *scenario.Intervention, f *history.Intervention) error {
	return all.cordon(*v.Cordon, true, f)
}

func uncordon(all *Interventions, v *scenario.Intervention, f *history.Intervention) error {
	return all.cordon(*v.Uncordon, false, f)
}

func (all *Interventions) cordon(ref scenario.NodeRef, cordoned bool, f *history.Intervention) error {
	return all.updateNode(ref, f, func(n *corev1.Node) { n.Spec.Unschedulable = cordoned })
}

package intervention

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/scenario"
)

// nodeOf gives the name of the node that a reference means.
func (all *Interventions) nodeOf(ref scenario.NodeRef) (string, error) {
	if ref.NodeOf == "" {
		return ref.Name, nil
	}
	name := all.timeline.NodeOfTask(ref.NodeOf)
	if name == "" {
		return "", ineffective("no pod of task %s has had a node", ref.NodeOf)
	}
	return name, nil
}

// updateNode changes a node and records its name.
func (all *Interventions) updateNode(ref scenario.NodeRef, f *history.Intervention, change func(*corev1.Node)) error {
	name, err := all.nodeOf(ref)
	if err != nil {
		return err
	}
	f.Node = name
	node, err := all.Plane.User.CoreV1().Nodes().Get(all.ctx, name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("reading Node %s: %w", name, err)
	}
	change(node)
	if _, err := all.Plane.User.CoreV1().Nodes().Update(all.ctx, node, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("writing Node %s: %w", name, err)
	}
	return nil
}

// thereIs returns the name of the node that a fault is about, notes it, and says if there is
// no such Node.
func (all *Interventions) thereIs(r scenario.NodeRef, f *history.Intervention) (string, error) {
	name, err := all.nodeOf(r)
	if err != nil {
		return "", err
	}
	f.Node = name
	if _, err := all.Plane.User.CoreV1().Nodes().Get(all.ctx, name, metav1.GetOptions{}); err != nil {
		return "", fmt.Errorf("reading Node %s: %w", name, err)
	}
	return name, nil
}

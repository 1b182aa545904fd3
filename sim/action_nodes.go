package sim

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/wellknown"
)

// nodeOf gives the name of the node that a reference means.
func (c *play) nodeOf(ref scenario.NodeRef) (string, error) {
	if ref.NodeOf == "" {
		return ref.Name, nil
	}
	name := ""
	for _, run := range c.state.All("TaskRun") {
		if run.Text("metadata", "labels", wellknown.PipelineTaskLabel) != ref.NodeOf {
			continue
		}
		for _, pod := range podsOf(c.state, run) {
			if n := pod.Text("spec", "nodeName"); n != "" {
				name = n
			}
		}
	}
	if name == "" {
		return "", ineffective("no pod of task %s has had a node", ref.NodeOf)
	}
	return name, nil
}

// updateNode changes a node and records its name.
func (c *play) updateNode(ref scenario.NodeRef, f *history.Intervention, change func(*corev1.Node)) error {
	name, err := c.nodeOf(ref)
	if err != nil {
		return err
	}
	f.Node = name
	node, err := c.plane.User.CoreV1().Nodes().Get(c.ctx, name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("reading Node %s: %w", name, err)
	}
	change(node)
	if _, err := c.plane.User.CoreV1().Nodes().Update(c.ctx, node, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("writing Node %s: %w", name, err)
	}
	return nil
}

// removeNode deletes a Node; its machine goes with it.
func (c *play) removeNode(ref scenario.NodeRef, f *history.Intervention) error {
	name, err := c.nodeOf(ref)
	if err != nil {
		return err
	}
	f.Node = name
	if err := c.plane.User.CoreV1().Nodes().Delete(c.ctx, name, metav1.DeleteOptions{}); err != nil {
		return fmt.Errorf("deleting Node %s: %w", name, err)
	}
	return nil
}

func (c *play) cordon(ref scenario.NodeRef, cordoned bool, f *history.Intervention) error {
	return c.updateNode(ref, f, func(n *corev1.Node) { n.Spec.Unschedulable = cordoned })
}

func (c *play) taint(t scenario.NodeTaint, f *history.Intervention) error {
	return c.updateNode(t.Node, f, func(n *corev1.Node) {
		n.Spec.Taints = append(without(n.Spec.Taints, t.Key, t.Effect),
			corev1.Taint{Key: t.Key, Value: t.Value, Effect: corev1.TaintEffect(t.Effect)})
	})
}

func (c *play) untaint(t scenario.NodeTaint, f *history.Intervention) error {
	return c.updateNode(t.Node, f, func(n *corev1.Node) { n.Spec.Taints = without(n.Spec.Taints, t.Key, t.Effect) })
}

// without gives the taints that have not this key and effect; every effect if it
// is empty.
func without(taints []corev1.Taint, key, effect string) []corev1.Taint {
	return slices.DeleteFunc(slices.Clone(taints), func(t corev1.Taint) bool {
		return t.Key == key && (effect == "" || string(t.Effect) == effect)
	})
}

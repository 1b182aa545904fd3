package intervention

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/scenario"
)

// removeNode deletes a Node; its machine goes with it.
func removeNode(all *Interventions, v *scenario.Intervention, f *history.Intervention) error {
	name, err := all.nodeOf(*v.RemoveNode)
	if err != nil {
		return err
	}
	f.Node = name
	if err := all.Plane.User.CoreV1().Nodes().Delete(all.ctx, name, metav1.DeleteOptions{}); err != nil {
		return fmt.Errorf("deleting Node %s: %w", name, err)
	}
	return nil
}

package intervention

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/scenario"
)

func remove(all *Interventions, v *scenario.Intervention, f *history.Intervention) error {
	d := v.Delete
	objects, err := all.named(d.Ref(), f)
	if err != nil {
		return err
	}
	background := metav1.DeletePropagationBackground
	return all.toEach(objects, func(client dynamic.ResourceInterface, name string) error {
		return client.Delete(all.ctx, name, metav1.DeleteOptions{PropagationPolicy: &background, GracePeriodSeconds: d.GracePeriodSeconds})
	})
}

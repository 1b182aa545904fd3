package intervention

import (
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/scenario"
)

// fieldManager is whose fields an apply sets.
const fieldManager = "simctl"

// apply creates manifests, or merges them into the objects that are there.
func apply(all *Interventions, v *scenario.Intervention, _ *history.Intervention) error {
	for _, raw := range v.Apply.Manifests {
		u := &unstructured.Unstructured{}
		if err := u.UnmarshalJSON(raw); err != nil {
			return fmt.Errorf("reading a manifest: %w", err)
		}
		client, err := all.Plane.Resource(all.Plane.User, u)
		if err != nil {
			return noKind(err)
		}
		all.Install.Touch(u)
		if u.GetName() != "" {
			_, err = client.Get(all.ctx, u.GetName(), metav1.GetOptions{})
		}
		if u.GetName() == "" || apierrors.IsNotFound(err) {
			if _, err := client.Create(all.ctx, u, metav1.CreateOptions{FieldManager: fieldManager}); err != nil {
				return err
			}
			if err := all.Plane.Heed(all.ctx, u.GetKind()); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		if err := all.User.Touch(u); err != nil {
			return err
		}
		if _, err := client.Apply(all.ctx, u.GetName(), u, metav1.ApplyOptions{FieldManager: fieldManager, Force: true}); err != nil {
			return err
		}
		if err := all.Plane.Heed(all.ctx, u.GetKind()); err != nil {
			return err
		}
	}
	return nil
}

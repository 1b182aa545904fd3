package plane

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"simctl.dev/simctl/sim/history"
)

// takenOff are the finalizers that the API server and the controllers on a plane take off
// themselves, and attacher begins those of the simulated CSI drivers.
var takenOff = []string{
	"kubernetes.io/pvc-protection", "kubernetes.io/pv-protection", "external-provisioner.volume.kubernetes.io/finalizer",
	metav1.FinalizerOrphanDependents, metav1.FinalizerDeleteDependents, apiextensionsv1.CustomResourceCleanupFinalizer,
}

const attacher = "external-attacher/"

// Foreign returns those of an object's finalizers that nobody on a plane takes off.
func Foreign(finalizers []string) []string {
	return slices.DeleteFunc(slices.Clone(finalizers), func(f string) bool {
		return slices.Contains(takenOff, f) || strings.HasPrefix(f, attacher)
	})
}

// LetGo takes the foreign ones of an object's finalizers off, so that it can be deleted.
func (p *Plane) LetGo(ctx context.Context, ref history.Ref, finalizers []string) error {
	foreign := Foreign(finalizers)
	if len(foreign) == 0 {
		return nil
	}
	client, err := p.client(ref)
	if err != nil {
		return err
	}
	now, err := client.Get(ctx, ref.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the finalizers of %s: %w", ref, err)
	}
	left := slices.DeleteFunc(now.GetFinalizers(), func(f string) bool { return slices.Contains(foreign, f) })
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"finalizers": left}})
	if err != nil {
		return fmt.Errorf("writing the finalizers of %s: %w", ref, err)
	}
	if _, err := client.Patch(ctx, ref.Name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("taking finalizers off %s: %w", ref, err)
	}
	return nil
}

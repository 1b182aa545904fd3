package intervention

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/scenario"
)

func patch(all *Interventions, v *scenario.Intervention, f *history.Intervention) error {
	p := v.Patch
	objects, err := all.named(p.Ref(), f)
	if err != nil {
		return err
	}
	kind := types.MergePatchType
	if strings.HasPrefix(strings.TrimSpace(string(p.Patch)), "[") {
		kind = types.JSONPatchType
	}
	return all.toEach(objects, func(client dynamic.ResourceInterface, name string) error {
		_, err := client.Patch(all.ctx, name, kind, p.Patch, metav1.PatchOptions{FieldManager: fieldManager})
		return err
	})
}

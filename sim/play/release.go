package play

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/tektoncd/pipeline/pkg/apis/pipeline"

	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/tekton"
	"simctl.dev/simctl/sim/wellknown"
)

// ensureRelease has the cell's Tekton release installed and its controller
// running. Cells of one release share a controller.
func (s Stage) ensureRelease(ctx context.Context, cell *scenario.Cell, build *tekton.Build) error {
	namespace := wellknown.TektonNamespace
	if cell.Spec.Cluster.OpenShift.Enabled {
		namespace = wellknown.OpenShiftPipelinesNamespace
	}
	older, err := usesOlder(cell)
	if err != nil {
		return err
	}
	if s.Install.Fits(build, namespace, older) {
		return nil
	}
	if err := s.Estate.RemoveDefinitions(ctx); err != nil {
		return err
	}
	return s.Install.Lay(ctx, build, namespace, older)
}

// older is the API version of Tasks, Pipelines and runs before v1.
const older = pipeline.GroupName + "/v1beta1"

// usesOlder says whether a cell has manifests of that version.
func usesOlder(cell *scenario.Cell) (bool, error) {
	interventions, err := json.Marshal(cell.Spec.Interventions)
	if err != nil {
		return false, fmt.Errorf("writing the cell's interventions as JSON: %w", err)
	}
	return bytes.Contains(interventions, []byte(older)) || slices.ContainsFunc(cell.Objects, func(o json.RawMessage) bool {
		return bytes.Contains(o, []byte(older))
	}), nil
}

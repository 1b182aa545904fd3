package sim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/tektoncd/pipeline/pkg/apis/pipeline"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"simctl.dev/simctl/sim/internal/loopback"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/tekton/conversion"
)

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

// convert has the objects of a release's types converted between their API
// versions, as the release's webhook would.
func (w *worker) convert(crds []*apiextensionsv1.CustomResourceDefinition) error {
	if w.converter == nil {
		s, err := loopback.Serve(w.plane.Context(), conversion.Handler())
		if err != nil {
			return fmt.Errorf("starting the conversion of Tekton's objects: %w", err)
		}
		// It ends with the worker.
		w.converter = s
	}
	if !w.older {
		conversion.OnlyStored(crds)
	}
	conversion.Use(crds, w.converter.URL, w.converter.CABundle)
	return nil
}

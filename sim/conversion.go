package sim

import (
	"fmt"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"simctl.dev/simctl/sim/openshift"
	"simctl.dev/simctl/sim/tekton/conversion"
)

// convert has the objects of a release's types converted between their API
// versions, as the release's webhook would.
func (w *worker) convert(crds []*apiextensionsv1.CustomResourceDefinition) error {
	if w.converter == nil {
		s, err := openshift.Serve(w.ctx, conversion.Handler())
		if err != nil {
			return fmt.Errorf("starting the conversion of Tekton's objects: %w", err)
		}
		// It ends with the worker.
		w.converter = s
	}
	conversion.Use(crds, w.converter.URL, w.converter.CABundle)
	return nil
}

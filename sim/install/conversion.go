package install

import (
	"fmt"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"simctl.dev/simctl/sim/internal/loopback"
	"simctl.dev/simctl/sim/tekton/conversion"
)

// convert has the objects of a release's types converted between their API
// versions, as the release's webhook would.
func (in *Install) convert(crds []*apiextensionsv1.CustomResourceDefinition) error {
	if in.converter == nil {
		s, err := loopback.Serve(in.Plane.Context(), conversion.Handler())
		if err != nil {
			return fmt.Errorf("starting the conversion of Tekton's objects: %w", err)
		}
		// It ends with the plane.
		in.converter = s
	}
	if !in.older {
		conversion.OnlyStored(crds)
	}
	conversion.Use(crds, in.converter.URL, in.converter.CABundle)
	return nil
}

package install

import (
	"fmt"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"simctl.dev/simctl/sim/plane"
)

// schemas are those of a release's kinds.
type schemas map[schema.GroupVersionKind]*structuralschema.Structural

func schemasOf(crds []*apiextensionsv1.CustomResourceDefinition) (schemas, error) {
	out := schemas{}
	for _, crd := range crds {
		for _, v := range crd.Spec.Versions {
			if v.Schema == nil || v.Schema.OpenAPIV3Schema == nil {
				continue
			}
			gvk := schema.GroupVersionKind{Group: crd.Spec.Group, Version: v.Name, Kind: crd.Spec.Names.Kind}
			var props apiextensions.JSONSchemaProps
			if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(v.Schema.OpenAPIV3Schema, &props, nil); err != nil {
				return nil, fmt.Errorf("reading the schema of %s: %w", gvk, err)
			}
			s, err := structuralschema.NewStructural(&props)
			if err != nil {
				return nil, fmt.Errorf("reading the schema of %s: %w", gvk, err)
			}
			out[gvk] = s
		}
	}
	return out, nil
}

// prune takes the fields out of an object that its kind does not have, and gives
// the API server's warnings of them: it does so when it reads the object, before it
// asks any webhook.
func (s schemas) prune(u *unstructured.Unstructured) []string {
	known := s[u.GroupVersionKind()]
	if known == nil {
		return nil
	}
	fields := pruning.PruneWithOptions(u.Object, known, true, structuralschema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	for i, field := range fields {
		fields[i] = fmt.Sprintf("%s%q", plane.UnknownField, field)
	}
	return fields
}

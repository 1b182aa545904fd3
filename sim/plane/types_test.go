package plane

import (
	"slices"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// TestOlderRelease: the types of a release can be installed where a newer release
// stored one of them in a version that the older one does not have, or gave them other
// names.
func TestOlderRelease(t *testing.T) {
	p := started(t)
	action := func(versions ...string) []*apiextensionsv1.CustomResourceDefinition {
		crd := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: "stepactions.tekton.dev"}}
		crd.Spec.Group, crd.Spec.Scope = "tekton.dev", apiextensionsv1.NamespaceScoped
		crd.Spec.Names = apiextensionsv1.CustomResourceDefinitionNames{Plural: "stepactions", Singular: "stepaction", Kind: "StepAction", ListKind: "StepActionList"}
		for i, v := range versions {
			crd.Spec.Versions = append(crd.Spec.Versions, apiextensionsv1.CustomResourceDefinitionVersion{
				Name: v, Served: true, Storage: i == len(versions)-1,
				Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{Type: "object"}},
			})
		}
		return []*apiextensionsv1.CustomResourceDefinition{crd}
	}
	older := func() []*apiextensionsv1.CustomResourceDefinition { return action("v1alpha1") }
	if err := p.RemoveOthers(t.Context(), older()); err != nil {
		t.Errorf("with nothing there: %v", err)
	}
	if err := p.InstallTypes(t.Context(), action("v1alpha1", "v1beta1")); err != nil {
		t.Fatal(err)
	}
	if err := p.InstallTypes(t.Context(), older()); err == nil {
		t.Error("the API server takes the older type as it is: there is nothing to remove")
	}
	if err := p.RemoveOthers(t.Context(), older()); err != nil {
		t.Fatal(err)
	}
	if err := p.InstallTypes(t.Context(), older()); err != nil {
		t.Error(err)
	}

	short := older()
	short[0].Spec.Names.ShortNames = []string{"stepactions"}
	accepted := func() bool {
		u, err := p.Simctl.Dynamic.Resource(crdResource).Get(t.Context(), short[0].Name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return namesAccepted(u)
	}
	if err := p.InstallTypes(t.Context(), short); err != nil {
		t.Fatal(err)
	}
	if accepted() {
		t.Error("the API server takes short names that come later: there is nothing to remove")
	}
	if err := p.RemoveOthers(t.Context(), short); err != nil {
		t.Fatal(err)
	}
	if err := p.InstallTypes(t.Context(), short); err != nil {
		t.Fatal(err)
	}
	if !accepted() {
		t.Error("the type is not what it is on a fresh control plane")
	}

	// The newer release has both versions, and stores the other one.
	newer := func() []*apiextensionsv1.CustomResourceDefinition { return action("v1alpha1", "v1beta1") }
	if err := p.RemoveOthers(t.Context(), newer()); err != nil {
		t.Fatal(err)
	}
	if err := p.InstallTypes(t.Context(), newer()); err != nil {
		t.Fatal(err)
	}
	u, err := p.Simctl.Dynamic.Resource(crdResource).Get(t.Context(), short[0].Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if stored, _, err := unstructured.NestedStringSlice(u.Object, "status", "storedVersions"); err != nil || !slices.Equal(stored, []string{"v1beta1"}) {
		t.Errorf("the type has stored %v (%v), on a fresh control plane v1beta1", stored, err)
	}
}

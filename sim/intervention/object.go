package intervention

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/scenario"
)

// noKind makes a kind that the API server does not have an answer like others.
func noKind(err error) error {
	if meta.IsNoMatchError(err) {
		return noEffect{err}
	}
	return err
}

// named gives the objects that a reference means, by name. What is named by whose it is
// is recorded.
func (all *Interventions) named(ref scenario.ObjectRef, f *history.Intervention) ([]*unstructured.Unstructured, error) {
	if err := all.whose(&ref); err != nil {
		return nil, err
	}
	if ref.ClaimOf != nil || ref.PodOf != nil {
		f.Object = ref.Namespace + "/" + ref.Name
	}
	gvk, err := all.kindOf(ref)
	if err != nil {
		return nil, noKind(err)
	}
	if ref.Namespace == "" {
		ref.Namespace = all.Cell.Spec.Workload.Namespace
	}
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(gvk)
	u.SetNamespace(ref.Namespace)
	u.SetName(ref.Name)
	if ref.Name != "" {
		return []*unstructured.Unstructured{u}, nil
	}
	client, err := all.Plane.Resource(all.Plane.User, u)
	if err != nil {
		return nil, noKind(err)
	}
	found, err := client.List(all.ctx, metav1.ListOptions{LabelSelector: labels.SelectorFromSet(ref.Labels).String()})
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", ref, err)
	}
	var out []*unstructured.Unstructured
	for i := range found.Items {
		item := u.DeepCopy()
		item.SetName(found.Items[i].GetName())
		out = append(out, item)
	}
	if len(out) == 0 {
		return nil, ineffective("there is no %s", ref)
	}
	slices.SortFunc(out, func(a, b *unstructured.Unstructured) int { return strings.Compare(a.GetName(), b.GetName()) })
	return out, nil
}

// kindOf finds the API version of a kind that is given without one.
func (all *Interventions) kindOf(ref scenario.ObjectRef) (schema.GroupVersionKind, error) {
	if ref.APIVersion != "" {
		return schema.FromAPIVersionAndKind(ref.APIVersion, ref.Kind), nil
	}
	if err := all.Plane.Discover(); err != nil {
		return schema.GroupVersionKind{}, err
	}
	plural, _ := meta.UnsafeGuessKindToResource(schema.GroupVersionKind{Kind: ref.Kind})
	gvk, err := all.Plane.Mapper().KindFor(plural)
	if err != nil {
		return gvk, fmt.Errorf("finding the API version of kind %s: %w", ref.Kind, err)
	}
	return gvk, nil
}

// toEach does something to objects as the user, and has it take effect.
func (all *Interventions) toEach(objects []*unstructured.Unstructured, do func(client dynamic.ResourceInterface, name string) error) error {
	for _, u := range objects {
		client, err := all.Plane.Resource(all.Plane.User, u)
		if err != nil {
			return noKind(err)
		}
		if err := all.User.Touch(u); err != nil {
			return err
		}
		if err := do(client, u.GetName()); err != nil {
			return err
		}
		if err := all.Plane.Heed(all.ctx, u.GetKind()); err != nil {
			return err
		}
	}
	return nil
}

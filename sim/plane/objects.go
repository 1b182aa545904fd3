package plane

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"

	"simctl.dev/simctl/sim/controlplane"
	"simctl.dev/simctl/sim/history"
)

// Replace creates an object of the cluster or puts it in the place of the one that is
// there.
func (p *Plane) Replace(ctx context.Context, u *unstructured.Unstructured) error {
	client, err := p.Resource(p.Simctl, u)
	if err != nil {
		return err
	}
	_, err = client.Create(ctx, u, metav1.CreateOptions{})
	// The API server looks whether a Service's address is free before it looks whether the
	// Service is there.
	if apierrors.IsAlreadyExists(err) || u.GetKind() == "Service" && apierrors.IsInvalid(err) {
		var old *unstructured.Unstructured
		if old, err = client.Get(ctx, u.GetName(), metav1.GetOptions{}); err == nil {
			u = u.DeepCopy()
			u.SetResourceVersion(old.GetResourceVersion())
			_, err = client.Update(ctx, u, metav1.UpdateOptions{})
		}
	}
	if err != nil {
		return fmt.Errorf("creating %s %s: %w", u.GetKind(), u.GetName(), err)
	}
	return nil
}

// Get returns an object as JSON, without what is counted and what is empty: a list that
// was filled and emptied again is as good as one that never was. It returns nil if there
// is no such object.
func (p *Plane) Get(ctx context.Context, ref history.Ref) ([]byte, error) {
	client, err := p.client(ref)
	if err != nil {
		return nil, err
	}
	u, err := client.Get(ctx, ref.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", ref, err)
	}
	unstructured.RemoveNestedField(u.Object, "metadata", "resourceVersion")
	unstructured.RemoveNestedField(u.Object, "metadata", "managedFields")
	unstructured.RemoveNestedField(u.Object, "metadata", "generation")
	return json.Marshal(withoutEmpty(u.Object))
}

func withoutEmpty(m map[string]any) map[string]any {
	out := map[string]any{}
	for k, v := range m {
		switch x := v.(type) {
		case map[string]any:
			if x = withoutEmpty(x); len(x) == 0 {
				continue
			}
			v = x
		case []any:
			if len(x) == 0 {
				continue
			}
		case nil:
			continue
		}
		out[k] = v
	}
	return out
}

// deletion is at once; dependents follow by the garbage collector.
func deletion() metav1.DeleteOptions {
	return metav1.DeleteOptions{GracePeriodSeconds: new(int64), PropagationPolicy: new(metav1.DeletePropagationBackground)}
}

// Delete deletes an object at once, if it is there; what it owns follows.
func (p *Plane) Delete(ctx context.Context, ref history.Ref) error {
	client, err := p.client(ref)
	if err != nil {
		return err
	}
	if err := client.Delete(ctx, ref.Name, deletion()); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("deleting %s: %w", ref, err)
	}
	return nil
}

// DeleteAll deletes every object of ref's kind in its namespace.
func (p *Plane) DeleteAll(ctx context.Context, ref history.Ref) error {
	client, err := p.client(ref)
	if err != nil {
		return err
	}
	if err := client.DeleteCollection(ctx, deletion(), metav1.ListOptions{}); err != nil {
		return fmt.Errorf("deleting every %s of %s: %w", ref.Kind, ref.Namespace, err)
	}
	return nil
}

// admissionPolicies are the kinds by which the API server itself refuses and changes
// what is written.
var admissionPolicies = []string{
	"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
	"MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding",
}

// Policies returns the kinds by which the API server itself refuses and changes what is
// written.
func Policies() []string { return slices.Clone(admissionPolicies) }

// Heed waits, after objects of these kinds were written, until the API server goes by
// them: it takes a while over admission policies.
func (p *Plane) Heed(ctx context.Context, kinds ...string) error {
	if !slices.ContainsFunc(kinds, func(k string) bool { return slices.Contains(admissionPolicies, k) }) {
		return nil
	}
	return controlplane.WaitPolicies(ctx, p.Simctl, func(gvk schema.GroupVersionKind) bool {
		u := &unstructured.Unstructured{}
		u.SetGroupVersionKind(gvk)
		_, err := p.Resource(p.Simctl, u)
		return err == nil
	})
}

// Unstructured returns a typed object as the API server wants it: with its kind and
// without a status.
func Unstructured(o runtime.Object) (*unstructured.Unstructured, error) {
	if u, ok := o.(*unstructured.Unstructured); ok {
		return u, nil
	}
	gvk := o.GetObjectKind().GroupVersionKind()
	if gvk.Empty() {
		kinds, _, err := scheme.Scheme.ObjectKinds(o)
		if err != nil {
			return nil, fmt.Errorf("finding an object's kind: %w", err)
		}
		gvk = kinds[0]
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		return nil, fmt.Errorf("converting a %s: %w", gvk.Kind, err)
	}
	u := &unstructured.Unstructured{Object: content}
	u.SetGroupVersionKind(gvk)
	unstructured.RemoveNestedField(u.Object, "status")
	return u, nil
}

// Same says whether two references mean one object, whatever the version of its API.
func Same(a, b history.Ref) bool {
	return a.Kind == b.Kind && a.Namespace == b.Namespace && a.Name == b.Name && groupOf(a) == groupOf(b)
}

func groupOf(ref history.Ref) string {
	return schema.FromAPIVersionAndKind(ref.APIVersion, ref.Kind).Group
}

// Among says whether an object is in a list.
func Among(refs []history.Ref, ref history.Ref) bool {
	return slices.ContainsFunc(refs, func(r history.Ref) bool { return Same(r, ref) })
}

// NotAmong returns the objects of one list that are not in another.
func NotAmong(refs, others []history.Ref) []history.Ref {
	var out []history.Ref
	for _, ref := range refs {
		if !Among(others, ref) {
			out = append(out, ref)
		}
	}
	return out
}

// InEveryNamespace says whether an object is one of those that controllers make in every
// namespace, and make anew if it goes.
func InEveryNamespace(ref history.Ref) bool {
	return ref.Kind == "ServiceAccount" && ref.Name == "default" || ref.Kind == "ConfigMap" && ref.Name == "kube-root-ca.crt"
}

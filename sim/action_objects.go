package sim

import (
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/plane"
	"simctl.dev/simctl/sim/scenario"
)

// fieldManager is whose fields an apply sets.
const fieldManager = "simctl"

// apply creates manifests, or merges them into the objects that are there.
func (c *play) apply(a *scenario.Apply) error {
	objects, err := decode(a.Manifests)
	if err != nil {
		return err
	}
	for _, u := range objects {
		client, err := c.plane.Resource(c.plane.User, u)
		if err != nil {
			return noKind(err)
		}
		c.install.Touch(u)
		if u.GetName() != "" {
			_, err = client.Get(c.ctx, u.GetName(), metav1.GetOptions{})
		}
		if u.GetName() == "" || apierrors.IsNotFound(err) {
			admitted, refused, err := c.admit(u)
			if err != nil {
				return err
			}
			if refused != "" {
				return ineffective("%s", refused)
			}
			if _, err := client.Create(c.ctx, admitted, metav1.CreateOptions{FieldManager: fieldManager}); err != nil {
				return err
			}
			if err := c.plane.Heed(c.ctx, u.GetKind()); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		if err := c.meddles(u); err != nil {
			return err
		}
		if _, err := client.Apply(c.ctx, u.GetName(), u, metav1.ApplyOptions{FieldManager: fieldManager, Force: true}); err != nil {
			return err
		}
		if err := c.plane.Heed(c.ctx, u.GetKind()); err != nil {
			return err
		}
	}
	return nil
}

// noKind makes a kind that the API server does not have an answer like others.
func noKind(err error) error {
	if meta.IsNoMatchError(err) {
		return noEffect{err}
	}
	return err
}

// meddles notes a write of the user's to an object that was there: if it is neither the
// cell's nor made anew for the next one then it is the control plane's own, which is of
// no use any more.
func (c *play) meddles(u *unstructured.Unstructured) error {
	if err := c.fold(); err != nil {
		return err
	}
	ref := c.plane.RefOf(u)
	same := func(r history.Ref) bool { return plane.Same(r, ref) }
	if plane.InEveryNamespace(ref) || c.install.Owns(ref) || c.keeps(same) ||
		slices.ContainsFunc(c.state.List(ref.Kind), func(o *history.Object) bool { return same(o.Ref) }) {
		return nil
	}
	c.logger.V(1).Info("The control plane is given up after the cell", "because", ref.String())
	c.foreign[ref] = true
	c.worker.meddled = true
	return nil
}

// named gives the objects that a reference means, by name.
func (c *play) named(ref scenario.ObjectRef) ([]*unstructured.Unstructured, error) {
	gvk, err := c.kindOf(ref)
	if err != nil {
		return nil, noKind(err)
	}
	if ref.Namespace == "" {
		ref.Namespace = c.cell.Spec.Workload.Namespace
	}
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(gvk)
	u.SetNamespace(ref.Namespace)
	u.SetName(ref.Name)
	if ref.Name != "" {
		return []*unstructured.Unstructured{u}, nil
	}
	client, err := c.plane.Resource(c.plane.User, u)
	if err != nil {
		return nil, noKind(err)
	}
	found, err := client.List(c.ctx, metav1.ListOptions{LabelSelector: labels.SelectorFromSet(ref.Labels).String()})
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
func (c *play) kindOf(ref scenario.ObjectRef) (schema.GroupVersionKind, error) {
	if ref.APIVersion != "" {
		return schema.FromAPIVersionAndKind(ref.APIVersion, ref.Kind), nil
	}
	if err := c.plane.Discover(); err != nil {
		return schema.GroupVersionKind{}, err
	}
	plural, _ := meta.UnsafeGuessKindToResource(schema.GroupVersionKind{Kind: ref.Kind})
	gvk, err := c.plane.Mapper().KindFor(plural)
	if err != nil {
		return gvk, fmt.Errorf("finding the API version of kind %s: %w", ref.Kind, err)
	}
	return gvk, nil
}

func (c *play) patch(p *scenario.ObjectPatch) error {
	objects, err := c.named(p.Ref())
	if err != nil {
		return err
	}
	kind := types.MergePatchType
	if strings.HasPrefix(strings.TrimSpace(string(p.Patch)), "[") {
		kind = types.JSONPatchType
	}
	return c.toEach(objects, func(client dynamic.ResourceInterface, name string) error {
		_, err := client.Patch(c.ctx, name, kind, p.Patch, metav1.PatchOptions{FieldManager: fieldManager})
		return err
	})
}

func (c *play) remove(d *scenario.ObjectDeletion) error {
	objects, err := c.named(d.Ref())
	if err != nil {
		return err
	}
	background := metav1.DeletePropagationBackground
	return c.toEach(objects, func(client dynamic.ResourceInterface, name string) error {
		return client.Delete(c.ctx, name, metav1.DeleteOptions{PropagationPolicy: &background, GracePeriodSeconds: d.GracePeriodSeconds})
	})
}

// toEach does something to objects as the user, and has it take effect.
func (c *play) toEach(objects []*unstructured.Unstructured, do func(client dynamic.ResourceInterface, name string) error) error {
	for _, u := range objects {
		client, err := c.plane.Resource(c.plane.User, u)
		if err != nil {
			return noKind(err)
		}
		c.install.Touch(u)
		if err := c.meddles(u); err != nil {
			return err
		}
		if err := do(client, u.GetName()); err != nil {
			return err
		}
		if err := c.plane.Heed(c.ctx, u.GetKind()); err != nil {
			return err
		}
	}
	return nil
}

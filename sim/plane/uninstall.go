package plane

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"simctl.dev/simctl/sim/history"
)

// everlasting are the namespaces that the API server makes and never lets go.
var everlasting = []string{metav1.NamespaceDefault, metav1.NamespaceSystem, metav1.NamespacePublic, "kube-node-lease"}

// Everlasting says whether a namespace is one that the API server makes and never lets go.
func Everlasting(namespace string) bool { return slices.Contains(everlasting, namespace) }

// RemoveNamespace removes a namespace that has nothing in it any more but what every
// namespace has. The namespace controller would take five seconds of virtual time.
func (p *Plane) RemoveNamespace(ctx context.Context, name string) error {
	namespaces := p.Simctl.CoreV1().Namespaces()
	if Everlasting(name) {
		// As the API server makes it.
		bare := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if _, err := namespaces.Update(ctx, bare, metav1.UpdateOptions{}); err != nil {
			return fmt.Errorf("putting Namespace %s back: %w", name, err)
		}
		return nil
	}
	if err := namespaces.Delete(ctx, name, deletion()); err != nil {
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("deleting Namespace %s: %w", name, err)
	}
	// Now that the namespace is to end nobody makes them anew.
	if err := p.Simctl.CoreV1().ServiceAccounts(name).DeleteCollection(ctx, deletion(), metav1.ListOptions{}); err != nil {
		return fmt.Errorf("deleting the ServiceAccounts of Namespace %s: %w", name, err)
	}
	if err := p.Simctl.CoordinationV1().Leases(name).DeleteCollection(ctx, deletion(), metav1.ListOptions{}); err != nil {
		return fmt.Errorf("deleting the Leases of Namespace %s: %w", name, err)
	}
	ns, err := namespaces.Get(ctx, name, metav1.GetOptions{})
	if err == nil {
		ns.Spec.Finalizers = nil
		_, err = namespaces.Finalize(ctx, ns, metav1.UpdateOptions{})
	}
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("ending Namespace %s: %w", name, err)
	}
	// The controller must not wait for it on the clock of the next cell.
	if err := p.Quiet(ctx); err != nil {
		return err
	}
	p.Controllers.Reset()
	return nil
}

// RemoveType removes a type with all its objects and waits until it is gone.
func (p *Plane) RemoveType(ctx context.Context, name string) error {
	types := p.Simctl.Dynamic.Resource(crdResource)
	if err := types.Delete(ctx, name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("deleting CustomResourceDefinition %s: %w", name, err)
	}
	err := wait.PollUntilContextCancel(ctx, 10*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		_, err := types.Get(ctx, name, metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
	if err != nil {
		return fmt.Errorf("waiting for the end of CustomResourceDefinition %s: %w", name, err)
	}
	return nil
}

// Uninstall removes installed objects, the last one first.
func (p *Plane) Uninstall(ctx context.Context, refs []history.Ref) error {
	for _, ref := range slices.Backward(refs) {
		var err error
		switch ref.Kind {
		case "Namespace":
			err = p.RemoveNamespace(ctx, ref.Name)
		case "CustomResourceDefinition":
			err = p.RemoveType(ctx, ref.Name)
		default:
			err = p.Delete(ctx, ref)
		}
		if err != nil {
			return err
		}
	}
	if !slices.ContainsFunc(refs, func(r history.Ref) bool { return r.Kind == "CustomResourceDefinition" }) {
		return nil
	}
	if err := p.Discover(); err != nil {
		return err
	}
	return p.Controllers.Rediscover(ctx)
}

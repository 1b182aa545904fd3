package sim

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"simctl.dev/simctl/sim/controlplane"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/openshift"
)

// everlasting are the namespaces that the API server makes and never lets go.
var everlasting = []string{metav1.NamespaceDefault, metav1.NamespaceSystem, metav1.NamespacePublic, "kube-node-lease"}

// removeNamespace removes a namespace that has nothing in it any more but what every
// namespace has. The namespace controller would take five seconds of virtual time.
func (w *worker) removeNamespace(ctx context.Context, name string) error {
	namespaces := w.simctl.CoreV1().Namespaces()
	if slices.Contains(everlasting, name) {
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
	if err := w.simctl.CoreV1().ServiceAccounts(name).DeleteCollection(ctx, deletion(), metav1.ListOptions{}); err != nil {
		return fmt.Errorf("deleting the ServiceAccounts of Namespace %s: %w", name, err)
	}
	if err := w.simctl.CoordinationV1().Leases(name).DeleteCollection(ctx, deletion(), metav1.ListOptions{}); err != nil {
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
	if err := w.quiet(ctx); err != nil {
		return err
	}
	w.kube.Reset()
	return nil
}

// removeType removes a type with all its objects and waits until it is gone.
func (w *worker) removeType(ctx context.Context, name string) error {
	types := w.simctl.dynamic.Resource(crdResource)
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

// uninstall removes installed objects, the last one first.
func (w *worker) uninstall(ctx context.Context, refs []history.Ref) error {
	for _, ref := range slices.Backward(refs) {
		var err error
		switch ref.Kind {
		case "Namespace":
			err = w.removeNamespace(ctx, ref.Name)
		case "CustomResourceDefinition":
			err = w.removeType(ctx, ref.Name)
		default:
			err = w.delete(ctx, ref)
		}
		if err != nil {
			return err
		}
	}
	if !slices.ContainsFunc(refs, func(r history.Ref) bool { return r.Kind == "CustomResourceDefinition" }) {
		return nil
	}
	if err := w.ensureMapper(); err != nil {
		return err
	}
	return w.kube.Rediscover(ctx)
}

// notAmong gives the objects of one list that are not in another.
func notAmong(refs, others []history.Ref) []history.Ref {
	var out []history.Ref
	for _, ref := range refs {
		if !slices.ContainsFunc(others, func(r history.Ref) bool { return sameObject(r, ref) }) {
			out = append(out, ref)
		}
	}
	return out
}

// sccRefs names what OpenShift's admission needs on the API server.
func sccRefs() ([]history.Ref, error) {
	var out []history.Ref
	for _, crd := range openshift.CRDs() {
		out = append(out, typeRef(crd.Name))
	}
	objects, err := openshift.ClusterObjects()
	if err != nil {
		return nil, err
	}
	for _, u := range objects {
		out = append(out, controlplane.RefOf(u))
	}
	return out, nil
}

package sim

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes/scheme"

	"simctl.dev/simctl/sim/controlplane"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/openshift"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/tekton"
	"simctl.dev/simctl/sim/wellknown"
)

// Where Tekton is installed by its own manifests, and by OpenShift Pipelines.
// ensureRelease has the cell's Tekton release installed and its controller
// running. Cells of one release share a controller.
func (w *worker) ensureRelease(ctx context.Context, cell *scenario.Cell, build *tekton.Build) error {
	namespace := wellknown.TektonNamespace
	if cell.Spec.Cluster.OpenShift.Enabled {
		namespace = wellknown.OpenShiftPipelinesNamespace
	}
	older, err := usesOlder(cell)
	if err != nil {
		return err
	}
	served := w.older || !older
	w.older = w.older || older
	if r := w.release; r != nil && served && r.build.Version == build.Version && r.namespace == namespace && !r.changed &&
		r.controller != nil && r.controller.ExitErr() == nil && r.controller.Leads() {
		return nil
	}
	if err := w.removeDefinitions(ctx); err != nil {
		return err
	}
	var before []history.Ref
	if w.release != nil {
		before = w.release.refs
	}
	w.stopRelease(ctx)
	if err := w.install(ctx, build, namespace, before); err != nil {
		w.stopRelease(ctx)
		return fmt.Errorf("installing Tekton %s: %w", build.Version, err)
	}
	return nil
}

// install installs a release in the place of what is there of another.
func (w *worker) install(ctx context.Context, build *tekton.Build, namespace string, before []history.Ref) error {
	crds, err := build.CRDs()
	if err != nil {
		return err
	}
	after, err := installedBy(build, crds, namespace)
	if err != nil {
		return err
	}
	if err := w.uninstall(ctx, notAmong(before, after)); err != nil {
		return err
	}
	if err := w.removeOthers(ctx, crds); err != nil {
		return err
	}
	maps, err := w.layOut(ctx, build, crds, namespace)
	if err != nil {
		return err
	}
	w.release = &release{build: build, namespace: namespace, configMaps: maps, refs: after}
	if w.release.schemas, err = schemasOf(crds); err != nil {
		return err
	}
	if w.release.proxy, err = w.cp.Proxy(namespace, tekton.ServiceAccount); err != nil {
		return err
	}
	if err := w.dropLeases(ctx, namespace); err != nil {
		return err
	}
	return w.startController(ctx)
}

// dropLeases removes the leases of controllers of other cells: what a cell did to
// its controller is nothing to the next one.
func (w *worker) dropLeases(ctx context.Context, namespace string) error {
	if err := w.simctl.CoordinationV1().Leases(namespace).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{}); err != nil {
		return fmt.Errorf("deleting the leases of Namespace %s: %w", namespace, err)
	}
	return nil
}

// layOut puts a release's CRDs, rights and ConfigMaps in place, and gives the
// ConfigMaps.
func (w *worker) layOut(ctx context.Context, build *tekton.Build, crds []*apiextensionsv1.CustomResourceDefinition, namespace string) ([]*corev1.ConfigMap, error) {
	if err := w.convert(crds); err != nil {
		return nil, err
	}
	if err := w.installCRDs(ctx, append(slices.Clone(crds), openshift.TektonConfigCRD())); err != nil {
		return nil, err
	}
	if err := w.ensureMapper(); err != nil {
		return nil, err
	}
	if err := w.kube.Rediscover(ctx); err != nil {
		return nil, err
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	if namespace == wellknown.OpenShiftPipelinesNamespace {
		// On OpenShift every namespace has ranges of ids.
		openshift.Annotate(ns, scenario.OpenShift{}, 0)
	}
	if _, err := w.simctl.CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return nil, fmt.Errorf("creating Namespace %s: %w", namespace, err)
	}
	objects, err := manifestsOf(build, namespace)
	if err != nil {
		return nil, err
	}
	maps, err := build.ConfigMaps(namespace)
	if err != nil {
		return nil, err
	}
	for _, u := range objects {
		if err := w.replace(ctx, u); err != nil {
			return nil, err
		}
	}
	return maps, nil
}

// manifestsOf gives a release's rights and ConfigMaps.
func manifestsOf(build *tekton.Build, namespace string) ([]*unstructured.Unstructured, error) {
	out, err := build.RBAC(namespace)
	if err != nil {
		return nil, err
	}
	maps, err := build.ConfigMaps(namespace)
	if err != nil {
		return nil, err
	}
	for _, cm := range maps {
		u, err := toUnstructured(cm)
		if err != nil {
			return nil, err
		}
		out = append(out, u)
	}
	return out, nil
}

// installedBy names what is there when a release is installed, in the order of making.
func installedBy(build *tekton.Build, crds []*apiextensionsv1.CustomResourceDefinition, namespace string) ([]history.Ref, error) {
	out := []history.Ref{typeRef(openshift.TektonConfigCRD().Name)}
	for _, crd := range crds {
		out = append(out, typeRef(crd.Name))
	}
	out = append(out, history.Ref{APIVersion: "v1", Kind: "Namespace", Name: namespace})
	objects, err := manifestsOf(build, namespace)
	for _, u := range objects {
		out = append(out, controlplane.RefOf(u))
	}
	return out, err
}

// startController starts the installed release's controller, and ends the one that
// runs in an orderly way.
func (w *worker) startController(ctx context.Context) error {
	if err := w.stopController(ctx); err != nil {
		return err
	}
	r := w.release
	out, err := w.logFile("tekton-" + r.build.Version)
	if err != nil {
		return err
	}
	r.controller, err = tekton.Start(ctx, r.build, tekton.ControllerOptions{
		Kubeconfig: r.proxy.Kubeconfig,
		Namespace:  r.namespace,
		Clock:      w.clock,
		Seed:       w.seed.Load,
		Recorder:   w.recorder(),
		Log:        out,
	})
	if err == nil {
		w.tektonPID.Store(int64(r.controller.PID()))
		context.AfterFunc(w.ctx, r.controller.HangUp)
	}
	return err
}

// stopController ends the release's controller, if it runs, in an orderly way: it
// gives its leases back. What it had on the clock goes with it.
func (w *worker) stopController(ctx context.Context) error {
	if w.release.controller == nil {
		return nil
	}
	w.release.controller.GiveLeasesBack()
	err := w.release.controller.Stop(ctx)
	w.release.controller = nil
	return err
}

// replace creates an object or puts it in the place of the one that is there.
func (w *worker) replace(ctx context.Context, u *unstructured.Unstructured) error {
	client, err := w.resource(w.simctl, u)
	if err != nil {
		return err
	}
	_, err = client.Create(ctx, u, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
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

// resource gives the client for an object's kind and namespace.
func (w *worker) resource(as clients, u *unstructured.Unstructured) (dynamic.ResourceInterface, error) {
	gvk := u.GroupVersionKind()
	m, err := w.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if meta.IsNoMatchError(err) {
		// A CRD may have come since.
		if err := w.ensureMapper(); err != nil {
			return nil, err
		}
		m, err = w.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	}
	if err != nil {
		return nil, fmt.Errorf("%s %s: the API server has no such kind: %w", gvk, u.GetName(), err)
	}
	if m.Scope.Name() == meta.RESTScopeNameNamespace {
		return as.dynamic.Resource(m.Resource).Namespace(u.GetNamespace()), nil
	}
	return as.dynamic.Resource(m.Resource), nil
}

// toUnstructured gives a typed object as the API server wants it: with its kind
// and without a status.
func toUnstructured(o runtime.Object) (*unstructured.Unstructured, error) {
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

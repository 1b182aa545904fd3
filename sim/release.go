package sim

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"simctl.dev/simctl/sim/controlplane"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/openshift"
	"simctl.dev/simctl/sim/plane"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/tekton"
	"simctl.dev/simctl/sim/wellknown"
)

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
	if err := w.plane.Uninstall(ctx, plane.NotAmong(before, after)); err != nil {
		return err
	}
	if err := w.plane.RemoveOthers(ctx, crds); err != nil {
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
	if w.release.proxy, err = w.plane.Servers.Proxy(namespace, tekton.ServiceAccount); err != nil {
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
	if err := w.plane.Simctl.CoordinationV1().Leases(namespace).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{}); err != nil {
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
	if err := w.plane.InstallTypes(ctx, append(slices.Clone(crds), openshift.TektonConfigCRD())); err != nil {
		return nil, err
	}
	if err := w.plane.Discover(); err != nil {
		return nil, err
	}
	if err := w.plane.Controllers.Rediscover(ctx); err != nil {
		return nil, err
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	if namespace == wellknown.OpenShiftPipelinesNamespace {
		// On OpenShift every namespace has ranges of ids.
		openshift.Annotate(ns, scenario.OpenShift{}, 0)
	}
	if _, err := w.plane.Simctl.CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
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
		if err := w.plane.Replace(ctx, u); err != nil {
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
		u, err := plane.Unstructured(cm)
		if err != nil {
			return nil, err
		}
		out = append(out, u)
	}
	return out, nil
}

// installedBy names what is there when a release is installed, in the order of making.
func installedBy(build *tekton.Build, crds []*apiextensionsv1.CustomResourceDefinition, namespace string) ([]history.Ref, error) {
	out := []history.Ref{plane.TypeRef(openshift.TektonConfigCRD().Name)}
	for _, crd := range crds {
		out = append(out, plane.TypeRef(crd.Name))
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
		Clock:      w.plane.Clock,
		Seed:       w.plane.Seed,
		Recorder:   w.plane.Recorder(),
		Log:        out,
	})
	if err != nil {
		return err
	}
	w.tektonPID.Store(int64(r.controller.PID()))
	context.AfterFunc(w.plane.Context(), r.controller.HangUp)
	r.leave = w.plane.Join(plane.Member{Name: "tekton", PID: r.controller.PID(), Idle: r.controller.Quiet, Settled: r.controller.Settled, Record: r.controller.SetRecorder})
	return nil
}

// stopController ends the release's controller, if it runs, in an orderly way: it
// gives its leases back. What it had on the clock goes with it.
func (w *worker) stopController(ctx context.Context) error {
	if w.release.controller == nil {
		return nil
	}
	w.release.controller.GiveLeasesBack()
	err := w.release.controller.Stop(ctx)
	w.release.leave()
	w.release.controller = nil
	return err
}

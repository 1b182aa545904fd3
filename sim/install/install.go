package install

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
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

// Install is what is installed on a plane. Its methods are called by the goroutine that
// steps the plane's clock.
type Install struct {
	Options
	release *release // nil until one is laid
	older   bool     // objects of Tekton's v1beta1 are served
	// certs are those of Tekton's webhook, by its namespace.
	certs map[string]tekton.Certificates
	// controllerPID is of the Tekton controller that was last started.
	controllerPID atomic.Int64
	// shift is by how much the clock of Tekton's controller is ahead.
	shift time.Duration
	scc   *scc // nil while OpenShift's admission does not run
}

// Options are what an Install is made of.
type Options struct {
	Plane *plane.Plane
	// LogFile opens what takes the log of a controller, by the controller's name.
	LogFile func(name string) (io.Writer, error)
	// CacheDir holds builds; empty is the user's cache directory. Progress is told of
	// those that have to be made.
	CacheDir string
	Progress func(line string)
	Logger   logr.Logger
}

// release is a release of Tekton on the plane.
type release struct {
	build      *tekton.Build
	namespace  string
	configMaps []*corev1.ConfigMap
	settings   scenario.Tekton // as it was configured, and changed since
	openshift  bool
	proxy      *controlplane.Proxy
	controller *tekton.Controller // nil while it is stopped
	leave      func()             // has the controller no longer belong to the plane
	webhook    *webhook           // nil while it is stopped
	speak      func()             // ends its silence; nil if there was none
	version    string             // in which Tasks are stored
	refs       []history.Ref      // of what is installed
	// changed says that a cell wrote to what is installed, beyond the flags.
	changed bool
}

// New returns an Install with nothing in it.
func New(o Options) *Install {
	in := &Install{Options: o, certs: map[string]tekton.Certificates{}}
	o.Plane.Tap().Echo(tekton.ServiceAccount, func() bool { return controlplane.Resting(int(in.controllerPID.Load())) })
	o.Plane.AtEnd(func() error {
		if in.scc == nil {
			return nil
		}
		return in.scc.stop()
	})
	return in
}

// Fits says whether what is installed is just this, and nobody has changed it: the
// release of a build, in a namespace, with objects of Tekton's v1beta1 if older, and
// not without need: what a cell finds does not depend on those before it.
func (in *Install) Fits(build *tekton.Build, namespace string, older bool) bool {
	r := in.release
	return r != nil && in.older == older && r.build.Version == build.Version && r.namespace == namespace && !r.changed &&
		r.controller != nil && r.controller.ExitErr() == nil && r.controller.Leads() && r.webhook != nil && r.webhook.process.ExitErr() == nil
}

// Lay lays a release on the plane in the place of what is there of another, as on a
// fresh plane, and starts its controller. Objects of the types must be gone.
func (in *Install) Lay(ctx context.Context, build *tekton.Build, namespace string, older bool) error {
	in.older = older
	var before []history.Ref
	if in.release != nil {
		before = in.release.refs
	}
	err := in.end(ctx)
	if err == nil {
		err = in.lay(ctx, build, namespace, before)
	}
	if err != nil {
		in.End(ctx)
		return fmt.Errorf("installing Tekton %s: %w", build.Version, err)
	}
	return nil
}

// End ends the release's processes. What is installed stays on the API server.
func (in *Install) End(ctx context.Context) {
	if in.release == nil {
		return
	}
	r := in.release
	if r.controller != nil {
		if err := r.controller.Stop(ctx); err != nil {
			in.Logger.Error(err, "Stopping a Tekton controller failed")
		}
		r.leave()
	}
	if err := in.StopWebhook(ctx); err != nil {
		in.Logger.Error(err, "Stopping Tekton's webhook failed")
	}
	if r.proxy != nil {
		r.proxy.Stop()
	}
	in.release = nil
}

// end ends the release to make place for another one.
func (in *Install) end(ctx context.Context) error {
	if in.release != nil {
		if err := in.StopWebhook(ctx); err != nil {
			return err
		}
		if err := in.withdrawWebhooks(ctx); err != nil {
			return err
		}
	}
	in.End(ctx)
	return nil
}

func (in *Install) lay(ctx context.Context, build *tekton.Build, namespace string, before []history.Ref) error {
	crds, err := build.CRDs()
	if err != nil {
		return err
	}
	after, err := installedBy(build, crds, namespace)
	if err != nil {
		return err
	}
	if err := in.Plane.Uninstall(ctx, plane.NotAmong(before, after)); err != nil {
		return err
	}
	if err := in.Plane.RemoveOthers(ctx, crds); err != nil {
		return err
	}
	in.release = &release{build: build, namespace: namespace, refs: after, version: versionOf(crds)}
	if err := in.layOut(ctx, build, crds); err != nil {
		return err
	}
	if in.release.proxy, err = in.Plane.Servers.Proxy(namespace, tekton.ServiceAccount); err != nil {
		return err
	}
	if err := in.dropLeases(ctx, namespace); err != nil {
		return err
	}
	return in.Start(ctx)
}

// dropLeases removes the leases of controllers of other cells: what a cell did to
// its controller is nothing to the next one.
func (in *Install) dropLeases(ctx context.Context, namespace string) error {
	if err := in.Plane.Simctl.CoordinationV1().Leases(namespace).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{}); err != nil {
		return fmt.Errorf("deleting the leases of Namespace %s: %w", namespace, err)
	}
	return nil
}

// layOut puts a release's CRDs, rights, webhooks and ConfigMaps in place, and has its
// webhook run before the ConfigMaps come, about which it is asked.
func (in *Install) layOut(ctx context.Context, build *tekton.Build, crds []*apiextensionsv1.CustomResourceDefinition) error {
	namespace := in.release.namespace
	certs, err := in.certificates(ctx, namespace)
	if err != nil {
		return err
	}
	if !in.older {
		tekton.OnlyStored(crds)
	}
	tekton.Converted(crds, namespace, certs)
	if err := in.Plane.InstallTypes(ctx, append(slices.Clone(crds), openshift.TektonConfigCRD())); err != nil {
		return err
	}
	if err := in.Plane.Discover(); err != nil {
		return err
	}
	if err := in.Plane.Controllers.Rediscover(ctx); err != nil {
		return err
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	if namespace == wellknown.OpenShiftPipelinesNamespace {
		// On OpenShift every namespace has ranges of ids.
		openshift.Annotate(ns, scenario.OpenShift{}, 0)
	}
	if _, err := in.Plane.Simctl.CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("creating Namespace %s: %w", namespace, err)
	}
	m, err := manifestsOf(build, namespace, certs)
	if err != nil {
		return err
	}
	for _, u := range slices.Concat(m.rights, m.webhooks) {
		if err := in.Plane.Replace(ctx, u); err != nil {
			return err
		}
	}
	// A webhook wants to find its ConfigMaps, and does not start with some that a cell has
	// left. What the one before, where there is one, would say of those that are there is
	// nothing to the new one.
	if in.release.webhook == nil {
		if err := in.replace(ctx, m.maps); err != nil {
			return err
		}
	}
	for _, cm := range m.maps {
		if _, err := in.Plane.Simctl.CoreV1().ConfigMaps(namespace).Create(ctx, cm, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("creating ConfigMap %s: %w", cm.Name, err)
		}
	}
	in.release.build, in.release.configMaps, in.release.version = build, m.maps, versionOf(crds)
	if err := in.StartWebhook(ctx); err != nil {
		return err
	}
	return in.replace(ctx, m.maps)
}

func (in *Install) replace(ctx context.Context, maps []*corev1.ConfigMap) error {
	for _, cm := range maps {
		u, err := plane.Unstructured(cm)
		if err != nil {
			return err
		}
		if err := in.Plane.Replace(ctx, u); err != nil {
			return err
		}
	}
	return nil
}

// manifests are what a release is installed by, beyond its types.
type manifests struct {
	rights, webhooks []*unstructured.Unstructured
	maps             []*corev1.ConfigMap
}

// manifestsOf gives a release's manifests.
func manifestsOf(build *tekton.Build, namespace string, certs tekton.Certificates) (m manifests, err error) {
	if m.rights, err = build.RBAC(namespace); err != nil {
		return m, err
	}
	if m.webhooks, err = build.Webhooks(namespace, webhookIP, certs); err != nil {
		return m, err
	}
	m.maps, err = build.ConfigMaps(namespace)
	return m, err
}

// installedBy names what is there when a release is installed, in the order of making.
func installedBy(build *tekton.Build, crds []*apiextensionsv1.CustomResourceDefinition, namespace string) ([]history.Ref, error) {
	out := []history.Ref{plane.TypeRef(openshift.TektonConfigCRD().Name)}
	for _, crd := range crds {
		out = append(out, plane.TypeRef(crd.Name))
	}
	out = append(out, history.Ref{APIVersion: "v1", Kind: "Namespace", Name: namespace})
	m, err := manifestsOf(build, namespace, tekton.Certificates{})
	for _, u := range slices.Concat(m.rights, m.webhooks) {
		out = append(out, controlplane.RefOf(u))
	}
	// The API server keeps account of the Service's address.
	out = append(out, history.Ref{APIVersion: "networking.k8s.io/v1", Kind: "IPAddress", Name: webhookIP})
	for _, cm := range m.maps {
		out = append(out, history.Ref{APIVersion: "v1", Kind: "ConfigMap", Namespace: cm.Namespace, Name: cm.Name})
	}
	return out, err
}

// Version returns the release's version, Namespace where it is.
func (in *Install) Version() string { return in.release.build.Version }

// Namespace returns the namespace in which the release is.
func (in *Install) Namespace() string { return in.release.namespace }

// Owns says whether an object belongs to what is installed.
func (in *Install) Owns(ref history.Ref) bool { return in.ofRelease(ref) || in.ofSCC(ref) }

func (in *Install) ofRelease(ref history.Ref) bool {
	return in.release != nil && plane.Among(in.release.refs, ref)
}

func (in *Install) ofSCC(ref history.Ref) bool {
	return in.scc != nil && plane.Among(in.scc.refs, ref)
}

// Part names that of what is installed to which an object belongs. It is empty for one
// that does not, or is written before each cell.
func (in *Install) Part(ref history.Ref) string {
	switch {
	case flagMap(ref):
	case in.ofRelease(ref):
		return fmt.Sprintf("Tekton %s in %s, with v1beta1: %t", in.Version(), in.Namespace(), in.older)
	case in.ofSCC(ref):
		return "OpenShift"
	}
	return ""
}

// flagMap says whether an object is one of the ConfigMaps that Configure writes.
func flagMap(ref history.Ref) bool {
	return ref.Kind == "ConfigMap" && (ref.Name == wellknown.FeatureFlags || ref.Name == wellknown.ConfigDefaults)
}

// Note takes note that an object was written to.
func (in *Install) Note(ref history.Ref) {
	if in.ofRelease(ref) && !flagMap(ref) {
		in.release.changed = true
	}
	if in.ofSCC(ref) {
		in.scc.changed = true
	}
}

// Touch takes note that somebody is about to write to an object that may belong to an
// installation: that shows in a history only if the object still has a place there.
func (in *Install) Touch(u *unstructured.Unstructured) {
	if in.ofSCC(in.Plane.RefOf(u)) {
		in.scc.changed = true
	}
	switch kind := u.GetKind(); {
	case u.GetNamespace() == in.Namespace(), kind == "CustomResourceDefinition", strings.HasPrefix(kind, "ClusterRole"), strings.HasSuffix(kind, "WebhookConfiguration"):
		in.release.changed = true
	}
}

// Changed says whether somebody wrote to what belongs to the release, but for its flags:
// it will be made anew.
func (in *Install) Changed() bool { return in.release.changed }

// MadeAnew says whether an object will be made anew before it is wanted again.
func (in *Install) MadeAnew(ref history.Ref) bool {
	return in.ofRelease(ref) && (in.release.changed || flagMap(ref)) || in.ofSCC(ref) && in.scc.changed
}

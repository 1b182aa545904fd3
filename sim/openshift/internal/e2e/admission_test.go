package e2e

import (
	"context"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/utils/ptr"

	"simctl.dev/simctl/sim/controlplane"
	"simctl.dev/simctl/sim/internal/loopback"
	"simctl.dev/simctl/sim/openshift"
	"simctl.dev/simctl/sim/scenario"
)

func TestMain(m *testing.M) {
	controlplane.ChildMain()
	os.Exit(m.Run())
}

const namespace = "private-ai-demo"

var spec = scenario.OpenShift{
	Enabled: true, UIDRange: "1000970000/10000",
	Grants: []scenario.SCCGrant{{SCC: "anyuid", ServiceAccount: "model-pipeline-sa", Namespace: namespace}},
}

// cluster is OpenShift: the admission of package openshift before a real API
// server.
type cluster struct {
	admin kubernetes.Interface
	// controller is the StatefulSet controller, who is no administrator.
	controller kubernetes.Interface
	config     *rest.Config
}

func start(t testing.TB) *cluster {
	t.Helper()
	ctx := t.Context()
	path, err := openshift.BuildEngine(ctx, openshift.BuildOptions{Progress: func(line string) { t.Log(line) }})
	if err != nil {
		t.Fatal(err)
	}
	cp, err := controlplane.Start(ctx, controlplane.Options{Log: io.Discard, Logger: logr.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cp.Stop(); err != nil {
			t.Error(err)
		}
	})
	c := &cluster{config: cp.Admin("test")}
	c.admin = kubernetes.NewForConfigOrDie(c.config)
	c.controller = kubernetes.NewForConfigOrDie(cp.ServiceAccount("kube-system", "statefulset-controller"))
	if err := cp.InstallCRDs(ctx, openshift.CRDs()); err != nil {
		t.Fatal(err)
	}
	objects, err := openshift.ClusterObjects()
	if err != nil {
		t.Fatal(err)
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	openshift.Annotate(ns, spec, 0)
	if _, err := c.admin.CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	grants, err := openshift.Grants(spec, []*corev1.Namespace{ns})
	if err != nil {
		t.Fatal(err)
	}
	c.create(t, append(objects, grants...))
	for _, name := range []string{"default", "model-pipeline-sa"} {
		sa := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if _, err := c.admin.CoreV1().ServiceAccounts(namespace).Create(ctx, sa, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}

	e, err := openshift.StartEngine(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	a, err := openshift.New(ctx, openshift.Options{Engine: e, Client: c.admin, Dynamic: dynamic.NewForConfigOrDie(c.config), Logger: logr.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	s, err := loopback.Serve(ctx, a.Handler())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	mutating, validating := a.Configurations(s.URL, s.CABundle)
	if _, err := c.admin.AdmissionregistrationV1().MutatingWebhookConfigurations().Create(ctx, mutating, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.admin.AdmissionregistrationV1().ValidatingWebhookConfigurations().Create(ctx, validating, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	waitInForce(t, c.admin, true)
	return c
}

// switchOff makes the cluster plain Kubernetes.
func (c *cluster) switchOff(t testing.TB) {
	t.Helper()
	client := c.admin.AdmissionregistrationV1()
	if err := client.MutatingWebhookConfigurations().Delete(t.Context(), openshift.WebhookName, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := client.ValidatingWebhookConfigurations().Delete(t.Context(), openshift.WebhookName, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	waitInForce(t, c.admin, false)
}

func waitInForce(t testing.TB, client kubernetes.Interface, want bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := openshift.WaitInForce(ctx, client, namespace, want); err != nil {
		t.Fatal(err)
	}
}

func (c *cluster) create(t testing.TB, objects []*unstructured.Unstructured) {
	t.Helper()
	client := dynamic.NewForConfigOrDie(c.config)
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(discovery.NewDiscoveryClientForConfigOrDie(c.config)))
	for _, o := range objects {
		mapping, err := mapper.RESTMapping(o.GroupVersionKind().GroupKind(), o.GroupVersionKind().Version)
		if err != nil {
			t.Fatal(err)
		}
		var in dynamic.ResourceInterface = client.Resource(mapping.Resource)
		if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
			in = client.Resource(mapping.Resource).Namespace(o.GetNamespace())
		}
		if _, err := in.Create(t.Context(), o, metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict}); err != nil {
			t.Fatalf("%s %s: %v", o.GetKind(), o.GetName(), err)
		}
	}
}

// pod returns a pod as Tekton makes one for the assistant or a TaskRun.
func pod(name, account string, fsGroup *int64) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace, Labels: map[string]string{"a": "b"}},
		Spec: corev1.PodSpec{
			ServiceAccountName: account,
			SecurityContext:    &corev1.PodSecurityContext{FSGroup: fsGroup},
			InitContainers:     []corev1.Container{{Name: "prepare", Image: "i"}},
			Containers:         []corev1.Container{{Name: "step", Image: "i"}},
		},
	}
}

// The incident, asked of the real API server.
func TestAdmission(t *testing.T) {
	c := start(t)
	pods := c.controller.CoreV1().Pods(namespace)
	ctx := t.Context()

	_, err := pods.Create(ctx, pod("affinity-assistant-0", "default", ptr.To[int64](2000)), metav1.CreateOptions{})
	const words = `admission webhook "` + openshift.WebhookName + `" denied the request: pods "affinity-assistant-0" is forbidden: ` +
		`unable to validate against any security context constraint: [provider "anyuid": Forbidden: not usable by user or serviceaccount, ` +
		`provider "pipelines-scc": Forbidden: not usable by user or serviceaccount, ` +
		`provider restricted-v2: .spec.securityContext.fsGroup: Invalid value: []int64{2000}: 2000 is not an allowed group, `
	// Tekton tells a refusal by its reason.
	if !apierrors.IsForbidden(err) || !strings.HasPrefix(err.Error(), words) {
		t.Errorf("fsGroup 2000 under the account default: got %v\nwant %s...", err, words)
	}

	made, err := pods.Create(ctx, pod("task", "model-pipeline-sa", ptr.To[int64](2000)), metav1.CreateOptions{})
	if err != nil {
		t.Fatal("fsGroup 2000 under an account that may use anyuid:", err)
	}
	if got := made.Annotations[openshift.SCCAnnotation]; got != "anyuid" || made.Spec.Containers[0].SecurityContext.RunAsUser != nil {
		t.Errorf("admitted by %q with %+v", got, made.Spec.Containers[0].SecurityContext)
	}

	made, err = pods.Create(ctx, pod("in-range", "default", nil), metav1.CreateOptions{})
	if err != nil {
		t.Fatal("no fsGroup under the account default:", err)
	}
	if got := made.Annotations[openshift.SCCAnnotation]; got != "restricted-v2" {
		t.Errorf("admitted by %q", got)
	}
	if got := made.Spec.SecurityContext.FSGroup; got == nil || *got != 1000970000 {
		t.Errorf("fsGroup %v", got)
	}
	for _, container := range append(made.Spec.InitContainers, made.Spec.Containers...) {
		if s := container.SecurityContext; s == nil || s.RunAsUser == nil || *s.RunAsUser != 1000970000 {
			t.Errorf("container %s has %+v", container.Name, s)
		}
	}

	// Tekton marks a pod as ready by an annotation; the kubelet writes statuses.
	made.Annotations["tekton.dev/ready"] = "READY"
	if made, err = pods.Update(ctx, made, metav1.UpdateOptions{}); err != nil {
		t.Error("annotating an admitted pod:", err)
	}
	made.Status.Phase = corev1.PodRunning
	if _, err := c.admin.CoreV1().Pods(namespace).UpdateStatus(ctx, made, metav1.UpdateOptions{}); err != nil {
		t.Error("writing an admitted pod's status:", err)
	}

	c.switchOff(t)
	if _, err := pods.Create(ctx, pod("plain", "default", ptr.To[int64](2000)), metav1.CreateOptions{}); err != nil {
		t.Error("on plain Kubernetes:", err)
	}
}

// BenchmarkAdmission is what creating a pod costs with the admission in its way,
// and without.
func BenchmarkAdmission(b *testing.B) {
	c := start(b)
	pods := c.controller.CoreV1().Pods(namespace)
	create := func(account string) func(*testing.B) {
		return func(b *testing.B) {
			for b.Loop() {
				if _, err := pods.Create(b.Context(), pod("p", account, nil), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	b.Run("restricted-v2", create("default"))
	b.Run("anyuid", create("model-pipeline-sa"))
	c.switchOff(b)
	b.Run("off", create("default"))
}

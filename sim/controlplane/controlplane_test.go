package controlplane_test

import (
	"bytes"
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"simctl.dev/simctl/sim/controlplane"
	"simctl.dev/simctl/sim/history"
)

func TestMain(m *testing.M) {
	controlplane.ChildMain()
	os.Exit(m.Run())
}

// start starts a control plane and checks in the end that it leaves nothing.
func start(t *testing.T) *controlplane.ControlPlane {
	t.Helper()
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	var out bytes.Buffer
	cp, err := controlplane.Start(context.Background(), controlplane.Options{Log: &out, Logger: logr.Discard()})
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	t.Cleanup(func() {
		if err := cp.Stop(); err != nil {
			t.Error(err)
		}
		if left, _ := os.ReadDir(tmp); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	})
	return cp
}

func TestControlPlane(t *testing.T) {
	ctx := context.Background()
	cp := start(t)
	client := kubernetes.NewForConfigOrDie(cp.Admin("user"))
	v, err := client.Discovery().ServerVersion()
	if err != nil {
		t.Fatal(err)
	}
	if v.GitVersion != controlplane.KubernetesVersion {
		t.Errorf("the API server says it is %s, want %s", v.GitVersion, controlplane.KubernetesVersion)
	}

	log := history.NewLog(func() float64 { return 1 }, nil)
	cp.Tap().SetRecorder(log)
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "a", Namespace: "default"}, Data: map[string]string{"k": "1"}}
	if cm, err = client.CoreV1().ConfigMaps("default").Create(ctx, cm, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	cm.Data["k"] = "2"
	if _, err = client.CoreV1().ConfigMaps("default").Update(ctx, cm, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	nobody := kubernetes.NewForConfigOrDie(cp.ServiceAccount("default", "nobody"))
	if _, err = nobody.CoreV1().ConfigMaps("default").Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "b"}}, metav1.CreateOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("a ServiceAccount without rights created a ConfigMap: %v", err)
	}
	if err = client.CoreV1().ConfigMaps("default").Delete(ctx, "a", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := cp.Quiet(ctx, nil); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range log.Entries() {
		got = append(got, string(e.Kind)+" "+e.Verb+" "+e.Actor+" "+e.Object.String()+" "+string(e.Patch))
	}
	want := []string{
		"object create user ConfigMap default/a ",
		`object update user ConfigMap default/a {"data":{"k":"2"}}`,
		"refused create nobody ConfigMap default/b ",
		"object delete user ConfigMap default/a ",
	}
	if len(got) != len(want) {
		t.Fatalf("history:\n%q\nwant:\n%q", got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("entry %d: %q, want %q", i, got[i], want[i])
		}
	}
}

// TestPhasesAreInVirtualTime: the API server dates the phase of a PersistentVolume by
// the virtual time, if the tap has been given one.
func TestPhasesAreInVirtualTime(t *testing.T) {
	ctx := t.Context()
	cp := start(t)
	volumes := kubernetes.NewForConfigOrDie(cp.Admin("user")).CoreV1().PersistentVolumes()
	pv := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "v"}, Spec: corev1.PersistentVolumeSpec{
		Capacity:               corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")},
		AccessModes:            []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: "d", VolumeHandle: "h"}},
	}}
	var now time.Time
	cp.Tap().SetClock(func() time.Time { return now })
	check := func(what string, pv *corev1.PersistentVolume, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if at := pv.Status.LastPhaseTransitionTime; at == nil || !at.Time.Equal(now) {
			t.Errorf("%s: the phase is of %v, want %v", what, at, now)
		}
	}
	now = time.Date(2100, 1, 1, 0, 0, 3, 0, time.UTC)
	pv, err := volumes.Create(ctx, pv, metav1.CreateOptions{})
	check("made", pv, err)
	now = now.Add(time.Minute)
	pv.Status.Phase = corev1.VolumeAvailable
	pv, err = volumes.UpdateStatus(ctx, pv, metav1.UpdateOptions{})
	check("changed", pv, err)
}

// TestFieldManagers has the API server keep no account of who set which field, but
// for those that apply on the server's side.
func TestFieldManagers(t *testing.T) {
	ctx := context.Background()
	cp := start(t)
	api := kubernetes.NewForConfigOrDie(cp.Admin("user")).CoreV1().ConfigMaps("default")
	created, err := api.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Data: map[string]string{"mine": "1"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	created.Data["mine"] = "2"
	updated, err := api.Update(ctx, created, metav1.UpdateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(created.ManagedFields) > 0 || len(updated.ManagedFields) > 0 {
		t.Errorf("managedFields %v, then %v; want none", created.ManagedFields, updated.ManagedFields)
	}
	for _, name := range []string{"a", "b"} { // one that is there, and one that is not
		var got *corev1.ConfigMap
		for _, data := range []map[string]string{{"x": "1", "y": "1"}, {"x": "2"}} {
			if got, err = api.Apply(ctx, applycorev1.ConfigMap(name, "default").WithData(data), metav1.ApplyOptions{FieldManager: "test"}); err != nil {
				t.Fatal(err)
			}
		}
		want := map[string]string{"x": "2"}
		maps.Copy(want, map[string]map[string]string{"a": {"mine": "2"}}[name])
		if !maps.Equal(got.Data, want) {
			t.Errorf("%s holds %v after the second apply, want %v", name, got.Data, want)
		}
	}
}

// TestAssets has etcd and kube-apiserver started from KUBEBUILDER_ASSETS, here
// scripts that say so and go on as the built-in ones.
func TestAssets(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	assets, said := t.TempDir(), filepath.Join(t.TempDir(), "said")
	for _, name := range []string{"etcd", "kube-apiserver"} {
		program := filepath.Join(t.TempDir(), name)
		if err := os.Symlink(self, program); err != nil {
			t.Fatal(err)
		}
		script := "#!/bin/sh\necho " + name + " >> " + said + "\nexec " + program + ` "$@"` + "\n"
		if err := os.WriteFile(filepath.Join(assets, name), []byte(script), 0o755); err != nil { //nolint:gosec // it is executed
			t.Fatal(err)
		}
	}
	t.Setenv("KUBEBUILDER_ASSETS", assets)
	cp := start(t)
	if _, err := kubernetes.NewForConfigOrDie(cp.Admin("user")).CoreV1().Namespaces().List(context.Background(), metav1.ListOptions{}); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(said)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"etcd", "kube-apiserver"} {
		if !strings.Contains(string(got), name+"\n") {
			t.Errorf("%s was not started from KUBEBUILDER_ASSETS; started: %q", name, got)
		}
	}
}

// TestEvents has Events recorded as any other object is, and repeated ones
// updated, though the API server never sees them.
func TestEvents(t *testing.T) {
	ctx := context.Background()
	cp := start(t)
	log := history.NewLog(func() float64 { return 1 }, nil)
	cp.Tap().SetRecorder(log)
	client := kubernetes.NewForConfigOrDie(cp.Admin("kubelet"))
	events := client.CoreV1().Events("default")
	e, err := events.Create(ctx, &corev1.Event{ObjectMeta: metav1.ObjectMeta{Name: "a.1"}, Reason: "Failed", Count: 1}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if e.Namespace != "default" || e.UID == "" || e.ResourceVersion == "" {
		t.Errorf("the answer is not that of an API server: %+v", e.ObjectMeta)
	}
	if e, err = events.Patch(ctx, "a.1", types.StrategicMergePatchType, []byte(`{"count":2}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	if e.Count != 2 || e.Reason != "Failed" {
		t.Errorf("patched to %+v", e)
	}
	if _, err = events.Patch(ctx, "b.1", types.StrategicMergePatchType, []byte(`{"count":2}`), metav1.PatchOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("patched an event that is not there: %v", err)
	}
	list, err := events.List(ctx, metav1.ListOptions{})
	if err != nil || len(list.Items) != 1 || list.Items[0].Count != 2 {
		t.Errorf("listed %+v (%v)", list, err)
	}
	var got []string
	for _, e := range log.Entries() {
		got = append(got, e.Verb+" "+e.Object.String()+" "+string(e.Patch))
	}
	want := []string{"create Event default/a.1 ", `update Event default/a.1 {"count":2}`}
	if !slices.Equal(got, want) {
		t.Errorf("history %q, want %q", got, want)
	}
	// The next history begins without them.
	cp.Tap().SetRecorder(log)
	if _, err = events.Patch(ctx, "a.1", types.StrategicMergePatchType, []byte(`{"count":3}`), metav1.PatchOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("patched an event of the history before: %v", err)
	}
}

// TestRememberedReads reads a Task again and again: what somebody else has
// written in between is seen, and who may not read it does not get it.
func TestRememberedReads(t *testing.T) {
	ctx := context.Background()
	cp := start(t)
	preserve := true
	if err := cp.InstallCRDs(t.Context(), []*apiextensionsv1.CustomResourceDefinition{{
		ObjectMeta: metav1.ObjectMeta{Name: "tasks.tekton.dev"},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: "tekton.dev",
			Scope: apiextensionsv1.NamespaceScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: "tasks", Singular: "task", Kind: "Task", ListKind: "TaskList"},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: "v1", Served: true, Storage: true,
				Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{Type: "object", XPreserveUnknownFields: &preserve}},
			}},
		},
	}}); err != nil {
		t.Fatal(err)
	}
	tasks := func(cfg *rest.Config) dynamic.ResourceInterface {
		return dynamic.NewForConfigOrDie(cfg).Resource(schema.GroupVersionResource{Group: "tekton.dev", Version: "v1", Resource: "tasks"}).Namespace("default")
	}
	reader, writer := tasks(cp.Admin("reader")), tasks(cp.Admin("writer"))
	u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "tekton.dev/v1", "kind": "Task", "metadata": map[string]any{"name": "a"}, "spec": map[string]any{"n": "0"}}}
	if _, err := writer.Create(ctx, u, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		want := strconv.Itoa(n)
		if n > 0 {
			if _, err := writer.Patch(ctx, "a", types.MergePatchType, []byte(`{"spec":{"n":"`+want+`"}}`), metav1.PatchOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			before := cp.Tap().Activity()
			u, err := reader.Get(ctx, "a", metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if got, _, _ := unstructured.NestedString(u.Object, "spec", "n"); got != want {
				t.Errorf("read %q after %q was written", got, want)
			}
			if cp.Tap().Activity() == before {
				t.Error("the read does not count as activity")
			}
		}
	}
	if _, err := tasks(cp.ServiceAccount("default", "nobody")).Get(ctx, "a", metav1.GetOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("a ServiceAccount without rights has read the Task: %v", err)
	}
	if err := writer.Delete(ctx, "a", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := reader.Get(ctx, "a", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the deleted Task can still be read: %v", err)
	}
}

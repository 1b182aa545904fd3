package controlplane_test

import (
	"bytes"
	"context"
	"os"
	"testing"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"simctl.dev/simctl/sim/controlplane"
	"simctl.dev/simctl/sim/history"
)

func TestMain(m *testing.M) {
	controlplane.ChildMain()
	os.Exit(m.Run())
}

func TestControlPlane(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	ctx := context.Background()
	var out bytes.Buffer
	cp, err := controlplane.Start(ctx, controlplane.Options{Log: &out, Logger: logr.Discard()})
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

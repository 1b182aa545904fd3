package tekton

import (
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

var testBuild = Build{Version: "1.3.1", ModuleDir: "testdata/module"}

func TestCRDs(t *testing.T) {
	crds, err := testBuild.CRDs()
	if err != nil {
		t.Fatal(err)
	}
	if len(crds) != 1 || crds[0].Name != "tasks.tekton.dev" {
		t.Fatalf("got %v", crds)
	}
	if _, err := (&Build{Version: "1.3.1", ModuleDir: t.TempDir()}).CRDs(); err == nil {
		t.Error("a module without CRDs gave no error")
	}
}

func TestConfigMaps(t *testing.T) {
	cms, err := testBuild.ConfigMaps("openshift-pipelines")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]map[string]string{}
	for _, cm := range cms {
		if cm.Namespace != "openshift-pipelines" {
			t.Errorf("%s is in %s", cm.Name, cm.Namespace)
		}
		got[cm.Name] = cm.Data
	}
	want := map[string]map[string]string{
		"config-logging":       {"zap-logger-config": `{"level":"info"}`, "loglevel.webhook": "error"},
		"config-observability": {"metrics-protocol": "none", "metrics.backend-destination": "none"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestRBAC(t *testing.T) {
	objects, err := testBuild.RBAC("openshift-pipelines")
	if err != nil {
		t.Fatal(err)
	}
	if len(objects) != 2 {
		t.Fatalf("got %v", objects)
	}
	var namespaces []any
	for _, s := range objects[0].Object["subjects"].([]any) {
		namespaces = append(namespaces, s.(map[string]any)["namespace"])
	}
	if want := []any{"openshift-pipelines", "elsewhere"}; !reflect.DeepEqual(namespaces, want) || objects[0].GetNamespace() != "" {
		t.Errorf("the binding in %q has subjects in %v, want %v", objects[0].GetNamespace(), namespaces, want)
	}
	if ns := objects[1].GetNamespace(); ns != "openshift-pipelines" {
		t.Errorf("the ServiceAccount is in %s", ns)
	}
}

func TestDeployment(t *testing.T) {
	args, env, err := testBuild.deployment(controllerManifest, "tekton-pipelines-controller")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(args, " "), "-entrypoint-image ghcr.io/tektoncd/pipeline/entrypoint:v1.3.1 -shell-image registry.example.com/busybox"; got != want {
		t.Errorf("arguments %q, want %q", got, want)
	}
	if want := map[string]string{"CONFIG_DEFAULTS_NAME": "config-defaults"}; !reflect.DeepEqual(env, want) {
		t.Errorf("environment %v, want %v", env, want)
	}
	t.Setenv("GOMAXPROCS", "3")
	t.Setenv("SIMCTL_OUT", "/somewhere")
	got := environment(env, corev1.NamespaceDefault)
	for name, want := range map[string]string{
		"SYSTEM_NAMESPACE": "default", "CONFIG_DEFAULTS_NAME": "config-defaults", "PROBES_PORT": "0",
		"GOMAXPROCS": "3", "SIMCTL_OUT": "",
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
}

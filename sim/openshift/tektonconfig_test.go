package openshift

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"

	"simctl.dev/simctl/sim/clock"
	"simctl.dev/simctl/sim/wellknown"
)

func TestRenderFeatureFlags(t *testing.T) {
	old := map[string]string{"coschedule": "workspaces", "disable-affinity-assistant": "false", "enable-api-fields": "beta"}
	for _, c := range []struct {
		name       string
		tekton     string
		kubernetes bool
		flags      map[string]string
		base       map[string]string
		want       map[string]string
		err        string
	}{
		{
			name: "OpenShift's stock setting is the report's contradiction", tekton: "0.68.1", base: old,
			want: map[string]string{"coschedule": "workspaces", "disable-affinity-assistant": "true", "enable-api-fields": "beta", "enable-custom-tasks": "true"},
		},
		{
			name: "and stays until operator 0.78, though Tekton has dropped the key", tekton: "1.3.1", base: map[string]string{"coschedule": "workspaces"},
			want: map[string]string{"coschedule": "workspaces", "disable-affinity-assistant": "true", "enable-custom-tasks": "true"},
		},
		{
			name: "the last such Tekton", tekton: "1.6.1", base: map[string]string{"coschedule": "workspaces"},
			want: map[string]string{"coschedule": "workspaces", "disable-affinity-assistant": "true", "enable-custom-tasks": "true"},
		},
		{
			name: "later operators drop the key even where it is set", tekton: "1.9.0", base: map[string]string{"coschedule": "workspaces"},
			flags: map[string]string{"disable-affinity-assistant": "true"},
			want:  map[string]string{"coschedule": "workspaces", "enable-custom-tasks": "true"},
		},
		{
			name: "the CR wins over the default", tekton: "1.3.1", base: map[string]string{"coschedule": "workspaces"},
			flags: map[string]string{"disable-affinity-assistant": "false", "coschedule": "disabled"},
			want:  map[string]string{"coschedule": "disabled", "disable-affinity-assistant": "false", "enable-custom-tasks": "true"},
		},
		{
			name: "absent is not set, so the default counts", tekton: "0.68.1", base: old,
			flags: map[string]string{"disable-affinity-assistant": "absent", "coschedule": "absent"},
			want:  map[string]string{"coschedule": "workspaces", "disable-affinity-assistant": "true", "enable-api-fields": "beta", "enable-custom-tasks": "true"},
		},
		{
			name: "on plain Kubernetes the release's default counts", tekton: "0.68.1", kubernetes: true, base: old,
			want: map[string]string{"coschedule": "workspaces", "disable-affinity-assistant": "false", "enable-api-fields": "beta", "enable-custom-tasks": "true"},
		},
		{
			name: "an old operator does not know coschedule", tekton: "0.44.0", base: map[string]string{"disable-affinity-assistant": "false"},
			flags: map[string]string{"coschedule": "pipelineruns"},
			want:  map[string]string{"disable-affinity-assistant": "true", "enable-custom-tasks": "true"},
		},
		{
			name: "a number, a text and a key without a field", tekton: "1.3.1", kubernetes: true, base: map[string]string{"max-result-size": "4096"},
			flags: map[string]string{"max-result-size": "8192", "results-from": "sidecar-logs", "enable-kubernetes-sidecar": "true"},
			want: map[string]string{"max-result-size": "8192", "results-from": "sidecar-logs", "enable-kubernetes-sidecar": "true",
				"coschedule": "workspaces", "enable-custom-tasks": "true"},
		},
		{name: "what Tekton would refuse", tekton: "1.3.1", flags: map[string]string{"coschedule": "workspace"}, err: "invalid value: workspace: spec.pipeline.coschedule"},
		{name: "no boolean", tekton: "1.3.1", flags: map[string]string{"set-security-context": "yes"}, err: "invalid value: yes: spec.pipeline.set-security-context"},
		{name: "no number", tekton: "1.3.1", flags: map[string]string{"max-result-size": "4k"}, err: "invalid value: 4k: spec.pipeline.max-result-size"},
		{name: "no version", tekton: "newest", err: `Tekton "newest"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := func() (map[string]string, error) {
				tc, err := TektonConfig("openshift-pipelines", c.flags, nil)
				if err != nil {
					return nil, err
				}
				return RenderFeatureFlags(OperatorRelease{Tekton: c.tekton, OpenShift: !c.kubernetes}, pipelineOf(t, tc), c.base)
			}()
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("got error %v, want one with %q", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
}

// pipelineOf is spec.pipeline as it comes back from an API server.
func pipelineOf(t *testing.T, tc *unstructured.Unstructured) map[string]any {
	t.Helper()
	text, err := json.Marshal(tc)
	if err != nil {
		t.Fatal(err)
	}
	back := &unstructured.Unstructured{}
	if err := back.UnmarshalJSON(text); err != nil {
		t.Fatal(err)
	}
	spec, _, err := unstructured.NestedMap(back.Object, "spec", "pipeline")
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

func TestRenderDefaults(t *testing.T) {
	spec := map[string]any{"default-timeout-minutes": int64(240)}
	got, err := RenderDefaults(OperatorRelease{Tekton: "1.3.1", OpenShift: true}, spec, map[string]string{"x": "y"})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"x": "y", "default-timeout-minutes": "240", "default-service-account": "pipeline"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if len(spec) != 1 {
		t.Error("the TektonConfig was changed:", spec)
	}
}

// TestInstalled has ConfigMaps as they are before anybody has touched the TektonConfig.
func TestInstalled(t *testing.T) {
	for _, c := range []struct {
		tekton, configMap string
		base, want        map[string]string
	}{
		{"0.68.1", wellknown.FeatureFlags, map[string]string{"disable-affinity-assistant": "false", "coschedule": "workspaces"},
			map[string]string{"disable-affinity-assistant": "true", "coschedule": "workspaces", "enable-custom-tasks": "true"}},
		{"1.6.1", wellknown.FeatureFlags, nil, map[string]string{"disable-affinity-assistant": "true", "coschedule": "workspaces", "enable-custom-tasks": "true"}},
		{"1.15.0", wellknown.FeatureFlags, nil, map[string]string{"coschedule": "workspaces", "enable-custom-tasks": "true"}},
		{"1.15.0", wellknown.ConfigDefaults, map[string]string{"_example": "x"}, map[string]string{"_example": "x", "default-service-account": "pipeline"}},
		{"1.15.0", "config-events", map[string]string{"formats": "tektonv1"}, map[string]string{"formats": "tektonv1"}},
	} {
		got, err := OperatorRelease{Tekton: c.tekton, OpenShift: true}.Installed(c.configMap, c.base)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s on %s (-want +got)\n%s", c.configMap, c.tekton, d)
		}
	}
}

func TestOperator(t *testing.T) {
	const namespace = "openshift-pipelines"
	tc, err := TektonConfig(namespace, map[string]string{"enable-api-fields": "alpha", "only-once": "1"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	// The fake copies objects as JSON has them.
	tc.Object["spec"].(map[string]any)["pipeline"] = pipelineOf(t, tc)
	kube := fake.NewClientset()
	crs := dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(),
		map[schema.GroupVersionResource]string{tektonConfigResource: "TektonConfigList"})
	clk := clock.New(clock.Epoch)
	op := NewOperator(OperatorOptions{
		Release: OperatorRelease{Tekton: "1.3.1", OpenShift: true}, Namespace: namespace,
		FeatureFlags: map[string]string{"coschedule": "workspaces"},
		Client:       kube, Dynamic: crs, Clock: clk, Logger: logr.Discard(),
	})
	if err := op.Reconcile(t.Context()); err != nil {
		t.Fatal("without a TektonConfig:", err)
	}
	resource := crs.Resource(tektonConfigResource)
	if _, err := resource.Create(t.Context(), tc, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := op.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer op.Stop()
	step(t, clk)
	configMaps := kube.CoreV1().ConfigMaps(namespace)
	expect(t, configMaps, map[string]string{
		"coschedule": "workspaces", "disable-affinity-assistant": "true", "enable-api-fields": "alpha", "enable-custom-tasks": "true", "only-once": "1",
	})

	// A change by hand stays while the TektonConfig renders to the same.
	cm, err := configMaps.Get(t.Context(), wellknown.FeatureFlags, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	cm.Data["disable-affinity-assistant"] = "false"
	cm.Data["by-hand"] = "1"
	if _, err := configMaps.Update(t.Context(), cm, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	tc.SetLabels(map[string]string{"touched": "true"})
	if _, err := resource.Update(t.Context(), tc, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	step(t, clk)
	byHand := map[string]string{
		"coschedule": "workspaces", "disable-affinity-assistant": "false", "enable-api-fields": "alpha", "enable-custom-tasks": "true", "only-once": "1", "by-hand": "1",
	}
	expect(t, configMaps, byHand)

	// When it renders to something else, what it renders is put back.
	if err := unstructured.SetNestedField(tc.Object, "disabled", "spec", "pipeline", "coschedule"); err != nil {
		t.Fatal(err)
	}
	unstructured.RemoveNestedField(tc.Object, "spec", "pipeline", "options")
	if _, err := resource.Update(t.Context(), tc, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	step(t, clk)
	expect(t, configMaps, map[string]string{
		"coschedule": "disabled", "disable-affinity-assistant": "true", "enable-api-fields": "alpha", "enable-custom-tasks": "true", "by-hand": "1",
	})
}

// step waits for the operator's work to come onto the clock and does it.
func step(t *testing.T, clk *clock.Clock) {
	t.Helper()
	for !clk.Step() {
		select {
		case <-t.Context().Done():
			t.Fatal("nothing to do came")
		default:
		}
	}
}

func expect(t *testing.T, configMaps corev1client.ConfigMapInterface, want map[string]string) {
	t.Helper()
	cm, err := configMaps.Get(t.Context(), wellknown.FeatureFlags, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, cm.Data); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

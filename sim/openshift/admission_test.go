package openshift

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"

	"simctl.dev/simctl/sim/scenario"
)

var update = flag.Bool("update", false, "write what the tests got into testdata/*.output.yaml")

// engine is one process for all tests. It is built on first need, into the cache
// that simctl itself uses.
var engine = sync.OnceValues(func() (*Engine, error) {
	path, err := BuildEngine(context.Background(), BuildOptions{
		CacheDir: os.Getenv("SIMCTL_CACHE"),
		Progress: func(line string) { fmt.Fprintln(os.Stderr, line) },
	})
	if err != nil {
		return nil, err
	}
	e, err := StartEngine(path)
	started = e
	return e, err
})

var started *Engine

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if started != nil {
		_ = started.Close()
	}
	os.Exit(code)
}

// sccCase is a testdata/scc/*.input.yaml: a pod in a namespace of a cluster.
type sccCase struct {
	// Why says what OpenShift documents.
	Why string `json:"why"`
	// OpenShift is the scenario's part.
	OpenShift scenario.OpenShift `json:"openshift,omitzero"`
	// Namespace has a namespace's labels and annotations; without annotations it
	// gets those of Annotate. Bare leaves it without any.
	Namespace corev1.Namespace `json:"namespace,omitzero"`
	Bare      bool             `json:"bare,omitempty"`
	// User creates the pod; default Tekton's controller.
	User   string          `json:"user,omitempty"`
	Groups []string        `json:"groups,omitempty"`
	Pod    json.RawMessage `json:"pod"`
	// OldPod makes it an update, of the subresource if there is one.
	OldPod      json.RawMessage `json:"oldPod,omitempty"`
	SubResource string          `json:"subResource,omitempty"`
}

// sccOutcome is the matching *.output.yaml: the parts of the admitted pod that the
// plug-in decides about, or the refusal.
type sccOutcome struct {
	SCC             string                             `json:"scc,omitempty"`
	SubjectType     string                             `json:"subjectType,omitempty"`
	SecurityContext *corev1.PodSecurityContext         `json:"securityContext,omitempty"`
	Containers      map[string]*corev1.SecurityContext `json:"containers,omitempty"`
	Code            int32                              `json:"code,omitempty"`
	Refusal         string                             `json:"refusal,omitempty"`
	// Validation is what the validating webhook says to the admitted pod.
	Validation string `json:"validation,omitempty"`
}

const testNamespace = "private-ai-demo"

func TestSCC(t *testing.T) {
	inputs, err := filepath.Glob("testdata/scc/*.input.yaml")
	if err != nil || len(inputs) == 0 {
		t.Fatal("no cases", err)
	}
	e, err := engine()
	if err != nil {
		t.Fatal(err)
	}
	for _, input := range inputs {
		name := strings.TrimSuffix(filepath.Base(input), ".input.yaml")
		t.Run(name, func(t *testing.T) {
			var c sccCase
			read(t, input, &c)
			got := c.run(t, e)
			output := filepath.Join("testdata/scc", name+".output.yaml")
			if *update {
				text, err := yaml.Marshal(got)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(output, text, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			var want sccOutcome
			read(t, output, &want)
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("%s\n(-want +got)\n%s", c.Why, d)
			}
		})
	}
}

func read(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict(text, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func (c *sccCase) run(t *testing.T, e *Engine) sccOutcome {
	t.Helper()
	ns := c.Namespace.DeepCopy()
	ns.Name = testNamespace
	if !c.Bare {
		Annotate(ns, c.OpenShift, 0)
	}
	a, err := New(t.Context(), Options{Engine: e, Client: cluster(t, c.OpenShift, ns)})
	if err != nil {
		t.Fatal(err)
	}
	r := c.request()
	admitted, err := a.Admit(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if !admitted.Allowed {
		if admitted.Patch != nil {
			t.Error("a refusal with a patch")
		}
		return sccOutcome{Code: admitted.Result.Code, Refusal: admitted.Result.Message}
	}
	raw := r.Object.Raw
	if admitted.Patch != nil {
		patch, err := jsonpatch.DecodePatch(admitted.Patch)
		if err != nil {
			t.Fatalf("patch %s: %v", admitted.Patch, err)
		}
		if raw, err = patch.Apply(raw); err != nil {
			t.Fatalf("applying patch %s: %v", admitted.Patch, err)
		}
	}
	var pod corev1.Pod
	if err := json.Unmarshal(raw, &pod); err != nil {
		t.Fatal(err)
	}
	keeps(t, "", plainOf(t, r.Object.Raw), plainOf(t, raw))
	got := sccOutcome{
		SCC:             pod.Annotations[SCCAnnotation],
		SubjectType:     pod.Annotations["security.openshift.io/validated-scc-subject-type"],
		SecurityContext: pod.Spec.SecurityContext,
		Containers:      map[string]*corev1.SecurityContext{},
	}
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for _, container := range list {
			got.Containers[container.Name] = container.SecurityContext
		}
	}
	for _, container := range pod.Spec.EphemeralContainers {
		got.Containers[container.Name] = container.SecurityContext
	}
	r.Object.Raw = raw
	validated, err := a.Validate(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if !validated.Allowed {
		got.Validation = validated.Result.Message
	}
	return got
}

func (c *sccCase) request() *admissionv1.AdmissionRequest {
	name, groups := c.User, c.Groups
	if name == "" {
		name = "system:serviceaccount:tekton-pipelines:tekton-pipelines-controller"
		groups = []string{"system:serviceaccounts", "system:serviceaccounts:tekton-pipelines"}
	}
	r := &admissionv1.AdmissionRequest{
		UID:         "1",
		Kind:        metav1.GroupVersionKind{Version: "v1", Kind: "Pod"},
		Resource:    metav1.GroupVersionResource{Version: "v1", Resource: "pods"},
		SubResource: c.SubResource,
		Name:        "p",
		Namespace:   testNamespace,
		Operation:   admissionv1.Create,
		UserInfo:    authenticationv1.UserInfo{Username: name, Groups: append(groups, "system:authenticated")},
		Object:      runtime.RawExtension{Raw: c.Pod},
	}
	if c.OldPod != nil {
		r.Operation = admissionv1.Update
		r.OldObject.Raw = c.OldPod
	}
	return r
}

// cluster is a client of a cluster with the roles and bindings of this package.
func cluster(t testing.TB, o scenario.OpenShift, ns *corev1.Namespace) *fake.Clientset {
	t.Helper()
	objects, err := ClusterObjects()
	if err != nil {
		t.Fatal(err)
	}
	grants, err := Grants(o, []*corev1.Namespace{ns})
	if err != nil {
		t.Fatal(err)
	}
	content := []runtime.Object{ns}
	for _, object := range append(objects, grants...) {
		if object.GetKind() == "SecurityContextConstraints" {
			continue
		}
		typed, err := scheme.Scheme.New(object.GroupVersionKind())
		if err != nil {
			t.Fatal(err)
		}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object.Object, typed, true); err != nil {
			t.Fatal(err)
		}
		content = append(content, typed)
	}
	return fake.NewClientset(content...)
}

func plainOf(t *testing.T, raw []byte) (v any) {
	t.Helper()
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// keeps checks that what a pod had before admission it has afterwards: the
// plug-in adds to what is not set.
func keeps(t *testing.T, path string, before, after any) {
	t.Helper()
	switch b := before.(type) {
	case map[string]any:
		a, _ := after.(map[string]any)
		for key := range b {
			keeps(t, path+"."+key, b[key], a[key])
		}
	case []any:
		a, _ := after.([]any)
		if len(a) != len(b) {
			t.Errorf("%s: had %v, has %v", path, before, after)
			return
		}
		for i := range b {
			keeps(t, fmt.Sprintf("%s[%d]", path, i), b[i], a[i])
		}
	default:
		if before != after {
			t.Errorf("%s: was %v, is %v", path, before, after)
		}
	}
}

package conversion

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

const (
	// Fields that the two versions have in other places.
	pipelineRun = `{"apiVersion":"tekton.dev/v1","kind":"PipelineRun","metadata":{"name":"run"},"spec":{` +
		`"pipelineRef":{"name":"p"},"taskRunTemplate":{"serviceAccountName":"builder","podTemplate":{"securityContext":{"fsGroup":2000}}}}}`
	taskRun = `{"apiVersion":"tekton.dev/v1","kind":"TaskRun","metadata":{"name":"run"},"spec":{` +
		`"taskSpec":{"steps":[{"name":"a","image":"i","computeResources":{"requests":{"cpu":"1"}}}]}}}`
)

func TestConvert(t *testing.T) {
	for name, test := range map[string]struct {
		in, to    string
		has, not  []string
		roundTrip []string
	}{
		"PipelineRun": {in: pipelineRun, to: "tekton.dev/v1beta1",
			has: []string{`"apiVersion":"tekton.dev/v1beta1"`, `"spec":{"pipelineRef":{"name":"p"},"serviceAccountName":"builder"`, `"fsGroup":2000`},
			not: []string{"taskRunTemplate", `"timeout"`}},
		"TaskRun": {in: taskRun, to: "tekton.dev/v1beta1",
			has: []string{`"resources":{"requests":{"cpu":"1"}}`}, not: []string{"computeResources"}},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := Convert(t.Context(), []byte(test.in), test.to)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range test.has {
				if !strings.Contains(string(out), s) {
					t.Errorf("no %s in %s", s, out)
				}
			}
			for _, s := range test.not {
				if strings.Contains(string(out), s) {
					t.Errorf("%s in %s", s, out)
				}
			}
			// And back: what the user wrote is there again.
			back, err := Convert(t.Context(), out, "tekton.dev/v1")
			if err != nil {
				t.Fatal(err)
			}
			same, err := Convert(t.Context(), []byte(test.in), "tekton.dev/v1")
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(back, same) {
				t.Errorf("there and back gives\n%s\nof\n%s", back, same)
			}
		})
	}
}

func TestConvertRefuses(t *testing.T) {
	for in, to := range map[string]string{
		`{"apiVersion":"tekton.dev/v1","kind":"TaskRun"}`:       "tekton.dev/v2",
		`{"apiVersion":"tekton.dev/v1","kind":"ClusterTask"}`:   "tekton.dev/v1beta1",
		`{"apiVersion":"example.com/v1","kind":"TaskRun"}`:      "example.com/v1beta1",
		`{"apiVersion":"tekton.dev/v1","kind":"Pipeline"}`:      "example.com/v1beta1",
		`{"apiVersion":"tekton.dev/v1","kind":"Task","spec":1}`: "tekton.dev/v1beta1",
		`no object`: "tekton.dev/v1beta1",
	} {
		if out, err := Convert(t.Context(), []byte(in), to); err == nil {
			t.Errorf("%s to %s gives %s", in, to, out)
		}
	}
}

// review has the handler answer a review of those objects.
func review(t *testing.T, objects ...string) *apiextensionsv1.ConversionResponse {
	t.Helper()
	r := apiextensionsv1.ConversionReview{Request: &apiextensionsv1.ConversionRequest{UID: "u", DesiredAPIVersion: "tekton.dev/v1beta1"}}
	for _, o := range objects {
		r.Request.Objects = append(r.Request.Objects, runtime.RawExtension{Raw: []byte(o)})
	}
	raw, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", bytes.NewReader(raw)))
	var got apiextensionsv1.ConversionReview
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got.Response == nil || got.Response.UID != "u" {
		t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	return got.Response
}

func TestHandler(t *testing.T) {
	if r := review(t, pipelineRun, taskRun); r.Result.Status != "Success" || len(r.ConvertedObjects) != 2 ||
		!strings.Contains(string(r.ConvertedObjects[1].Raw), "tekton.dev/v1beta1") {
		t.Errorf("got %+v", r)
	}
	// One that cannot be converted fails the whole review, as the API wants it.
	if r := review(t, pipelineRun, `{"apiVersion":"tekton.dev/v9","kind":"TaskRun"}`); r.Result.Status != "Failure" ||
		!strings.Contains(r.Result.Message, "tekton.dev/v9 TaskRun") || len(r.ConvertedObjects) != 0 {
		t.Errorf("got %+v", r)
	}
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader("{}")))
	if w.Code != http.StatusBadRequest {
		t.Errorf("an empty review gives %d", w.Code)
	}
}

func TestUse(t *testing.T) {
	crd := func(kind string, versions ...string) *apiextensionsv1.CustomResourceDefinition {
		c := &apiextensionsv1.CustomResourceDefinition{}
		c.Spec.Group, c.Spec.Names.Kind = "tekton.dev", kind
		for _, v := range versions {
			c.Spec.Versions = append(c.Spec.Versions, apiextensionsv1.CustomResourceDefinitionVersion{Name: v})
		}
		return c
	}
	crds := []*apiextensionsv1.CustomResourceDefinition{crd("Task", "v1beta1", "v1"), crd("CustomRun", "v1beta1"), crd("Task", "v1")}
	Use(crds, "https://127.0.0.1:1", []byte("ca"))
	if c := crds[0].Spec.Conversion; c == nil || c.Strategy != apiextensionsv1.WebhookConverter || *c.Webhook.ClientConfig.URL != "https://127.0.0.1:1" {
		t.Errorf("Task: %+v", c)
	}
	if crds[1].Spec.Conversion != nil || crds[2].Spec.Conversion != nil {
		t.Error("types of one version are converted")
	}
}

// TestOnlyStored: an older version is served no more where v1 is stored, and
// stays where it is stored itself or where there is no v1.
func TestOnlyStored(t *testing.T) {
	type version = apiextensionsv1.CustomResourceDefinitionVersion
	for name, test := range map[string]struct {
		group    string
		versions []version
		served   []string
	}{
		"v1 stored":       {"tekton.dev", []version{{Name: "v1beta1", Served: true}, {Name: "v1", Served: true, Storage: true}}, []string{"v1"}},
		"v1beta1 stored":  {"tekton.dev", []version{{Name: "v1beta1", Served: true, Storage: true}, {Name: "v1", Served: true}}, []string{"v1beta1", "v1"}},
		"no v1":           {"tekton.dev", []version{{Name: "v1alpha1", Served: true}, {Name: "v1beta1", Served: true, Storage: true}}, []string{"v1alpha1", "v1beta1"}},
		"somebody else's": {"example.com", []version{{Name: "v1beta1", Served: true}, {Name: "v1", Served: true, Storage: true}}, []string{"v1beta1", "v1"}},
	} {
		t.Run(name, func(t *testing.T) {
			crd := &apiextensionsv1.CustomResourceDefinition{}
			crd.Spec.Group, crd.Spec.Versions = test.group, test.versions
			OnlyStored([]*apiextensionsv1.CustomResourceDefinition{crd})
			var served []string
			for _, v := range crd.Spec.Versions {
				if v.Served {
					served = append(served, v.Name)
				}
			}
			if !slices.Equal(served, test.served) {
				t.Errorf("served: %v, want %v", served, test.served)
			}
		})
	}
}

// TestDecode: YAML's n and y are booleans.
func TestDecode(t *testing.T) {
	for name, test := range map[string]struct{ object, words string }{
		"in order":         {`{"apiVersion": "tekton.dev/v1", "kind": "Task", "metadata": {"name": "t"}, "spec": {"steps": [{"image": "i"}]}}`, ""},
		"a bool as a name": {`{"apiVersion": "tekton.dev/v1", "kind": "Task", "spec": {"steps": [{"image": "i", "name": false}]}}`, "cannot unmarshal bool into Go struct field Step.spec.steps.name of type string"},
		"v1beta1":          {`{"apiVersion": "tekton.dev/v1beta1", "kind": "PipelineRun", "spec": {"timeout": 5}}`, "cannot unmarshal"},
		"a field too many": {`{"apiVersion": "tekton.dev/v1", "kind": "Task", "spec": {"stepz": []}}`, ""},
		"another kind":     {`{"apiVersion": "v1", "kind": "Secret", "data": 5}`, ""},
		"another version":  {`{"apiVersion": "tekton.dev/v9", "kind": "Task", "spec": 5}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := Decode([]byte(test.object))
			if (err != nil) != (test.words != "") || err != nil && !strings.Contains(err.Error(), test.words) {
				t.Errorf("%v, want %q", err, test.words)
			}
		})
	}
}

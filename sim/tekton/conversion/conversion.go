// Package conversion converts Tekton's objects between their API versions as
// upstream's webhook does, by upstream's own code: the API server asks it when
// an object is created or read in another version than it is stored in. Up to
// 0.48 that is what a manifest of tekton.dev/v1 needs, from 0.50 on one of
// v1beta1; and both, when one release takes the place of the other.
//
// Unlike upstream's webhook it sets no defaults on what it converts: they depend on
// the release's config-defaults, and the reconcilers set them again anyway.
package conversion

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"

	"github.com/tektoncd/pipeline/pkg/apis/pipeline"
	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"github.com/tektoncd/pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/tektoncd/pipeline/pkg/apis/pipeline/v1beta1"
	"github.com/tektoncd/pipeline/pkg/apis/resolution"
	resolutionv1alpha1 "github.com/tektoncd/pipeline/pkg/apis/resolution/v1alpha1"
	resolutionv1beta1 "github.com/tektoncd/pipeline/pkg/apis/resolution/v1beta1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"
	"knative.dev/pkg/apis"
)

// versioned is an object of one API version.
type versioned interface {
	apis.Convertible
	runtime.Object
}

// kind makes objects of a kind, by version. One version is the hub, which
// converts to and from the others.
type kind struct {
	hub      string
	versions map[string]func() versioned
}

// kinds mirrors newConversionController in upstream's cmd/webhook.
var kinds = map[schema.GroupKind]kind{
	{Group: pipeline.GroupName, Kind: "Task"}: {hub: "v1beta1", versions: map[string]func() versioned{
		"v1beta1": func() versioned { return &v1beta1.Task{} }, //nolint:staticcheck // stored so up to 0.48
		"v1":      func() versioned { return &v1.Task{} },
	}},
	{Group: pipeline.GroupName, Kind: "Pipeline"}: {hub: "v1beta1", versions: map[string]func() versioned{
		"v1beta1": func() versioned { return &v1beta1.Pipeline{} }, //nolint:staticcheck // stored so up to 0.48
		"v1":      func() versioned { return &v1.Pipeline{} },
	}},
	{Group: pipeline.GroupName, Kind: "TaskRun"}: {hub: "v1beta1", versions: map[string]func() versioned{
		"v1beta1": func() versioned { return &v1beta1.TaskRun{} }, //nolint:staticcheck // stored so up to 0.48
		"v1":      func() versioned { return &v1.TaskRun{} },
	}},
	{Group: pipeline.GroupName, Kind: "PipelineRun"}: {hub: "v1beta1", versions: map[string]func() versioned{
		"v1beta1": func() versioned { return &v1beta1.PipelineRun{} }, //nolint:staticcheck // stored so up to 0.48
		"v1":      func() versioned { return &v1.PipelineRun{} },
	}},
	{Group: pipeline.GroupName, Kind: "StepAction"}: {hub: "v1alpha1", versions: map[string]func() versioned{
		"v1alpha1": func() versioned { return &v1alpha1.StepAction{} },
		"v1beta1":  func() versioned { return &v1beta1.StepAction{} },
	}},
	{Group: resolution.GroupName, Kind: "ResolutionRequest"}: {hub: "v1alpha1", versions: map[string]func() versioned{
		"v1alpha1": func() versioned { return &resolutionv1alpha1.ResolutionRequest{} },
		"v1beta1":  func() versioned { return &resolutionv1beta1.ResolutionRequest{} },
	}},
}

// Decode says whether an object of Tekton's can be read as what it says it is.
// Upstream's webhook refuses one that cannot, in words that end with this error's.
// Objects of other kinds pass.
func Decode(raw []byte) error {
	var head metav1.TypeMeta
	if err := json.Unmarshal(raw, &head); err != nil {
		return fmt.Errorf("reading an object's kind: %w", err)
	}
	gvk := head.GroupVersionKind()
	if empty := kinds[gvk.GroupKind()].versions[gvk.Version]; empty != nil {
		if err := json.Unmarshal(raw, empty()); err != nil {
			return fmt.Errorf("cannot decode: %w", err)
		}
	}
	return nil
}

// OnlyStored has the API server serve Tasks, Pipelines and their runs in v1 alone
// where that is what it stores. It keeps a cache for each version that it serves,
// and would have every change of every object converted for one that nobody
// reads: Tekton's controllers read v1 from the release on that stores it, 0.50.
func OnlyStored(crds []*apiextensionsv1.CustomResourceDefinition) {
	for _, crd := range crds {
		storesV1 := slices.ContainsFunc(crd.Spec.Versions, func(v apiextensionsv1.CustomResourceDefinitionVersion) bool {
			return v.Name == "v1" && v.Storage
		})
		if !storesV1 || crd.Spec.Group != pipeline.GroupName {
			continue
		}
		for i := range crd.Spec.Versions {
			v := &crd.Spec.Versions[i]
			v.Served = v.Storage
		}
	}
}

// Use has the API server convert the objects of those CRDs that have several
// versions at the URL, whose certificate the CA bundle (PEM) vouches for; see
// [Handler]. The other CRDs are left alone.
func Use(crds []*apiextensionsv1.CustomResourceDefinition, url string, caBundle []byte) {
	for _, crd := range crds {
		_, known := kinds[schema.GroupKind{Group: crd.Spec.Group, Kind: crd.Spec.Names.Kind}]
		if !known || len(crd.Spec.Versions) < 2 {
			continue
		}
		crd.Spec.Conversion = &apiextensionsv1.CustomResourceConversion{
			Strategy: apiextensionsv1.WebhookConverter,
			Webhook: &apiextensionsv1.WebhookConversion{
				ClientConfig:             &apiextensionsv1.WebhookClientConfig{URL: ptr.To(url), CABundle: caBundle},
				ConversionReviewVersions: []string{"v1"},
			},
		}
	}
}

// maxReview bounds what a request may be long: a list is converted at once.
const maxReview = 256 << 20

// Handler answers the API server's ConversionReviews.
func Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxReview))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		review := apiextensionsv1.ConversionReview{}
		if err := json.Unmarshal(raw, &review); err != nil || review.Request == nil {
			http.Error(w, fmt.Sprintf("not a ConversionReview: %v", err), http.StatusBadRequest)
			return
		}
		review.Response = answer(r.Context(), review.Request)
		review.Request = nil
		w.Header().Set("Content-Type", runtime.ContentTypeJSON)
		_ = json.NewEncoder(w).Encode(review) // the API server is gone
	})
}

// answer converts the objects of a request, all or none of them.
func answer(ctx context.Context, req *apiextensionsv1.ConversionRequest) *apiextensionsv1.ConversionResponse {
	resp := &apiextensionsv1.ConversionResponse{UID: req.UID, Result: metav1.Status{Status: metav1.StatusSuccess}}
	for _, o := range req.Objects {
		out, err := Convert(ctx, o.Raw, req.DesiredAPIVersion)
		if err != nil {
			resp.ConvertedObjects = nil
			resp.Result = metav1.Status{Status: metav1.StatusFailure, Message: err.Error()}
			return resp
		}
		resp.ConvertedObjects = append(resp.ConvertedObjects, runtime.RawExtension{Raw: out})
	}
	return resp
}

// Convert returns an object, in JSON, in another API version of its group, as in
// "tekton.dev/v1beta1".
func Convert(ctx context.Context, raw []byte, apiVersion string) ([]byte, error) {
	var meta metav1.TypeMeta
	if err := json.Unmarshal(raw, &meta); err != nil {
		return nil, fmt.Errorf("reading the object to convert: %w", err)
	}
	from := meta.GroupVersionKind()
	gv, err := schema.ParseGroupVersion(apiVersion)
	if err != nil {
		return nil, err
	}
	k, ok := kinds[from.GroupKind()]
	makeIn, okIn := k.versions[from.Version]
	makeOut, okOut := k.versions[gv.Version]
	if !ok || !okIn || !okOut || gv.Group != from.Group {
		return nil, fmt.Errorf("%s %s is not converted to %s", from.GroupVersion(), from.Kind, apiVersion)
	}
	in, hub, out := makeIn(), k.versions[k.hub](), makeOut()
	if err := json.Unmarshal(raw, in); err != nil {
		return nil, fmt.Errorf("reading the %s to convert: %w", from.Kind, err)
	}
	if from.Version == k.hub {
		hub = in
	} else if err := hub.ConvertFrom(ctx, in); err != nil {
		return nil, fmt.Errorf("converting a %s from %s: %w", from.Kind, from.Version, err)
	}
	if gv.Version == k.hub {
		out = hub
	} else if err := hub.ConvertTo(ctx, out); err != nil {
		return nil, fmt.Errorf("converting a %s to %s: %w", from.Kind, gv.Version, err)
	}
	out.GetObjectKind().SetGroupVersionKind(gv.WithKind(from.Kind))
	return json.Marshal(out)
}

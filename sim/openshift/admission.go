package openshift

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"

	"simctl.dev/simctl/sim/openshift/engine/wire"
)

// WebhookName is the webhooks' name. The API server puts it before a refusal:
// `admission webhook "..." denied the request: pods "x" is forbidden: unable to
// validate against any security context constraint: [...]`; on OpenShift, where
// the plug-in is part of the API server, the message begins with `pods "x"`.
const WebhookName = "securitycontextconstraint.security.openshift.io"

// The paths of [Admission.Handler].
const (
	mutatePath   = "/mutate"
	validatePath = "/validate"
)

// sccResource is the resource that SCCs are.
var sccResource = schema.GroupVersionResource{Group: "security.openshift.io", Version: "v1", Resource: "securitycontextconstraints"}

// Options of an [Admission].
type Options struct {
	// Engine decides.
	Engine *Engine
	// Client reads namespaces, and the roles and bindings that say who may use
	// an SCC.
	Client kubernetes.Interface
	// Dynamic reads the cluster's SCCs, whose type must be established. Without
	// it the stock SCCs are in force.
	Dynamic dynamic.Interface
	Logger  logr.Logger
}

// Admission is OpenShift's SCC admission for the pods of one cluster.
type Admission struct {
	engine *Engine
	logger logr.Logger
	state  *state
}

// New returns the admission of a cluster, which it watches until the context ends.
func New(ctx context.Context, o Options) (*Admission, error) {
	if o.Engine == nil || o.Client == nil {
		return nil, errors.New("SCC admission needs an engine and a client")
	}
	s, err := watch(ctx, o.Client, o.Dynamic)
	if err != nil {
		return nil, fmt.Errorf("starting SCC admission: %w", err)
	}
	return &Admission{engine: o.Engine, logger: o.Logger, state: s}, nil
}

// Admit decides about a pod with its fields defaulted, as the mutating half of
// the plug-in does. The error, if any, is not a refusal: nothing was decided.
func (a *Admission) Admit(ctx context.Context, r *admissionv1.AdmissionRequest) (*admissionv1.AdmissionResponse, error) {
	return a.decide(ctx, r, false)
}

// Validate decides about a pod as it is after all admission has changed it.
func (a *Admission) Validate(ctx context.Context, r *admissionv1.AdmissionRequest) (*admissionv1.AdmissionResponse, error) {
	return a.decide(ctx, r, true)
}

func (a *Admission) decide(ctx context.Context, r *admissionv1.AdmissionRequest, validate bool) (*admissionv1.AdmissionResponse, error) {
	sccs, err := a.state.sccs()
	if err != nil {
		return nil, err
	}
	ns, err := a.state.namespace(ctx, r.Namespace)
	if err != nil {
		return nil, err
	}
	d, err := a.engine.decide(ctx, sccs, wire.Request{
		Review: r, Namespace: ns, Validate: validate, Usable: a.state.usable(ctx, r, sccs),
	}, a.state.mayUse)
	if err != nil {
		return nil, err
	}
	a.logger.V(1).Info("Decided about a pod", "namespace", r.Namespace, "pod", r.Name, "operation", r.Operation,
		"user", r.UserInfo.Username, "validate", validate, "allowed", d.Status == nil, "notes", d.Notes)
	response := &admissionv1.AdmissionResponse{UID: r.UID, Allowed: d.Status == nil, Result: d.Status}
	if len(d.Patch) > 0 && !validate {
		response.Patch, response.PatchType = d.Patch, ptr.To(admissionv1.PatchTypeJSONPatch)
	}
	return response, nil
}

// Handler answers the API server's AdmissionReviews: at /mutate for the mutating
// webhook, at /validate for the validating one. A decision that could not be had
// is an error of the server (500), which the API server takes as the webhook's
// failurePolicy says.
func (a *Admission) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST "+mutatePath, a.review(a.Admit))
	mux.Handle("POST "+validatePath, a.review(a.Validate))
	return mux
}

// maxReview bounds what a request may be long: etcd takes no larger objects, and
// a review of an update has two.
const maxReview = 8 << 20

func (a *Admission) review(decide func(context.Context, *admissionv1.AdmissionRequest) (*admissionv1.AdmissionResponse, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxReview))
		if err != nil {
			http.Error(w, fmt.Sprintf("reading the review: %v", err), http.StatusBadRequest)
			return
		}
		var review admissionv1.AdmissionReview
		if err := json.Unmarshal(body, &review); err != nil || review.Request == nil {
			http.Error(w, "not an AdmissionReview with a request", http.StatusBadRequest)
			return
		}
		response, err := decide(req.Context(), review.Request)
		if err != nil {
			a.logger.Error(err, "SCC admission failed", "namespace", review.Request.Namespace, "pod", review.Request.Name)
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		review.Request, review.Response = nil, response
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(review)
	})
}

// Configurations register the webhooks with the API server, which reaches them at
// url. A pod is not admitted if they cannot be reached. As on OpenShift all
// namespaces are covered but those of run level 0 and 1.
func (a *Admission) Configurations(url string, caBundle []byte) (*admissionregistrationv1.MutatingWebhookConfiguration, *admissionregistrationv1.ValidatingWebhookConfiguration) {
	url = strings.TrimSuffix(url, "/")
	var (
		rules = []admissionregistrationv1.RuleWithOperations{{
			Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create, admissionregistrationv1.Update},
			Rule: admissionregistrationv1.Rule{
				APIGroups: []string{""}, APIVersions: []string{"v1"},
				// The plug-in ignores the other subresources.
				Resources: []string{"pods", "pods/ephemeralcontainers", "pods/resize"},
				Scope:     ptr.To(admissionregistrationv1.NamespacedScope),
			},
		}}
		selector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
			{Key: "openshift.io/run-level", Operator: metav1.LabelSelectorOpNotIn, Values: []string{"0", "1"}},
		}}
		client = func(path string) admissionregistrationv1.WebhookClientConfig {
			return admissionregistrationv1.WebhookClientConfig{URL: ptr.To(url + path), CABundle: slices.Clone(caBundle)}
		}
		meta = metav1.ObjectMeta{Name: WebhookName}
	)
	mutating := &admissionregistrationv1.MutatingWebhookConfiguration{
		TypeMeta:   metav1.TypeMeta{APIVersion: admissionregistrationv1.SchemeGroupVersion.String(), Kind: "MutatingWebhookConfiguration"},
		ObjectMeta: meta,
		Webhooks: []admissionregistrationv1.MutatingWebhook{{
			Name: WebhookName, ClientConfig: client(mutatePath), Rules: rules, NamespaceSelector: selector,
			FailurePolicy:           ptr.To(admissionregistrationv1.Fail),
			MatchPolicy:             ptr.To(admissionregistrationv1.Equivalent),
			SideEffects:             ptr.To(admissionregistrationv1.SideEffectClassNone),
			TimeoutSeconds:          ptr.To[int32](30),
			ReinvocationPolicy:      ptr.To(admissionregistrationv1.NeverReinvocationPolicy),
			AdmissionReviewVersions: []string{"v1"},
		}},
	}
	validating := &admissionregistrationv1.ValidatingWebhookConfiguration{
		TypeMeta:   metav1.TypeMeta{APIVersion: admissionregistrationv1.SchemeGroupVersion.String(), Kind: "ValidatingWebhookConfiguration"},
		ObjectMeta: meta,
		Webhooks: []admissionregistrationv1.ValidatingWebhook{{
			Name: WebhookName, ClientConfig: client(validatePath), Rules: rules, NamespaceSelector: selector,
			FailurePolicy:           ptr.To(admissionregistrationv1.Fail),
			MatchPolicy:             ptr.To(admissionregistrationv1.Equivalent),
			SideEffects:             ptr.To(admissionregistrationv1.SideEffectClassNone),
			TimeoutSeconds:          ptr.To[int32](30),
			AdmissionReviewVersions: []string{"v1"},
		}},
	}
	return mutating, validating
}

// WaitInForce waits until the API server asks the webhooks of the configurations,
// or, with want false, until it asks them no more: it learns of configurations a
// moment after they were written. The question is a pod created in the namespace
// as a dry run; client must be allowed that, and the namespace must have its
// ranges and its ServiceAccount default.
func WaitInForce(ctx context.Context, client kubernetes.Interface, namespace string, want bool) error {
	probe := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "scc-probe", Namespace: namespace},
		Spec: corev1.PodSpec{
			AutomountServiceAccountToken: ptr.To(false),
			Containers:                   []corev1.Container{{Name: "probe", Image: "probe"}},
		},
	}
	var last error
	for {
		var asked bool
		last = nil
		pod, err := client.CoreV1().Pods(namespace).Create(ctx, probe, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		switch {
		case err == nil:
			asked = pod.Annotations[SCCAnnotation] != ""
		case strings.Contains(err.Error(), WebhookName):
			asked = true
		case ctx.Err() == nil:
			// Some other admission refuses it, so that no webhook decides.
			last = err
		}
		if last == nil && ctx.Err() == nil && asked == want {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the API server to heed the SCC webhooks: %w", errors.Join(ctx.Err(), last))
		case <-time.After(5 * time.Millisecond):
		}
	}
}

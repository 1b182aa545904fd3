package openshift

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/go-logr/logr"
	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"
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
	// Client answers who may use an SCC (SubjectAccessReview) and reads
	// namespaces.
	Client kubernetes.Interface
	// Dynamic reads the cluster's SCCs. Without it the stock SCCs are in force.
	Dynamic dynamic.Interface
	Logger  logr.Logger
}

// Admission is OpenShift's SCC admission for the pods of one cluster.
type Admission struct {
	o     Options
	stock sccSet
}

// New gives the admission of a cluster.
func New(o Options) (*Admission, error) {
	if o.Engine == nil || o.Client == nil {
		return nil, errors.New("SCC admission needs an engine and a client")
	}
	sccs, err := StockSCCs()
	if err != nil {
		return nil, err
	}
	var raw []json.RawMessage
	for _, scc := range sccs {
		text, err := scc.MarshalJSON()
		if err != nil {
			return nil, fmt.Errorf("writing SCC %s: %w", scc.GetName(), err)
		}
		raw = append(raw, text)
	}
	return &Admission{o: o, stock: newSCCSet(raw)}, nil
}

func newSCCSet(sccs []json.RawMessage) sccSet {
	sum := sha256.New()
	for _, scc := range sccs {
		_, _ = fmt.Fprintf(sum, "%d\n%s", len(scc), scc)
	}
	return sccSet{name: hex.EncodeToString(sum.Sum(nil)), sccs: sccs}
}

// sccs are those in force.
func (a *Admission) sccs(ctx context.Context) (sccSet, error) {
	if a.o.Dynamic == nil {
		return a.stock, nil
	}
	list, err := a.o.Dynamic.Resource(sccResource).List(ctx, metav1.ListOptions{})
	if err != nil {
		return sccSet{}, fmt.Errorf("listing security context constraints: %w", err)
	}
	var raw []json.RawMessage
	for _, scc := range list.Items {
		scc.SetManagedFields(nil)
		text, err := scc.MarshalJSON()
		if err != nil {
			return sccSet{}, fmt.Errorf("reading SCC %s: %w", scc.GetName(), err)
		}
		raw = append(raw, text)
	}
	if raw == nil {
		// An empty list would be taken for no message.
		return sccSet{}, errors.New("the cluster has no security context constraints")
	}
	return newSCCSet(raw), nil
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
	sccs, err := a.sccs(ctx)
	if err != nil {
		return nil, err
	}
	ns, err := a.o.Client.CoreV1().Namespaces().Get(ctx, r.Namespace, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		ns = &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: r.Namespace}}
	} else if err != nil {
		return nil, fmt.Errorf("reading namespace %s: %w", r.Namespace, err)
	}
	ns.ManagedFields = nil
	d, err := a.o.Engine.decide(ctx, sccs, engineRequest{Review: r, Namespace: ns, Validate: validate}, a.mayUse)
	if err != nil {
		return nil, err
	}
	a.o.Logger.V(1).Info("decided about a pod", "namespace", r.Namespace, "pod", r.Name, "operation", r.Operation,
		"user", r.UserInfo.Username, "validate", validate, "allowed", d.Status == nil, "notes", d.Notes)
	response := &admissionv1.AdmissionResponse{UID: r.UID, Allowed: d.Status == nil, Result: d.Status}
	if len(d.Patch) > 0 && !validate {
		response.Patch, response.PatchType = d.Patch, ptr.To(admissionv1.PatchTypeJSONPatch)
	}
	return response, nil
}

// mayUse asks the API server.
func (a *Admission) mayUse(ctx context.Context, q engineQuestion) (bool, error) {
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: q.User.Username, UID: q.User.UID, Groups: q.User.Groups,
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: q.Namespace, Verb: "use", Group: sccResource.Group, Version: "*", Resource: sccResource.Resource, Name: q.SCC,
		},
	}}
	for key, values := range q.User.Extra {
		if review.Spec.Extra == nil {
			review.Spec.Extra = map[string]authorizationv1.ExtraValue{}
		}
		review.Spec.Extra[key] = authorizationv1.ExtraValue(values)
	}
	review, err := a.o.Client.AuthorizationV1().SubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
	if err != nil {
		return false, fmt.Errorf("asking whether %s may use SCC %s: %w", q.User.Username, q.SCC, err)
	}
	return review.Status.Allowed, nil
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
			a.o.Logger.Error(err, "SCC admission failed", "namespace", review.Request.Namespace, "pod", review.Request.Name)
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

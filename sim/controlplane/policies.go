package controlplane

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"sync"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/policy/generic"
	"k8s.io/apiserver/pkg/admission/plugin/policy/mutating"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/client-go/kubernetes"

	"simctl.dev/simctl/sim/internal/unexported"
)

// Admission policies come into force some time after they are written: the API
// server reads them anew once a second. Here it does so much more often, and says
// which ones it goes by when it is asked.

// policyRefresh is how often the API server looks whether policies have changed,
// which costs nothing if they have not.
const policyRefresh = 10 * time.Millisecond

// policiesInForceName is the admission plugin that answers which policies are in
// force, and the name of the ConfigMap whose creation, on trial, asks for it.
const (
	policiesInForceName = "SimctlPoliciesInForce"
	policiesQuestion    = "simctl-policies-in-force"
)

// reasonPolicies marks the answer, which is the refusal of what was asked with.
const reasonPolicies metav1.StatusReason = "PoliciesInForce"

// policyStates are the policies in force that are bound, by kind and name.
type policyStates map[string]policyState

// policyState is a policy as the API server goes by it.
type policyState struct {
	Version  string            `json:"version"`
	Bindings map[string]string `json:"bindings"` // versions by name
	// Misconfigured says that its parameters cannot be had. The API server looks for
	// their kind again now and then.
	Misconfigured string `json:"misconfigured,omitempty"`
}

// policiesInForce is the plugin. It is the first in the chain, so that no policy
// decides about the question.
type policiesInForce struct {
	mu      sync.Mutex
	sources []func() (policyStates, error)
}

// Decorate implements admission.Decorator: it takes note of the plugins that hold the
// policies.
func (p *policiesInForce) Decorate(handler admission.Interface, name string) admission.Interface {
	var source func() (policyStates, error)
	switch plugin := handler.(type) {
	case *validating.Plugin:
		source = policiesOf(plugin.Plugin, name)
	case *mutating.Plugin:
		source = policiesOf(plugin.Plugin, name)
	default:
		return handler
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sources = append(p.sources, source)
	return handler
}

// policiesOf returns a function that returns the policies that a plugin goes by.
func policiesOf[P, B runtime.Object, E generic.Evaluator](plugin *generic.Plugin[generic.PolicyHook[P, B, E]], kind string) func() (policyStates, error) {
	return func() (policyStates, error) {
		source, err := unexported.Field[generic.Source[generic.PolicyHook[P, B, E]]](plugin, "source")
		if err != nil {
			return nil, err
		}
		out := policyStates{}
		for _, hook := range (*source).Hooks() {
			policy, err := meta.Accessor(hook.Policy)
			if err != nil {
				return nil, err
			}
			state := policyState{Version: policy.GetResourceVersion(), Bindings: map[string]string{}}
			if hook.ConfigurationError != nil {
				state.Misconfigured = hook.ConfigurationError.Error()
			}
			for _, b := range hook.Bindings {
				binding, err := meta.Accessor(b)
				if err != nil {
					return nil, err
				}
				state.Bindings[binding.GetName()] = binding.GetResourceVersion()
			}
			out[kind+"/"+policy.GetName()] = state
		}
		return out, nil
	}
}

// Handles implements admission.Interface.
func (p *policiesInForce) Handles(op admission.Operation) bool { return op == admission.Create }

// Admit implements admission.MutationInterface.
func (p *policiesInForce) Admit(_ context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if !a.IsDryRun() || a.GetName() != policiesQuestion || a.GetResource().Resource != "configmaps" {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	all := policyStates{}
	for _, source := range p.sources {
		states, err := source()
		if err != nil {
			return fmt.Errorf("reading the policies in force: %w", err)
		}
		maps.Copy(all, states)
	}
	text, err := json.Marshal(all)
	if err != nil {
		return fmt.Errorf("writing the policies in force as JSON: %w", err)
	}
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusForbidden, Reason: reasonPolicies, Message: string(text),
	}}
}

// WaitPolicies waits until the admission policies in force are those that are there:
// ValidatingAdmissionPolicies and MutatingAdmissionPolicies with their bindings. A
// policy whose parameters are of a kind that the API server does not know is in force
// with that error; served says whether it only has not noticed yet.
func WaitPolicies(ctx context.Context, client kubernetes.Interface, served func(schema.GroupVersionKind) bool) error {
	for {
		inForce, err := askPolicies(ctx, client)
		if errors.Is(err, errSilent) {
			return pauseFor(ctx, foreignRefresh)
		}
		if err != nil {
			return err
		}
		stored, err := storedPolicies(ctx, client)
		if err != nil {
			return err
		}
		if stored.heeded(inForce, served) {
			return nil
		}
		if err := pauseFor(ctx, policyRefresh/2); err != nil {
			return err
		}
	}
}

func pauseFor(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return fmt.Errorf("waiting for admission policies to come into force: %w", context.Cause(ctx))
	case <-time.After(d):
		return nil
	}
}

// errSilent says that the API server, which is not the one that is compiled in, does
// not tell what policies it goes by. It reads them anew once a second.
var errSilent = errors.New("the API server does not say which admission policies are in force")

const foreignRefresh = 3 * time.Second

// askPolicies asks the API server which policies it goes by.
func askPolicies(ctx context.Context, client kubernetes.Interface) (policyStates, error) {
	question := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: policiesQuestion, Namespace: metav1.NamespaceSystem}}
	_, err := client.CoreV1().ConfigMaps(question.Namespace).Create(ctx, question, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	if err == nil {
		return nil, errSilent
	}
	var answer apierrors.APIStatus
	if !errors.As(err, &answer) || answer.Status().Reason != reasonPolicies {
		return nil, fmt.Errorf("asking which admission policies are in force: %w", err)
	}
	out := policyStates{}
	if err := json.Unmarshal([]byte(answer.Status().Message), &out); err != nil {
		return nil, fmt.Errorf("reading which admission policies are in force: %w", err)
	}
	return out, nil
}

// wantedPolicy is a bound policy as it is stored.
type wantedPolicy struct {
	policyState
	paramKind schema.GroupVersionKind
}

type wantedPolicies map[string]wantedPolicy

// storedPolicies returns the policies that are stored and bound.
func storedPolicies(ctx context.Context, client kubernetes.Interface) (wantedPolicies, error) {
	api := client.AdmissionregistrationV1()
	all, out := wantedPolicies{}, wantedPolicies{}
	policy := func(kind, name, version string, params *admissionregistrationv1.ParamKind) {
		var paramKind schema.GroupVersionKind
		if params != nil {
			paramKind = schema.FromAPIVersionAndKind(params.APIVersion, params.Kind)
		}
		all[kind+"/"+name] = wantedPolicy{policyState{Version: version, Bindings: map[string]string{}}, paramKind}
	}
	bound := func(kind, policy, name, version string) {
		if p, ok := all[kind+"/"+policy]; ok {
			p.Bindings[name] = version
			out[kind+"/"+policy] = p
		}
	}
	validatingPolicies, err := api.ValidatingAdmissionPolicies().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing ValidatingAdmissionPolicies: %w", err)
	}
	for _, p := range validatingPolicies.Items {
		policy(validating.PluginName, p.Name, p.ResourceVersion, p.Spec.ParamKind)
	}
	validatingBindings, err := api.ValidatingAdmissionPolicyBindings().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing ValidatingAdmissionPolicyBindings: %w", err)
	}
	for _, b := range validatingBindings.Items {
		bound(validating.PluginName, b.Spec.PolicyName, b.Name, b.ResourceVersion)
	}
	mutatingPolicies, err := api.MutatingAdmissionPolicies().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing MutatingAdmissionPolicies: %w", err)
	}
	for _, p := range mutatingPolicies.Items {
		policy(mutating.PluginName, p.Name, p.ResourceVersion, p.Spec.ParamKind)
	}
	mutatingBindings, err := api.MutatingAdmissionPolicyBindings().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing MutatingAdmissionPolicyBindings: %w", err)
	}
	for _, b := range mutatingBindings.Items {
		bound(mutating.PluginName, b.Spec.PolicyName, b.Name, b.ResourceVersion)
	}
	return out, nil
}

// heeded says whether just these policies are in force.
func (w wantedPolicies) heeded(inForce policyStates, served func(schema.GroupVersionKind) bool) bool {
	if len(w) != len(inForce) {
		return false
	}
	for name, want := range w {
		is, ok := inForce[name]
		if !ok || is.Version != want.Version || !maps.Equal(is.Bindings, want.Bindings) {
			return false
		}
		if is.Misconfigured != "" && served(want.paramKind) {
			return false
		}
	}
	return true
}

//go:build ignore

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/client-go/informers"
	coreinformers "k8s.io/client-go/informers/core"
	corev1informers "k8s.io/client-go/informers/core/v1"
	corev1listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/kubernetes/pkg/apis/core"
	corev1conversion "k8s.io/kubernetes/pkg/apis/core/v1"

	securityv1 "github.com/openshift/api/security/v1"
	"github.com/openshift/apiserver-library-go/pkg/securitycontextconstraints/sccadmission"
	"github.com/openshift/apiserver-library-go/pkg/securitycontextconstraints/sccdefaults"
	securityv1informers "github.com/openshift/client-go/security/informers/externalversions/security/v1"
	securityv1listers "github.com/openshift/client-go/security/listers/security/v1"

	"simctl.dev/simctl/sim/openshift/engine/wire"
)

// patience is how long the plug-in may wait for what it misses. On a live cluster
// it waits ten seconds for a namespace's annotations and for the standard SCCs;
// here all there is has come with the request, so that nothing more will come.
const patience = 100 * time.Millisecond

// decider runs the plug-in.
type decider struct {
	scheme *runtime.Scheme
	sccs   cache.Indexer
}

func newDecider() (*decider, error) {
	d := &decider{scheme: runtime.NewScheme()}
	if err := core.AddToScheme(d.scheme); err != nil {
		return nil, err
	}
	if err := corev1conversion.AddToScheme(d.scheme); err != nil {
		return nil, err
	}
	return d, d.setSCCs(nil)
}

// setSCCs replaces the SCCs. They get the defaults that OpenShift's API server
// gives them.
func (d *decider) setSCCs(raw []json.RawMessage) error {
	sccs := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{})
	for _, r := range raw {
		var scc securityv1.SecurityContextConstraints
		if err := json.Unmarshal(r, &scc); err != nil {
			return err
		}
		sccdefaults.SetDefaults_SCC(&scc)
		if err := sccs.Add(&scc); err != nil {
			return err
		}
	}
	d.sccs = sccs
	return nil
}

// decide asks a plug-in that knows the SCCs and the request's namespace.
func (d *decider) decide(m *wire.Message, sccs cache.Indexer, authz authorizer.Authorizer) wire.Reply {
	admitted, err := d.run(m.Request, sccs, authz)
	if err == nil {
		return wire.Reply{Decision: admitted}
	}
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		status = apierrors.NewInternalError(err)
	}
	refusal := status.Status()
	return wire.Reply{Decision: &wire.Decision{Status: &refusal}}
}

func (d *decider) run(r *wire.Request, sccs cache.Indexer, authz authorizer.Authorizer) (*wire.Decision, error) {
	review := r.Review
	pod, err := d.pod(review.Object)
	if err != nil {
		return nil, err
	}
	var old runtime.Object
	if review.Operation == admissionv1.Update {
		if old, err = d.pod(review.OldObject); err != nil {
			return nil, err
		}
	}
	before, err := d.plain(pod)
	if err != nil {
		return nil, err
	}

	namespaces := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{})
	if err := namespaces.Add(r.Namespace); err != nil {
		return nil, err
	}
	plugin := sccadmission.NewConstraint()
	plugin.SetAuthorizer(authz)
	plugin.SetSecurityInformers(sccInformer{lister: securityv1listers.NewSecurityContextConstraintsLister(sccs)})
	plugin.SetExternalKubeInformerFactory(factory{lister: corev1listers.NewNamespaceLister(namespaces)})
	if err := plugin.ValidateInitialization(); err != nil {
		return nil, err
	}

	a := attributes{
		Attributes: admission.NewAttributesRecord(pod, old,
			schema.GroupVersionKind(review.Kind), review.Namespace, review.Name,
			schema.GroupVersionResource(review.Resource), review.SubResource,
			admission.Operation(review.Operation), nil, review.DryRun != nil && *review.DryRun, userOf(review.UserInfo)),
		notes: map[string]string{},
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if r.Validate {
		err = plugin.Validate(ctx, a, nil)
	} else {
		err = plugin.Admit(ctx, a, nil)
	}
	if err != nil {
		return nil, err
	}
	after, err := d.plain(pod)
	if err != nil {
		return nil, err
	}
	patch, err := json.Marshal(diff("", before, after))
	if err != nil {
		return nil, fmt.Errorf("writing what the plug-in changed: %w", err)
	}
	return &wire.Decision{Patch: patch, Notes: a.notes}, nil
}

// pod decodes a pod into the form that plug-ins see.
func (d *decider) pod(raw runtime.RawExtension) (*core.Pod, error) {
	var v1 corev1.Pod
	if err := json.Unmarshal(raw.Raw, &v1); err != nil {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("reading the pod: %v", err))
	}
	var pod core.Pod
	if err := d.scheme.Convert(&v1, &pod, nil); err != nil {
		return nil, fmt.Errorf("converting the pod: %w", err)
	}
	return &pod, nil
}

// plain returns a pod as its JSON has it.
func (d *decider) plain(pod *core.Pod) (map[string]any, error) {
	var v1 corev1.Pod
	if err := d.scheme.Convert(pod, &v1, nil); err != nil {
		return nil, fmt.Errorf("converting the pod: %w", err)
	}
	return runtime.DefaultUnstructuredConverter.ToUnstructured(&v1)
}

func userOf(u authenticationv1.UserInfo) user.Info {
	extra := map[string][]string{}
	for k, v := range u.Extra {
		extra[k] = v
	}
	return &user.DefaultInfo{Name: u.Username, UID: u.UID, Groups: u.Groups, Extra: extra}
}

// attributes keep the plug-in's audit annotations.
type attributes struct {
	admission.Attributes
	notes map[string]string
}

func (a attributes) AddAnnotation(key, value string) error {
	a.notes[key] = value
	return nil
}

// sccInformer and factory hand the plug-in listers of what is known.
type sccInformer struct {
	lister securityv1listers.SecurityContextConstraintsLister
}

func (i sccInformer) Informer() cache.SharedIndexInformer { return synced{} }

func (i sccInformer) Lister() securityv1listers.SecurityContextConstraintsLister { return i.lister }

var _ securityv1informers.SecurityContextConstraintsInformer = sccInformer{}

type factory struct {
	informers.SharedInformerFactory
	lister corev1listers.NamespaceLister
}

func (f factory) Core() coreinformers.Interface { return coreGroup{lister: f.lister} }

type coreGroup struct{ lister corev1listers.NamespaceLister }

func (c coreGroup) V1() corev1informers.Interface { return coreV1{lister: c.lister} }

type coreV1 struct {
	corev1informers.Interface
	lister corev1listers.NamespaceLister
}

func (c coreV1) Namespaces() corev1informers.NamespaceInformer { return namespaceInformer{c.lister} }

type namespaceInformer struct{ lister corev1listers.NamespaceLister }

func (i namespaceInformer) Informer() cache.SharedIndexInformer { return synced{} }

func (i namespaceInformer) Lister() corev1listers.NamespaceLister { return i.lister }

// synced is an informer that has all there is.
type synced struct{ cache.SharedIndexInformer }

func (synced) HasSynced() bool { return true }

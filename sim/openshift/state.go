package openshift

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corev1listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/kubernetes/plugin/pkg/auth/authorizer/rbac"

	"simctl.dev/simctl/sim/openshift/engine/wire"
)

// state is what OpenShift's API server knows of the cluster when it decides about
// a pod. Like that server it has watches for it, not questions.
type state struct {
	client      kubernetes.Interface
	namespaces  corev1listers.NamespaceLister
	authorizers []authorizer.Authorizer
	sccs        func() (sccSet, error)
}

// watch gets the state and keeps it up to date until the context ends.
func watch(ctx context.Context, client kubernetes.Interface, crs dynamic.Interface) (*state, error) {
	factory := informers.NewSharedInformerFactory(client, 0)
	roles := factory.Rbac().V1()
	s := &state{
		client:     client,
		namespaces: factory.Core().V1().Namespaces().Lister(),
		// The two that decide in the API server about anybody but nodes.
		authorizers: []authorizer.Authorizer{
			authorizerfactory.NewPrivilegedGroups(user.SystemPrivilegedGroup),
			rbac.New(
				&rbac.RoleGetter{Lister: roles.Roles().Lister()},
				&rbac.RoleBindingLister{Lister: roles.RoleBindings().Lister()},
				&rbac.ClusterRoleGetter{Lister: roles.ClusterRoles().Lister()},
				&rbac.ClusterRoleBindingLister{Lister: roles.ClusterRoleBindings().Lister()},
			),
		},
	}
	factory.Start(ctx.Done())
	for kind, ok := range factory.WaitForCacheSync(ctx.Done()) {
		if !ok {
			return nil, fmt.Errorf("watching %v: %w", kind, ctx.Err())
		}
	}
	var err error
	if s.sccs, err = watchSCCs(ctx, crs); err != nil {
		return nil, err
	}
	return s, nil
}

// watchSCCs returns a function that returns the SCCs in force: the cluster's, or without
// a client for them the stock ones.
func watchSCCs(ctx context.Context, crs dynamic.Interface) (func() (sccSet, error), error) {
	if crs == nil {
		sccs, err := StockSCCs()
		if err != nil {
			return nil, err
		}
		set, err := newSCCSet(sccs)
		return func() (sccSet, error) { return set, err }, nil
	}
	factory := dynamicinformer.NewDynamicSharedInformerFactory(crs, 0)
	generic := factory.ForResource(sccResource)
	var (
		mu    sync.Mutex
		known *sccSet
	)
	changed := func() {
		mu.Lock()
		known = nil
		mu.Unlock()
	}
	if _, err := generic.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { changed() }, UpdateFunc: func(any, any) { changed() }, DeleteFunc: func(any) { changed() },
	}); err != nil {
		return nil, fmt.Errorf("watching security context constraints: %w", err)
	}
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), generic.Informer().HasSynced) {
		return nil, fmt.Errorf("watching security context constraints: %w", ctx.Err())
	}
	return func() (sccSet, error) {
		mu.Lock()
		defer mu.Unlock()
		if known == nil {
			var sccs []*unstructured.Unstructured
			for _, o := range generic.Informer().GetStore().List() {
				sccs = append(sccs, o.(*unstructured.Unstructured))
			}
			set, err := newSCCSet(sccs)
			if err != nil {
				return sccSet{}, err
			}
			known = &set
		}
		return *known, nil
	}, nil
}

// sccSet is SCCs with a name that is another when they are other ones.
type sccSet struct {
	name  string
	names []string
	sccs  []json.RawMessage
}

func newSCCSet(sccs []*unstructured.Unstructured) (sccSet, error) {
	if len(sccs) == 0 {
		// An empty list would be no message to the engine.
		return sccSet{}, errors.New("the cluster has no security context constraints")
	}
	sccs = slices.SortedFunc(slices.Values(sccs), func(a, b *unstructured.Unstructured) int {
		return strings.Compare(a.GetName(), b.GetName())
	})
	var set sccSet
	sum := sha256.New()
	for _, scc := range sccs {
		scc = scc.DeepCopy()
		scc.SetManagedFields(nil)
		text, err := scc.MarshalJSON()
		if err != nil {
			return sccSet{}, fmt.Errorf("writing SCC %s: %w", scc.GetName(), err)
		}
		_, _ = fmt.Fprintf(sum, "%d\n%s", len(text), text)
		set.names, set.sccs = append(set.names, scc.GetName()), append(set.sccs, text)
	}
	set.name = hex.EncodeToString(sum.Sum(nil))
	return set, nil
}

// namespace returns a namespace. One that is not known yet, or not yet with its
// ranges, is asked for; one that does not exist has nothing but its name.
func (s *state) namespace(ctx context.Context, name string) (*corev1.Namespace, error) {
	ns, err := s.namespaces.Get(name)
	if err != nil || ns.Annotations[UIDRangeAnnotation] == "" || ns.Annotations[MCSAnnotation] == "" {
		ns, err = s.client.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
	}
	switch {
	case apierrors.IsNotFound(err):
		return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, nil
	case err != nil:
		return nil, fmt.Errorf("reading namespace %s: %w", name, err)
	}
	ns = ns.DeepCopy()
	ns.ManagedFields = nil
	return ns, nil
}

// usable answers beforehand what the plug-in will ask about whoever makes the pod
// and about the pod's ServiceAccount: a question costs the engine and this process
// a change of turns.
func (s *state) usable(ctx context.Context, r *admissionv1.AdmissionRequest, sccs sccSet) map[string][]string {
	users := []authenticationv1.UserInfo{r.UserInfo}
	var pod corev1.Pod
	// The engine says what is wrong with a pod that cannot be read.
	if err := json.Unmarshal(r.Object.Raw, &pod); err == nil && pod.Spec.ServiceAccountName != "" {
		account := serviceaccount.UserInfo(r.Namespace, pod.Spec.ServiceAccountName, "")
		if account.GetName() == r.UserInfo.Username {
			// The plug-in asks about one name with two sets of groups: a token
			// has system:authenticated as well.
			return nil
		}
		users = append(users, authenticationv1.UserInfo{Username: account.GetName(), Groups: account.GetGroups()})
	}
	usable := map[string][]string{}
	for _, u := range users {
		may := []string{}
		for _, scc := range sccs.names {
			allowed, err := s.mayUse(ctx, wire.Question{User: u, Namespace: r.Namespace, SCC: scc})
			if err == nil && allowed { // the plug-in takes an error for a no
				may = append(may, scc)
			}
		}
		usable[u.Username] = may
	}
	return usable
}

// mayUse says whether a user may use an SCC in a namespace.
func (s *state) mayUse(ctx context.Context, q wire.Question) (bool, error) {
	u := &user.DefaultInfo{Name: q.User.Username, UID: q.User.UID, Groups: q.User.Groups, Extra: map[string][]string{}}
	for key, values := range q.User.Extra {
		u.Extra[key] = values
	}
	for _, a := range s.authorizers {
		decision, _, err := a.Authorize(ctx, authorizer.AttributesRecord{
			User: u, Verb: "use", Namespace: q.Namespace, APIGroup: sccResource.Group, Resource: sccResource.Resource,
			Name: q.SCC, ResourceRequest: true,
		})
		switch {
		case decision == authorizer.DecisionAllow:
			return true, nil
		case err != nil:
			return false, fmt.Errorf("judging whether %s may use SCC %s: %w", q.User.Username, q.SCC, err)
		case decision == authorizer.DecisionDeny:
			return false, nil
		}
	}
	return false, nil
}

package plane

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/restmapper"

	"simctl.dev/simctl/sim/controlplane"
	"simctl.dev/simctl/sim/history"
)

// Clients are the clients of one name under which writes are recorded.
type Clients struct {
	kubernetes.Interface
	Dynamic  dynamic.Interface
	warnings *warnings
}

// ClientsFor returns clients that may do everything, under a name.
func (p *Plane) ClientsFor(actor string) (Clients, error) {
	cfg := p.Servers.Admin(actor)
	warnings := &warnings{}
	cfg.WarningHandlerWithContext = warnings
	k, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return Clients{}, fmt.Errorf("making the client of %s: %w", actor, err)
	}
	d, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return Clients{}, fmt.Errorf("making the client of %s: %w", actor, err)
	}
	return Clients{Interface: k, Dynamic: d, warnings: warnings}, nil
}

// Warnings returns the API server's warnings of fields that it drops, since the last
// call. Each begins with [UnknownField].
func (c Clients) Warnings() []string {
	c.warnings.mu.Lock()
	defer c.warnings.mu.Unlock()
	all := c.warnings.text
	c.warnings.text = nil
	return all
}

// UnknownField begins the API server's warning about a field that it drops.
const UnknownField = "unknown field "

// warnings keeps the API server's warnings of fields that it drops.
type warnings struct {
	mu   sync.Mutex
	text []string
}

// HandleWarningHeaderWithContext implements rest.WarningHandlerWithContext.
func (w *warnings) HandleWarningHeaderWithContext(_ context.Context, code int, _, text string) {
	if code != 299 || !strings.HasPrefix(text, UnknownField) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text = append(w.text, text)
}

// Discover makes the kinds known that are served now.
func (p *Plane) Discover() error {
	groups, err := restmapper.GetAPIGroupResources(p.Simctl.Discovery())
	if err != nil {
		return fmt.Errorf("asking for the API's kinds: %w", err)
	}
	p.mapper = restmapper.NewDiscoveryRESTMapper(groups)
	return nil
}

// Mapper returns the kinds that were served when they were last asked for.
func (p *Plane) Mapper() meta.RESTMapper { return p.mapper }

// Resource returns the client for an object's kind and namespace. A kind that is not
// served is an error for which meta.IsNoMatchError is true.
func (p *Plane) Resource(as Clients, u *unstructured.Unstructured) (dynamic.ResourceInterface, error) {
	gvk := u.GroupVersionKind()
	m, err := p.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if meta.IsNoMatchError(err) {
		// A CRD may have come since.
		if err := p.Discover(); err != nil {
			return nil, err
		}
		m, err = p.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	}
	if err != nil {
		return nil, fmt.Errorf("%s %s: the API server has no such kind: %w", gvk, u.GetName(), err)
	}
	if m.Scope.Name() == meta.RESTScopeNameNamespace {
		return as.Dynamic.Resource(m.Resource).Namespace(u.GetNamespace()), nil
	}
	return as.Dynamic.Resource(m.Resource), nil
}

// client gives the cluster's client for an object.
func (p *Plane) client(ref history.Ref) (dynamic.ResourceInterface, error) {
	u := &unstructured.Unstructured{}
	u.SetAPIVersion(ref.APIVersion)
	u.SetKind(ref.Kind)
	u.SetNamespace(ref.Namespace)
	return p.Resource(p.Simctl, u)
}

// RefOf names an object as the API server does: what is asked for may come with a namespace
// though its kind is the cluster's.
func (p *Plane) RefOf(u *unstructured.Unstructured) history.Ref {
	ref := controlplane.RefOf(u)
	gvk := u.GroupVersionKind()
	if m, err := p.mapper.RESTMapping(gvk.GroupKind(), gvk.Version); err == nil && m.Scope.Name() == meta.RESTScopeNameRoot {
		ref.Namespace = ""
	}
	return ref
}

package plane

import (
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"

	"simctl.dev/simctl/sim/history"
)

// longAgo is long before any real time.
const longAgo = "2000-01-01T00:00:00Z"

var crdResource = apiextensionsv1.SchemeGroupVersion.WithResource("customresourcedefinitions")

// InstallTypes creates or replaces types and waits until the API server has done
// with it. One second after a type has changed it ends every watch of its
// objects, and refuses new ones until its cache of them is filled; a client
// begins again after a second or more. A controller that was started before that
// would be blind meanwhile, and a second of real time can be days of virtual
// time.
func (p *Plane) InstallTypes(ctx context.Context, crds []*apiextensionsv1.CustomResourceDefinition) error {
	type old struct {
		generation int64
		watch      watch.Interface
	}
	before := map[string]old{}
	for _, crd := range crds {
		generation, err := p.crdGeneration(ctx, crd.Name)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return err
		}
		o := old{generation: generation}
		// The version may be one that was not served until now.
		for _, gvr := range served(crd) {
			if o.watch, err = p.Simctl.Dynamic.Resource(gvr).Watch(ctx, metav1.ListOptions{}); err == nil {
				defer o.watch.Stop()
				break
			}
		}
		before[crd.Name] = o
	}
	if err := p.Servers.InstallCRDs(ctx, crds); err != nil {
		return err
	}
	for _, crd := range crds {
		o, ok := before[crd.Name]
		if !ok {
			if err := p.longServed(ctx, crd.Name); err != nil {
				return err
			}
			continue
		}
		if o.watch == nil {
			continue
		}
		generation, err := p.crdGeneration(ctx, crd.Name)
		if err != nil {
			return err
		}
		if generation == o.generation {
			continue
		}
		for range o.watch.ResultChan() { // until it is ended
		}
		if ctx.Err() != nil {
			return fmt.Errorf("replacing %s: %w", crd.Name, context.Cause(ctx))
		}
	}
	// All at once: the first request for a type begins the filling of its cache.
	all, ctx := errgroup.WithContext(ctx)
	for _, crd := range crds {
		for _, gvr := range served(crd) {
			all.Go(func() error { return p.watchable(ctx, gvr) })
		}
	}
	return all.Wait()
}

// RemoveOthers removes the types that would not be what they are on a fresh control plane
// if crds were put in their place, and waits until they are gone. The API server keeps in
// mind each version that it has once stored, and takes no type from which one of them is
// missing; and short names that come later than the others are not accepted if they
// are among these, as those of ResolutionRequests are. There must be no objects of the
// types left.
func (p *Plane) RemoveOthers(ctx context.Context, crds []*apiextensionsv1.CustomResourceDefinition) error {
	types := p.Simctl.Dynamic.Resource(crdResource)
	for _, crd := range crds {
		u, err := types.Get(ctx, crd.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("reading CustomResourceDefinition %s: %w", crd.Name, err)
		}
		stored, _, err := unstructured.NestedStringSlice(u.Object, "status", "storedVersions")
		if err != nil {
			return fmt.Errorf("reading the stored versions of CustomResourceDefinition %s: %w", crd.Name, err)
		}
		fresh := []string{storageVersion(crd)}
		names, _, err := unstructured.NestedStringSlice(u.Object, "spec", "names", "shortNames")
		if err != nil {
			return fmt.Errorf("reading the names of CustomResourceDefinition %s: %w", crd.Name, err)
		}
		if slices.Equal(stored, fresh) && slices.Equal(names, crd.Spec.Names.ShortNames) && namesAccepted(u) {
			continue
		}
		if err := p.RemoveType(ctx, crd.Name); err != nil {
			return err
		}
	}
	return nil
}

// storageVersion returns the version in which objects of a type are stored.
func storageVersion(crd *apiextensionsv1.CustomResourceDefinition) string {
	for _, v := range crd.Spec.Versions {
		if v.Storage {
			return v.Name
		}
	}
	return ""
}

// namesAccepted says whether a type has all the names that it asks for.
func namesAccepted(u *unstructured.Unstructured) bool {
	conditions, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
	return !slices.ContainsFunc(conditions, func(c any) bool {
		m, ok := c.(map[string]any)
		return ok && m["type"] == string(apiextensionsv1.NamesAccepted) && m["status"] != string(apiextensionsv1.ConditionTrue)
	})
}

// longServed dates a new type back. The API server holds the first objects up for
// two seconds, so that its peers hear of the type; this one has none.
func (p *Plane) longServed(ctx context.Context, name string) error {
	types := p.Simctl.Dynamic.Resource(crdResource)
	date := func() error {
		u, err := types.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return fmt.Errorf("reading CustomResourceDefinition %s: %w", name, err)
		}
		conditions, _, err := unstructured.NestedSlice(u.Object, "status", "conditions")
		if err != nil {
			return fmt.Errorf("reading the conditions of CustomResourceDefinition %s: %w", name, err)
		}
		for _, c := range conditions {
			if m, ok := c.(map[string]any); ok && m["type"] == string(apiextensionsv1.Established) {
				m["lastTransitionTime"] = longAgo
			}
		}
		if err := unstructured.SetNestedSlice(u.Object, conditions, "status", "conditions"); err != nil {
			return fmt.Errorf("dating CustomResourceDefinition %s back: %w", name, err)
		}
		_, err = types.UpdateStatus(ctx, u, metav1.UpdateOptions{})
		return err
	}
	err := date()
	for apierrors.IsConflict(err) && ctx.Err() == nil { // the API server writes it as well
		err = date()
	}
	return err
}

// crdGeneration is counted up by the API server with every change of a type.
func (p *Plane) crdGeneration(ctx context.Context, name string) (int64, error) {
	u, err := p.Simctl.Dynamic.Resource(crdResource).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return 0, fmt.Errorf("reading CustomResourceDefinition %s: %w", name, err)
	}
	return u.GetGeneration(), nil
}

// watchable waits until the objects of a type can be watched. It asks often: a
// client that heeds the API server's advice comes again after a second.
func (p *Plane) watchable(ctx context.Context, gvr schema.GroupVersionResource) error {
	client := p.Simctl.Discovery().RESTClient()
	for {
		events, err := client.Get().AbsPath("apis", gvr.Group, gvr.Version, gvr.Resource).
			Param("watch", "true").MaxRetries(0).Stream(ctx)
		if err == nil {
			return events.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("watching %s: %w (%w)", gvr.GroupResource(), context.Cause(ctx), err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// TypeRef returns the name of a type.
func TypeRef(name string) history.Ref {
	return history.Ref{APIVersion: apiextensionsv1.SchemeGroupVersion.String(), Kind: "CustomResourceDefinition", Name: name}
}

// served gives a type's versions that are served.
func served(crd *apiextensionsv1.CustomResourceDefinition) []schema.GroupVersionResource {
	var out []schema.GroupVersionResource
	for _, v := range crd.Spec.Versions {
		if v.Served {
			out = append(out, schema.GroupVersionResource{Group: crd.Spec.Group, Version: v.Name, Resource: crd.Spec.Names.Plural})
		}
	}
	return out
}

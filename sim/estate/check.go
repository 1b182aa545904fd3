package estate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"simctl.dev/simctl/sim/controlplane"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/plane"
	"simctl.dev/simctl/sim/wellknown"
)

// ErrNotAlone says that a cell has left something behind, or taken something away, on
// its control plane.
var ErrNotAlone = errors.New("the cell is not cleared away")

// Check holds cells to leaving a plane as a fresh one would be with the same estate.
type Check struct {
	estate *Estate
	store  *controlplane.Store
	// fresh is what was there before any cell.
	fresh controlplane.Snapshot
	// stands is what was there when the cell's cluster, its Tekton and its
	// definitions stood.
	stands controlplane.Snapshot
	// first is each object that stays on purpose, by what it stays for, as it was when
	// it first stood.
	first map[string]controlplane.Snapshot
}

// NewCheck returns a check of what is on a plane from now on: before any cell.
func (e *Estate) NewCheck(ctx context.Context) (*Check, error) {
	if err := e.Plane.Quiet(ctx); err != nil {
		return nil, err
	}
	store, err := e.Plane.Servers.OpenStore()
	if err != nil {
		return nil, err
	}
	e.Plane.AtEnd(store.Close)
	c := &Check{estate: e, store: store, first: map[string]controlplane.Snapshot{}}
	c.fresh, err = store.Snapshot(ctx, nil)
	return c, err
}

// Begin takes note of what is there before a cell's own objects come, and
// compares what stays between cells, or was made anew, with how it was when it first
// stood: cells before have not left their mark on it. If they have, the error wraps
// [ErrNotAlone] and names every object.
func (c *Check) Begin(ctx context.Context) (err error) {
	if c.stands, err = c.store.Snapshot(ctx, c.stands); err != nil {
		return err
	}
	parts := map[string]controlplane.Snapshot{}
	for key, is := range c.stands {
		if part := c.estate.part(is.Ref); part != "" {
			if parts[part] == nil {
				parts[part] = controlplane.Snapshot{}
			}
			parts[part][key] = is
		}
	}
	var wrong []string
	for part, now := range parts {
		first := c.first[part]
		if first == nil {
			c.first[part] = now
			continue
		}
		for key, is := range now {
			if was, there := first[key]; !there {
				wrong = append(wrong, is.Ref.String()+" was not there at first")
			} else if was.Revision != is.Revision && !alike(was.Object, is.Object) {
				wrong = append(wrong, is.Ref.String()+" is not as it was at first: "+difference(was.Object, is.Object))
			}
		}
		for key, was := range first {
			if _, there := now[key]; !there {
				wrong = append(wrong, was.Ref.String()+" is gone")
			}
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	slices.Sort(wrong)
	return fmt.Errorf("%w: before this one: %s", ErrNotAlone, strings.Join(wrong, "; "))
}

// End compares what is there, now that the cell is cleared away, with what would be
// there on a fresh control plane with the same estate. The error wraps [ErrNotAlone] and
// names every object that makes the difference.
func (c *Check) End(ctx context.Context) error {
	if c.stands == nil {
		return nil // none has begun
	}
	now, err := c.store.Snapshot(ctx, c.stands)
	if err != nil {
		return err
	}
	var wrong []string
	for _, key := range slices.Sorted(maps.Keys(now)) {
		is := now[key]
		if excused(is.Ref) {
			continue
		}
		was, there := c.fresh[key]
		if !there && !c.estate.stays(is.Ref, now) {
			wrong = append(wrong, is.Ref.String()+" is left")
			continue
		}
		if !there || c.estate.part(is.Ref) != "" {
			was, there = c.stands[key]
		}
		if there && was.Revision != is.Revision && !c.estate.madeAnew(is.Ref) && !alike(was.Object, is.Object) {
			wrong = append(wrong, is.Ref.String()+" is not as it was: "+difference(was.Object, is.Object))
		}
	}
	for _, was := range []controlplane.Snapshot{c.fresh, c.stands} {
		for _, key := range slices.Sorted(maps.Keys(was)) {
			ref := was[key].Ref
			_, there := now[key]
			_, before := c.fresh[key]
			if there || excused(ref) || c.estate.madeAnew(ref) || !before && !c.estate.stays(ref, was) {
				continue
			}
			if text := ref.String() + " is gone"; !slices.Contains(wrong, text) {
				wrong = append(wrong, text)
			}
		}
	}
	c.stands = now
	if len(wrong) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrNotAlone, strings.Join(wrong, "; "))
}

// part names what an object stays for: that which all cells have in common that find it.
// It is empty for one that does not stay on purpose or is written before each cell.
func (e *Estate) part(ref history.Ref) string {
	for _, k := range e.all() {
		if plane.Among(k.refs, ref) {
			return k.key
		}
	}
	return e.Install.Part(ref)
}

// excused are objects that change whatever cells do: the API server's own accounts of
// who it is, the leases of Tekton's controller, which runs on in the next cell, and what its
// keeping of Services' addresses says of that of Tekton's webhook, once every few minutes.
func excused(ref history.Ref) bool {
	switch ref.Kind {
	case "Lease":
		return ref.Namespace == metav1.NamespaceSystem || strings.HasPrefix(ref.Name, "tekton-pipelines-controller.")
	case "Event":
		return strings.HasPrefix(ref.Name, wellknown.TektonWebhook+".")
	case "ConfigMap":
		return ref.Namespace == metav1.NamespaceSystem && ref.Name == "kube-apiserver-legacy-service-account-token-tracking"
	}
	return false
}

// stays says whether an object stays between cells on purpose, or comes with one that
// does.
func (e *Estate) stays(ref history.Ref, all controlplane.Snapshot) bool {
	if e.Keeps(func(r history.Ref) bool { return plane.Same(r, ref) }) || e.Install.Owns(ref) {
		return true
	}
	switch {
	case plane.InEveryNamespace(ref):
		return e.stays(history.Ref{APIVersion: "v1", Kind: "Namespace", Name: ref.Namespace}, all)
	case ref.Kind == "APIService":
		// One for each API group and version that is served.
		for _, o := range all {
			if o.Ref.Kind != "CustomResourceDefinition" {
				continue
			}
			spec, _ := o.Object["spec"].(map[string]any)
			group, _ := spec["group"].(string)
			if strings.HasSuffix(ref.Name, "."+group) {
				return true
			}
		}
	}
	return false
}

// madeAnew says whether an object is looked at before the next cell, and made anew if
// it is not as it was.
func (e *Estate) madeAnew(ref history.Ref) bool {
	for _, k := range e.all() {
		for r := range k.touched {
			if plane.Same(r, ref) {
				return true
			}
		}
	}
	return e.Install.MadeAnew(ref)
}

// alike says whether two states of an object differ only in what is counted or dated,
// or made up when it is made.
func alike(a, b map[string]any) bool {
	return reflect.DeepEqual(plain(a), plain(b))
}

// counted are the fields that differ between objects that are made alike; the last ones
// say where a server is that was started anew.
var counted = []string{
	"uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink",
	"lastTransitionTime", "lastUpdateTime", "lastHeartbeatTime", "observedGeneration",
	"url", "caBundle",
}

// plain gives a value without what is counted, dated, made up or empty.
func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, field := range v {
			if slices.Contains(counted, name) {
				continue
			}
			if field = plain(field); field != nil {
				out[name] = field
			}
		}
		if len(out) == 0 {
			return nil
		}
		return out
	case []any:
		var out []any
		for _, item := range v {
			out = append(out, plain(item))
		}
		if len(out) == 0 {
			return nil
		}
		return out
	}
	return v
}

// difference names the fields in which an object differs.
func difference(was, is map[string]any) string {
	before, _ := plain(was).(map[string]any)
	after, _ := plain(is).(map[string]any)
	text := fmt.Sprint(history.MergePatch(before, after))
	const most = 500 // a CustomResourceDefinition takes pages
	if len(text) > most {
		text = text[:most] + " ..."
	}
	return text
}

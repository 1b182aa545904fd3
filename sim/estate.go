package sim

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
)

// ErrNotAlone says that a cell has left something behind, or taken something away, on
// its control plane.
var ErrNotAlone = errors.New("the cell is not cleared away")

// estate is what etcd should hold once a cell is cleared away: what a control plane
// begins with, and on top of that only what stays between cells on purpose.
type estate struct {
	store *controlplane.Store
	// fresh is what was there before any cell.
	fresh controlplane.Snapshot
	// stands is what was there when the cell's cluster, its Tekton and its
	// definitions stood.
	stands controlplane.Snapshot
	// first is each object that stays on purpose, by what it stays for, as it was when
	// it first stood.
	first map[string]controlplane.Snapshot
}

// watchOver begins to check that cells are cleared away, if it is wanted.
func (w *worker) watchOver(ctx context.Context) error {
	if w.estate != nil || !w.checkCells {
		return nil
	}
	if err := w.plane.Quiet(ctx); err != nil {
		return err
	}
	store, err := w.plane.Servers.OpenStore()
	if err != nil {
		return err
	}
	w.estate = &estate{store: store, first: map[string]controlplane.Snapshot{}}
	w.estate.fresh, err = store.Snapshot(ctx, nil)
	return err
}

// estateStands takes note of what is there before the cell's own objects come, and
// compares what stays between cells, or was made anew, with how it was when it first
// stood: cells before have not left their mark on it.
func (c *play) estateStands() (err error) {
	e := c.worker.estate
	if e == nil {
		return nil
	}
	if e.stands, err = e.store.Snapshot(c.ctx, e.stands); err != nil {
		return err
	}
	parts := map[string]controlplane.Snapshot{}
	for key, is := range e.stands {
		if part := c.part(is.Ref); part != "" {
			if parts[part] == nil {
				parts[part] = controlplane.Snapshot{}
			}
			parts[part][key] = is
		}
	}
	var wrong []string
	for part, now := range parts {
		first := e.first[part]
		if first == nil {
			e.first[part] = now
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

// part names what an object stays for: that which all cells have in common that find it.
// It is empty for one that does not stay on purpose or is written before each cell.
func (c *play) part(ref history.Ref) string {
	for _, k := range c.kept() {
		if plane.Among(k.refs, ref) {
			return k.key
		}
	}
	return c.install.Part(ref)
}

// alone compares what is there, now that the cell is cleared away, with what would be
// there on a fresh control plane with the same estate. The error names every object
// that makes the difference.
func (c *play) alone() error {
	e := c.worker.estate
	if e == nil || e.stands == nil || c.meddled {
		return nil
	}
	now, err := e.store.Snapshot(c.ctx, e.stands)
	if err != nil {
		return err
	}
	var wrong []string
	for _, key := range slices.Sorted(maps.Keys(now)) {
		is := now[key]
		if excused(is.Ref) {
			continue
		}
		was, there := e.fresh[key]
		if !there && !c.stays(is.Ref, now) {
			wrong = append(wrong, is.Ref.String()+" is left")
			continue
		}
		if !there || c.part(is.Ref) != "" {
			was, there = e.stands[key]
		}
		if there && was.Revision != is.Revision && !c.madeAnew(is.Ref) && !alike(was.Object, is.Object) {
			wrong = append(wrong, is.Ref.String()+" is not as it was: "+difference(was.Object, is.Object))
		}
	}
	for _, was := range []controlplane.Snapshot{e.fresh, e.stands} {
		for _, key := range slices.Sorted(maps.Keys(was)) {
			ref := was[key].Ref
			_, there := now[key]
			_, before := e.fresh[key]
			if there || excused(ref) || c.madeAnew(ref) || !before && !c.stays(ref, was) {
				continue
			}
			if text := ref.String() + " is gone"; !slices.Contains(wrong, text) {
				wrong = append(wrong, text)
			}
		}
	}
	e.stands = now
	if len(wrong) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrNotAlone, strings.Join(wrong, "; "))
}

// excused are objects that change whatever cells do: the API server's own accounts of
// who it is, and the leases of Tekton's controller, which runs on in the next cell.
func excused(ref history.Ref) bool {
	switch ref.Kind {
	case "Lease":
		return ref.Namespace == metav1.NamespaceSystem || strings.HasPrefix(ref.Name, "tekton-pipelines-controller.")
	case "ConfigMap":
		return ref.Namespace == metav1.NamespaceSystem && ref.Name == "kube-apiserver-legacy-service-account-token-tracking"
	}
	return false
}

// stays says whether an object stays between cells on purpose, or comes with one that
// does.
func (c *play) stays(ref history.Ref, all controlplane.Snapshot) bool {
	if c.keeps(func(r history.Ref) bool { return plane.Same(r, ref) }) || c.install.Owns(ref) {
		return true
	}
	switch {
	case plane.InEveryNamespace(ref):
		return c.stays(history.Ref{APIVersion: "v1", Kind: "Namespace", Name: ref.Namespace}, all)
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
func (c *play) madeAnew(ref history.Ref) bool {
	for _, k := range c.kept() {
		for r := range k.touched {
			if plane.Same(r, ref) {
				return true
			}
		}
	}
	return c.install.MadeAnew(ref)
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

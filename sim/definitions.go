package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"simctl.dev/simctl/sim/history"
)

// definition says whether an object of a workload only says how runs are to go:
// nothing but the user writes to it, and nothing follows from it until a run
// begins. Such objects stay between cells that want the same.
func definition(u *unstructured.Unstructured) bool {
	switch u.GroupVersionKind().GroupKind().String() {
	case "Task.tekton.dev", "Pipeline.tekton.dev", "Secret", "ConfigMap", "ServiceAccount",
		"Role.rbac.authorization.k8s.io", "RoleBinding.rbac.authorization.k8s.io":
		return true
	}
	return false
}

// definitionsKey is equal for cells that can share definitions. They belong to a
// release, since another one may store Tasks in another version.
func (c *play) definitionsKey(manifests []*unstructured.Unstructured) (string, error) {
	spec := struct {
		Version string
		Objects []*unstructured.Unstructured
	}{Version: c.release.build.Version}
	for _, u := range manifests {
		if definition(u) {
			spec.Objects = append(spec.Objects, u)
		}
	}
	key, err := json.Marshal(spec)
	if err != nil {
		return "", fmt.Errorf("writing the cell's definitions as JSON: %w", err)
	}
	return string(key), nil
}

// removeOtherDefinitions removes what cells before have left, unless this cell
// wants just that.
func (c *play) removeOtherDefinitions(manifests []*unstructured.Unstructured) error {
	if c.definitions == nil {
		return nil
	}
	key, err := c.definitionsKey(manifests)
	if err != nil {
		return err
	}
	if c.definitions.key == key {
		same, err := c.untouched(c.definitions)
		if same || err != nil {
			return err
		}
	}
	return c.removeDefinitions(c.ctx)
}

func (w *worker) removeDefinitions(ctx context.Context) error {
	old := w.definitions
	w.definitions = nil
	if old == nil {
		return nil
	}
	for _, ref := range slices.Backward(old.refs) {
		if err := w.delete(ctx, ref); err != nil {
			return err
		}
	}
	return nil
}

// ensureDefinitions has the workload's definitions there, and recorded as the
// user's.
func (c *play) ensureDefinitions(manifests []*unstructured.Unstructured) error {
	if c.definitions != nil {
		return c.recordKept(actorUser, c.definitions)
	}
	key, err := c.definitionsKey(manifests)
	if err != nil {
		return err
	}
	k := newKept(key)
	for _, u := range manifests {
		if !definition(u) {
			continue
		}
		if err := c.create(c.user, u); err != nil {
			return err
		}
		k.refs = append(k.refs, refOf(u))
	}
	if err := c.look(&k); err != nil {
		return err
	}
	for _, body := range k.made {
		if body == nil {
			// One was refused, and has to be refused in the next cell too.
			return nil
		}
	}
	c.worker.definitions = &k
	return nil
}

// stays says whether an object is kept for the next cell.
func (c *play) stays(ref history.Ref) bool {
	return c.cluster != nil && c.cluster.has(ref) || c.definitions.has(ref)
}

// keeps says whether an object of a kind in a namespace is kept.
func (c *play) keeps(kind, namespace string) bool {
	return c.cluster != nil && c.cluster.of(kind, namespace) || c.definitions.of(kind, namespace)
}

// noteTouched marks the kept objects that this cell wrote to. Their first entry
// says that they were there.
func (c *play) noteTouched() {
	all := []*kept{c.definitions}
	if c.cluster != nil {
		all = append(all, &c.cluster.kept)
	}
	found := map[history.Ref]bool{}
	for _, e := range c.log.Entries() {
		if e.Kind != history.KindObject {
			continue
		}
		for _, k := range all {
			if found[e.Object] && k.has(e.Object) {
				k.touched[e.Object] = true
			}
		}
		found[e.Object] = true
	}
}

package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"simctl.dev/simctl/sim/controlplane"
	"simctl.dev/simctl/sim/wellknown"
)

// definitionsOf gives the objects of a workload that only say how runs are to go:
// nothing but the user writes to them, and nothing follows from them until a run
// begins. They stay between cells that want the same. There are none where the
// order of making may matter: beside a quota, say, which they may not fit.
func definitionsOf(manifests []*unstructured.Unstructured) []*unstructured.Unstructured {
	var out []*unstructured.Unstructured
	for _, u := range manifests {
		switch u.GroupVersionKind().GroupKind().String() {
		case "Task.tekton.dev", "Pipeline.tekton.dev", "Secret", "ConfigMap", "ServiceAccount",
			"Role.rbac.authorization.k8s.io", "RoleBinding.rbac.authorization.k8s.io":
			out = append(out, u)
		case "Namespace", "Node", "PersistentVolumeClaim", "TaskRun.tekton.dev", "PipelineRun.tekton.dev":
		default:
			return nil
		}
	}
	return out
}

// definitionsKey is equal for cells that can share definitions. They belong to a
// release, since another one may store Tasks in another version, and to the
// configuration with which Tekton's webhook took them. The flags about assistants
// are nothing to it.
func (c *play) definitionsKey(definitions []*unstructured.Unstructured) (string, error) {
	t := c.cell.Spec.Tekton
	flags := maps.Clone(t.Flags)
	delete(flags, "coschedule")
	delete(flags, "disable-affinity-assistant")
	key, err := json.Marshal(struct {
		Version         string
		Flags, Defaults map[string]string
		Objects         []*unstructured.Unstructured
	}{c.install.Version(), flags, t.Defaults, definitions})
	if err != nil {
		return "", fmt.Errorf("writing the cell's definitions as JSON: %w", err)
	}
	return string(key), nil
}

// removeOtherDefinitions removes what cells before have left, unless this cell
// wants just that.
func (c *play) removeOtherDefinitions(definitions []*unstructured.Unstructured) error {
	if c.definitions == nil {
		return nil
	}
	key, err := c.definitionsKey(definitions)
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
		if err := w.plane.Delete(ctx, ref); err != nil {
			return err
		}
	}
	return nil
}

// ensureDefinitions has the workload's definitions there, and recorded as the
// user's.
func (c *play) ensureDefinitions(definitions []*unstructured.Unstructured) error {
	if c.definitions != nil {
		return c.recordKept(wellknown.User, c.definitions)
	}
	key, err := c.definitionsKey(definitions)
	if err != nil {
		return err
	}
	k, all := newKept(key), true
	for _, u := range definitions {
		if err := c.create(u); err != nil {
			return err
		}
		if _, err := c.plane.Resource(c.plane.User, u); err != nil {
			all = false // of a kind that is not served
			continue
		}
		k.refs = append(k.refs, controlplane.RefOf(u))
	}
	if err := c.look(&k); err != nil {
		return err
	}
	for _, body := range k.made {
		all = all && body != nil
	}
	if !all {
		// One was refused or left aside, and has to be in the next cell too.
		return nil
	}
	c.worker.definitions = &k
	return nil
}

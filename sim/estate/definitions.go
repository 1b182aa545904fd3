package estate

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"simctl.dev/simctl/sim/controlplane"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/wellknown"
)

// Definitions returns the objects of a workload that only say how runs are to go:
// nothing but the user writes to them, and nothing follows from them until a run
// begins. They stay between cells that want the same. There are none where the
// order of making may matter: beside a quota, say, which they may not fit.
func Definitions(manifests []*unstructured.Unstructured) []*unstructured.Unstructured {
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
func (e *Estate) definitionsKey(t scenario.Tekton, definitions []*unstructured.Unstructured) (string, error) {
	flags := maps.Clone(t.Flags)
	delete(flags, "coschedule")
	delete(flags, "disable-affinity-assistant")
	key, err := json.Marshal(struct {
		Version         string
		Flags, Defaults map[string]string
		Objects         []*unstructured.Unstructured
	}{e.Install.Version(), flags, t.Defaults, definitions})
	if err != nil {
		return "", fmt.Errorf("writing the cell's definitions as JSON: %w", err)
	}
	return string(key), nil
}

// RemoveOtherDefinitions removes what cells before have left, unless just that is wanted
// again, of a Tekton with such flags.
func (e *Estate) RemoveOtherDefinitions(ctx context.Context, t scenario.Tekton, definitions []*unstructured.Unstructured) error {
	if e.definitions == nil {
		return nil
	}
	key, err := e.definitionsKey(t, definitions)
	if err != nil {
		return err
	}
	if e.definitions.key == key {
		if same, err := e.untouched(ctx, e.definitions); same || err != nil {
			return err
		}
	}
	return e.RemoveDefinitions(ctx)
}

// RemoveDefinitions removes the definitions that are there.
func (e *Estate) RemoveDefinitions(ctx context.Context) error {
	old := e.definitions
	e.definitions = nil
	if old == nil {
		return nil
	}
	for _, ref := range slices.Backward(old.refs) {
		if err := e.Plane.Delete(ctx, ref); err != nil {
			return err
		}
	}
	return nil
}

// GiveDefinitionsUp has the definitions that are there no longer stay: they go with the
// cell.
func (e *Estate) GiveDefinitionsUp() { e.definitions = nil }

// EnsureDefinitions has the workload's definitions there, and recorded as the user's;
// create makes one of them.
func (e *Estate) EnsureDefinitions(ctx context.Context, t scenario.Tekton, definitions []*unstructured.Unstructured, create func(*unstructured.Unstructured) error) error {
	if e.definitions != nil {
		return e.record(wellknown.User, e.definitions)
	}
	key, err := e.definitionsKey(t, definitions)
	if err != nil {
		return err
	}
	k, all := newKept(key), true
	for _, u := range definitions {
		if err := create(u); err != nil {
			return err
		}
		if _, err := e.Plane.Resource(e.Plane.User, u); err != nil {
			all = false // of a kind that is not served
			continue
		}
		k.refs = append(k.refs, controlplane.RefOf(u))
	}
	if err := e.look(ctx, &k); err != nil {
		return err
	}
	for _, body := range k.made {
		all = all && body != nil
	}
	if !all {
		// One was refused or left aside, and has to be in the next cell too.
		return nil
	}
	e.definitions = &k
	return nil
}

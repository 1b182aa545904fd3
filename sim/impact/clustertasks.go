package impact

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"simctl.dev/simctl/sim/internal/tree"
	"simctl.dev/simctl/sim/scenario"
)

// TasksForClusterTasks is the candidate for a cell whose runs refer to
// ClusterTasks, which Tekton 1.0 took away: each is a Task in the runs' namespace.
// False if no run does that, if one of the ClusterTasks is not among the
// manifests, or if it is not clear which namespace it should be.
func TasksForClusterTasks(cell scenario.Cell) (Candidate, bool) {
	m := moving{patches: slices.Clone(cell.Spec.Workload.Overrides.Patches), names: map[string]bool{}}
	objects := decodeAll(cell.Objects)
	for _, o := range objects {
		if spec, changed := m.replaced(o["spec"]).(map[string]any); changed && m.found {
			ns := tree.Text(o, "metadata", "namespace")
			if !m.in(ns) || !m.add(o, map[string]any{"spec": spec}) {
				return Candidate{}, false
			}
		}
		m.found = false
	}
	names := slices.Sorted(maps.Keys(m.names))
	for _, name := range names {
		i := slices.IndexFunc(objects, func(o map[string]any) bool { return tree.Tekton(o, "ClusterTask") && tree.Name(o) == name })
		taken := slices.ContainsFunc(objects, func(o map[string]any) bool {
			return tree.Tekton(o, "Task") && tree.Name(o) == name && tree.Text(o, "metadata", "namespace") == m.namespace
		})
		if i < 0 || taken || !m.add(objects[i], map[string]any{"kind": "Task", "metadata": map[string]any{"namespace": m.namespace}}) {
			return Candidate{}, false
		}
	}
	if len(names) == 0 {
		return Candidate{}, false
	}
	patch, err := json.Marshal(map[string]any{"workload": map[string]any{"overrides": map[string]any{"patches": m.patches}}})
	if err != nil {
		return Candidate{}, false
	}
	const name = "tasks-for-clustertasks"
	return Candidate{Name: name, Cost: CostRun, What: "Tasks of the namespace in place of the ClusterTasks " + strings.Join(names, ", "),
		Value: scenario.Value{Name: name, Patch: patch}}, true
}

// moving collects the patches of a candidate.
type moving struct {
	patches []scenario.ManifestPatch
	// names are the ClusterTasks that are referred to, namespace the one from
	// which they are; found says that the object looked at does so.
	names     map[string]bool
	namespace string
	found     bool
}

// in notes a namespace; false if there was another one before.
func (m *moving) in(namespace string) bool {
	same := m.namespace == "" || m.namespace == namespace
	m.namespace = namespace
	return same
}

// add puts a patch of an object on the list.
func (m *moving) add(o, patch map[string]any) bool {
	raw, err := json.Marshal(patch)
	m.patches = append(m.patches, scenario.ManifestPatch{Kind: tree.Text(o, "kind"), Name: tree.Name(o), Patch: raw})
	return err == nil
}

// replaced returns a copy of a part of an object in which references to ClusterTasks
// are references to Tasks.
func (m *moving) replaced(v any) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = m.replaced(v[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, field := range v {
			out[k] = m.replaced(field)
		}
		if ref, _ := out["taskRef"].(map[string]any); ref != nil && ref["kind"] == "ClusterTask" {
			ref["kind"] = "Task"
			m.names[tree.Text(ref, "name")], m.found = true, true
		}
		return out
	}
	return v
}

package impact

import (
	"bytes"
	"encoding/json"
	"maps"
	"path"
	"reflect"
	"slices"
	"strings"

	"simctl.dev/simctl/sim/internal/tree"
	"simctl.dev/simctl/sim/scenario"
)

// OneWorkspacePerClaim is the candidate for a cell whose runs bind one claim to
// several workspaces: the tasks use the first of them alone. False if no run does
// that, or if it cannot be told apart from another run of the same Pipeline.
func OneWorkspacePerClaim(cell scenario.Cell) (Candidate, bool) {
	overrides := cell.Spec.Workload.Overrides
	if overrides.Claim != "" {
		// Claims turn into templates or back after patches: then the objects are
		// not those that a patch meets.
		return Candidate{}, false
	}
	objects := decodeAll(cell.Objects)
	m := merging{patches: slices.Clone(overrides.Patches), pipelines: map[string]map[string]joined{}, named: map[string]map[string]any{}}
	for _, o := range objects {
		if tree.Tekton(o, "PipelineRun") && !m.run(o, objects) {
			return Candidate{}, false
		}
	}
	if len(m.said) == 0 {
		return Candidate{}, false
	}
	patch, err := json.Marshal(map[string]any{"workload": map[string]any{"overrides": map[string]any{"patches": m.patches}}})
	if err != nil {
		return Candidate{}, false
	}
	const name = "one-workspace-per-claim"
	return Candidate{Name: name, Cost: CostRun, What: "one workspace for each claim: " + strings.Join(m.said, ", "),
		Value: scenario.Value{Name: name, Patch: patch}}, true
}

// joined is where a workspace of a run is to be found after the change.
type joined struct {
	workspace string
	// subPath is the folder of the claim that the workspace was bound to, for
	// workspaces that are bound to different ones.
	subPath string
}

// merging collects the patches of a candidate.
type merging struct {
	patches []scenario.ManifestPatch
	said    []string
	// pipelines are the changes by Pipeline, named the patches by kind and name:
	// what is shared must be changed alike.
	pipelines map[string]map[string]joined
	named     map[string]map[string]any
}

// run makes the patches of one run. False if they contradict another's.
func (m *merging) run(o map[string]any, objects []map[string]any) bool {
	bindings, to := joinedBindings(items(o, "spec", "workspaces"))
	spec := map[string]any{"workspaces": bindings}
	if inline, ok := tree.Get(o, "spec", "pipelineSpec").(map[string]any); ok {
		if len(to) > 0 {
			spec["pipelineSpec"] = joinedPipeline(inline, to)
		}
	} else {
		name := tree.Text(o, "spec", "pipelineRef", "name")
		if before, met := m.pipelines[name]; met && !maps.Equal(before, to) {
			return false
		}
		m.pipelines[name] = to
		i := slices.IndexFunc(objects, func(p map[string]any) bool { return tree.Tekton(p, "Pipeline") && tree.Name(p) == name })
		if len(to) > 0 && i < 0 {
			return false // fetched from somewhere else
		}
		if len(to) > 0 {
			was, _ := tree.Get(objects[i], "spec").(map[string]any)
			if !m.add("Pipeline", name, joinedPipeline(was, to)) {
				return false
			}
		}
	}
	if len(to) == 0 {
		return m.keep("PipelineRun", tree.Name(o))
	}
	for _, gone := range slices.Sorted(maps.Keys(to)) {
		if j := to[gone]; j.workspace != gone {
			if line := j.workspace + " in place of " + gone; !slices.Contains(m.said, line) {
				m.said = append(m.said, line)
			}
		}
	}
	return m.add("PipelineRun", tree.Name(o), spec)
}

// add puts a patch of a spec on the list, once. False if that name has another.
func (m *merging) add(kind, name string, spec map[string]any) bool {
	key := kind + "\x00" + name
	if had, met := m.named[key]; met {
		return had != nil && reflect.DeepEqual(had, spec)
	}
	m.named[key] = spec
	patch, err := json.Marshal(map[string]any{"spec": spec})
	if err != nil {
		return false
	}
	m.patches = append(m.patches, scenario.ManifestPatch{Kind: kind, Name: name, Patch: patch})
	return true
}

// keep notes that an object of that name stays as it is. False if another is to
// change: a patch would meet both.
func (m *merging) keep(kind, name string) bool {
	key := kind + "\x00" + name
	had, met := m.named[key]
	if !met {
		m.named[key] = nil
	}
	return !met || had == nil
}

// joinedBindings leaves one binding for each claim, and says where the
// workspaces of the others are then.
func joinedBindings(bindings []map[string]any) ([]any, map[string]joined) {
	byClaim := map[string][]map[string]any{}
	for _, b := range bindings {
		if claim := tree.Text(b, "persistentVolumeClaim", "claimName"); claim != "" {
			byClaim[claim] = append(byClaim[claim], b)
		}
	}
	out, to := []any{}, map[string]joined{}
	for _, b := range bindings {
		claim := tree.Text(b, "persistentVolumeClaim", "claimName")
		same := byClaim[claim]
		if len(same) < 2 {
			out = append(out, b)
			continue
		}
		first := same[0]
		oneFolder := !slices.ContainsFunc(same, func(s map[string]any) bool { return tree.Text(s, "subPath") != tree.Text(first, "subPath") })
		j := joined{workspace: tree.Text(first, "name")}
		if !oneFolder {
			j.subPath = tree.Text(b, "subPath")
		}
		if name := tree.Text(b, "name"); name != j.workspace || j.subPath != "" {
			to[name] = j
		}
		if reflect.DeepEqual(b, first) {
			kept := maps.Clone(first)
			if !oneFolder {
				delete(kept, "subPath")
			}
			source := maps.Clone(tree.Get(first, "persistentVolumeClaim").(map[string]any)) //nolint:forcetypeassert // it has a claimName
			if slices.ContainsFunc(same, func(s map[string]any) bool { return tree.Get(s, "persistentVolumeClaim", "readOnly") != true }) {
				delete(source, "readOnly")
			}
			kept["persistentVolumeClaim"] = source
			out = append(out, kept)
		}
	}
	return out, to
}

// joinedPipeline returns what changes of a Pipeline's spec.
func joinedPipeline(spec map[string]any, to map[string]joined) map[string]any {
	out := map[string]any{}
	var declared []any
	for _, w := range items(spec, "workspaces") {
		if j, ok := to[tree.Text(w, "name")]; !ok || j.workspace == tree.Text(w, "name") {
			declared = append(declared, w)
		}
	}
	out["workspaces"] = declared
	for _, list := range []string{"tasks", "finally"} {
		var tasks []any
		for _, task := range items(spec, list) {
			task = maps.Clone(task)
			var used []any
			for _, w := range items(task, "workspaces") {
				of := tree.Text(w, "workspace")
				if of == "" {
					of = tree.Text(w, "name")
				}
				if j, ok := to[of]; ok {
					w = maps.Clone(w)
					w["workspace"] = j.workspace
					if j.subPath != "" {
						w["subPath"] = path.Join(j.subPath, tree.Text(w, "subPath"))
					}
				}
				used = append(used, w)
			}
			if len(used) > 0 {
				task["workspaces"] = used
			}
			tasks = append(tasks, task)
		}
		if len(tasks) > 0 {
			out[list] = tasks
		}
	}
	return out
}

// decodeAll decodes objects, numbers as they are written. What is none is left
// out: a scenario's cells hold objects only.
func decodeAll(raw []json.RawMessage) []map[string]any {
	var out []map[string]any
	for _, r := range raw {
		dec := json.NewDecoder(bytes.NewReader(r))
		dec.UseNumber()
		var o map[string]any
		if dec.Decode(&o) == nil {
			out = append(out, o)
		}
	}
	return out
}

func items(o map[string]any, path ...string) []map[string]any {
	var out []map[string]any
	for _, v := range tree.List(o, path...) {
		if m, ok := v.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

package recording

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// excused are fields of last states that are made up on each cluster, or told of
// something that is compared by itself. "*" is any one step of a path.
var excused = [][]string{
	{"apiVersion"}, {"kind"},
	{"metadata", "uid"}, {"metadata", "resourceVersion"}, {"metadata", "generation"}, {"metadata", "namespace"}, {"metadata", "managedFields"},
	{"metadata", "annotations", "pipeline.tekton.dev/release"},
	{"metadata", "ownerReferences", "*", "uid"},
	// Which pods share a node is compared by itself.
	{"spec", "nodeName"}, {"metadata", "annotations", "volume.kubernetes.io/selected-node"}, {"metadata", "annotations", "csi.alpha.kubernetes.io/node-id"},
	{"status", "hostIP"}, {"status", "hostIPs"}, {"status", "podIP"}, {"status", "podIPs"},
	// Names of images.
	{"spec", "template", "spec", "containers", "*", "image"},
	{"spec", "containers", "*", "image"}, {"spec", "initContainers", "*", "image"},
	{"status", "containerStatuses", "*", "image"}, {"status", "containerStatuses", "*", "imageID"},
	{"status", "initContainerStatuses", "*", "image"}, {"status", "initContainerStatuses", "*", "imageID"},
	{"status", "steps", "*", "imageID"}, {"status", "sidecars", "*", "imageID"},
	{"status", "retriesStatus", "*", "steps", "*", "imageID"}, {"status", "retriesStatus", "*", "sidecars", "*", "imageID"},
	// How often an object was written is told by Kubernetes and by Tekton.
	{"status", "observedGeneration"}, {"status", "conditions", "*", "observedGeneration"},
	{"spec", "claimRef", "uid"}, {"spec", "claimRef", "namespace"}, {"spec", "claimRef", "resourceVersion"},
	{"spec", "csi", "volumeAttributes"}, {"spec", "csi", "volumeHandle"},
}

// toldBefore are fields of pods and runs whose every value is compared by itself.
var toldBefore = [][]string{
	{"status", "conditions", "*", "status"}, {"status", "conditions", "*", "reason"}, {"status", "conditions", "*", "message"},
}

// fields compares the last states.
func (c *comparison) fields() {
	for _, of := range unionOf(c.real.finals, c.simulated.finals) {
		recorded, simulated := c.real.finals[of], c.simulated.finals[of]
		switch {
		case recorded == nil:
			c.differ(DifferentField, "%s: %s", of, onlySimulated)
		case simulated == nil:
			c.differ(DifferentField, "%s: %s", of, onlyReal)
		default:
			if c.real.gone[of] && c.simulated.gone[of] {
				// A watch shows an object that goes with its finalizers or without.
				recorded, simulated = withoutFinalizers(recorded), withoutFinalizers(simulated)
			}
			c.values(of, nil, recorded, simulated)
		}
	}
}

func withoutFinalizers(object map[string]any) map[string]any {
	metadata, _ := object["metadata"].(map[string]any)
	metadata, object = maps.Clone(metadata), maps.Clone(object)
	delete(metadata, "finalizers")
	object["metadata"] = metadata
	return object
}

// values compares two values at a path of an object.
func (c *comparison) values(of string, path []string, recorded, simulated any) {
	skip := func(p []string) bool { return matches(p, path) }
	if slices.ContainsFunc(excused, skip) || sequenced(of) && slices.ContainsFunc(toldBefore, skip) {
		return
	}
	at := func() string { return of + ": " + strings.Join(path, ".") }
	r, s := keyed(recorded), keyed(simulated)
	switch {
	case empty(recorded) && empty(simulated):
	case empty(simulated):
		c.differ(DifferentField, "%s: %s", at(), onlyReal)
	case empty(recorded):
		c.differ(DifferentField, "%s: %s", at(), onlySimulated)
	case r != nil && s != nil:
		for _, name := range c.unionOf(r, s) {
			c.values(of, append(slices.Clip(path), name), c.real.get(r, name), c.simulated.get(s, name))
		}
	default:
		if a, b := c.real.value(recorded), c.simulated.value(simulated); a != b {
			c.differ(DifferentField, "%s: %s, in simctl %s", at(), a, b)
		}
	}
}

// sequenced says whether the conditions of an object are compared one after the
// other.
func sequenced(of string) bool {
	kind, _, _ := strings.Cut(of, " ")
	return kind == "Pod" || kind == "TaskRun" || kind == "PipelineRun"
}

// unionOf returns the names that one of two mappings has, cleaned.
func (c *comparison) unionOf(recorded, simulated map[string]any) []string {
	all := map[string]bool{}
	for name := range recorded {
		all[c.real.clean(name)] = true
	}
	for name := range simulated {
		all[c.simulated.clean(name)] = true
	}
	return slices.Sorted(maps.Keys(all))
}

// get returns what stands under a cleaned name.
func (n *normal) get(m map[string]any, cleaned string) any {
	if v, ok := m[cleaned]; ok {
		return v
	}
	for name, v := range m {
		if n.clean(name) == cleaned {
			return v
		}
	}
	return nil
}

// value writes a value without what is made up.
func (n *normal) value(v any) string {
	if s, ok := v.(string); ok {
		return strconv.Quote(n.clean(s))
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return n.clean(string(raw))
}

// keyed returns a mapping, or a list as one: by what names its items, or their
// places. It is nil for anything else.
func keyed(v any) map[string]any {
	switch x := v.(type) {
	case map[string]any:
		return x
	case []any:
		out := map[string]any{}
		for i, item := range x {
			out[keyOf(x, i)] = item
		}
		return out
	}
	return nil
}

// keyOf names an item of a list.
func keyOf(items []any, i int) string {
	m, ok := items[i].(map[string]any)
	if !ok {
		return fmt.Sprintf("[%d]", i)
	}
	for _, key := range []string{"name", "type", "mountPath"} {
		name, ok := m[key].(string)
		unique := ok && !slices.ContainsFunc(items[:i], func(other any) bool {
			o, _ := other.(map[string]any)
			return o[key] == name
		})
		if unique {
			return "[" + name + "]"
		}
	}
	return fmt.Sprintf("[%d]", i)
}

func matches(pattern, path []string) bool {
	if len(pattern) != len(path) {
		return false
	}
	for i, p := range pattern {
		if p != "*" && p != path[i] {
			return false
		}
	}
	return true
}

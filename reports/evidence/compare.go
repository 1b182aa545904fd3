package evidence

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"sort"
	"strings"

	"sigs.k8s.io/yaml"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/wellknown"
)

// notSet shows that something is not there.
const notSet = "(not set)"

// tektonConfigFields are the keys of feature-flags for which TektonConfig has a
// field in spec.pipeline (PipelineProperties of tektoncd/operator); the operator
// takes others by spec.pipeline.options.
var tektonConfigFields = []string{
	"await-sidecar-readiness", "coschedule", "disable-affinity-assistant", "disable-creds-init", "disable-inline-spec",
	"embedded-status", "enable-api-fields", "enable-cel-in-whenexpression", "enable-custom-tasks", "enable-param-enum",
	"enable-provenance-in-status", "enable-step-actions", "enforce-nonfalsifiability", "keep-pod-on-cancel",
	"max-result-size", "require-git-ssh-secret-known-hosts", "results-from",
	"running-in-environment-with-injected-sidecars", "send-cloudevents-for-runs", "set-security-context",
	"trusted-resources-verification-no-match-policy",
}

// delta is how two cells differ.
type delta struct {
	// flags and defaults are key -> before, after.
	flags, defaults map[string][2]string
	version         *[2]string
	objects         []objectDelta
	// cluster, machines and events are those of the scenario: what there is, how long
	// tasks take, what is done in the middle of the runs.
	cluster, machines, events pairOf
}

// pairOf is a part of the scenario in both cells.
type pairOf struct{ before, after map[string]any }

func (p pairOf) same() bool { return reflect.DeepEqual(p.before, p.after) }

// pruned is both as YAML, without the fields that are equal.
func (p pairOf) pruned() (before, after string) {
	d := history.MergePatch(p.before, p.after)
	return asYAML(along(p.before, d)), asYAML(along(p.after, d))
}

type objectDelta struct {
	kind, name, namespace string
	patch                 map[string]any
	before, after         map[string]any
}

// compare returns how two cells differ. Either may be nil.
func compare(a, b *scenario.Cell) delta {
	var d delta
	if a == nil || b == nil {
		return d
	}
	d.flags = differ(a.Spec.Tekton.Flags, b.Spec.Tekton.Flags)
	d.defaults = differ(a.Spec.Tekton.Defaults, b.Spec.Tekton.Defaults)
	if a.Spec.Tekton.Version != b.Spec.Tekton.Version {
		d.version = &[2]string{a.Spec.Tekton.Version, b.Spec.Tekton.Version}
	}
	d.cluster = pairOf{asMap(a.Spec.Cluster), asMap(b.Spec.Cluster)}
	d.machines = pairOf{asMap(a.Spec.Workload.Tasks), asMap(b.Spec.Workload.Tasks)}
	d.events = pairOf{asMap(map[string]any{"interventions": a.Spec.Interventions}), asMap(map[string]any{"interventions": b.Spec.Interventions})}
	theirs := objects(b)
	mine := objects(a)
	for _, k := range keys(mine, theirs) {
		x, y := mine[k], theirs[k]
		if reflect.DeepEqual(x, y) {
			continue
		}
		o := x
		if o == nil {
			o = y
		}
		kind, _ := o["kind"].(string)
		name, namespace := nameOf(o)
		d.objects = append(d.objects, objectDelta{kind: kind, name: name, namespace: namespace,
			patch: history.MergePatch(x, y), before: x, after: y})
	}
	return d
}

func nameOf(o map[string]any) (name, namespace string) {
	m, _ := o["metadata"].(map[string]any)
	name, _ = m["name"].(string)
	if name == "" {
		name, _ = m["generateName"].(string)
	}
	namespace, _ = m["namespace"].(string)
	return name, namespace
}

// objects returns a cell's objects by kind, name and how often that was met.
func objects(c *scenario.Cell) map[string]map[string]any {
	out := map[string]map[string]any{}
	for _, raw := range c.Objects {
		var o map[string]any
		if json.Unmarshal(raw, &o) != nil {
			continue
		}
		name, namespace := nameOf(o)
		for n := 0; ; n++ {
			k := fmt.Sprintf("%v\x00%s\x00%s\x00%d", o["kind"], namespace, name, n)
			if _, met := out[k]; !met {
				out[k] = o
				break
			}
		}
	}
	return out
}

func keys[V any](a, b map[string]V) []string {
	var out []string
	for k := range a {
		out = append(out, k)
	}
	for k := range b {
		if _, ok := a[k]; !ok {
			out = append(out, k)
		}
	}
	sort.Strings(out)
	return out
}

// differ returns the keys whose values differ; a key that is not there, or whose
// value is the scenario's word for that, is "".
func differ(a, b map[string]string) map[string][2]string {
	out := map[string][2]string{}
	value := func(m map[string]string, k string) string {
		if v := m[k]; v != "absent" {
			return v
		}
		return ""
	}
	for _, k := range keys(a, b) {
		if x, y := value(a, k), value(b, k); x != y {
			out[k] = [2]string{x, y}
		}
	}
	return out
}

// along returns the part of an object that a patch speaks of: what stood there.
func along(o, patch map[string]any) map[string]any {
	out := map[string]any{}
	for k, v := range patch {
		old, had := o[k]
		if !had {
			continue
		}
		below, ok := v.(map[string]any)
		x, isMap := old.(map[string]any)
		if ok && isMap {
			if part := along(x, below); len(part) > 0 {
				out[k] = part
			}
			continue
		}
		out[k] = old
	}
	return out
}

func asMap(v any) map[string]any {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	var out map[string]any
	if json.Unmarshal(raw, &out) != nil {
		return nil
	}
	return out
}

func asYAML(v any) string {
	if m, ok := v.(map[string]any); ok && len(m) == 0 {
		return notSet + "\n"
	}
	raw, err := yaml.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(raw)
}

func asJSON(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(raw)
}

// tektonConfigPatch returns the merge patch of TektonConfig that sets flags to
// their values before or after; nil takes a field out.
func tektonConfigPatch(flags map[string][2]string, which int) map[string]any {
	fields, data := map[string]any{}, map[string]any{}
	for k, v := range flags {
		switch {
		case !slices.Contains(tektonConfigFields, k):
			data[k] = valueOrNil(v[which])
		case v[which] == "true" || v[which] == "false":
			fields[k] = v[which] == "true"
		default:
			fields[k] = valueOrNil(v[which])
		}
	}
	if len(data) > 0 {
		fields["options"] = map[string]any{"configMaps": map[string]any{wellknown.FeatureFlags: map[string]any{"data": data}}}
	}
	return map[string]any{"spec": map[string]any{"pipeline": fields}}
}

func configMapPatch(flags map[string][2]string, which int) map[string]any {
	data := map[string]any{}
	for k, v := range flags {
		data[k] = valueOrNil(v[which])
	}
	return map[string]any{"data": data}
}

func valueOrNil(v string) any {
	if v == "" {
		return nil
	}
	return v
}

// quote puts a word into single quotes for a shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

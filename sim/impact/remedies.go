package impact

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"

	"simctl.dev/simctl/sim/internal/tree"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/verdict"
	"simctl.dev/simctl/sim/wellknown"
)

// Fitting returns those of the candidates that the rules of a chain name, in their order,
// and those that are made for the cell at hand: its own time-outs, pod templates, retries
// and quotas. A chain of before there were rules takes every candidate.
func Fitting(known []Candidate, cell scenario.Cell, chain []verdict.Link) []Candidate {
	kinds := map[verdict.Remedy]bool{verdict.ChangeRelease: true}
	ruled := false
	for _, id := range ruleIDs(chain) {
		rule, ok := verdict.RuleOf(id)
		ruled = ruled || ok
		for _, r := range rule.Remedies {
			kinds[r] = true
		}
	}
	if !ruled {
		return known
	}
	var out []Candidate
	for _, c := range append(slices.Clone(known), ofCell(cell)...) {
		if kinds[c.Kind] || c.Kind == "" {
			out = append(out, c)
		}
	}
	slices.SortStableFunc(out, func(a, b Candidate) int { return int(a.Cost) - int(b.Cost) })
	return out
}

// ofCell makes the candidates that depend on what the cell's manifests say.
func ofCell(cell scenario.Cell) []Candidate {
	var out []Candidate
	add := func(kind verdict.Remedy, cost Cost, name, what string, patches ...scenario.ManifestPatch) {
		if len(patches) == 0 {
			return
		}
		all := append(slices.Clone(cell.Spec.Workload.Overrides.Patches), patches...)
		patch, err := json.Marshal(map[string]any{"workload": map[string]any{"overrides": map[string]any{"patches": all}}})
		if err != nil {
			return
		}
		out = append(out, Candidate{Name: name, Kind: kind, Cost: cost, What: what, Value: scenario.Value{Name: name, Patch: patch}})
	}
	var without, longer, handed, doubled, noAffinity, noSelector, noSpecs, noAnnotation, retries, quotas, priorities, finalizers []scenario.ManifestPatch
	objects := decodeAll(cell.Objects)
	class := highestPriority(objects)
	for _, o := range objects {
		spec := tree.Map(o, "spec")
		put := func(list *[]scenario.ManifestPatch, patch map[string]any) {
			raw, err := json.Marshal(patch)
			if err == nil {
				*list = append(*list, scenario.ManifestPatch{Kind: tree.Text(o, "kind"), Name: tree.Name(o), Patch: raw})
			}
		}
		switch {
		case tree.Tekton(o, "PipelineRun"):
			of := func(part string) time.Duration { return length(tree.Text(spec, "timeouts", part)) }
			tasks, finally, pipeline := of("tasks"), of("finally"), of("pipeline")
			if tasks > 0 {
				put(&without, inSpec("timeouts", map[string]any{"tasks": nil}))
			}
			if tasks > 0 && finally > 0 {
				put(&longer, inSpec("timeouts", map[string]any{"tasks": (tasks + finally).String(), "pipeline": max(pipeline, tasks+2*finally).String()}))
			}
			if pipeline > 0 {
				put(&handed, inSpec("timeouts", map[string]any{"tasks": pipeline.String(), "finally": nil}))
				put(&doubled, inSpec("timeouts", map[string]any{"pipeline": (2 * pipeline).String()}))
			}
			pod := tree.Map(o, podTemplate(o)...)
			if pod["affinity"] != nil {
				put(&noAffinity, inPodTemplate(o, "affinity", nil))
			}
			if pod["nodeSelector"] != nil {
				put(&noSelector, inPodTemplate(o, "nodeSelector", nil))
			}
			if class != "" && pod["priorityClassName"] != class {
				put(&priorities, inPodTemplate(o, "priorityClassName", class))
			}
			if spec["taskRunSpecs"] != nil {
				put(&noSpecs, inSpec("taskRunSpecs", nil))
			}
			if tree.Get(o, "metadata", "annotations", wellknown.AssistantAnnotation) != nil {
				put(&noAnnotation, map[string]any{"metadata": map[string]any{"annotations": map[string]any{wellknown.AssistantAnnotation: nil}}})
			}
			if tasks := oneMoreTry(tree.List(spec, "pipelineSpec", "tasks")); tasks != nil {
				put(&retries, inSpec("pipelineSpec", map[string]any{"tasks": tasks}))
			}
		case tree.Tekton(o, "Pipeline"):
			if tasks := oneMoreTry(tree.List(spec, "tasks")); tasks != nil {
				put(&retries, inSpec("tasks", tasks))
			}
		case tree.Text(o, "kind") == "PersistentVolumeClaim":
			if len(tree.List(o, "metadata", "finalizers")) > 0 {
				put(&finalizers, map[string]any{"metadata": map[string]any{"finalizers": nil}})
			}
		case tree.Text(o, "kind") == "ResourceQuota":
			if hard := twice(tree.Map(spec, "hard")); hard != nil {
				put(&quotas, inSpec("hard", hard))
			}
		}
	}
	add(verdict.ChangeTimeout, CostRun, "no-tasks-timeout", "no time-out for the tasks alone (timeouts.tasks left out)", without...)
	add(verdict.ChangeTimeout, CostRun, "tasks-timeout-with-finally", "timeouts.tasks as long as tasks and finally tasks together", longer...)
	add(verdict.ChangeTimeout, CostRun, "tasks-timeout-as-pipeline", "timeouts.tasks as long as timeouts.pipeline, handed down from 1.11 on", handed...)
	add(verdict.ChangeTimeout, CostRun, "pipeline-timeout-doubled", "timeouts.pipeline twice as long", doubled...)
	add(verdict.ChangePodTemplate, CostRun, "no-affinity", "no affinity in the PipelineRun's podTemplate", noAffinity...)
	add(verdict.ChangePodTemplate, CostRun, "no-node-selector", "no nodeSelector in the PipelineRun's podTemplate", noSelector...)
	add(verdict.ChangePodTemplate, CostRun, "no-task-run-specs", "no taskRunSpecs in the PipelineRun", noSpecs...)
	add(verdict.ChangePriority, CostRun, "highest-priority", "the priority class "+class+", the highest of the workload's, in the PipelineRun's podTemplate", priorities...)
	add(verdict.ChangeManifest, CostRun, "no-assistant-annotation", "the PipelineRun without the annotation "+wellknown.AssistantAnnotation, noAnnotation...)
	add(verdict.ChangeRetries, CostRun, "one-retry-more", "one retry more for every task", retries...)
	add(verdict.ChangeQuota, CostGrant, "quota-doubled", "every ResourceQuota of the workload doubled", quotas...)
	add(verdict.ChangeFinalizer, CostStorage, "no-claim-finalizers", "the workload's claims without finalizers of their own", finalizers...)
	if cell.Spec.Tekton.Defaults[defaultTimeout] == "" {
		out = append(out, Candidate{Name: "default-timeout-240", Kind: verdict.ChangeTimeout, Cost: CostFlag, What: defaultTimeout + " of config-defaults set to 240",
			Value: scenario.Value{Name: "default-timeout-240", Patch: json.RawMessage(`{"tekton":{"defaults":{"` + defaultTimeout + `":"240"}}}`)}})
	}
	return out
}

const (
	defaultTimeout = "default-timeout-minutes"
)

func inSpec(field string, v any) map[string]any {
	return map[string]any{"spec": map[string]any{field: v}}
}

// podTemplate is where a PipelineRun has the template of its pods.
func podTemplate(run map[string]any) []string {
	if strings.HasSuffix(tree.Text(run, "apiVersion"), "/v1beta1") {
		return []string{"spec", "podTemplate"}
	}
	return []string{"spec", "taskRunTemplate", "podTemplate"}
}

// inPodTemplate is a merge patch of a field of a PipelineRun's podTemplate.
func inPodTemplate(run map[string]any, field string, v any) map[string]any {
	out := map[string]any{field: v}
	for _, at := range slices.Backward(podTemplate(run)) {
		out = map[string]any{at: out}
	}
	return out
}

// highestPriority names the PriorityClass of the highest value among objects; empty if
// there is none.
func highestPriority(objects []map[string]any) string {
	name, highest := "", int64(0)
	for _, o := range objects {
		if tree.Text(o, "kind") != "PriorityClass" {
			continue
		}
		n, _ := tree.Get(o, "value").(json.Number)
		if value, err := n.Int64(); err == nil && (name == "" || value > highest) {
			name, highest = tree.Name(o), value
		}
	}
	return name
}

// length is a time-out's length; 0 if it is not set, or none.
func length(s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0
	}
	return d
}

// oneMoreTry is a list of tasks with one retry more each: a merge patch replaces lists
// whole.
func oneMoreTry(list []any) []any {
	var out []any
	for _, t := range list {
		m, ok := t.(map[string]any)
		if !ok {
			return nil
		}
		m = maps.Clone(m)
		have, _ := m["retries"].(json.Number)
		n, _ := have.Int64() // 0 where there is none
		m["retries"] = n + 1
		out = append(out, m)
	}
	return out
}

// twice doubles the quantities of a quota; nil if there are none.
func twice(hard map[string]any) map[string]any {
	out := map[string]any{}
	for _, k := range slices.Sorted(maps.Keys(hard)) {
		q, err := resource.ParseQuantity(strings.TrimSpace(fmt.Sprint(hard[k])))
		if err != nil {
			return nil
		}
		q.Add(q.DeepCopy())
		out[k] = q.String()
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

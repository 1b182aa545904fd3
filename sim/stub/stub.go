package stub

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"simctl.dev/simctl/sim/demand"
	"simctl.dev/simctl/sim/internal/tree"
)

// Annotation marks an object that was made up; its value says for whom.
const Annotation = "simctl.dev/made-up"

// Value is what stands where a value is made up.
const Value = "made-up"

// Image is that of made-up steps.
const Image = "registry.access.redhat.com/ubi9/ubi-minimal"

// Stub stands for an object that is missing.
type Stub struct {
	Kind, Namespace, Name string
	// By are who refers to the object, in the order of the runs.
	By []string
	// Resolver is the resolver by which it would be fetched, if any.
	Resolver string
	// Object is the manifest, as decoded JSON.
	Object map[string]any
}

// String names the stub.
func (s *Stub) String() string { return s.Kind + " " + s.Name }

// kinds are those that are made up, in the order in which they are needed.
var kinds = []string{
	"ServiceAccount", "Secret", "ConfigMap", "PersistentVolumeClaim", "StepAction", "ClusterTask", "Task", "Pipeline",
}

// Made says whether an object was made up.
func Made(object map[string]any) bool {
	return tree.Text(object, "metadata", "annotations", Annotation) != ""
}

// Of returns a stub for each object that references need and that is not given, by kind
// and name. The ServiceAccount `pipeline` is left out where the cluster has it.
func Of(references []demand.Reference, hasPipelineAccount bool) []Stub {
	type id struct{ kind, namespace, name string }
	groups := map[id][]demand.Reference{}
	for _, r := range references {
		switch {
		case r.Given || r.Optional || !slices.Contains(kinds, r.Kind):
			continue
		case r.Kind == "ServiceAccount" && r.Name == "pipeline" && hasPipelineAccount:
			continue
		case len(validation.IsDNS1123Subdomain(r.Name)) > 0:
			// No object can have this name.
			continue
		}
		key := id{r.Kind, r.Namespace, r.Name}
		groups[key] = append(groups[key], r)
	}
	var out []Stub
	for _, key := range slices.SortedFunc(maps.Keys(groups), func(a, b id) int {
		if d := slices.Index(kinds, a.kind) - slices.Index(kinds, b.kind); d != 0 {
			return d
		}
		if d := strings.Compare(a.namespace, b.namespace); d != 0 {
			return d
		}
		return strings.Compare(a.name, b.name)
	}) {
		s := Stub{Kind: key.kind, Namespace: key.namespace, Name: key.name}
		var uses []demand.Use
		for _, r := range groups[key] {
			uses = append(uses, r.Use)
			if !slices.Contains(s.By, r.By) {
				s.By = append(s.By, r.By)
			}
			if r.Resolver != "" {
				s.Resolver = r.Resolver
			}
		}
		s.Object = object(&s, demand.Join(uses))
		out = append(out, s)
	}
	return out
}

func object(s *Stub, use demand.Use) map[string]any {
	meta := map[string]any{
		"name":        s.Name,
		"annotations": map[string]any{Annotation: "for " + Who(s.By)},
	}
	if s.Namespace != "" {
		meta["namespace"] = s.Namespace
	}
	o := map[string]any{"apiVersion": "v1", "kind": s.Kind, "metadata": meta}
	switch s.Kind {
	case "Secret":
		o["type"] = "Opaque"
		if use.SecretType != "" {
			o["type"] = use.SecretType
		}
		if len(use.Keys) > 0 {
			o["stringData"] = contents(use.Keys)
		}
	case "ConfigMap":
		if len(use.Keys) > 0 {
			o["data"] = contents(use.Keys)
		}
	case "PersistentVolumeClaim":
		o["spec"] = ClaimSpec()
	case "StepAction":
		o["apiVersion"] = "tekton.dev/v1beta1"
		spec := map[string]any{"image": Image, "script": script(s, use.Results, "step.results")}
		inputs(spec, use)
		o["spec"] = spec
	case "Task", "ClusterTask":
		o["apiVersion"] = "tekton.dev/v1"
		if s.Kind == "ClusterTask" {
			o["apiVersion"] = "tekton.dev/v1beta1"
		}
		spec := body(s, use.Results)
		inputs(spec, use)
		workspaces(spec, use)
		o["spec"] = spec
	case "Pipeline":
		o["apiVersion"] = "tekton.dev/v1"
		o["spec"] = pipeline(s, use)
	}
	return o
}

// Who names those of a list, the first of them where there are more than two.
func Who(names []string) string {
	if len(names) > 2 {
		return fmt.Sprintf("%s and %d others", names[0], len(names)-1)
	}
	return strings.Join(names, " and ")
}

// ClaimSpec is that of a claim of which nothing is known.
func ClaimSpec() map[string]any {
	return map[string]any{
		"accessModes": []any{"ReadWriteOnce"},
		"resources":   map[string]any{"requests": map[string]any{"storage": "10Gi"}},
	}
}

// content is what stands under a key of a made-up Secret or ConfigMap; what is parsed
// by a kubelet or a client must be of the right form.
func content(key string) string {
	switch key {
	case ".dockerconfigjson", "config.json":
		return `{"auths":{}}`
	case ".dockercfg":
		return "{}"
	}
	return Value
}

// contents is what a made-up Secret or ConfigMap holds under some keys.
func contents(keys []string) map[string]any {
	out := map[string]any{}
	for _, k := range keys {
		out[k] = content(k)
	}
	return out
}

// inputs writes the parameters and results of a Task or StepAction.
func inputs(spec map[string]any, use demand.Use) {
	var params []any
	for _, p := range use.Params {
		params = append(params, param(p))
	}
	if params != nil {
		spec["params"] = params
	}
	var results []any
	for _, r := range use.Results {
		one := map[string]any{"name": r.Name, "type": r.Type}
		if r.Type == "object" {
			one["properties"] = properties(r.Properties)
		}
		results = append(results, one)
	}
	if results != nil {
		spec["results"] = results
	}
}

// param declares a parameter. Where not all pass it, it has a default.
func param(p demand.Param) map[string]any {
	one := map[string]any{"name": p.Name, "type": p.Type}
	if p.Type == "object" {
		one["properties"] = properties(p.Properties)
	}
	if p.Optional {
		switch p.Type {
		case "array":
			one["default"] = []any{}
		case "object":
			values := map[string]any{}
			for _, k := range p.Properties {
				values[k] = ""
			}
			one["default"] = values
		default:
			one["default"] = ""
		}
	}
	return one
}

func properties(keys []string) map[string]any {
	out := map[string]any{}
	for _, k := range keys {
		out[k] = map[string]any{"type": "string"}
	}
	return out
}

func workspaces(spec map[string]any, use demand.Use) {
	var list []any
	for _, w := range use.Workspaces {
		one := map[string]any{"name": w.Name}
		if w.Optional {
			one["optional"] = true
		}
		list = append(list, one)
	}
	if list != nil {
		spec["workspaces"] = list
	}
}

// body is the spec of a Task with one step, which writes the results.
func body(s *Stub, results []demand.Result) map[string]any {
	return map[string]any{"steps": []any{map[string]any{"name": "stub", "image": Image, "script": script(s, results, "results")}}}
}

// script does what others can see of the step: it writes the results.
func script(s *Stub, results []demand.Result, variable string) string {
	lines := []string{"#!/bin/sh", "# Made up: the " + s.Kind + " " + s.Name + " was not given.", "set -e"}
	for _, r := range results {
		value := Value
		switch r.Type {
		case "array":
			value = `["` + strings.Join(slices.Repeat([]string{Value}, max(r.Length, 1)), `","`) + `"]`
		case "object":
			var pairs []string
			for _, k := range r.Properties {
				pairs = append(pairs, fmt.Sprintf(`"%s":"%s"`, k, Value))
			}
			value = "{" + strings.Join(pairs, ",") + "}"
		}
		lines = append(lines, fmt.Sprintf("printf '%%s' '%s' > \"$(%s.%s.path)\"", value, variable, r.Name))
	}
	return strings.Join(lines, "\n") + "\n"
}

// pipeline is one task for each that the run has settings for, or one.
func pipeline(s *Stub, use demand.Use) map[string]any {
	spec := map[string]any{}
	inputs(spec, demand.Use{Params: use.Params})
	workspaces(spec, use)
	names := use.Tasks
	if len(names) == 0 {
		names = []string{"stub"}
	}
	var tasks []any
	for _, name := range names {
		var results []demand.Result
		if name == names[0] {
			results = use.Results
		}
		task := body(s, results)
		inputs(task, demand.Use{Results: results})
		one := map[string]any{"name": name, "taskSpec": task}
		var bound []any
		for _, w := range use.Workspaces {
			bound = append(bound, map[string]any{"name": w.Name, "workspace": w.Name})
		}
		if bound != nil {
			workspaces(task, use)
			one["workspaces"] = bound
		}
		tasks = append(tasks, one)
	}
	spec["tasks"] = tasks
	var results []any
	for _, r := range use.Results {
		value := any(fmt.Sprintf("$(tasks.%s.results.%s)", names[0], r.Name))
		if r.Type != "string" {
			value = fmt.Sprintf("$(tasks.%s.results.%s[*])", names[0], r.Name)
		}
		results = append(results, map[string]any{"name": r.Name, "type": r.Type, "value": value})
	}
	if results != nil {
		spec["results"] = results
	}
	return spec
}

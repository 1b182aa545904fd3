package node

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// resultType is a declared result.
type resultType struct {
	kind       string
	properties []string
}

// resultsOf gives the results that a step leaves: its own, and with the last
// step the task's.
func (k *Kubelets) resultsOf(ctx context.Context, p *pod, s *container, last bool) []runResult {
	if s.args.fromSidecar {
		return nil // The results sidecar prints them.
	}
	var out []runResult
	if last {
		for _, name := range s.args.results {
			out = append(out, runResult{Key: name, Value: k.resultValue(ctx, p, name, ""), Type: typeTaskResult})
		}
	}
	for _, name := range s.args.stepResults {
		out = append(out, runResult{Key: name, Value: k.resultValue(ctx, p, name, s.step), Type: typeStepResult})
	}
	return out
}

// resultValue gives the model's value of a result, or makes one up that has
// the declared type.
func (k *Kubelets) resultValue(ctx context.Context, p *pod, name, step string) string {
	if raw, ok := k.model(p).Results[name]; ok {
		var text string
		if json.Unmarshal(raw, &text) == nil {
			return text
		}
		var b bytes.Buffer
		if json.Compact(&b, raw) == nil {
			return b.String()
		}
		return string(raw)
	}
	t := k.declaration(ctx, p).results[name]
	if step != "" {
		t = k.declaration(ctx, p).results[step+"/"+name]
	}
	switch t.kind {
	case "array":
		value := []string{p.madeUp(name)}
		for i, n := 1, k.elements(ctx, p, name); i < n; i++ {
			value = append(value, p.madeUp(fmt.Sprintf("%s-%d", name, i)))
		}
		return string(mustJSON(value))
	case "object":
		value := map[string]string{}
		for _, prop := range t.properties {
			value[prop] = p.madeUp(prop)
		}
		return string(mustJSON(value))
	}
	return p.madeUp(name)
}

// indexed finds the elements of array results that a pipeline names.
var indexed = regexp.MustCompile(`\btasks\.([^.$()\s]+)\.results\.([^.$()\s\[]+)\[(\d+)\]`)

// elements is how many elements the pod's Pipeline takes an array result to have at
// least, by the index with which it names them.
func (k *Kubelets) elements(ctx context.Context, p *pod, result string) int {
	run := k.ownerOf(ctx, p, "pipelineruns", labelPipelineRun)
	if run == nil {
		return 1
	}
	spec, _, _ := unstructured.NestedMap(run.Object, "status", "pipelineSpec")
	n := 1
	for _, m := range indexed.FindAllStringSubmatch(string(mustJSON(spec)), -1) {
		if i, err := strconv.Atoi(m[3]); err == nil && m[1] == p.task && m[2] == result && i < maxMadeUp {
			n = max(n, i+1)
		}
	}
	return n
}

// maxMadeUp bounds an array that is made up.
const maxMadeUp = 1000

// madeUp makes a value that looks like what its name says.
func (p *pod) madeUp(name string) string {
	lower := strings.ToLower(name)
	sum := sha256.Sum256([]byte(p.key + "/" + name))
	switch {
	case strings.Contains(lower, "digest"), strings.Contains(lower, "sha256"):
		return "sha256:" + hex.EncodeToString(sum[:])
	case strings.Contains(lower, "commit"), strings.Contains(lower, "revision"):
		return hex.EncodeToString(sum[:20])
	case strings.Contains(lower, "url"), strings.Contains(lower, "uri"):
		return "https://registry.example.com/" + p.task
	}
	return p.task + "-" + name
}

// declared is what a Task says about itself that its pod does not show.
type declared struct {
	// results are by name, those of a step by STEP/NAME.
	results map[string]resultType
	// mountPaths are those of workspaces that are not at /workspace/NAME.
	mountPaths map[string]string
}

// declaration reads the Task of a pod from its TaskRun, once. What cannot be
// read is taken as not declared.
func (k *Kubelets) declaration(ctx context.Context, p *pod) *declared {
	if p.declared != nil {
		return p.declared
	}
	p.declared = &declared{results: map[string]resultType{}, mountPaths: map[string]string{}}
	tr := k.ownerOf(ctx, p, "taskruns", labelTaskRun)
	if tr == nil {
		return p.declared
	}
	spec, _, _ := unstructured.NestedMap(tr.Object, "status", "taskSpec")
	results := func(from map[string]any, prefix string) {
		for _, r := range objects(from, "results") {
			props, _, _ := unstructured.NestedMap(r, "properties")
			p.declared.results[prefix+text(r, "name")] = resultType{kind: text(r, "type"), properties: slices.Sorted(maps.Keys(props))}
		}
	}
	results(spec, "")
	for _, s := range objects(spec, "steps") {
		results(s, text(s, "name")+"/")
	}
	for _, w := range objects(spec, "workspaces") {
		if at := text(w, "mountPath"); at != "" {
			p.declared.mountPaths[text(w, "name")] = at
		}
	}
	return p.declared
}

// ownerOf reads the run that a label of a pod names; nil if there is none to be read.
func (k *Kubelets) ownerOf(ctx context.Context, p *pod, resource, label string) *unstructured.Unstructured {
	name := p.labels[label]
	if k.o.Dynamic == nil || name == "" {
		return nil
	}
	run, err := k.o.Dynamic.Resource(schema.GroupVersionResource{Group: "tekton.dev", Version: "v1", Resource: resource}).
		Namespace(p.namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		k.o.Logger.Error(err, "Reading the run that a pod belongs to", "resource", resource, "name", p.namespace+"/"+name)
		return nil
	}
	return run
}

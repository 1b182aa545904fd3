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

	"github.com/google/cel-go/cel"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/internal/resultref"
	"simctl.dev/simctl/sim/node/internal/entrypoint"
	"simctl.dev/simctl/sim/wellknown"
)

// resultType is a declared result.
type resultType struct {
	kind       string
	properties []string
}

// resultsOf returns the results that a step leaves: its own, and with the last
// step the task's.
func (k *Kubelets) resultsOf(ctx context.Context, p *pod, s *container, last bool) []entrypoint.Result {
	if s.args.ResultsFromSidecar {
		return nil // The results sidecar prints them.
	}
	var out []entrypoint.Result
	if last {
		for _, name := range s.args.Results {
			out = append(out, entrypoint.TaskResult(name, k.resultValue(ctx, p, name, "")))
		}
	}
	for _, name := range s.args.StepResults {
		out = append(out, entrypoint.StepResult(name, k.resultValue(ctx, p, name, s.step)))
	}
	return out
}

// resultValue returns the model's value of a result. Where there is none it makes one up
// that has the declared type and, as far as one value can, lets the tasks run whose
// when expressions read it; the history says that it did.
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
	d := k.declaration(ctx, p)
	key := name
	if step != "" {
		key = step + "/" + name
	}
	value, met := d.madeUp[key]
	if !met {
		value = k.madeUpResult(ctx, p, name, step, d.results[key])
		d.madeUp[key] = value
		k.fact(p, history.FactResultMadeUp, history.MadeUp{Result: name, Step: step, Value: value})
	}
	return value
}

func (k *Kubelets) madeUpResult(ctx context.Context, p *pod, name, step string, t resultType) string {
	var pipeline pipelineSpec
	if step == "" {
		pipeline = k.pipelineOf(ctx, p)
	}
	part := func(made, part string) string {
		return pipeline.passing(made, func(r resultref.Ref) bool {
			return r.Task == p.task && r.Result == name && (r.Part == part || r.Part == "*" && part == "0")
		})
	}
	switch t.kind {
	case "array":
		value := []string{part(p.madeUp(name), "0")}
		for i, n := 1, pipeline.elements(p.task, name); i < n; i++ {
			value = append(value, part(p.madeUp(fmt.Sprintf("%s-%d", name, i)), strconv.Itoa(i)))
		}
		return string(mustJSON(value))
	case "object":
		value := map[string]string{}
		for _, prop := range t.properties {
			value[prop] = part(p.madeUp(prop), prop)
		}
		return string(mustJSON(value))
	}
	return part(p.madeUp(name), "")
}

// pipelineSpec is as much of a Pipeline as reads results.
type pipelineSpec struct {
	whens []whenExpression
	refs  []resultref.Ref
}

// pipelineOf reads the Pipeline of a pod's run; it is empty if there is none.
func (k *Kubelets) pipelineOf(ctx context.Context, p *pod) pipelineSpec {
	var out pipelineSpec
	run := k.ownerOf(ctx, p, "pipelineruns", wellknown.PipelineRunLabel)
	if run == nil {
		return out
	}
	spec, _, _ := unstructured.NestedMap(run.Object, "status", "pipelineSpec")
	out.refs = resultref.Find(string(mustJSON(spec)))
	for _, task := range slices.Concat(objects(spec, "tasks"), objects(spec, "finally")) {
		var whens []whenExpression
		// What does not decode no value can make true.
		if json.Unmarshal(mustJSON(task["when"]), &whens) == nil {
			out.whens = append(out.whens, whens...)
		}
	}
	return out
}

// elements is how many elements the Pipeline takes an array result to have at least,
// by the index with which it names them.
func (s pipelineSpec) elements(task, result string) int {
	n := 1
	for _, r := range s.refs {
		if i, err := strconv.Atoi(r.Part); err == nil && r.Task == task && r.Result == result && i < maxMadeUp {
			n = max(n, i+1)
		}
	}
	return n
}

// passing returns a value for a part of a result with which most of the when expressions
// that read it are true; the one that was made up if it does as well as any.
func (s pipelineSpec) passing(made string, mine func(resultref.Ref) bool) string {
	candidates := []string{made}
	var reading []whenExpression
	for _, w := range s.whens {
		if slices.ContainsFunc(resultref.Find(w.text()), mine) {
			reading = append(reading, w)
			candidates = append(candidates, w.candidates(mine)...)
		}
	}
	best, most := made, -1
	for _, c := range candidates {
		n := 0
		for _, w := range reading {
			if w.replaced(mine, c).isTrue() {
				n++
			}
		}
		if n > most {
			best, most = c, n
		}
	}
	return best
}

// whenExpression is one of a Pipeline's tasks, written as that of a step.
type whenExpression entrypoint.When

// text is all of an expression's text.
func (w whenExpression) text() string {
	return strings.Join(append([]string{w.Input, w.CEL}, w.Values...), "\n")
}

// literal finds the strings and whole numbers in an expression of CEL.
var literal = regexp.MustCompile(`'([^']*)'|"([^"]*)"|\b(\d{1,9})\b`)

// candidates are values that may make an expression true.
func (w whenExpression) candidates(mine func(resultref.Ref) bool) []string {
	var out []string
	for _, m := range literal.FindAllStringSubmatch(w.CEL, -1) {
		out = append(out, m[1]+m[2]+m[3])
		if n, err := strconv.Atoi(m[3]); err == nil {
			out = append(out, strconv.Itoa(n+1), strconv.Itoa(n-1))
		}
	}
	if w.CEL != "" {
		return slices.DeleteFunc(append(out, "true", "false"), func(c string) bool { return strings.Contains(c, "$(") })
	}
	for _, v := range w.Values {
		for _, pair := range [][2]string{{w.Input, v}, {v, w.Input}} {
			if c, ok := fit(pair[0], pair[1], mine); ok {
				out = append(out, c)
			}
		}
	}
	return out
}

// fit returns what a pattern's only reference has to be for the pattern to be a text.
func fit(pattern, text string, mine func(resultref.Ref) bool) (string, bool) {
	refs := resultref.Find(pattern)
	if len(refs) != 1 || !mine(refs[0]) || strings.Contains(text, "$(") {
		return "", false
	}
	before, after, _ := strings.Cut(pattern, refs[0].Text)
	rest, begins := strings.CutPrefix(text, before)
	value, ends := strings.CutSuffix(rest, after)
	return value, begins && ends
}

// replaced puts a value in the place of references.
func (w whenExpression) replaced(mine func(resultref.Ref) bool, value string) whenExpression {
	put := func(text string) string {
		for _, r := range resultref.Find(text) {
			if mine(r) {
				text = strings.ReplaceAll(text, r.Text, value)
			}
		}
		return text
	}
	out := whenExpression{Input: put(w.Input), Operator: w.Operator, CEL: put(w.CEL)}
	for _, v := range w.Values {
		out.Values = append(out.Values, put(v))
	}
	return out
}

// isTrue says whether an expression is known to be true, as Tekton evaluates it
// (pkg/apis/pipeline/v1/when_types.go, EvaluateCEL of its PipelineRun reconciler).
func (w whenExpression) isTrue() bool {
	if strings.Contains(w.text(), "$(") {
		return false // Another result decides too.
	}
	if w.CEL == "" {
		in := slices.Contains(w.Values, w.Input)
		return w.Operator == "in" && in || w.Operator == "notin" && !in
	}
	env, err := cel.NewEnv()
	if err != nil {
		return false
	}
	ast, issues := env.Compile(w.CEL)
	if issues.Err() != nil {
		return false
	}
	program, err := env.Program(ast)
	if err != nil {
		return false
	}
	out, _, err := program.Eval(map[string]any{})
	if err != nil {
		return false
	}
	holds, _ := out.Value().(bool)
	return holds
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
	// madeUp are the values of results that were made up, by name as in results.
	madeUp map[string]string
}

// declaration reads the Task of a pod from its TaskRun, once. What cannot be
// read is taken as not declared.
func (k *Kubelets) declaration(ctx context.Context, p *pod) *declared {
	if p.declared != nil {
		return p.declared
	}
	p.declared = &declared{results: map[string]resultType{}, mountPaths: map[string]string{}, madeUp: map[string]string{}}
	tr := k.ownerOf(ctx, p, "taskruns", wellknown.TaskRunLabel)
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

func mustJSON(v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err) // Only values of this package are given, which marshal.
	}
	return raw
}

// objects returns the objects in a list of an object.
func objects(from map[string]any, field string) []map[string]any {
	list, _, _ := unstructured.NestedSlice(from, field)
	var out []map[string]any
	for _, item := range list {
		if m, ok := item.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

func text(from map[string]any, field string) string {
	s, _, _ := unstructured.NestedString(from, field)
	return s
}

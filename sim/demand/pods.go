package demand

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"simctl.dev/simctl/sim/internal/resolver"
	"simctl.dev/simctl/sim/internal/resultref"
	"simctl.dev/simctl/sim/internal/tree"
)

func (w *walker) taskRef(s scope, ref any, given map[string]any, name string, pipelineTask any, use Use) {
	i, r := w.target(s, ref, "Task")
	r.Use = use
	w.refer(r)
	if i < 0 {
		if resolver.Custom(ref) == "" {
			w.pod(s, nil, name, pipelineTask)
		}
		return
	}
	// A Task that is referred to sees its own parameters alone.
	s.params = nil
	s.at = Place{Object: i, Path: []any{"spec"}}
	s.by = "Task " + tree.Name(w.objects[i])
	w.task(s, tree.Get(w.objects[i], "spec"), given, name, pipelineTask)
}

// task looks at the containers and volumes of a task's pod.
func (w *walker) task(s scope, spec any, given map[string]any, name string, pipelineTask any) {
	s.params = defaults(spec, given, s.params)
	owner := s.by
	for i, v := range tree.List(spec, "volumes") {
		here := s.below("volumes", i)
		here.by = "volume " + tree.Text(v, "name") + " of " + owner
		w.volume(here, v)
	}
	w.environment(s.below("stepTemplate"), tree.Get(spec, "stepTemplate"))
	for i, step := range tree.List(spec, "steps") {
		here := s.below("steps", i)
		here.by = "step " + cmp.Or(tree.Text(step, "name"), strconv.Itoa(i)) + " of " + owner
		w.environment(here, step)
		if ref := tree.Get(step, "ref"); ref != nil {
			w.stepAction(here.below("ref"), ref, step, spec)
		}
	}
	for i, c := range tree.List(spec, "sidecars") {
		here := s.below("sidecars", i)
		here.by = "sidecar " + tree.Text(c, "name") + " of " + owner
		w.environment(here, c)
	}
	w.pod(s, spec, name, pipelineTask)
}

func (w *walker) stepAction(s scope, ref, step, task any) {
	i, r := w.target(s, ref, "StepAction")
	for _, p := range tree.List(step, "params") {
		r.Use.Params = append(r.Use.Params, w.param(p, s, task))
	}
	name := tree.Text(step, "name")
	texts(task, func(text string) {
		// $(steps.S.results.R) is as $(tasks.T.results.R) is.
		for _, f := range resultref.Find(strings.ReplaceAll(text, "$(steps.", "$(tasks.")) {
			if f.Task != name || !strings.Contains(text, "$(steps.") {
				continue
			}
			r.Use.Results = addResult(r.Use.Results, used(f))
		}
	})
	w.refer(r)
	if i < 0 {
		return
	}
	s.at = Place{Object: i, Path: []any{"spec"}}
	s.by = "StepAction " + tree.Name(w.objects[i])
	given := map[string]any{}
	for _, p := range tree.List(step, "params") {
		if v := s.fillAll(tree.Get(p, "value")); v != nil {
			given[tree.Text(p, "name")] = v
		}
	}
	spec := tree.Get(w.objects[i], "spec")
	s.params = defaults(spec, given, nil)
	w.environment(s, spec)
}

// pod says what a task's pod wants. The spec is nil if the Task is not known.
func (w *walker) pod(s scope, spec any, name string, pipelineTask any) {
	r := s.run
	if r == nil {
		return
	}
	p := Pod{Of: "task " + name + " of " + r.name, Run: r.templateAt, Namespace: s.namespace, Account: r.account,
		NodeSelector: map[string]string{}, Requests: map[string]resource.Quantity{}}
	if strings.HasPrefix(r.name, "TaskRun ") {
		p.Of = r.name
	}
	var override any
	placement(&p, r.template, r.templateAt, r.name)
	for i, t := range r.tasks {
		if tree.Text(t, "pipelineTaskName") != name {
			continue
		}
		at := Place{Object: r.place.Object, Path: []any{"spec", "taskRunSpecs", i}}
		p.Account = cmp.Or(tree.Text(t, "serviceAccountName"), tree.Text(t, "taskServiceAccountName"), p.Account)
		for _, field := range []string{"podTemplate", "taskPodTemplate"} {
			if own := tree.Get(t, field); own != nil {
				own := Place{Object: at.Object, Path: append(slices.Clone(at.Path), field)}
				p.Run = own
				placement(&p, tree.Get(t, field), own, r.name)
			}
		}
		override = tree.Get(t, "computeResources")
	}
	if override == nil {
		override = tree.Get(pipelineTask, "computeResources")
	}
	template := tree.Get(spec, "stepTemplate")
	base := resources(template)
	for _, step := range tree.List(spec, "steps") {
		own := resources(step)
		if own == nil {
			own = base
		}
		if override == nil {
			p.add(s, own)
		}
	}
	if override != nil {
		p.add(s, override)
	}
	for _, c := range tree.List(spec, "sidecars") {
		p.add(s, resources(c))
	}
	w.security(&p, s, spec)
	w.out.Pods = append(w.out.Pods, p)
}

// resources are a container's, under the name of either version of the API.
func resources(c any) any {
	if r := tree.Get(c, "computeResources"); r != nil {
		return r
	}
	return tree.Get(c, "resources")
}

// add adds what a container requests. What is limited and not requested is requested.
func (p *Pod) add(s scope, r any) {
	requests := map[string]any{}
	for k, v := range tree.Map(r, "limits") {
		requests[k] = v
	}
	for k, v := range tree.Map(r, "requests") {
		requests[k] = v
	}
	for name, v := range requests {
		text, ok := word(v)
		if ok {
			text, ok = s.fill(text)
		}
		if !ok {
			continue
		}
		q, err := resource.ParseQuantity(text)
		if err != nil {
			continue
		}
		sum := p.Requests[name]
		sum.Add(q)
		p.Requests[name] = sum
	}
}

// word is a plain value as it is written: text, a number, true or false. Mappings and
// lists are none.
func word(v any) (string, bool) {
	switch v.(type) {
	case nil, map[string]any, []any:
		return "", false
	}
	return fmt.Sprint(v), true
}

// placement takes what a pod template says of nodes, and its security context.
func placement(p *Pod, t any, at Place, by string) {
	if m := tree.Map(t, "nodeSelector"); m != nil {
		p.NodeSelector = map[string]string{}
		for k, v := range m {
			if text, ok := word(v); ok {
				p.NodeSelector[k] = text
			}
		}
	}
	if l := tree.List(t, "tolerations"); l != nil {
		p.Tolerations = nil
		for _, e := range l {
			p.Tolerations = append(p.Tolerations, Toleration{
				Key: tree.Text(e, "key"), Operator: tree.Text(e, "operator"), Value: tree.Text(e, "value"), Effect: tree.Text(e, "effect"),
			})
		}
	}
	if tree.Get(t, "affinity") != nil {
		p.Terms = nil
		for _, term := range tree.List(t, "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms") {
			var one []Expression
			for _, e := range tree.List(term, "matchExpressions") {
				x := Expression{Key: tree.Text(e, "key"), Operator: tree.Text(e, "operator")}
				for _, v := range tree.List(e, "values") {
					if text, ok := word(v); ok {
						x.Values = append(x.Values, text)
					}
				}
				one = append(one, x)
			}
			p.Terms = append(p.Terms, one)
		}
	}
	sc := tree.Map(t, "securityContext")
	if sc == nil {
		return
	}
	p.Security = nil
	for _, field := range []string{"runAsUser", "fsGroup"} {
		if id := number(sc[field]); id != "" {
			p.Security = append(p.Security, Privilege{Field: field, Value: id, By: by,
				At: Place{Object: at.Object, Path: append(slices.Clone(at.Path), "securityContext", field)}})
		}
	}
}

// number is a number of decoded JSON as text; empty if it is none.
func number(v any) string {
	switch v := v.(type) {
	case json.Number:
		return v.String()
	case float64:
		return strconv.FormatInt(int64(v), 10)
	case int64:
		return strconv.FormatInt(v, 10)
	case int:
		return strconv.Itoa(v)
	}
	return ""
}

// security takes what the containers and volumes of a task want that not every SCC
// allows.
func (w *walker) security(p *Pod, s scope, spec any) {
	container := func(here scope, c any, by string) {
		sc := tree.Map(c, "securityContext")
		want := func(field, value string) {
			p.Security = append(p.Security, Privilege{Field: field, Value: value, By: by, At: here.below("securityContext", field).at})
		}
		if id := number(sc["runAsUser"]); id != "" {
			want("runAsUser", id)
		}
		if is, _ := sc["privileged"].(bool); is {
			want("privileged", "true")
		}
		if is, _ := sc["allowPrivilegeEscalation"].(bool); is {
			want("allowPrivilegeEscalation", "true")
		}
		for _, name := range tree.List(sc, "capabilities", "add") {
			if text, ok := name.(string); ok {
				p.Security = append(p.Security, Privilege{Field: "capability", Value: text, By: by, At: here.below("securityContext", "capabilities").at})
			}
		}
	}
	everybody := slices.ContainsFunc(p.Security, func(s Privilege) bool { return s.Field == "runAsUser" })
	template := tree.Get(spec, "stepTemplate")
	container(s.below("stepTemplate"), template, "the stepTemplate of "+s.by)
	p.ImageUser = spec == nil && !everybody
	named := func(c any) bool { return everybody || tree.Get(c, "securityContext", "runAsUser") != nil }
	for i, step := range tree.List(spec, "steps") {
		here, by := s.below("steps", i), "step "+cmp.Or(tree.Text(step, "name"), strconv.Itoa(i))+" of "+s.by
		if ref := tree.Get(step, "ref"); ref != nil {
			if j, _ := w.target(here.below("ref"), ref, "StepAction"); j >= 0 {
				here.at, step = Place{Object: j, Path: []any{"spec"}}, tree.Get(w.objects[j], "spec")
			}
		}
		container(here, step, by)
		p.ImageUser = p.ImageUser || !named(step) && !named(template)
	}
	for i, c := range tree.List(spec, "sidecars") {
		container(s.below("sidecars", i), c, "sidecar "+tree.Text(c, "name")+" of "+s.by)
		p.ImageUser = p.ImageUser || !named(c)
	}
	for i, v := range tree.List(spec, "volumes") {
		if path := tree.Text(v, "hostPath", "path"); path != "" {
			p.Security = append(p.Security, Privilege{Field: "hostPath", Value: path, By: "volume " + tree.Text(v, "name") + " of " + s.by,
				At: s.below("volumes", i).at})
		}
	}
}

package verdict

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/timeline"
	"simctl.dev/simctl/sim/wellknown"
)

// templates are the places of a PipelineRun from which its TaskRuns' pods get fields:
// spec.taskRunTemplate.podTemplate and spec.taskRunSpecs in v1, spec.podTemplate and
// taskPodTemplate in v1beta1.
type templates struct {
	Spec struct {
		PodTemplate     map[string]json.RawMessage `json:"podTemplate"`
		TaskRunTemplate struct {
			PodTemplate map[string]json.RawMessage `json:"podTemplate"`
		} `json:"taskRunTemplate"`
		TaskRunSpecs []struct {
			PipelineTaskName string                     `json:"pipelineTaskName"`
			PodTemplate      map[string]json.RawMessage `json:"podTemplate"`
			TaskPodTemplate  map[string]json.RawMessage `json:"taskPodTemplate"`
		} `json:"taskRunSpecs"`
	} `json:"spec"`
}

// run returns the field of the template for all tasks; nil without one.
func (t *templates) run(field string) json.RawMessage {
	if v := t.Spec.TaskRunTemplate.PodTemplate[field]; v != nil {
		return v
	}
	return t.Spec.PodTemplate[field]
}

// task returns the field of a task's own template; nil without one.
func (t *templates) task(task, field string) json.RawMessage {
	for _, s := range t.Spec.TaskRunSpecs {
		if s.PipelineTaskName != task {
			continue
		}
		if v := s.PodTemplate[field]; v != nil {
			return v
		}
		return s.TaskPodTemplate[field]
	}
	return nil
}

// fieldOrigin says from which pod template a pod has a field that it waits for; nil if
// no template has it.
func (x *explainer) fieldOrigin(p *timeline.Pod, field string) []Link {
	r := x.t.TaskRun(p.Namespace, p.TaskRun)
	if r == nil {
		return nil
	}
	run, ok := timeline.Decode[templates](x.s, "PipelineRun", r.Namespace, r.PipelineRun)
	if ok {
		object := "PipelineRun " + r.Namespace + "/" + r.PipelineRun
		if v := run.task(r.Task, field); v != nil {
			return []Link{fromTaskRunSpecs.link(object, clip(fmt.Sprintf("spec.taskRunSpecs of task %s: podTemplate.%s: %s", r.Task, field, v)), object, r.Task, field)}
		}
		if v := run.run(field); v != nil {
			return []Link{fromPodTemplate.link(object, clip(fmt.Sprintf("podTemplate.%s: %s", field, v)), object, field)}
		}
	}
	for _, o := range x.s.Named("ConfigMap", wellknown.ConfigDefaults) {
		if text := o.Text("data", "default-pod-template"); strings.Contains(text, field) {
			return []Link{fromDefaultTemplate.link(o.Ref.String(), clip("default-pod-template: "+text), field)}
		}
	}
	return nil
}

// refusalOrigin says where that comes from for which nodes refuse a pod: the template
// that a field is from, who put a taint on a node or cordoned it, the places of the
// volumes.
func (x *explainer) refusalOrigin(p *timeline.Pod, spec *corev1.Pod, nodes []history.NodeRefusal) []Link {
	var links []Link
	var elsewhere []string
	for _, n := range nodes {
		if slices.ContainsFunc(n.Reasons, volumeIsElsewhere) {
			elsewhere = append(elsewhere, n.Node)
		}
	}
	if len(elsewhere) > 0 {
		links = x.places(p, spec, elsewhere)
	}
	for _, n := range nodes {
		for _, l := range x.nodeOrigin(p, n) {
			if !slices.ContainsFunc(links, l.same) {
				links = append(links, l)
			}
		}
	}
	return append(links, x.nodeChanges(nodes)...)
}

// volumeIsElsewhere says whether a plugin's reason is that a volume of the pod may not be
// used on the node.
func volumeIsElsewhere(reason string) bool {
	return strings.Contains(reason, "volume node affinity") || strings.Contains(reason, "PersistentVolume's node affinity")
}

// withoutValue is what a taint without a value ends with, in the scheduler's words.
var withoutValue = regexp.MustCompile(`: (,|$)`)

// nodeChanges says who cordoned nodes or put taints on them in the course of the cell,
// those together to whom one did the same.
func (x *explainer) nodeChanges(nodes []history.NodeRefusal) []Link {
	type change struct {
		rule          *Rule
		actor, taints string
	}
	var order []change
	names, evidence := map[change][]string{}, map[change]string{}
	for _, n := range nodes {
		var c change
		var field string
		switch {
		case says(n, "were unschedulable"):
			c.rule, field = nodeCordoned, "unschedulable"
		case len(n.Taints) > 0:
			c.rule, c.taints, field = nodeTainted, strings.Join(n.Taints, ", "), "taints"
		default:
			continue
		}
		e := x.t.LastChange(history.Ref{Kind: "Node", Name: n.Node}, x.before, "spec", field)
		if c.rule == nodeTainted {
			_, e = x.t.taintsPut(n.Node, x.before, func(t corev1.Taint) bool { return slices.Contains(n.Taints, t.Key+": "+t.Value) })
		}
		if e == nil {
			continue
		}
		c.actor = e.Actor
		if names[c] == nil {
			order = append(order, c)
			evidence[c] = writtenBy(field, e)
		}
		names[c] = append(names[c], n.Node)
	}
	var links []Link
	for _, c := range order {
		list := strings.Join(names[c], ", ")
		if c.rule == nodeCordoned {
			links = append(links, nodeCordoned.link("Node "+list, evidence[c], list, c.actor))
		} else {
			links = append(links, nodeTainted.link("Node "+list, evidence[c], c.actor, withoutValue.ReplaceAllString(c.taints, "$1"), list))
			if c.actor == wellknown.NodeController && strings.Contains(c.taints, corev1.TaintNodeUnreachable) {
				links = append(links, x.t.silent(names[c][0], x.before)...)
			}
		}
	}
	return links
}

// writtenBy says of a write to a node's spec whose it was, and when.
func writtenBy(field string, e *history.Entry) string {
	if field == "unschedulable" {
		field += ": true"
	}
	return fmt.Sprintf("spec.%s, by %s at %.0f s", field, e.Actor, e.T)
}

func (x *explainer) nodeOrigin(p *timeline.Pod, n history.NodeRefusal) []Link {
	switch {
	case says(n, "node affinity/selector"):
		if links := x.fieldOrigin(p, "nodeSelector"); links != nil {
			return links
		}
		return x.fieldOrigin(p, "affinity")
	case says(n, reasonAntiAffinity):
		return x.fieldOrigin(p, "affinity")
	}
	return nil
}

// tainted says who put the taints on a node by which pods are evicted, and why the node
// lifecycle controller did; nil if they are there from the cell's beginning.
func (t *judging) tainted(node string, before int) []Link {
	taints, e := t.taintsPut(node, before, func(t corev1.Taint) bool { return t.Effect == corev1.TaintEffectNoExecute })
	if e == nil {
		return nil
	}
	var words []string
	unreachable := false
	for _, taint := range taints {
		words = append(words, taint.ToString())
		unreachable = unreachable || taint.Key == corev1.TaintNodeUnreachable
	}
	links := []Link{nodeTainted.link("Node "+node, writtenBy("taints", e), e.Actor, strings.Join(words, ", "), node)}
	if unreachable {
		links = append(links, t.silent(node, before)...)
	}
	return links
}

// taintsPut returns the taints of a node before an entry for which is says so, and the write
// that made them what they are; nil if they are so from the cell's beginning, or there are
// none. What was written to the node's other taints since is passed over.
func (t *judging) taintsPut(node string, before int, is func(corev1.Taint) bool) ([]corev1.Taint, *history.Entry) {
	as := func(seq int) (out []corev1.Taint) {
		n, ok := timeline.Decode[corev1.Node](t.Before(seq), "Node", "", node)
		if !ok {
			return nil
		}
		for _, taint := range n.Spec.Taints {
			if is(taint) {
				out = append(out, taint)
			}
		}
		return out
	}
	now := as(before)
	if len(now) == 0 {
		return nil, nil
	}
	ref := history.Ref{Kind: "Node", Name: node}
	for e := t.LastChange(ref, before, "spec", "taints"); e != nil; e = t.LastChange(ref, e.Seq, "spec", "taints") {
		if !slices.EqualFunc(as(e.Seq), now, func(a, b corev1.Taint) bool { return a.MatchTaint(&b) && a.Value == b.Value }) {
			return now, e
		}
	}
	return now, nil
}

// places says where the volumes of a pod may be used and that the nodes are elsewhere,
// and which of the volumes affinity assistants do not know.
func (x *explainer) places(p *timeline.Pod, spec *corev1.Pod, nodes []string) []Link {
	type place struct{ claim, object, where, evidence string }
	var all []place
	var links, origin []Link
	for _, name := range claimNames(spec) {
		pvc, ok := timeline.Decode[corev1.PersistentVolumeClaim](x.s, "PersistentVolumeClaim", p.Namespace, name)
		if !ok {
			continue
		}
		pv, ok := timeline.Decode[corev1.PersistentVolume](x.s, "PersistentVolume", "", pvc.Spec.VolumeName)
		if !ok || pv.Spec.NodeAffinity == nil || pv.Spec.NodeAffinity.Required == nil {
			continue
		}
		required := pv.Spec.NodeAffinity.Required
		v := place{claim: name, object: "PersistentVolume " + pvc.Spec.VolumeName, where: terms(required), evidence: "spec.nodeAffinity: " + compact(pv.Spec.NodeAffinity)}
		all = append(all, v)
		origin = append(origin, x.templateVolume(p, spec, name)...)
		if len(nodes) != 1 {
			continue
		}
		if n, ok := timeline.Decode[corev1.Node](x.s, "Node", "", nodes[0]); ok && theirs(required, n.Labels) != v.where {
			has := theirs(required, n.Labels)
			links = append(links, volumeElsewhereThan.link(v.object, v.evidence+"; Node "+nodes[0]+" metadata.labels: "+has, v.claim, v.where, nodes[0], has))
		} else {
			links = append(links, volumePlace.link(v.object, v.evidence, v.claim, v.where))
		}
	}
	// What the node does not have stands after what it has.
	slices.SortStableFunc(links, func(a, b Link) int { return cmp.Compare(a.Rule, b.Rule) })
	if len(nodes) != 1 && len(all) > 0 {
		var said, evidence []string
		for _, v := range all {
			said = append(said, fmt.Sprintf("that of claim %s is for nodes with %s", v.claim, v.where))
			evidence = append(evidence, v.object+" "+v.evidence)
		}
		links = []Link{volumesApart.link(p.Object(), strings.Join(evidence, "\n"), p.Object(), strings.Join(said, ", "))}
	}
	return append(links, origin...)
}

// theirs are a node's values for the keys of a node selector, in the words of terms.
func theirs(s *corev1.NodeSelector, labels map[string]string) string {
	var out []string
	for _, t := range s.NodeSelectorTerms {
		for _, e := range t.MatchExpressions {
			said := e.Key + " " + labels[e.Key]
			if labels[e.Key] == "" {
				said = "no " + e.Key
			}
			if !slices.Contains(out, said) {
				out = append(out, said)
			}
		}
	}
	return strings.Join(out, " and ")
}

// terms is a node selector in words.
func terms(s *corev1.NodeSelector) string {
	var alternatives []string
	for _, t := range s.NodeSelectorTerms {
		var all []string
		for _, e := range t.MatchExpressions {
			op := strings.ToLower(string(e.Operator)) + " "
			if e.Operator == corev1.NodeSelectorOpIn {
				op = "" // as a label has it
			}
			all = append(all, strings.TrimSpace(e.Key+" "+op+strings.Join(e.Values, " or ")))
		}
		alternatives = append(alternatives, strings.Join(all, " and "))
	}
	return strings.Join(alternatives, ", or ")
}

// templateVolume says of a claim that it is there by a pod template's volumes.
func (x *explainer) templateVolume(p *timeline.Pod, spec *corev1.Pod, claim string) []Link {
	i := indexOfClaim(spec, claim)
	if i < 0 {
		return nil
	}
	name := spec.Spec.Volumes[i].Name
	for _, l := range x.fieldOrigin(p, "volumes") {
		if strings.Contains(l.Evidence, `"`+name+`"`) {
			return []Link{fromTemplateVolumes.link(l.Object, l.Evidence, claim, l.Object)}
		}
	}
	return nil
}

// apartOrigin says who has a pod keep away from affinity assistants: Tekton, by
// isolate-pipelinerun, the run's own template, or both.
func (x *explainer) apartOrigin(p *timeline.Pod) []Link {
	r := x.t.TaskRun(p.Namespace, p.TaskRun)
	if r == nil {
		return nil
	}
	run, ok := timeline.Decode[templates](x.s, "PipelineRun", r.Namespace, r.PipelineRun)
	if !ok {
		return nil
	}
	object := "PipelineRun " + r.Namespace + "/" + r.PipelineRun
	// What the TaskRun has beyond the run's own came from Tekton.
	written := max(awayTerms(run.task(r.Task, "affinity")), awayTerms(run.run("affinity")))
	var links []Link
	if o := x.s.Live("TaskRun", r.Namespace, r.Name); o != nil {
		affinity, _ := json.Marshal(o.Field("spec", "podTemplate", "affinity"))
		if f := x.s.FeatureFlags(); awayTerms(affinity) > written && f != nil {
			links = append(links, fromIsolation.link(object, clip(fmt.Sprintf("%s; TaskRun %s spec.podTemplate.affinity: %s", flagText(f), r.Name, affinity)), object))
		}
	}
	if written > 0 {
		links = append(links, x.fieldOrigin(p, "affinity")...)
	}
	return links
}

// awayTerms counts the terms of an affinity that keep pods away from affinity
// assistants.
func awayTerms(raw json.RawMessage) int {
	var a corev1.Affinity
	if len(raw) == 0 || json.Unmarshal(raw, &a) != nil || a.PodAntiAffinity == nil {
		return 0
	}
	n := 0
	for _, t := range a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution {
		if t.LabelSelector != nil && t.LabelSelector.MatchLabels[wellknown.ComponentLabel] == wellknown.AffinityAssistant {
			n++
		}
	}
	return n
}

// room says what a node has of a resource, how much of it is left, and which pods have
// the rest, as the scheduler counts: the requests of all pods that have not ended.
func (x *explainer) room(node, name string) string {
	o := x.s.Live("Node", "", node)
	if o == nil {
		return ""
	}
	var n corev1.Node
	if o.Decode(&n) != nil {
		return ""
	}
	res := corev1.ResourceName(name)
	has, ok := n.Status.Allocatable[res]
	if !ok {
		return fmt.Sprintf("Node %s has no %s", node, name)
	}
	left := has.DeepCopy()
	var takers []string
	for _, p := range x.s.PodsOn(node) {
		pod, ok := timeline.Decode[corev1.Pod](x.s, "Pod", p.Namespace, p.Name)
		if !ok || pod.Spec.NodeName != node || ended(pod) {
			continue
		}
		q := asks(pod)[res]
		if q.IsZero() {
			continue
		}
		left.Sub(q)
		takers = append(takers, fmt.Sprintf("%s has %s", p.Object(), q.String()))
	}
	text := fmt.Sprintf("Node %s has %s of %s %s left", node, left.String(), has.String(), name)
	if len(takers) > 0 {
		text += " (" + strings.Join(takers, ", ") + ")"
	}
	return text
}

// rooms says the same of all nodes that have too little of something, the first few.
func (x *explainer) rooms(nodes []string, reasons string) string {
	const most = 4
	var out []string
	for part := range strings.SplitSeq(reasons, ", ") {
		name, ok := strings.CutPrefix(part, "Insufficient ")
		if !ok {
			continue
		}
		for i, n := range nodes {
			if i == most {
				out = append(out, fmt.Sprintf("and %d more nodes", len(nodes)-most))
				break
			}
			if text := x.room(n, name); text != "" {
				out = append(out, text)
			}
		}
	}
	return strings.Join(out, "; ")
}

// assistantAnnotation says that the assistant which a TaskRun's pod has to be beside is
// one that the run's author named.
func (x *explainer) assistantAnnotation(assistant string) []Link {
	run := x.s.Live("PipelineRun", x.run.Namespace, x.run.Name)
	if run == nil || run.Text("metadata", "annotations", wellknown.AssistantAnnotation) != assistant {
		return nil
	}
	return []Link{fromAnnotation.link(x.run.Object(), fmt.Sprintf("metadata.annotations: %s: %s", wellknown.AssistantAnnotation, assistant), x.run.Object())}
}

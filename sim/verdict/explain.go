package verdict

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/wellknown"
)

// The reasons of scheduler plugins that speak of other pods rather than of the
// node (pkg/scheduler/framework/plugins of Kubernetes). Of the first two the
// run's own machinery is the one to supply or release what is missing.
const (
	reasonAffinity     = "didn't match pod affinity rules"
	reasonRWOP         = "ReadWriteOncePod access mode already in-use"
	reasonAntiAffinity = "anti-affinity rules"
)

// noNodes is what the scheduler says where there is no node (ErrNoNodesAvailable
// in pkg/scheduler of Kubernetes). It tries again for ever.
const noNodes = "no nodes available to schedule pods"

// explainer builds the wait-for graph of one TaskRun as of one moment.
type explainer struct {
	*waitGraph
	t *timeline
	s *history.State
	// before is the entry as of which the world is looked at.
	before int
	// stalled says that nothing could happen any more, so what is not there
	// will not come.
	stalled bool
	// start is the TaskRun whose waiting is explained, run its PipelineRun.
	start *taskRun
	run   *pipelineRun
	// foreign: a volume is held by a pod that is not the run's, or by a node that is
	// gone; shared says so if it is another run's, or who took the node away.
	foreign bool
	shared  []Link
}

func newExplainer(t *timeline, run *pipelineRun, start *taskRun, before int, stalled bool) (*explainer, error) {
	s, err := t.state(before)
	if err != nil {
		return nil, err
	}
	return &explainer{waitGraph: newWaitGraph(), t: t, s: s, before: before, stalled: stalled, start: start, run: run}, nil
}

// decode unmarshals an object of the state; false when it is not there.
func decode[T any](s *history.State, kind, namespace, name string) (*T, bool) {
	o := s.Live(kind, namespace, name)
	if o == nil {
		return nil, false
	}
	out := new(T)
	if o.Decode(out) != nil {
		return nil, false
	}
	return out, true
}

func compact(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(raw)
}

// currentPod is the TaskRun's last pod as of then.
func (x *explainer) currentPod(r *taskRun) *pod {
	for _, p := range slices.Backward(r.pods) {
		if p.createdSeq < x.before && (p.goneSeq == 0 || p.goneSeq >= x.before) {
			return p
		}
	}
	return nil
}

// explain returns the reason for which the TaskRun waits.
func (x *explainer) explain() (root, bool) {
	return x.resolve(x.taskRun(x.start))
}

func (x *explainer) taskRun(r *taskRun) int64 {
	id, fresh := x.node(r.object())
	if !fresh {
		return id
	}
	if p := x.currentPod(r); p != nil {
		x.wait(id, x.pod(p), x.symptom(p))
		return id
	}
	var refusal *history.Entry
	for i := range r.refused {
		if r.refused[i].Seq < x.before {
			refusal = &r.refused[i]
		}
	}
	if refusal != nil {
		admission, _ := x.node("admission of " + r.object())
		x.wait(id, admission, taskPodRefused.link(r.object(), clip(refusal.Message), r.task))
		x.end(admission, AdmissionDenied, refusalCause(x.s, r.namespace, refusal.Message, refusedPod(*refusal))...)
	}
	return id
}

// symptom says what a waiting pod looks like from outside.
func (x *explainer) symptom(p *pod) Link {
	evidence := "it has no status"
	if spec, ok := decode[corev1.Pod](x.s, "Pod", p.namespace, p.name); ok && spec.Status.Phase != "" {
		evidence = clip(podStatus(&spec.Status))
	}
	if p.boundSeq != 0 && p.boundSeq < x.before {
		rule := podOnNode
		if p.startedSeq != 0 {
			rule = podNotYet // it did, later on
		}
		return rule.link(p.object(), evidence, p.title(x.t), p.node)
	}
	if u := p.lastUnschedulable(x.before); u != nil {
		evidence = u.data.Message
		if strings.Contains(u.data.PerTaint, "untolerated taint {") && u.data.PerTaint != u.data.Message {
			evidence += "\n" + u.data.PerTaint
		}
	}
	return podPending.link(p.object(), evidence, p.title(x.t))
}

// podStatus is what a pod's status says of why it does not run: the phase, the
// conditions that are not true, and what its containers wait for.
func podStatus(s *corev1.PodStatus) string {
	said := []string{fmt.Sprintf("status.phase: %s", s.Phase)}
	for _, c := range s.Conditions {
		if c.Status == corev1.ConditionTrue {
			continue
		}
		text := fmt.Sprintf("%s: %s", c.Type, c.Status)
		if c.Reason != "" {
			text += " (" + c.Reason + ")"
		}
		said = append(said, text)
	}
	for _, c := range slices.Concat(s.InitContainerStatuses, s.ContainerStatuses) {
		if w := c.State.Waiting; w != nil {
			said = append(said, fmt.Sprintf("container %s waiting: %s", c.Name, strings.TrimSpace(w.Reason+" "+w.Message)))
		}
	}
	return strings.Join(said, "; ")
}

func (x *explainer) pod(p *pod) int64 {
	id, fresh := x.node(p.object())
	if !fresh {
		return id
	}
	spec, ok := decode[corev1.Pod](x.s, "Pod", p.namespace, p.name)
	if !ok {
		return id
	}
	switch {
	case p.boundSeq == 0 || p.boundSeq >= x.before:
		x.unscheduled(id, p, spec)
	case p.startedSeq == 0 || p.startedSeq >= x.before:
		x.notStarted(id, p, spec)
	}
	return id
}

// refusals are the nodes' answers; where the scheduler's plugin recorded none
// they are read from the message, without the nodes' names.
func refusals(u *unschedulable) []history.NodeRefusal {
	if u == nil {
		return nil
	}
	if len(u.data.Nodes) > 0 {
		return u.data.Nodes
	}
	_, text, _ := strings.Cut(u.data.Message, "nodes are available: ")
	text, _, _ = strings.Cut(text, " preemption: ")
	var out []history.NodeRefusal
	for part := range strings.SplitSeq(strings.TrimRight(text, ". "), ", ") {
		if part != "" {
			out = append(out, history.NodeRefusal{Reasons: []string{part}})
		}
	}
	return out
}

func says(n history.NodeRefusal, words string) bool {
	return slices.ContainsFunc(n.Reasons, func(r string) bool { return strings.Contains(r, words) })
}

// lasting says that the nodes' refusals hold whatever other pods do and kubelets
// report.
func lasting(nodes []history.NodeRefusal) bool {
	for _, n := range nodes {
		if slices.ContainsFunc(n.Reasons, func(r string) bool {
			return (strings.HasPrefix(r, "Insufficient ") || strings.HasPrefix(r, "Too many pods")) && !n.Unresolvable
		}) || pressed(n) {
			return false
		}
	}
	return true
}

// pressed says that a node refuses a pod since its kubelet is short of something.
func pressed(n history.NodeRefusal) bool {
	return slices.ContainsFunc(n.Taints, func(taint string) bool {
		key, _, _ := strings.Cut(taint, ":")
		return key == corev1.TaintNodeDiskPressure || key == corev1.TaintNodeMemoryPressure || key == corev1.TaintNodePIDPressure
	})
}

// nodeLinks say why nodes do not take a pod as declared, one link for the nodes
// with the same reasons.
func (x *explainer) nodeLinks(p *pod, spec *corev1.Pod, nodes []history.NodeRefusal) []Link {
	type group struct {
		names []string
		text  string
		kind  string
	}
	groups := map[string]*group{}
	var order []string
	for _, n := range nodes {
		text := strings.Join(n.Reasons, ", ")
		kind := text
		if len(n.Taints) > 0 {
			kind = "taint"
			text = "taints not tolerated: {" + strings.Join(n.Taints, "}, {") + "}"
		}
		key := n.Plugin + "|" + text
		if groups[key] == nil {
			groups[key] = &group{text: text, kind: kind}
			order = append(order, key)
		}
		if n.Node != "" {
			groups[key].names = append(groups[key].names, n.Node)
		}
	}
	var links []Link
	for _, key := range order {
		g := groups[key]
		slices.Sort(g.names)
		object, of := "Node "+strings.Join(g.names, ", "), strings.Join(g.names, ", ")
		if len(g.names) == 0 {
			object, of = p.object(), "nodes"
		}
		rule, evidence := noPlace, g.text
		switch {
		case g.kind == "taint" || strings.Contains(g.text, "taint"):
			rule, evidence = nodeTaints, g.text+"; the pod's tolerations: "+tolerations(spec)
		case strings.Contains(g.text, "node affinity/selector"):
			var asks []string
			if s := spec.Spec.NodeSelector; s != nil {
				asks = append(asks, "nodeSelector: "+compact(s))
			}
			if a := spec.Spec.Affinity; a != nil && a.NodeAffinity != nil {
				asks = append(asks, "nodeAffinity: "+compact(a.NodeAffinity))
			}
			rule, evidence = nodeSelector, g.text+"; the pod's "+strings.Join(asks, ", ")
		case strings.Contains(g.text, "Insufficient"):
			rule, evidence = nodeFull, g.text+"; the pod requests: "+compact(requests(spec))
			if rooms := x.rooms(g.names, g.text); rooms != "" {
				evidence += "; " + rooms
			}
		case volumeIsElsewhere(g.text):
			rule = nodeVolume
		case strings.Contains(g.text, reasonAntiAffinity):
			evidence += x.apart(p, spec, g.names)
		}
		links = append(links, rule.link(object, evidence, of, g.text))
	}
	return links
}

// apart names the pods on nodes that a pod must not be beside, by its own
// podAntiAffinity or by theirs, with the terms.
func (x *explainer) apart(p *pod, spec *corev1.Pod, nodes []string) string {
	text := ""
	own := awayFrom(spec)
	if len(own) > 0 {
		text += "; the pod's podAntiAffinity: " + compact(own)
	}
	for _, o := range x.s.List("Pod") {
		var there corev1.Pod
		if o.Decode(&there) != nil || !slices.Contains(nodes, there.Spec.NodeName) || there.Status.Phase == corev1.PodSucceeded || there.Status.Phase == corev1.PodFailed {
			continue
		}
		switch theirs := awayFrom(&there); {
		case o.Ref.Namespace == p.namespace && selects(own, there.Labels):
			text += fmt.Sprintf("; on Node %s: %s", there.Spec.NodeName, o.Ref)
		case o.Ref.Namespace == p.namespace && selects(theirs, spec.Labels):
			text += fmt.Sprintf("; on Node %s: %s with podAntiAffinity: %s", there.Spec.NodeName, o.Ref, compact(theirs))
		}
	}
	return text
}

// awayFrom are the terms of a pod's required podAntiAffinity.
func awayFrom(spec *corev1.Pod) []corev1.PodAffinityTerm {
	if a := spec.Spec.Affinity; a != nil && a.PodAntiAffinity != nil {
		return a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution
	}
	return nil
}

// selects says whether one of several terms selects a pod with labels.
func selects(terms []corev1.PodAffinityTerm, of map[string]string) bool {
	return slices.ContainsFunc(terms, func(t corev1.PodAffinityTerm) bool {
		sel, err := metav1.LabelSelectorAsSelector(t.LabelSelector)
		return err == nil && sel.Matches(labels.Set(of))
	})
}

// full says which nodes had no room for a pod that waited for one, where they may have
// some later: while things go on that is no reason by itself.
func (x *explainer) full(p *pod) []Link {
	if p.boundSeq != 0 && p.boundSeq < x.before {
		return nil
	}
	spec, ok := decode[corev1.Pod](x.s, "Pod", p.namespace, p.name)
	if !ok {
		return nil
	}
	return x.nodeLinks(p, spec, slices.DeleteFunc(slices.Clone(refusals(p.lastUnschedulable(x.before))), lastsOrOthers))
}

// lastsOrOthers says of a refusal that it lasts or speaks of other pods, and not of room.
func lastsOrOthers(n history.NodeRefusal) bool {
	return !slices.ContainsFunc(n.Reasons, func(r string) bool {
		return strings.HasPrefix(r, "Insufficient ") || strings.HasPrefix(r, "Too many pods")
	})
}

// tolerations are the pod's own, without those that every pod gets.
func tolerations(spec *corev1.Pod) string {
	var out []corev1.Toleration
	for _, t := range spec.Spec.Tolerations {
		if t.Key != corev1.TaintNodeNotReady && t.Key != corev1.TaintNodeUnreachable {
			out = append(out, t)
		}
	}
	if len(out) == 0 {
		return "none"
	}
	return compact(out)
}

// requests sums what a pod's containers ask for.
func requests(spec *corev1.Pod) map[string]string {
	out := map[string]string{}
	for name, q := range asks(spec) {
		out[string(name)] = q.String()
	}
	return out
}

// asks is what requests shows, as quantities.
func asks(spec *corev1.Pod) corev1.ResourceList {
	sum := corev1.ResourceList{}
	for _, c := range spec.Spec.Containers {
		for name, q := range c.Resources.Requests {
			have := sum[name]
			have.Add(q)
			sum[name] = have
		}
	}
	for _, c := range spec.Spec.InitContainers {
		for name, q := range c.Resources.Requests {
			if have := sum[name]; q.Cmp(have) > 0 {
				sum[name] = q
			}
		}
	}
	return sum
}

// claimNames are the claims that a pod mounts.
func claimNames(spec *corev1.Pod) []string {
	var out []string
	for _, v := range spec.Spec.Volumes {
		if v.PersistentVolumeClaim != nil {
			out = append(out, v.PersistentVolumeClaim.ClaimName)
		}
	}
	return out
}

func indexOfClaim(spec *corev1.Pod, name string) int {
	return slices.IndexFunc(spec.Spec.Volumes, func(v corev1.Volume) bool {
		return v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ClaimName == name
	})
}

func (x *explainer) missingClaim(id int64, namespace, name string) {
	object := fmt.Sprintf("PersistentVolumeClaim %s/%s", namespace, name)
	if gone := x.s.Get(history.Ref{Kind: "PersistentVolumeClaim", Namespace: namespace, Name: name}); gone != nil && gone.Deleted {
		x.end(id, Deadlock, claimDeleted.link(object, fmt.Sprintf("deletion asked for by %s at %.0f s", gone.DeletedBy, gone.CondemnedAt), name, gone.DeletedBy))
		return
	}
	for _, e := range slices.Backward(x.t.refused) {
		if e.Seq < x.before && e.Object.Namespace == namespace && strings.HasPrefix(e.Object.Kind, "PersistentVolumeClaim") &&
			(e.Object.Name == name || strings.HasPrefix(name, e.Object.Name)) {
			x.end(id, Deadlock, append([]Link{claimRefused.link(object, clip(e.Message), name)}, refusalCause(x.s, namespace, e.Message, nil)...)...)
			return
		}
	}
	x.end(id, Deadlock, claimNeverMade.link(object, fmt.Sprintf("persistentvolumeclaim %q not found", name), name))
}

// doomedClaim explains a claim that somebody has deleted and that stays only as
// long as pods use it, which no further one may.
func (x *explainer) doomedClaim(id int64, namespace, name string, pvc *corev1.PersistentVolumeClaim) {
	o := x.s.Live("PersistentVolumeClaim", namespace, name)
	l := claimDoomedBy.link(o.Ref.String(), fmt.Sprintf("metadata.deletionTimestamp: %s, metadata.finalizers: %s; deletion asked for by %s at %.0f s",
		pvc.DeletionTimestamp.UTC().Format(time.RFC3339), compact(pvc.Finalizers), o.CondemnedBy, o.CondemnedAt), name, o.CondemnedBy)
	x.end(id, Deadlock, append(x.keepers(id, namespace, name), l)...)
}

// keepers say for whose sake a claim that is being deleted stays, with what they wait
// for themselves: every pod that has a node uses its claims until it is deleted, also
// one that has ended (pkg/controller/volume/pvcprotection of Kubernetes).
func (x *explainer) keepers(id int64, namespace, name string) []Link {
	object := fmt.Sprintf("PersistentVolumeClaim %s/%s", namespace, name)
	var links []Link
	for _, o := range x.s.List("Pod") {
		p := x.t.pod(namespace, o.Ref.Name, x.before)
		var spec corev1.Pod
		if o.Ref.Namespace != namespace || p == nil || p.boundSeq == 0 || p.boundSeq >= x.before || o.Decode(&spec) != nil || !slices.Contains(claimNames(&spec), name) {
			continue
		}
		evidence := x.mountOf(p, name)
		if p.overSeq != 0 && p.overSeq < x.before {
			evidence = "status.phase: " + string(spec.Status.Phase) + "; " + evidence
		}
		l := claimKept.link(object, evidence, name, p.title(x.t))
		uid, fresh := x.node(p.object())
		x.wait(id, uid, l)
		if fresh && p.assistant != "" {
			x.holds(uid, p)
			if way := x.trail(uid); len(way) > 1 {
				l.Behind = x.chain(way)
			}
		}
		links = append(links, l)
	}
	return links
}

// attemptGoesOn is the container of an earlier attempt of a pod's task that still runs
// though all of its steps have ended; empty if u is no such attempt.
func (x *explainer) attemptGoesOn(p, u *pod) string {
	if u.taskRun == "" || u.taskRun != p.taskRun || u.namespace != p.namespace {
		return ""
	}
	spec, ok := decode[corev1.Pod](x.s, "Pod", u.namespace, u.name)
	if !ok {
		return ""
	}
	sidecar := ""
	for _, c := range spec.Status.ContainerStatuses {
		switch {
		case c.State.Running == nil:
		case !strings.HasPrefix(c.Name, sidecarPrefix):
			return ""
		default:
			sidecar = c.Name
		}
	}
	return sidecar
}

// sidecarPrefix begins the names of a TaskRun's sidecars in its pod (pkg/pod of Tekton).
const sidecarPrefix = "sidecar-"

func (x *explainer) unboundClaim(id int64, namespace, name string, pvc *corev1.PersistentVolumeClaim) {
	failed := x.t.lastEvent("PersistentVolumeClaim", namespace, name, x.before, func(e event) bool {
		return e.typ == corev1.EventTypeWarning || e.reason == "FailedBinding"
	})
	if failed == nil && !x.stalled {
		return
	}
	l := claimNoVolume.link(fmt.Sprintf("PersistentVolumeClaim %s/%s", namespace, name), "", name)
	if failed != nil {
		l.Evidence = clip(failed.message)
	} else {
		class := ""
		if pvc.Spec.StorageClassName != nil {
			class = *pvc.Spec.StorageClassName
		}
		l.Evidence = fmt.Sprintf("status.phase: %s, spec.storageClassName: %q", pvc.Status.Phase, class)
	}
	x.end(id, Unschedulable, l)
}

// assistantTerm is the affinity term that Tekton puts into a TaskRun's pod
// (podAffinityTermUsingAffinityAssistant in pkg/internal/affinityassistant).
func assistantTerm(spec *corev1.Pod) (term *corev1.PodAffinityTerm, assistant string) {
	if spec.Spec.Affinity == nil || spec.Spec.Affinity.PodAffinity == nil {
		return nil, ""
	}
	terms := spec.Spec.Affinity.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution
	for i := range terms {
		if s := terms[i].LabelSelector; s != nil && s.MatchLabels[wellknown.ComponentLabel] == wellknown.AffinityAssistant {
			return &terms[i], s.MatchLabels[wellknown.InstanceLabel]
		}
	}
	return nil, ""
}

// matching are the pods of a namespace that a term selects and that count for
// the scheduler: those that have not ended.
func (x *explainer) matching(namespace string, selector *metav1.LabelSelector) []*pod {
	sel, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return nil
	}
	var out []*pod
	for _, o := range x.s.List("Pod") {
		var m meta
		if o.Ref.Namespace != namespace || o.Decode(&m) != nil || !sel.Matches(labels.Set(m.Metadata.Labels)) {
			continue
		}
		if p := x.t.pod(namespace, o.Ref.Name, x.before); p != nil && (p.overSeq == 0 || p.overSeq >= x.before) {
			out = append(out, p)
		}
	}
	return out
}

// affinity explains a pod that has to run beside another one; refusing are the
// nodes that do not take it for reasons of their own.
func (x *explainer) affinity(id int64, p *pod, spec *corev1.Pod, refusing []history.NodeRefusal) {
	term, assistant := assistantTerm(spec)
	if term == nil {
		return
	}
	link := besideAssistant.link(p.object(), compact(term), p.object(), assistant)
	found := x.matching(p.namespace, term.LabelSelector)
	if len(found) == 0 {
		missing, _ := x.node(fmt.Sprintf("Pod %s/%s-0", p.namespace, assistant))
		x.wait(id, missing, link)
		x.missingAssistant(missing, p, assistant)
		return
	}
	a := found[0]
	if a.boundSeq == 0 || a.boundSeq >= x.before {
		aid := x.pod(a)
		x.wait(id, aid, link)
		// The assistant's own symptom stands before what it waits for.
		x.prefix(aid, x.symptom(a))
		return
	}
	// The assistant is there: the pod may go to its node only, and that node
	// refuses it.
	var why []string
	var its []history.NodeRefusal
	for _, n := range refusing {
		if n.Node == a.node && (x.stalled || lasting([]history.NodeRefusal{n})) {
			why, its = n.Reasons, []history.NodeRefusal{n}
			if len(n.Taints) > 0 {
				why = []string{"taints not tolerated: {" + strings.Join(n.Taints, "}, {") + "}"}
			}
		}
	}
	if why == nil {
		return
	}
	node, _ := x.node("Node " + a.node)
	reasons := strings.Join(why, ", ")
	x.wait(id, node, link).closes(circleAssistantNode.link(p.object(), link.Evidence, p.object(), a.node, reasons),
		append(x.nodeLinks(p, spec, its), x.refusalOrigin(p, spec, its)...)...)
	aid, _ := x.node(a.object())
	x.wait(node, aid, assistantHolds.link("Node "+a.node, reasons, a.node))
	x.assistantStays(aid, a)
}

// prefix puts a link before those that end the chain at a node, if it is a root. A node
// that leads on stays as it is.
func (x *explainer) prefix(id int64, l Link) {
	if r, ok := x.roots[id]; ok {
		r.links = append([]Link{l}, r.links...)
		x.roots[id] = r
	}
}

// foreignAffinity explains a pod by an affinity that its own author wrote.
func (x *explainer) foreignAffinity(id int64, p *pod, spec *corev1.Pod) {
	if !x.stalled || spec.Spec.Affinity == nil || spec.Spec.Affinity.PodAffinity == nil {
		return
	}
	l := besideNowhere.link(p.object(), compact(spec.Spec.Affinity.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution), p.object())
	x.end(id, Unschedulable, append([]Link{l}, x.fieldOrigin(p, "affinity")...)...)
}

// missingAssistant explains why there is no pod of an affinity assistant.
func (x *explainer) missingAssistant(id int64, p *pod, assistant string) {
	name := assistant + "-0"
	object := fmt.Sprintf("Pod %s/%s", p.namespace, name)
	set := x.s.Get(history.Ref{Kind: "StatefulSet", Namespace: p.namespace, Name: assistant})
	setName := fmt.Sprintf("StatefulSet %s/%s", p.namespace, assistant)
	if set == nil || set.Deleted {
		x.missingSet(id, p, assistant, set)
		return
	}
	sid, _ := x.node(setName)
	status := "spec.replicas: " + set.JSON("spec", "replicas") + ", status: " + set.JSON("status")
	x.wait(id, sid, assistantPodMissing.link(object, status, object))

	message := ""
	if e := x.t.lastEvent("StatefulSet", p.namespace, assistant, x.before, func(e event) bool { return e.reason == "FailedCreate" }); e != nil {
		message = e.message
	}
	var pod *corev1.Pod
	refusal := ""
	for _, e := range x.t.refused {
		if e.Seq < x.before && e.Verb == history.VerbCreate && e.Object.Namespace == p.namespace && e.Object.Name == name {
			pod, refusal = refusedPod(e), e.Message
		}
	}
	if message == "" {
		message = refusal
	}
	if message == "" {
		// The StatefulSet is there and its pod was never tried, or is gone.
		l := assistantNoPod.link(setName, status, setName)
		if gone := x.s.Get(history.Ref{Kind: "Pod", Namespace: p.namespace, Name: name}); gone != nil && gone.Deleted {
			l = assistantPodDeleted.link(object, "deleted by "+gone.DeletedBy, object, setName)
		}
		x.end(sid, Deadlock, l)
		return
	}
	if pod == nil {
		var template struct {
			Spec struct {
				Template corev1.Pod `json:"template"`
			} `json:"spec"`
		}
		if set.Decode(&template) == nil {
			pod = &template.Spec.Template
		}
	}
	words := message
	if refusal != "" {
		words = refusal
	}
	x.end(sid, Deadlock, append([]Link{assistantRefused.link(setName, clip(message), setName)}, refusalCause(x.s, p.namespace, words, pod)...)...)
}

// missingSet explains why there is no StatefulSet of an affinity assistant.
func (x *explainer) missingSet(id int64, p *pod, assistant string, gone *history.Object) {
	setName := fmt.Sprintf("StatefulSet %s/%s", p.namespace, assistant)
	object := fmt.Sprintf("Pod %s/%s-0", p.namespace, assistant)
	sid, _ := x.node(setName)
	x.wait(id, sid, assistantPodMissing.link(object, x.podNames(p.namespace), object))
	id = sid
	if gone != nil {
		x.end(id, Deadlock, assistantDeleted.link(setName, "deleted by "+gone.DeletedBy, setName))
		return
	}
	for _, e := range slices.Backward(x.run.refused) {
		if e.Seq < x.before && e.Object.Kind == "StatefulSet" && e.Object.Name == assistant {
			x.end(id, Deadlock, append([]Link{assistantSetRefused.link(setName, clip(e.Message), setName)}, refusalCause(x.s, p.namespace, e.Message, nil)...)...)
			return
		}
	}
	var sets []string
	for _, s := range x.s.List("StatefulSet") {
		if s.Ref.Namespace == p.namespace && s.Text("metadata", "labels", wellknown.PipelineRunLabel) == x.run.name {
			sets = append(sets, s.Ref.Name)
		}
	}
	evidence := "the run has no StatefulSet"
	if len(sets) > 0 {
		evidence = "the run's StatefulSets: " + strings.Join(sets, ", ")
	}
	links := []Link{assistantNeverMade.link(setName, evidence, setName)}
	if annotated := x.assistantAnnotation(assistant); annotated != nil {
		x.end(id, Deadlock, append(links, annotated...)...)
		return
	}
	x.end(id, Deadlock, append(links, x.whyNoSet(assistant)...)...)
}

// podNames lists a namespace's pods.
func (x *explainer) podNames(namespace string) string {
	var names []string
	for _, o := range x.s.List("Pod") {
		if o.Ref.Namespace == namespace {
			names = append(names, o.Ref.Name)
		}
	}
	return "the namespace's pods: " + strings.Join(names, ", ")
}

// whyNoSet looks for what keeps Tekton from making an assistant that it demands.
func (x *explainer) whyNoSet(assistant string) []Link {
	run := x.s.Live("PipelineRun", x.run.namespace, x.run.name)
	if run == nil {
		return nil
	}
	var spec struct {
		Spec struct {
			Workspaces []struct {
				Name  string `json:"name"`
				Claim *struct {
					Name string `json:"claimName"`
				} `json:"persistentVolumeClaim"`
			} `json:"workspaces"`
		} `json:"spec"`
	}
	if run.Decode(&spec) == nil {
		byClaim := map[string][]string{}
		mine := ""
		for _, w := range spec.Spec.Workspaces {
			if w.Claim == nil {
				continue
			}
			byClaim[w.Claim.Name] = append(byClaim[w.Claim.Name], w.Name)
			if assistantOf(w.Name, x.run.name) == assistant {
				mine = w.Claim.Name
			}
		}
		if len(byClaim[mine]) > 1 {
			return []Link{assistantOneForTwo.link(x.run.object(), "spec.workspaces: "+run.JSON("spec", "workspaces"), strings.Join(byClaim[mine], " and "), mine)}
		}
	}
	if len(x.run.taskRuns) == 0 {
		return nil
	}
	first, later := x.run.taskRuns[0].createdSeq, x.start.createdSeq
	return append(x.flagsChanged(first, later), x.versionChanged(first, later)...)
}

// assistantOf is the name of a workspace's assistant (GetAffinityAssistantName
// in pkg/reconciler/pipelinerun of Tekton).
func assistantOf(workspace, run string) string {
	sum := sha256.Sum256([]byte(workspace + run))
	return wellknown.AffinityAssistant + "-" + hex.EncodeToString(sum[:])[:10]
}

// affinityFlags are the keys of the ConfigMap feature-flags that decide about
// assistants.
var affinityFlags = []string{"coschedule", "disable-affinity-assistant"}

// flags returns the ConfigMap feature-flags of a state; nil without one.
func flags(s *history.State) *history.Object {
	for _, o := range s.List("ConfigMap") {
		if o.Ref.Name == wellknown.FeatureFlags {
			return o
		}
	}
	return nil
}

func flagText(o *history.Object) string {
	var out []string
	for _, key := range affinityFlags {
		if v, ok := o.Field("data", key).(string); ok {
			out = append(out, fmt.Sprintf("%s: %q", key, v))
		} else {
			out = append(out, key+": absent")
		}
	}
	return strings.Join(out, ", ")
}

// flagsChanged says that the flags were others when the run began.
func (x *explainer) flagsChanged(first, later int) []Link {
	then, err1 := x.t.state(first)
	now, err2 := x.t.state(later)
	if err1 != nil || err2 != nil {
		return nil
	}
	a, b := flags(then), flags(now)
	if a == nil || b == nil || flagText(a) == flagText(b) {
		return nil
	}
	return []Link{flagsChangedRule.link(b.Ref.String(), flagText(a)+" -> "+flagText(b))}
}

// versionChanged says that another Tekton began the run.
func (x *explainer) versionChanged(first, later int) []Link {
	var a, b string
	for _, s := range x.t.starts {
		if s.seq < first {
			a = s.data.Version
		}
		if s.seq < later {
			b = s.data.Version
		}
	}
	if a == "" {
		// The history begins after the start of the first controller, so that a
		// swap has to say what it replaced.
		for _, i := range x.t.interventions {
			if i.data.FormerRelease != "" && i.seq > first {
				a = i.data.FormerRelease
				break
			}
		}
	}
	if b == "" || a == "" || a == b {
		return nil
	}
	l := releaseChanged.link(x.run.object(), "Tekton "+a+" -> "+b)
	if s, err := x.t.state(later); err == nil {
		if f := flags(s); f != nil {
			l.Evidence += ", " + flagText(f)
		}
	}
	return []Link{l}
}

// exclusive explains a pod by a ReadWriteOncePod claim that another pod has.
func (x *explainer) exclusive(id int64, p *pod, spec *corev1.Pod) {
	for _, name := range claimNames(spec) {
		pvc, ok := decode[corev1.PersistentVolumeClaim](x.s, "PersistentVolumeClaim", p.namespace, name)
		if !ok || !slices.Contains(pvc.Spec.AccessModes, corev1.ReadWriteOncePod) {
			continue
		}
		holders := x.users(p.namespace, name, func(h *pod) bool { return h != p && h.boundSeq != 0 && h.boundSeq < x.before })
		if len(holders) == 0 {
			continue
		}
		claim, _ := x.node(fmt.Sprintf("PersistentVolumeClaim %s/%s", p.namespace, name))
		x.wait(id, claim, needsExclusive.link(p.object(), fmt.Sprintf("PersistentVolumeClaim %s/%s spec.accessModes: %s", p.namespace, name, compact(pvc.Spec.AccessModes)), p.object(), name)).
			closes(circleExclusive.link(p.object(), x.mountOf(holders[0], name), p.object(), name, holders[0].title(x.t), p.object()))
		for _, h := range holders {
			hid, fresh := x.node(h.object())
			x.wait(claim, hid, claimInUse.link(fmt.Sprintf("PersistentVolumeClaim %s/%s", p.namespace, name), x.mountOf(h, name), name, h.title(x.t)))
			if fresh {
				x.holds(hid, h)
			}
		}
	}
}

// mountOf is the volume by which a pod uses a claim.
func (x *explainer) mountOf(p *pod, claim string) string {
	spec, ok := decode[corev1.Pod](x.s, "Pod", p.namespace, p.name)
	if !ok {
		return ""
	}
	i := indexOfClaim(spec, claim)
	if i < 0 {
		return ""
	}
	return fmt.Sprintf("Pod %s spec.volumes: %s, spec.nodeName: %s", p.name, compact(spec.Spec.Volumes[i]), spec.Spec.NodeName)
}

// users are the pods that mount a claim and have not ended.
func (x *explainer) users(namespace, claim string, take func(*pod) bool) []*pod {
	var out []*pod
	for _, o := range x.s.List("Pod") {
		if o.Ref.Namespace != namespace {
			continue
		}
		p := x.t.pod(namespace, o.Ref.Name, x.before)
		if p == nil || p.overSeq != 0 && p.overSeq < x.before || !take(p) {
			continue
		}
		var spec corev1.Pod
		if o.Decode(&spec) == nil && slices.Contains(claimNames(&spec), claim) {
			out = append(out, p)
		}
	}
	return out
}

// holds explains when a pod that holds something will let it go.
func (x *explainer) holds(id int64, p *pod) {
	if p.assistant != "" {
		x.assistantStays(id, p)
		return
	}
	if p.pipelineRun == "" && p.taskRun == "" {
		evidence := "metadata.ownerReferences: none"
		if o := owners(x.s.Live("Pod", p.namespace, p.name)); o != "" {
			evidence = o
		}
		x.end(id, MultiAttach, podKeepsVolume.link(p.object(), evidence, p.object()))
		return
	}
	if r := x.t.taskRun(p.namespace, p.taskRun); r != nil && (p.startedSeq == 0 || p.startedSeq >= x.before) {
		// A pod that holds and waits itself: what it waits for is part of this.
		// Its node is in the graph already, so it is explained here.
		if spec, ok := decode[corev1.Pod](x.s, "Pod", p.namespace, p.name); ok {
			if p.boundSeq == 0 || p.boundSeq >= x.before {
				x.unscheduled(id, p, spec)
			} else {
				x.notStarted(id, p, spec)
			}
		}
	}
}

// assistantStays: Tekton deletes an assistant's StatefulSet when its run is
// over, not before (cleanupAffinityAssistantsAndPVCs in pkg/reconciler/pipelinerun).
func (x *explainer) assistantStays(id int64, a *pod) {
	set := x.s.Live("StatefulSet", a.namespace, a.assistant)
	if set == nil {
		return
	}
	sid, _ := x.node(fmt.Sprintf("StatefulSet %s/%s", a.namespace, a.assistant))
	x.wait(id, sid, assistantStaysRule.link(a.object(), owners(x.s.Live("Pod", a.namespace, a.name)), a.title(x.t)))
	run := x.t.run(a.namespace, a.pipelineRun)
	if run == nil {
		return
	}
	if run.doneSeq != 0 && run.doneSeq < x.before {
		x.end(sid, Deadlock, x.leftSet(set, run)...)
		return
	}
	rid, fresh := x.node(run.object())
	x.wait(sid, rid, assistantUntilDone.link(fmt.Sprintf("StatefulSet %s/%s", a.namespace, a.assistant), owners(set), a.namespace, a.assistant, run.object()))
	if !fresh {
		return
	}
	waiting := x.start
	if run != x.run {
		waiting = nil
		for _, r := range run.taskRuns {
			if r.createdSeq < x.before && (r.doneSeq == 0 || r.doneSeq >= x.before) {
				waiting = r
				break
			}
		}
	}
	if waiting == nil {
		return
	}
	evidence := "TaskRun " + waiting.name + " is not done"
	if o := x.s.Live("PipelineRun", run.namespace, run.name); o != nil {
		if _, reason, message := succeeded(o); reason != "" {
			evidence = reason + ": " + message
		}
	}
	x.wait(rid, x.taskRun(waiting), runWaits.link(run.object(), evidence, run.object(), waiting.object()))
}

// leftSet says that the StatefulSet of an assistant outlives its run, and why, as far
// as the flags tell: Tekton clears away by those that hold at a run's end
// (cleanupAffinityAssistantsAndPVCs in pkg/reconciler/pipelinerun).
func (x *explainer) leftSet(set *history.Object, run *pipelineRun) []Link {
	links := []Link{assistantLeft.link(set.Ref.String(), fmt.Sprintf("%s: %s, at %.0f s; %s", run.reason, run.message, run.doneT, owners(set)), set.Ref, run.object())}
	first := run.doneSeq
	for _, r := range run.taskRuns {
		first = min(first, r.createdSeq)
	}
	then, err1 := x.t.state(first)
	end, err2 := x.t.state(run.doneSeq)
	if err1 != nil || err2 != nil {
		return links
	}
	if a, b := flags(then), flags(end); a != nil && b != nil && flagText(a) != flagText(b) {
		links = append(links, assistantLeftFlags.link(b.Ref.String(), flagText(a)+" -> "+flagText(b)))
	}
	return links
}

// owners are the kinds and names of an object's owners.
func owners(o *history.Object) string {
	var m meta
	if o == nil || o.Decode(&m) != nil {
		return ""
	}
	if len(m.Metadata.OwnerReferences) == 0 {
		return "metadata.ownerReferences: none"
	}
	return "metadata.ownerReferences: " + compact(m.Metadata.OwnerReferences)
}

// repelled explains a pod by others that will not have it beside them.
func (x *explainer) repelled(id int64, p *pod, spec *corev1.Pod, nodes []history.NodeRefusal) {
	evidence := ""
	if a := spec.Spec.Affinity; a != nil && a.PodAntiAffinity != nil {
		evidence = compact(a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution)
	}
	found := false
	for _, a := range x.matching(p.namespace, &metav1.LabelSelector{MatchLabels: map[string]string{wellknown.ComponentLabel: wellknown.AffinityAssistant}}) {
		if a == p || a.boundSeq == 0 || a.boundSeq >= x.before || !slices.ContainsFunc(nodes, func(n history.NodeRefusal) bool { return n.Node == a.node || n.Node == "" }) {
			continue
		}
		found = true
		aid, fresh := x.node(a.object())
		circle := circleApart.link(p.object(), evidence, p.object(), a.object())
		if term, _ := assistantTerm(spec); term != nil {
			circle = circleAssistantApart.link(p.object(), "podAffinity: "+compact(term)+"; podAntiAffinity: "+evidence, p.object())
		}
		x.wait(id, aid, awayFromAssistant.link(p.object(), evidence, p.object(), a.object())).closes(circle, x.apartOrigin(p)...)
		if fresh {
			x.assistantStays(aid, a)
		}
	}
	if !found && x.stalled {
		x.end(id, Unschedulable, append(x.nodeLinks(p, spec, nodes), x.refusalOrigin(p, spec, nodes)...)...)
	}
}

// holdOf is the Multi-Attach error that holds a pod as of then.
func (x *explainer) holdOf(p *pod, spec *corev1.Pod) *hold {
	if p.volumesSeq != 0 && p.volumesSeq < x.before || p.startedSeq != 0 && p.startedSeq < x.before {
		return nil
	}
	// The attach/detach controller says it once for each volume and node, of the
	// first pod that comes there.
	all := []*pod{p}
	for _, claim := range claimNames(spec) {
		all = append(all, x.users(p.namespace, claim, func(u *pod) bool { return u != p && u.node == p.node })...)
	}
	for _, u := range all {
		for i := len(u.holds) - 1; i >= 0; i-- {
			if h := &u.holds[i]; h.seq < x.before && !x.hasVolume(h, p.node) {
				return h
			}
		}
	}
	return nil
}

// hasVolume says whether the volume that pods waited for is on the node by now.
func (x *explainer) hasVolume(h *hold, node string) bool {
	pv := multiAttach.FindStringSubmatch(h.message)[2]
	return slices.ContainsFunc(x.s.List("VolumeAttachment"), func(o *history.Object) bool {
		return o.Text("spec", "source", "persistentVolumeName") == pv && o.Text("spec", "nodeName") == node && o.Field("status", "attached") == true
	})
}

// heldBy explains a Multi-Attach error by the pods that have the volume.
func (x *explainer) heldBy(id int64, p *pod, spec *corev1.Pod, h *hold) {
	x.held[id] = true
	pv := multiAttach.FindStringSubmatch(h.message)[2]
	vid, _ := x.node("PersistentVolume " + pv)
	x.wait(id, vid, multiAttachError.link(p.object(), clip(h.message), p.object(), pv, p.node))
	claim := ""
	for _, name := range claimNames(spec) {
		if pvc, ok := decode[corev1.PersistentVolumeClaim](x.s, "PersistentVolumeClaim", p.namespace, name); ok && pvc.Spec.VolumeName == pv {
			claim = name
		}
	}
	at, evidence := x.attachedTo(pv, p.node)
	if removed := x.t.nodeRemoved(at, x.before); removed != nil {
		// That says why the volume is there; what keeps pods together does not.
		x.foreign, x.shared = true, removed
		x.end(vid, MultiAttach, volumeNodeGone.link("PersistentVolume "+pv, evidence, pv, at))
		return
	}
	// Others may be waiting for the volume too: it is where it is attached.
	users := x.users(p.namespace, claim, func(u *pod) bool {
		return u != p && u.node != "" && u.node != p.node && (at == "" || u.node == at)
	})
	for _, u := range users {
		if u.pipelineRun != p.pipelineRun {
			x.foreign, x.shared = true, x.sharedBy(p, u, claim)
		}
		uid, fresh := x.node(u.object())
		l := volumeUsed.link("PersistentVolume "+pv, evidence, pv, u.node, u.title(x.t))
		if l.Evidence == "" {
			l.Evidence = x.mountOf(u, claim)
		}
		circle := circleVolume
		if u.assistant == "" {
			circle = circleVolumes
		}
		x.wait(vid, uid, l).closes(circle.link("PersistentVolume "+pv, l.Evidence, pv, u.node, u.title(x.t), p.object(), p.node))
		if sidecar := x.attemptGoesOn(p, u); sidecar != "" {
			x.foreign = true
			x.end(uid, MultiAttach, attemptKeeps.link(u.object(), fmt.Sprintf("status.containerStatuses: %s is running, and no step is", sidecar), u.object(), strings.TrimPrefix(sidecar, sidecarPrefix)))
			continue
		}
		if fresh {
			x.holds(uid, u)
		}
	}
	if len(users) > 0 {
		return
	}
	l := volumeNotUsed.link("PersistentVolume "+pv, evidence, pv, at)
	if at == "" {
		l = volumeElsewhere.link("PersistentVolume "+pv, claimModes(x.s, p.namespace, claim), pv)
	}
	x.end(vid, MultiAttach, l)
}

func claimModes(s *history.State, namespace, claim string) string {
	o := s.Live("PersistentVolumeClaim", namespace, claim)
	if o == nil {
		return ""
	}
	return fmt.Sprintf("PersistentVolumeClaim %s/%s spec.accessModes: %s", namespace, claim, o.JSON("spec", "accessModes"))
}

// attachedTo is the node other than but to which a volume is attached.
func (x *explainer) attachedTo(pv, but string) (node, evidence string) {
	for _, o := range x.s.List("VolumeAttachment") {
		if o.Text("spec", "source", "persistentVolumeName") == pv && o.Text("spec", "nodeName") != but {
			return o.Text("spec", "nodeName"), fmt.Sprintf("%s spec: %s, status: %s", o.Ref, o.JSON("spec"), o.JSON("status"))
		}
	}
	return "", ""
}

// sharedBy says that two runs use one claim; one that is over does not.
func (x *explainer) sharedBy(p, u *pod, claim string) []Link {
	var said []string
	if run := x.t.run(u.namespace, u.pipelineRun); run != nil && run.doneSeq != 0 && run.doneSeq < x.before {
		return nil
	}
	for _, name := range []string{p.pipelineRun, u.pipelineRun} {
		if o := x.s.Live("PipelineRun", p.namespace, name); o != nil {
			said = append(said, fmt.Sprintf("PipelineRun %s/%s spec.workspaces: %s", p.namespace, name, o.JSON("spec", "workspaces")))
		}
	}
	if len(said) < 2 {
		return nil // a pod that is no run's
	}
	return []Link{runsShareClaim.link(fmt.Sprintf("PersistentVolumeClaim %s/%s", p.namespace, claim), clip(strings.Join(said, "\n")), p.pipelineRun, u.pipelineRun)}
}

// spread says why pods that use one volume may be on different nodes.
func (x *explainer) spread(p *pod, spec *corev1.Pod) []Link {
	if x.foreign || p.assistant != "" {
		return x.shared
	}
	if _, assistant := assistantTerm(spec); assistant != "" {
		return nil
	}
	f := flags(x.s)
	if f == nil {
		return nil
	}
	return []Link{noAssistantDemanded.link(f.Ref.String(), flagText(f))}
}

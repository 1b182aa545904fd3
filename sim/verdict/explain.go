package verdict

import (
	"cmp"
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
	"simctl.dev/simctl/sim/timeline"
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
	t *judging
	s *timeline.View
	// before is the entry as of which the world is looked at.
	before int
	// stalled says that nothing could happen any more, so what is not there
	// will not come.
	stalled bool
	// start is the TaskRun whose waiting is explained, run its PipelineRun.
	start *timeline.TaskRun
	run   *timeline.Run
	// foreign: a volume is held by a pod that is not the run's, or by a node that is
	// gone; shared says so if it is another run's, or who took the node away.
	foreign bool
	shared  []Link
}

func newExplainer(t *judging, run *timeline.Run, start *timeline.TaskRun, before int, stalled bool) *explainer {
	return &explainer{waitGraph: newWaitGraph(), t: t, s: t.Before(before), before: before, stalled: stalled, start: start, run: run}
}

// past says whether an entry comes before the moment that is looked at.
func (x *explainer) past(seq int) bool { return past(seq, x.before) }

// past says whether an entry comes before another; one of number 0 never came.
func past(seq, before int) bool { return seq != 0 && seq < before }

func compact(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(raw)
}

// currentPod is the TaskRun's last pod as of then.
func (x *explainer) currentPod(r *timeline.TaskRun) *timeline.Pod {
	for _, p := range slices.Backward(r.Pods) {
		if x.past(p.CreatedSeq) && !x.past(p.GoneSeq) {
			return p
		}
	}
	return nil
}

// explain returns the reason for which the TaskRun waits.
func (x *explainer) explain() (root, bool) {
	return x.resolve(x.taskRun(x.start))
}

func (x *explainer) taskRun(r *timeline.TaskRun) int64 {
	id, fresh := x.node(r.Object())
	if !fresh {
		return id
	}
	if p := x.currentPod(r); p != nil {
		x.wait(id, x.pod(p), x.symptom(p))
		return id
	}
	var refusal *history.Entry
	for i := range r.Refused {
		if x.past(r.Refused[i].Seq) {
			refusal = &r.Refused[i]
		}
	}
	if refusal != nil {
		admission, _ := x.node("admission of " + r.Object())
		x.wait(id, admission, taskPodRefused.link(r.Object(), clip(refusal.Message), r.Task))
		x.end(admission, AdmissionDenied, refusalCause(x.s, r.Namespace, refusal.Message, refusedPod(*refusal))...)
	}
	return id
}

// symptom says what a waiting pod looks like from outside.
func (x *explainer) symptom(p *timeline.Pod) Link {
	evidence := "it has no status"
	if spec, ok := timeline.Decode[corev1.Pod](x.s, "Pod", p.Namespace, p.Name); ok && spec.Status.Phase != "" {
		evidence = clip(podStatus(&spec.Status))
	}
	if x.past(p.BoundSeq) {
		rule := podOnNode
		if p.StartedSeq != 0 {
			rule = podNotYet // it did, later on
		}
		return rule.link(p.Object(), evidence, x.t.Title(p), p.Node)
	}
	if u := p.LastUnschedulable(x.before); u != nil {
		evidence = u.Data.Message
		if strings.Contains(u.Data.PerTaint, "untolerated taint {") && u.Data.PerTaint != u.Data.Message {
			evidence += "\n" + u.Data.PerTaint
		}
	}
	return podPending.link(p.Object(), evidence, x.t.Title(p))
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

func (x *explainer) pod(p *timeline.Pod) int64 {
	id, fresh := x.node(p.Object())
	if !fresh {
		return id
	}
	spec, ok := timeline.Decode[corev1.Pod](x.s, "Pod", p.Namespace, p.Name)
	if !ok {
		return id
	}
	switch {
	case !x.past(p.BoundSeq):
		x.unscheduled(id, p, spec)
	case !x.past(p.StartedSeq):
		x.notStarted(id, p, spec)
	}
	return id
}

// refusals are the nodes' answers; where the scheduler's plugin recorded none
// they are read from the message, without the nodes' names.
func refusals(u *timeline.Fact[history.Unschedulable]) []history.NodeRefusal {
	if u == nil {
		return nil
	}
	if len(u.Data.Nodes) > 0 {
		return u.Data.Nodes
	}
	_, text, _ := strings.Cut(u.Data.Message, "nodes are available: ")
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
func (x *explainer) nodeLinks(p *timeline.Pod, spec *corev1.Pod, nodes []history.NodeRefusal) []Link {
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
			object, of = p.Object(), "nodes"
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
func (x *explainer) apart(p *timeline.Pod, spec *corev1.Pod, nodes []string) string {
	text := ""
	own := awayFrom(spec)
	if len(own) > 0 {
		text += "; the pod's podAntiAffinity: " + compact(own)
	}
	var others []*timeline.Pod
	for _, n := range nodes {
		others = append(others, x.s.PodsOn(n)...)
	}
	slices.SortStableFunc(others, func(a, b *timeline.Pod) int { return cmp.Compare(a.Name, b.Name) })
	for _, o := range others {
		there, ok := timeline.Decode[corev1.Pod](x.s, "Pod", o.Namespace, o.Name)
		if !ok || o.Namespace != p.Namespace || there.Spec.NodeName == "" || ended(there) {
			continue
		}
		switch theirs := awayFrom(there); {
		case selects(own, there.Labels):
			text += fmt.Sprintf("; on Node %s: %s", there.Spec.NodeName, o.Object())
		case selects(theirs, spec.Labels):
			text += fmt.Sprintf("; on Node %s: %s with podAntiAffinity: %s", there.Spec.NodeName, o.Object(), compact(theirs))
		}
	}
	return text
}

// ended says whether a pod has ended, so that it takes up nothing any more.
func ended(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
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
func (x *explainer) full(p *timeline.Pod) []Link {
	if x.past(p.BoundSeq) {
		return nil
	}
	spec, ok := timeline.Decode[corev1.Pod](x.s, "Pod", p.Namespace, p.Name)
	if !ok {
		return nil
	}
	return x.nodeLinks(p, spec, slices.DeleteFunc(slices.Clone(refusals(p.LastUnschedulable(x.before))), lastsOrOthers))
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
	if gone := x.s.Get("PersistentVolumeClaim", namespace, name); gone != nil && gone.Deleted {
		x.end(id, Deadlock, claimDeleted.link(object, fmt.Sprintf("deletion asked for by %s at %.0f s", gone.DeletedBy, gone.CondemnedAt), name, gone.DeletedBy))
		return
	}
	if e := x.refusedClaim(namespace, name); e != nil {
		x.end(id, Deadlock, append([]Link{claimRefused.link(object, clip(e.Message), name)}, refusalCause(x.s, namespace, e.Message, nil)...)...)
		return
	}
	x.end(id, Deadlock, claimNeverMade.link(object, fmt.Sprintf("persistentvolumeclaim %q not found", name), name))
}

// refusedClaim is the last refusal of a claim, which was to be made under the beginning of
// its name if that was to be generated; nil without one.
func (x *explainer) refusedClaim(namespace, name string) *history.Entry {
	var found *history.Entry
	for n := range len(name) + 1 {
		for _, e := range x.t.RefusedOf(namespace, name[:n]) {
			if x.past(e.Seq) && strings.HasPrefix(e.Object.Kind, "PersistentVolumeClaim") && (found == nil || e.Seq > found.Seq) {
				found = &e
			}
		}
	}
	return found
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
	for _, p := range x.s.PodsOfClaim(namespace, name) {
		spec, ok := timeline.Decode[corev1.Pod](x.s, "Pod", namespace, p.Name)
		if !ok || !x.past(p.BoundSeq) {
			continue
		}
		evidence := x.mountOf(p, name)
		if x.past(p.OverSeq) {
			evidence = "status.phase: " + string(spec.Status.Phase) + "; " + evidence
		}
		l := claimKept.link(object, evidence, name, x.t.Title(p))
		uid, fresh := x.node(p.Object())
		x.wait(id, uid, l)
		if fresh && p.Assistant != "" {
			x.holds(uid, p)
			l.Behind = x.chain(x.trail(uid))
		}
		links = append(links, l)
	}
	return links
}

// attemptGoesOn is the container of an earlier attempt of a pod's task that still runs
// though all of its steps have ended; empty if u is no such attempt.
func (x *explainer) attemptGoesOn(p, u *timeline.Pod) string {
	if u.TaskRun == "" || u.TaskRun != p.TaskRun {
		return ""
	}
	spec, ok := timeline.Decode[corev1.Pod](x.s, "Pod", u.Namespace, u.Name)
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
	failed := x.t.LastEvent("PersistentVolumeClaim", namespace, name, x.before, func(e timeline.Event) bool {
		return e.Type == corev1.EventTypeWarning || e.Reason == "FailedBinding"
	})
	if failed == nil && !x.stalled {
		return
	}
	l := claimNoVolume.link(fmt.Sprintf("PersistentVolumeClaim %s/%s", namespace, name), "", name)
	if failed != nil {
		l.Evidence = clip(failed.Message)
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
func (x *explainer) matching(namespace string, selector *metav1.LabelSelector) []*timeline.Pod {
	return slices.DeleteFunc(x.s.PodsSelected(namespace, selector), func(p *timeline.Pod) bool { return x.past(p.OverSeq) })
}

// affinity explains a pod that has to run beside an assistant, by a term of its affinity;
// refusing are the nodes that do not take it for reasons of their own.
func (x *explainer) affinity(id int64, p *timeline.Pod, spec *corev1.Pod, term *corev1.PodAffinityTerm, assistant string, refusing []history.NodeRefusal) {
	link := besideAssistant.link(p.Object(), compact(term), p.Object(), assistant)
	found := x.matching(p.Namespace, term.LabelSelector)
	if len(found) == 0 {
		missing, _ := x.node(fmt.Sprintf("Pod %s/%s-0", p.Namespace, assistant))
		x.wait(id, missing, link)
		x.missingAssistant(missing, p, assistant)
		return
	}
	a := found[0]
	if !x.past(a.BoundSeq) {
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
		if n.Node == a.Node && (x.stalled || lasting([]history.NodeRefusal{n})) {
			why, its = n.Reasons, []history.NodeRefusal{n}
			if len(n.Taints) > 0 {
				why = []string{"taints not tolerated: {" + strings.Join(n.Taints, "}, {") + "}"}
			}
		}
	}
	if why == nil {
		return
	}
	node, _ := x.node("Node " + a.Node)
	reasons := strings.Join(why, ", ")
	x.wait(id, node, link).closes(circleAssistantNode.link(p.Object(), link.Evidence, p.Object(), a.Node, reasons),
		append(x.nodeLinks(p, spec, its), x.refusalOrigin(p, spec, its)...)...)
	aid, _ := x.node(a.Object())
	x.wait(node, aid, assistantHolds.link("Node "+a.Node, reasons, a.Node))
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
func (x *explainer) foreignAffinity(id int64, p *timeline.Pod, spec *corev1.Pod) {
	if !x.stalled || spec.Spec.Affinity == nil || spec.Spec.Affinity.PodAffinity == nil {
		return
	}
	l := besideNowhere.link(p.Object(), compact(spec.Spec.Affinity.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution), p.Object())
	x.end(id, Unschedulable, append([]Link{l}, x.fieldOrigin(p, "affinity")...)...)
}

// missingAssistant explains why there is no pod of an affinity assistant.
func (x *explainer) missingAssistant(id int64, p *timeline.Pod, assistant string) {
	name := assistant + "-0"
	object := fmt.Sprintf("Pod %s/%s", p.Namespace, name)
	set := x.s.Get("StatefulSet", p.Namespace, assistant)
	setName := fmt.Sprintf("StatefulSet %s/%s", p.Namespace, assistant)
	if set == nil || set.Deleted {
		x.missingSet(id, p, assistant, set)
		return
	}
	sid, _ := x.node(setName)
	status := "spec.replicas: " + set.JSON("spec", "replicas") + ", status: " + set.JSON("status")
	x.wait(id, sid, assistantPodMissing.link(object, status, object))

	message := ""
	if e := x.t.LastEvent("StatefulSet", p.Namespace, assistant, x.before, func(e timeline.Event) bool { return e.Reason == "FailedCreate" }); e != nil {
		message = e.Message
	}
	var pod *corev1.Pod
	refusal := ""
	for _, e := range x.t.RefusedOf(p.Namespace, name) {
		if x.past(e.Seq) && e.Verb == history.VerbCreate {
			pod, refusal = refusedPod(e), e.Message
		}
	}
	if message == "" {
		message = refusal
	}
	if message == "" {
		// The StatefulSet is there and its pod was never tried, or is gone.
		l := assistantNoPod.link(setName, status, setName)
		if gone := x.s.Get("Pod", p.Namespace, name); gone != nil && gone.Deleted {
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
	x.end(sid, Deadlock, append([]Link{assistantRefused.link(setName, clip(message), setName)}, refusalCause(x.s, p.Namespace, words, pod)...)...)
}

// missingSet explains why there is no StatefulSet of an affinity assistant.
func (x *explainer) missingSet(id int64, p *timeline.Pod, assistant string, gone *history.Object) {
	setName := fmt.Sprintf("StatefulSet %s/%s", p.Namespace, assistant)
	object := fmt.Sprintf("Pod %s/%s-0", p.Namespace, assistant)
	sid, _ := x.node(setName)
	x.wait(id, sid, assistantPodMissing.link(object, x.podNames(p.Namespace), object))
	id = sid
	if gone != nil {
		x.end(id, Deadlock, assistantDeleted.link(setName, "deleted by "+gone.DeletedBy, setName))
		return
	}
	for _, e := range slices.Backward(x.run.Refused) {
		if x.past(e.Seq) && e.Object.Kind == "StatefulSet" && e.Object.Name == assistant {
			links := append([]Link{assistantSetRefused.link(setName, clip(e.Message), setName)}, refusalCause(x.s, p.Namespace, e.Message, nil)...)
			x.end(id, Deadlock, append(links, x.t.apiFault(e.Message, e.Seq)...)...)
			return
		}
	}
	var sets []string
	for _, s := range x.s.OfRun("StatefulSet", p.Namespace, x.run.Name) {
		if !s.Deleted {
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
	for _, o := range x.s.In("Pod", namespace) {
		names = append(names, o.Ref.Name)
	}
	return "the namespace's pods: " + strings.Join(names, ", ")
}

// whyNoSet looks for what keeps Tekton from making an assistant that it demands.
func (x *explainer) whyNoSet(assistant string) []Link {
	run := x.s.Live("PipelineRun", x.run.Namespace, x.run.Name)
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
			if assistantOf(w.Name, x.run.Name) == assistant {
				mine = w.Claim.Name
			}
		}
		if len(byClaim[mine]) > 1 {
			return []Link{assistantOneForTwo.link(x.run.Object(), "spec.workspaces: "+run.JSON("spec", "workspaces"), strings.Join(byClaim[mine], " and "), mine)}
		}
	}
	if len(x.run.TaskRuns) == 0 {
		return nil
	}
	first, later := x.run.TaskRuns[0].CreatedSeq, x.start.CreatedSeq
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
	a, b := x.t.Before(first).FeatureFlags(), x.t.Before(later).FeatureFlags()
	if a == nil || b == nil || flagText(a) == flagText(b) {
		return nil
	}
	return []Link{flagsChangedRule.link(b.Ref.String(), flagText(a)+" -> "+flagText(b))}
}

// versionChanged says that another Tekton began the run.
func (x *explainer) versionChanged(first, later int) []Link {
	var a, b string
	for _, s := range x.t.Starts {
		if s.Seq < first {
			a = s.Data.Version
		}
		if s.Seq < later {
			b = s.Data.Version
		}
	}
	if a == "" {
		// The history begins after the start of the first controller, so that a
		// swap has to say what it replaced.
		for _, i := range x.t.Interventions {
			if i.Data.FormerRelease != "" && i.Seq > first {
				a = i.Data.FormerRelease
				break
			}
		}
	}
	if b == "" || a == "" || a == b {
		return nil
	}
	l := releaseChanged.link(x.run.Object(), "Tekton "+a+" -> "+b)
	if f := x.t.Before(later).FeatureFlags(); f != nil {
		l.Evidence += ", " + flagText(f)
	}
	return []Link{l}
}

// exclusive explains a pod by a ReadWriteOncePod claim that another pod has.
func (x *explainer) exclusive(id int64, p *timeline.Pod, spec *corev1.Pod) {
	for _, name := range claimNames(spec) {
		pvc, ok := timeline.Decode[corev1.PersistentVolumeClaim](x.s, "PersistentVolumeClaim", p.Namespace, name)
		if !ok || !slices.Contains(pvc.Spec.AccessModes, corev1.ReadWriteOncePod) {
			continue
		}
		holders := x.users(p.Namespace, name, func(h *timeline.Pod) bool { return x.past(h.BoundSeq) })
		if len(holders) == 0 {
			continue
		}
		claim, _ := x.node(fmt.Sprintf("PersistentVolumeClaim %s/%s", p.Namespace, name))
		x.wait(id, claim, needsExclusive.link(p.Object(), fmt.Sprintf("PersistentVolumeClaim %s/%s spec.accessModes: %s", p.Namespace, name, compact(pvc.Spec.AccessModes)), p.Object(), name)).
			closes(circleExclusive.link(p.Object(), x.mountOf(holders[0], name), p.Object(), name, x.t.Title(holders[0]), p.Object()))
		for _, h := range holders {
			hid, fresh := x.node(h.Object())
			x.wait(claim, hid, claimInUse.link(fmt.Sprintf("PersistentVolumeClaim %s/%s", p.Namespace, name), x.mountOf(h, name), name, x.t.Title(h)))
			if fresh {
				x.holds(hid, h)
			}
		}
	}
}

// mountOf is the volume by which a pod uses a claim.
func (x *explainer) mountOf(p *timeline.Pod, claim string) string {
	spec, ok := timeline.Decode[corev1.Pod](x.s, "Pod", p.Namespace, p.Name)
	if !ok {
		return ""
	}
	i := indexOfClaim(spec, claim)
	if i < 0 {
		return ""
	}
	return fmt.Sprintf("Pod %s spec.volumes: %s, spec.nodeName: %s", p.Name, compact(spec.Spec.Volumes[i]), spec.Spec.NodeName)
}

// users are the pods that mount a claim and have not ended.
func (x *explainer) users(namespace, claim string, take func(*timeline.Pod) bool) []*timeline.Pod {
	return slices.DeleteFunc(x.s.PodsOfClaim(namespace, claim), func(p *timeline.Pod) bool {
		return x.past(p.OverSeq) || !take(p)
	})
}

// holds explains when a pod that holds something will let it go.
func (x *explainer) holds(id int64, p *timeline.Pod) {
	if p.Assistant != "" {
		x.assistantStays(id, p)
		return
	}
	if p.PipelineRun == "" && p.TaskRun == "" {
		evidence := "metadata.ownerReferences: none"
		if o := owners(x.s.Live("Pod", p.Namespace, p.Name)); o != "" {
			evidence = o
		}
		x.end(id, MultiAttach, podKeepsVolume.link(p.Object(), evidence, p.Object()))
		return
	}
	if r := x.t.TaskRun(p.Namespace, p.TaskRun); r != nil && !x.past(p.StartedSeq) {
		// A pod that holds and waits itself: what it waits for is part of this.
		// Its node is in the graph already, so it is explained here.
		if spec, ok := timeline.Decode[corev1.Pod](x.s, "Pod", p.Namespace, p.Name); ok {
			if !x.past(p.BoundSeq) {
				x.unscheduled(id, p, spec)
			} else {
				x.notStarted(id, p, spec)
			}
		}
	}
}

// assistantStays: Tekton deletes an assistant's StatefulSet when its run is
// over, not before (cleanupAffinityAssistantsAndPVCs in pkg/reconciler/pipelinerun).
func (x *explainer) assistantStays(id int64, a *timeline.Pod) {
	set := x.s.Live("StatefulSet", a.Namespace, a.Assistant)
	if set == nil {
		return
	}
	sid, _ := x.node(fmt.Sprintf("StatefulSet %s/%s", a.Namespace, a.Assistant))
	x.wait(id, sid, assistantStaysRule.link(a.Object(), owners(x.s.Live("Pod", a.Namespace, a.Name)), x.t.Title(a)))
	run := x.t.Run(a.Namespace, a.PipelineRun)
	if run == nil {
		return
	}
	if x.past(run.DoneSeq) {
		x.end(sid, Deadlock, x.leftSet(set, run)...)
		return
	}
	rid, fresh := x.node(run.Object())
	x.wait(sid, rid, assistantUntilDone.link(fmt.Sprintf("StatefulSet %s/%s", a.Namespace, a.Assistant), owners(set), a.Namespace, a.Assistant, run.Object()))
	if !fresh {
		return
	}
	waiting := x.start
	if run != x.run {
		waiting = nil
		for _, r := range run.TaskRuns {
			if x.past(r.CreatedSeq) && !x.past(r.DoneSeq) {
				waiting = r
				break
			}
		}
	}
	if waiting == nil {
		return
	}
	evidence := "TaskRun " + waiting.Name + " is not done"
	if o := x.s.Live("PipelineRun", run.Namespace, run.Name); o != nil {
		if _, reason, message := timeline.Succeeded(o); reason != "" {
			evidence = reason + ": " + message
		}
	}
	x.wait(rid, x.taskRun(waiting), runWaits.link(run.Object(), evidence, run.Object(), waiting.Object()))
}

// leftSet says that the StatefulSet of an assistant outlives its run, and why, as far
// as the flags tell: Tekton clears away by those that hold at a run's end
// (cleanupAffinityAssistantsAndPVCs in pkg/reconciler/pipelinerun).
func (x *explainer) leftSet(set *history.Object, run *timeline.Run) []Link {
	links := []Link{assistantLeft.link(set.Ref.String(), fmt.Sprintf("%s: %s, at %.0f s; %s", run.Reason, run.Message, run.DoneT, owners(set)), set.Ref, run.Object())}
	first := run.DoneSeq
	for _, r := range run.TaskRuns {
		first = min(first, r.CreatedSeq)
	}
	if a, b := x.t.Before(first).FeatureFlags(), x.t.Before(run.DoneSeq).FeatureFlags(); a != nil && b != nil && flagText(a) != flagText(b) {
		links = append(links, assistantLeftFlags.link(b.Ref.String(), flagText(a)+" -> "+flagText(b)))
	}
	return links
}

// owners are the kinds and names of an object's owners.
func owners(o *history.Object) string {
	if o == nil {
		return ""
	}
	all := timeline.MetaOf(o).OwnerReferences
	if len(all) == 0 {
		return "metadata.ownerReferences: none"
	}
	return "metadata.ownerReferences: " + compact(all)
}

// repelled explains a pod by others that will not have it beside them.
func (x *explainer) repelled(id int64, p *timeline.Pod, spec *corev1.Pod, nodes []history.NodeRefusal) {
	own := awayFrom(spec)
	refusing := map[string]bool{}
	for _, n := range nodes {
		refusing[n.Node] = true
	}
	found := false
	for _, a := range x.matching(p.Namespace, &metav1.LabelSelector{MatchLabels: map[string]string{wellknown.ComponentLabel: wellknown.AffinityAssistant}}) {
		if !x.past(a.BoundSeq) || !refusing[a.Node] && !refusing[""] {
			continue
		}
		there, ok := timeline.Decode[corev1.Pod](x.s, "Pod", a.Namespace, a.Name)
		if !ok {
			continue
		}
		evidence := compact(own)
		if !selects(own, there.Labels) {
			// It is the assistant that will not have the pod beside it, or neither is
			// in the other's way.
			theirs := awayFrom(there)
			if !selects(theirs, spec.Labels) {
				continue
			}
			evidence = a.Object() + ": " + compact(theirs)
		}
		found = true
		aid, fresh := x.node(a.Object())
		circle := circleApart.link(p.Object(), evidence, p.Object(), a.Object())
		if term, _ := assistantTerm(spec); term != nil {
			circle = circleAssistantApart.link(p.Object(), "podAffinity: "+compact(term)+"; podAntiAffinity: "+evidence, p.Object())
		}
		x.wait(id, aid, awayFromAssistant.link(p.Object(), evidence, p.Object(), a.Object())).closes(circle, x.apartOrigin(p)...)
		if fresh {
			x.assistantStays(aid, a)
		}
	}
	if !found && x.stalled {
		x.end(id, Unschedulable, append(x.nodeLinks(p, spec, nodes), x.refusalOrigin(p, spec, nodes)...)...)
	}
}

// holdOf is the Multi-Attach error that holds a pod as of then.
func (x *explainer) holdOf(p *timeline.Pod, spec *corev1.Pod) *timeline.Hold {
	if x.past(p.VolumesSeq) || x.past(p.StartedSeq) {
		return nil
	}
	// The attach/detach controller says it once for each volume and node, of the
	// first pod that comes there.
	all := []*timeline.Pod{p}
	for _, claim := range claimNames(spec) {
		all = append(all, x.users(p.Namespace, claim, func(u *timeline.Pod) bool { return u.Node == p.Node })...)
	}
	for _, u := range all {
		for i := range slices.Backward(u.Holds) {
			if h := &u.Holds[i]; x.past(h.Seq) && !x.hasVolume(h, p.Node) {
				return h
			}
		}
	}
	return nil
}

// hasVolume says whether the volume that pods waited for is on the node by now.
func (x *explainer) hasVolume(h *timeline.Hold, node string) bool {
	pv := h.Volume
	return slices.ContainsFunc(x.s.Attachments(pv), func(o *history.Object) bool {
		return o.Text("spec", "nodeName") == node && o.Field("status", "attached") == true
	})
}

// heldBy explains a Multi-Attach error by the pods that have the volume.
func (x *explainer) heldBy(id int64, p *timeline.Pod, spec *corev1.Pod, h *timeline.Hold) {
	x.held[id] = true
	pv := h.Volume
	vid, _ := x.node("PersistentVolume " + pv)
	x.wait(id, vid, multiAttachError.link(p.Object(), clip(h.Message), p.Object(), pv, p.Node))
	claim := ""
	for _, name := range claimNames(spec) {
		if pvc, ok := timeline.Decode[corev1.PersistentVolumeClaim](x.s, "PersistentVolumeClaim", p.Namespace, name); ok && pvc.Spec.VolumeName == pv {
			claim = name
		}
	}
	at, evidence := x.attachedTo(pv, p.Node)
	if removed := x.t.nodeRemoved(at, x.before); removed != nil {
		// That says why the volume is there; what keeps pods together does not.
		x.foreign, x.shared = true, removed
		x.end(vid, MultiAttach, volumeNodeGone.link("PersistentVolume "+pv, evidence, pv, at))
		return
	}
	if why := x.t.cannotSay(at, h.Seq, x.before); why != nil {
		x.foreign, x.shared = true, why
		x.end(vid, MultiAttach, volumeNotReleased.link("PersistentVolume "+pv, evidence, pv, at))
		return
	}
	// Others may be waiting for the volume too: it is where it is attached.
	users := x.users(p.Namespace, claim, func(u *timeline.Pod) bool {
		return u != p && u.Node != "" && u.Node != p.Node && (at == "" || u.Node == at)
	})
	for _, u := range users {
		if u.PipelineRun != p.PipelineRun {
			x.foreign, x.shared = true, x.sharedBy(p, u, claim)
		}
		uid, fresh := x.node(u.Object())
		l := volumeUsed.link("PersistentVolume "+pv, evidence, pv, u.Node, x.t.Title(u))
		if l.Evidence == "" {
			l.Evidence = x.mountOf(u, claim)
		}
		circle := circleVolume
		if u.Assistant == "" {
			circle = circleVolumes
		}
		x.wait(vid, uid, l).closes(circle.link("PersistentVolume "+pv, l.Evidence, pv, u.Node, x.t.Title(u), p.Object(), p.Node))
		if sidecar := x.attemptGoesOn(p, u); sidecar != "" {
			x.foreign = true
			x.end(uid, MultiAttach, attemptKeeps.link(u.Object(), fmt.Sprintf("status.containerStatuses: %s is running, and no step is", sidecar), u.Object(), strings.TrimPrefix(sidecar, sidecarPrefix)))
			continue
		}
		if fresh {
			x.holds(uid, u)
		}
	}
	if len(users) > 0 {
		return
	}
	if at == "" {
		x.end(vid, MultiAttach, volumeElsewhere.link("PersistentVolume "+pv, claimModes(x.s, p.Namespace, claim), pv))
		return
	}
	if why := x.movedFrom(p, claim, at); why != nil {
		x.foreign, x.shared = true, why
	}
	x.end(vid, MultiAttach, volumeNotUsed.link("PersistentVolume "+pv, evidence, pv, at))
}

// movedFrom says why a run's pods are no longer on a node where they had a volume: who sent
// the last of them away; nil if nobody did.
func (x *explainer) movedFrom(p *timeline.Pod, claim, node string) []Link {
	var last *timeline.Pod
	for _, u := range x.s.PodsThatHad(p.Namespace, claim) {
		if u.StopSeq != 0 && u.Node == node && u.PipelineRun == p.PipelineRun && (last == nil || u.StopSeq > last.StopSeq) {
			last = u
		}
	}
	if last == nil {
		return nil
	}
	if stop, found := x.t.Entry(last.StopSeq); found {
		return x.t.sentAway(last, stop)
	}
	return nil
}

func claimModes(s *timeline.View, namespace, claim string) string {
	o := s.Live("PersistentVolumeClaim", namespace, claim)
	if o == nil {
		return ""
	}
	return fmt.Sprintf("PersistentVolumeClaim %s/%s spec.accessModes: %s", namespace, claim, o.JSON("spec", "accessModes"))
}

// attachedTo is the node other than but to which a volume is attached.
func (x *explainer) attachedTo(pv, but string) (node, evidence string) {
	for _, o := range x.s.Attachments(pv) {
		if o.Text("spec", "nodeName") != but {
			return o.Text("spec", "nodeName"), fmt.Sprintf("%s spec: %s, status: %s", o.Ref, o.JSON("spec"), o.JSON("status"))
		}
	}
	return "", ""
}

// sharedBy says that two runs use one claim; one that is over does not.
func (x *explainer) sharedBy(p, u *timeline.Pod, claim string) []Link {
	var said []string
	if run := x.t.Run(u.Namespace, u.PipelineRun); run != nil && x.past(run.DoneSeq) {
		return nil
	}
	for _, name := range []string{p.PipelineRun, u.PipelineRun} {
		if o := x.s.Live("PipelineRun", p.Namespace, name); o != nil {
			said = append(said, fmt.Sprintf("PipelineRun %s/%s spec.workspaces: %s", p.Namespace, name, o.JSON("spec", "workspaces")))
		}
	}
	if len(said) < 2 {
		return nil // a pod that is no run's
	}
	return []Link{runsShareClaim.link(fmt.Sprintf("PersistentVolumeClaim %s/%s", p.Namespace, claim), clip(strings.Join(said, "\n")), p.PipelineRun, u.PipelineRun)}
}

// spread says why pods that use one volume may be on different nodes.
func (x *explainer) spread(p *timeline.Pod, spec *corev1.Pod) []Link {
	if x.foreign || p.Assistant != "" {
		return x.shared
	}
	if _, assistant := assistantTerm(spec); assistant != "" {
		return nil
	}
	f := x.s.FeatureFlags()
	if f == nil {
		return nil
	}
	return []Link{noAssistantDemanded.link(f.Ref.String(), flagText(f))}
}

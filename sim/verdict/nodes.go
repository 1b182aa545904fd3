package verdict

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/timeline"
	"simctl.dev/simctl/sim/wellknown"
)

// nodeRemoved says who took a node away before an entry; nil if it is there.
func (t *judging) nodeRemoved(node string, before int) []Link {
	e := t.LastWrite(history.Ref{Kind: "Node", Name: node}, before)
	if e == nil || e.Verb != history.VerbDelete {
		return nil
	}
	for _, f := range slices.Backward(t.ScaledDown) {
		if f.Data.Node == node && f.Seq < e.Seq {
			return []Link{nodeScaledDown.link("Node "+node, fmt.Sprintf("%s at %.0f s", history.FactScaledDown, f.T), node, inWords(f.Data.UnneededSeconds))}
		}
	}
	links := []Link{nodeRemovedRule.link("Node "+node, fmt.Sprintf("deleted by %s at %.0f s", e.Actor, e.T), node)}
	// Somebody who takes the Node of a machine away that is off says what had become of it.
	if s := t.SilenceOf(node, e.Seq); s != nil && s.Lasts(e.Seq) {
		links = append(links, t.silent(node, e.Seq)...)
	}
	return links
}

// lostNode says that a pod failed since its node was gone; nil if it was not so.
func (t *judging) lostNode(p *timeline.Pod) []Link {
	rule, origin := podNodeGone, t.nodeRemoved(p.Node, p.OverSeq)
	if origin == nil {
		if rule, origin = podOutOfService, t.outOfService(p); origin == nil {
			return nil
		}
	}
	l := rule.link(p.Object(), "", t.Title(p), p.Node)
	if spec, ok := timeline.Decode[corev1.Pod](t.Before(p.OverSeq+1), "Pod", p.Namespace, p.Name); ok {
		for _, c := range spec.Status.Conditions {
			if c.Type == corev1.DisruptionTarget && c.Status == corev1.ConditionTrue {
				l.Evidence = strings.TrimSuffix(fmt.Sprintf("%s: %s", c.Reason, c.Message), ": ")
			}
		}
	}
	return append([]Link{l}, origin...)
}

// outOfService says who declared the node out of service from which the pod garbage
// collector has taken a pod, and why; nil if it was not so.
func (t *judging) outOfService(p *timeline.Pod) []Link {
	over, found := t.Entry(p.OverSeq)
	if !found || over.Actor != wellknown.PodGC {
		return nil
	}
	_, e := t.taintsPut(p.Node, p.OverSeq, func(t corev1.Taint) bool { return t.Key == corev1.TaintNodeOutOfService })
	if e == nil {
		return nil
	}
	links := []Link{nodeTainted.link("Node "+p.Node, writtenBy("taints", e), e.Actor, corev1.TaintNodeOutOfService, p.Node)}
	return append(links, t.silent(p.Node, p.OverSeq)...)
}

// silent says why nothing was heard of a node, and from when to when; nil if something was,
// or had been for long before an entry.
func (t *judging) silent(node string, before int) []Link {
	s := t.SilenceOf(node, before)
	if s == nil {
		return nil
	}
	if links := t.shutDown(node, s.Began.Seq); links != nil {
		return links
	}
	how := map[string]string{
		history.SilentMachine: "its machine is dead", history.SilentKubelet: "its kubelet is dead", history.SilentNetwork: "its network is cut off",
	}[s.Began.Data.What]
	if zone := s.Began.Data.Zone; zone != "" {
		return []Link{t.zoneSilent(node, s)}
	}
	return []Link{nodeSilent.link("Node "+node, t.interventionAt("nodeSilent", node, s.Began.T, history.FactNodeSilent), node, lasted(*s), how)}
}

// zoneSilent says that nothing was heard of a node since its zone was lost, and of how many
// others.
func (t *judging) zoneSilent(node string, s *timeline.Spell[history.NodeSilent]) Link {
	zone := s.Began.Data.Zone
	count := 0
	for _, other := range t.Silences {
		if d := other.Began; d.Data.Zone == zone && d.T == s.Began.T {
			count++
		}
	}
	evidence := t.doneBy(history.FactNodeSilent, s.Began.T, func(v history.Intervention) bool { return v.Zone == zone })
	nodes, where := fmt.Sprintf("%d nodes", count), "zone "+zone
	if count == 1 {
		nodes = "one node"
	}
	if zone == history.AllZones {
		where = "all zones"
	}
	how := map[string]string{
		history.SilentMachine: "their machines are dead", history.SilentKubelet: "their kubelets are dead", history.SilentNetwork: "their network is cut off",
	}[s.Began.Data.What]
	return zoneSilentRule.link("Zone "+zone, evidence, nodes, where, node, lasted(*s), how)
}

// shutDown says that a node's machine was about to go off at an entry, or off; nil if it was
// not.
func (t *judging) shutDown(node string, at int) []Link {
	s := t.ShutdownOf(node, at)
	if s == nil || !s.Lasts(at) {
		return nil
	}
	notice := "without notice"
	if s.Began.Data.NoticeSeconds > 0 {
		notice = "at a notice of " + inWords(s.Began.Data.NoticeSeconds)
	}
	delays := "and its kubelet hears nothing of it"
	if s.Began.Data.GraceSeconds > 0 {
		delays = "and its kubelet delays that for " + inWords(s.Began.Data.GraceSeconds) + " at most"
	}
	return []Link{nodeShutdown.link("Node "+node, t.interventionAt("nodeShutdown", node, s.Began.T, history.FactNodeShutdown), node, lasted(*s)+" "+notice, delays)}
}

// cannotSay says why a node's kubelet may not have reported what was unmounted: it is silent,
// or its machine was about to go off when that was first missed; nil if neither is so.
func (t *judging) cannotSay(node string, since, before int) []Link {
	if s := t.SilenceOf(node, before); s != nil && s.Lasts(before) {
		return t.silent(node, before)
	}
	if s := t.ShutdownOf(node, since); s != nil && s.Began.Data.GraceSeconds > 0 {
		return t.shutDown(node, since)
	}
	return nil
}

// interventionAt names the intervention that did something to a node, as evidence for a fact
// of that moment.
func (t *judging) interventionAt(action, node string, at float64, fact string) string {
	return t.doneBy(fact, at, func(v history.Intervention) bool { return v.Node == node && v.Action == action })
}

// doneBy names the last intervention for which is says so that was made by a moment, as
// evidence for a fact of that moment.
func (t *judging) doneBy(fact string, at float64, is func(history.Intervention) bool) string {
	evidence := fmt.Sprintf("%s at %.0f s", fact, at)
	for _, v := range t.Interventions {
		if is(v.Data) && !v.Data.Missed && v.Data.Failure == "" && v.T <= at {
			evidence = "intervention: " + v.Data.What
		}
	}
	return evidence
}

// endedForShutdown says of a pod that its kubelet ended it since its machine was about to go
// off; nil if it did not.
func (t *judging) endedForShutdown(p *timeline.Pod) []Link {
	why := t.shutDown(p.Node, p.OverSeq)
	if p.OverSeq == 0 || why == nil {
		return nil
	}
	o := t.Before(p.OverSeq+1).Get("Pod", p.Namespace, p.Name)
	if o == nil {
		return nil
	}
	_, reason, message := timeline.Condition(o, string(corev1.DisruptionTarget))
	if reason != corev1.PodReasonTerminationByKubelet {
		return nil
	}
	return append([]Link{podShutdown.link(p.Object(), reason+": "+message, t.Title(p), p.Node)}, why...)
}

// lasted says from when to when something was so.
func lasted[T any](s timeline.Spell[T]) string {
	if s.Ended == nil {
		return fmt.Sprintf("from %s on", inWords(s.Began.T))
	}
	return fmt.Sprintf("from %s to %s", inWords(s.Began.T), inWords(s.Ended.T))
}

// unpulled says of a pod which of its images did not come, and why; nil if all had come
// by an entry that the kubelet had asked for.
func (t *judging) unpulled(p *timeline.Pod, before int) []Link {
	for _, f := range p.Unpulled {
		if f.Failed.Seq >= before || past(f.CameSeq, before) {
			continue
		}
		links := []Link{imageUnpulled.link(p.Object(), f.Failed.Data.Message, f.Failed.Data.Image, t.Title(p))}
		if l := f.Failed.Data.Limit; l != nil {
			return append(links, pullLimit.link("Node "+f.Failed.Data.Node, fmt.Sprintf("registryPullQPS: %d, registryBurst: %d", l.QPS, l.Burst), f.Failed.Data.Node, l.QPS, l.Burst))
		}
		o := t.OutageOf(f.Failed.Data.Image, f.Failed.Seq)
		if o == nil {
			return links
		}
		images := o.Began.Data.Images
		if images == "*" {
			images = "every image"
		}
		return append(links, registryFails.link("Registry "+o.Began.Data.Images, fmt.Sprintf("%s at %.0f s", history.FactRegistryFails, o.Began.T),
			images, o.Began.Data.Answer, lasted(*o)))
	}
	return nil
}

// notMade says of a pod what its node's container runtime did not make, and why; nil if it had
// made all before an entry.
func (t *judging) notMade(p *timeline.Pod, before int) []Link {
	if past(p.StartedSeq, before) {
		return nil
	}
	for _, f := range p.NotMade {
		r := t.RuntimeOf(f.Data.Node, f.Data.What, f.Seq)
		if f.Seq >= before || r == nil || f.Data.What == history.RuntimeSandbox && !r.Lasts(before) {
			continue
		}
		what, whose := "sandbox", "node "+f.Data.Node
		if f.Data.Container != "" {
			what = "container " + f.Data.Container
		}
		if r.Began.Data.Node == "" {
			whose = "every node"
		}
		return []Link{notMade.link(p.Object(), f.Data.Message, what, t.Title(p)), runtimeFails.link("Runtime "+r.Began.Data.Name(),
			fmt.Sprintf("%s at %.0f s", history.FactRuntimeFails, r.Began.T), whose, r.Began.Data.Fails, lasted(*r))}
	}
	return nil
}

// onSilentNode says that a pod stands where nothing is heard of its node; nil if it does not.
func (t *judging) onSilentNode(p *timeline.Pod, before int) []Link {
	if s := t.SilenceOf(p.Node, before); p.Node == "" || s == nil || !s.Lasts(before) {
		return nil
	}
	evidence := "no sign of life is missed yet"
	if e := t.LastEvent("Node", "", p.Node, before, func(e timeline.Event) bool { return e.Reason == "NodeNotReady" }); e != nil {
		evidence = fmt.Sprintf("%s at %.0f s: %s", e.Reason, e.T, e.Message)
	}
	return append([]Link{podSilent.link(p.Object(), evidence, t.Title(p), p.Node)}, t.silent(p.Node, before)...)
}

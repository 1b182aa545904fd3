package verdict

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/timeline"
)

// nodeRemoved says who took a node away before an entry; nil if it is there.
func (t *judging) nodeRemoved(node string, before int) []Link {
	e := t.LastWrite(history.Ref{Kind: "Node", Name: node}, before)
	if e == nil || e.Verb != history.VerbDelete {
		return nil
	}
	return []Link{nodeRemovedRule.link("Node "+node, fmt.Sprintf("deleted by %s at %.0f s", e.Actor, e.T), node)}
}

// lostNode says that a pod failed since its node was gone; nil if it was not so.
func (t *judging) lostNode(p *timeline.Pod) []Link {
	removed := t.nodeRemoved(p.Node, p.OverSeq)
	if removed == nil {
		return nil
	}
	l := podNodeGone.link(p.Object(), "", t.Title(p), p.Node)
	if spec, ok := timeline.Decode[corev1.Pod](t.Before(p.OverSeq+1), "Pod", p.Namespace, p.Name); ok {
		for _, c := range spec.Status.Conditions {
			if c.Type == corev1.DisruptionTarget && c.Status == corev1.ConditionTrue {
				l.Evidence = strings.TrimSuffix(fmt.Sprintf("%s: %s", c.Reason, c.Message), ": ")
			}
		}
	}
	return append([]Link{l}, removed...)
}

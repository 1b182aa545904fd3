package verdict

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"simctl.dev/simctl/sim/history"
)

// nodeRemoved says who took a node away before an entry; nil if it is there.
func (t *timeline) nodeRemoved(node string, before int) []Link {
	for _, e := range slices.Backward(t.writesOf(history.Ref{Kind: "Node", Name: node})) {
		if e.Seq >= before {
			continue
		}
		if e.Verb != history.VerbDelete {
			return nil
		}
		return []Link{nodeRemovedRule.link("Node "+node, fmt.Sprintf("deleted by %s at %.0f s", e.Actor, e.T), node)}
	}
	return nil
}

// lostNode says that a pod failed since its node was gone; nil if it was not so.
func (t *timeline) lostNode(p *pod) []Link {
	if p.node == "" || p.overSeq == 0 {
		return nil
	}
	removed := t.nodeRemoved(p.node, p.overSeq)
	if removed == nil {
		return nil
	}
	l := podNodeGone.link(p.object(), "", p.title(t), p.node)
	s, err := t.state(p.overSeq + 1)
	if err != nil {
		return nil
	}
	if spec, ok := decode[corev1.Pod](s, "Pod", p.namespace, p.name); ok {
		for _, c := range spec.Status.Conditions {
			if c.Type == corev1.DisruptionTarget && c.Status == corev1.ConditionTrue {
				l.Evidence = strings.TrimSuffix(fmt.Sprintf("%s: %s", c.Reason, c.Message), ": ")
			}
		}
	}
	return append([]Link{l}, removed...)
}

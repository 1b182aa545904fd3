package scenario

import "k8s.io/apimachinery/pkg/util/validation"

// nodeAction is an action on one node that says nothing but which.
func nodeAction(field, words string, ref func(v *Intervention) *NodeRef) action {
	return action{
		field: field,
		given: func(v *Intervention) bool { return ref(v) != nil },
		what:  func(v *Intervention) string { return words + " " + ref(v).String() },
		check: func(c *checker, at string, v *Intervention) { c.node(at, *ref(v)) },
		fits:  func(f fitting, at string, v *Intervention) { f.node(at, *ref(v)) },
	}
}

func cordonAction() action {
	return nodeAction("cordon", "cordon", func(v *Intervention) *NodeRef { return v.Cordon })
}

func uncordonAction() action {
	return nodeAction("uncordon", "uncordon", func(v *Intervention) *NodeRef { return v.Uncordon })
}

func removeNodeAction() action {
	return nodeAction("removeNode", "remove", func(v *Intervention) *NodeRef { return v.RemoveNode })
}

func drainAction() action {
	return action{
		field: "drain",
		given: func(v *Intervention) bool { return v.Drain != nil },
		what: func(v *Intervention) string {
			what := "drain " + v.Drain.Ref().String()
			if v.Drain.Force {
				what += " by force"
			}
			return what
		},
		check: func(c *checker, at string, v *Intervention) { c.node(at, v.Drain.Ref()) },
		fits:  func(f fitting, at string, v *Intervention) { f.node(at, v.Drain.Ref()) },
	}
}

func taintAction() action {
	return action{
		field: "taint",
		given: func(v *Intervention) bool { return v.Taint != nil },
		what:  func(v *Intervention) string { return "taint " + v.Taint.String() },
		check: func(c *checker, at string, v *Intervention) {
			c.node(at+".node", v.Taint.Node)
			c.taints(at, []Taint{{Key: v.Taint.Key, Value: v.Taint.Value, Effect: v.Taint.Effect}})
		},
		fits: func(f fitting, at string, v *Intervention) { f.node(at+".node", v.Taint.Node) },
	}
}

func untaintAction() action {
	return action{
		field: "untaint",
		given: func(v *Intervention) bool { return v.Untaint != nil },
		what:  func(v *Intervention) string { return "untaint " + v.Untaint.String() },
		check: func(c *checker, at string, v *Intervention) {
			c.node(at+".node", v.Untaint.Node)
			if len(validation.IsQualifiedName(v.Untaint.Key)) > 0 {
				c.add(at+".key", "%q is no taint key", v.Untaint.Key)
			}
			c.choice(at+".effect", "taint effect", v.Untaint.Effect, taintEffects)
		},
		fits: func(f fitting, at string, v *Intervention) { f.node(at+".node", v.Untaint.Node) },
	}
}

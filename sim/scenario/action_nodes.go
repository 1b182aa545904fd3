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
	a := nodeAction("removeNode", "remove", func(v *Intervention) *NodeRef { return v.RemoveNode })
	a.faults = []Fault{{
		Name: "node-removed", Does: "A node is taken away with its machine and its Node, undrained, as by a cloud or an autoscaler.",
		Real: "the pod garbage collector, the attach/detach controller", Simulated: "the machine: its containers end without anybody's being told",
		Timers: goneTimers(), Remedies: []string{retriesRemedy}, Rule: "node/taken-away",
		Example: `
- when: {task: build-image, phase: running}
  after: 1m
  removeNode: {nodeOf: build-image}
`,
	}}
	return a
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
		faults: []Fault{{
			Name: "node-drained", Does: "A node is drained in the middle of the run, as for an upgrade of the cluster, and taken up again after a while.",
			Real: "the eviction subresource, the disruption controller with its budgets", Simulated: "kubectl's part, which asks again every 5 s, and the kubelet that ends the pods",
			Remedies: []string{"a PodDisruptionBudget for the run's pods, which the drain then waits for", retriesRemedy},
			Example: `
- when: {task: build-image, phase: running}
  after: 1m
  drain: {nodeOf: build-image, force: true}
- when: {task: build-image, phase: running}
  after: 11m
  uncordon: {nodeOf: build-image}
`,
		}},
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
		faults: []Fault{{
			Name: "node-tainted", Does: "A node gets a taint NoExecute that its pods do not tolerate, for a while.",
			Real: "the taint-eviction controller, the scheduler", Simulated: "the kubelet that ends the pods",
			Remedies: []string{"a toleration in the run's pod template", retriesRemedy}, Rule: "node/tainted",
			Example: `
- when: {task: build-image, phase: running}
  after: 1m
  taint: {node: {nodeOf: build-image}, key: maintenance, value: "true", effect: NoExecute}
- when: {task: build-image, phase: running}
  after: 11m
  untaint: {node: {nodeOf: build-image}, key: maintenance}
`,
		}},
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

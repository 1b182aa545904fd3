package scenario

import "cmp"

// ScaleDown is a node that the cluster autoscaler takes away once nobody has needed it for long
// enough.
type ScaleDown struct {
	Name string `json:"name,omitempty"`
	// NodeOf is a pipeline task: the node of its latest pod is meant.
	NodeOf string `json:"nodeOf,omitempty"`
	// Unneeded is for how long nobody may need it, a Go duration; default 10m, as upstream
	// (scale-down-unneeded-time).
	Unneeded string `json:"unneeded,omitempty"`
	// For is for how long the autoscaler looks, in virtual time; a Go duration. Without it, to
	// the end.
	For string `json:"for,omitempty"`
}

// Ref names the node.
func (s *ScaleDown) Ref() NodeRef { return NodeRef{Name: s.Name, NodeOf: s.NodeOf} }

// Time returns for how long nobody may need it, ten minutes by default.
func (s *ScaleDown) Time() string { return cmp.Or(s.Unneeded, "10m") }

func scaleDownAction() action {
	const upstream = "k8s.io/autoscaler/cluster-autoscaler"
	return action{
		field: "scaleDown",
		given: func(v *Intervention) bool { return v.ScaleDown != nil },
		what: func(v *Intervention) string {
			s := v.ScaleDown
			return "have the cluster autoscaler take " + s.Ref().String() + " away when nobody has needed it for " + s.Time()
		},
		check: func(c *checker, at string, v *Intervention) {
			c.node(at, v.ScaleDown.Ref())
			c.span(at+".unneeded", v.ScaleDown.Unneeded)
			c.span(at+".for", v.ScaleDown.For)
		},
		fits: func(f fitting, at string, v *Intervention) { f.node(at, v.ScaleDown.Ref()) },
		faults: []Fault{{
			Name: "node-scaled-down", Rule: "node/scaled-down",
			Does:      "The cluster autoscaler takes a node away that is little used: an affinity assistant counts as a pod that its StatefulSet makes anew elsewhere, a task's pod keeps its node.",
			Real:      "the eviction subresource, the StatefulSet controller, the scheduler, the attach/detach controller",
			Simulated: "the autoscaler, by a small model: less than half of the node's CPU and memory is asked for, every pod of it may be evicted by upstream's rules of a drain (not one without a controller or with a controller of a kind of its own, as TaskRuns are, nor one with an emptyDir or of kube-system, nor one whose annotation safe-to-evict says false) and has room on another node, all of it for the time `unneeded`; nodes are not added",
			Timers: []Timer{
				{Is: "nobody has needed the node for (`scale-down-unneeded-time`)", Value: "10m", Package: upstream},
				{Is: "of which less than this share is asked for (`scale-down-utilization-threshold`)", Value: "0.5", Package: upstream},
			},
			Remedies: []string{"the annotation `cluster-autoscaler.kubernetes.io/safe-to-evict: \"false\"` on the pods that are to stay", retriesRemedy},
			Example: `
- when: {task: build-image, phase: done}
  scaleDown: {nodeOf: build-image, unneeded: 10m}
`,
		}},
	}
}

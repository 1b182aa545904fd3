package scenario

import "cmp"

// MemoryTaking is a node of whose memory something outside of pods takes all but a rest.
type MemoryTaking struct {
	Name string `json:"name,omitempty"`
	// NodeOf is a pipeline task: the node of its latest pod is meant.
	NodeOf string `json:"nodeOf,omitempty"`
	// Left is what is left then of the node's memory beside what its pods take at that
	// moment; default 0.
	Left Quantity `json:"left,omitempty"`
	// For is how long it lasts, in virtual time; a Go duration. Without it, for good.
	For string `json:"for,omitempty"`
}

// Ref names the node.
func (m *MemoryTaking) Ref() NodeRef { return NodeRef{Name: m.Name, NodeOf: m.NodeOf} }

func memoryTakenAction() action {
	return action{
		field: "memoryTaken",
		given: func(v *Intervention) bool { return v.MemoryTaken != nil },
		what: func(v *Intervention) string {
			m := v.MemoryTaken
			return "take the memory of " + m.Ref().String() + " but for " + string(cmp.Or(m.Left, "0")) + lasting(m.For)
		},
		check: func(c *checker, at string, v *Intervention) {
			c.node(at, v.MemoryTaken.Ref())
			c.quantity(at+".left", v.MemoryTaken.Left)
			c.span(at+".for", v.MemoryTaken.For)
		},
		fits: func(f fitting, at string, v *Intervention) { f.node(at, v.MemoryTaken.Ref()) },
		faults: []Fault{{
			Name: "memory-pressure", Rule: "fault/memory",
			Does:      "Something outside of pods takes the memory of a node: its kubelet evicts pods, and says that it is short of memory.",
			Real:      "the kubelet's eviction manager with its ranking, its words and its waits, the node lifecycle controller with the taint, what Tekton does about a pod that has ended",
			Simulated: "the memory: what steps take of it (`memory` of a task's model) and what others do; no kernel kills for want of it",
			Timers: []Timer{
				{Is: "a kubelet evicts with less than this left (`evictionHard`)", Value: "100Mi", Package: "memory.available of DefaultEvictionHard of " + kubelet + "/eviction"},
				{Is: "it looks every", Value: "10s", Package: kubelet, Symbol: "evictionMonitoringPeriod"},
				{Is: "and goes on saying that it is short for", Value: "5m", Package: kubelet + "/apis/config/v1beta1", Symbol: "EvictionPressureTransitionPeriod"},
			},
			Remedies: []string{retriesRemedy, "requests of memory that are what the steps take: pods that take more than they ask for are evicted first"},
			Example: `
- when: {task: build-image, phase: running}
  after: 1m
  memoryTaken: {nodeOf: build-image, left: 50Mi, for: 10m}
`,
		}},
	}
}

package scenario

import (
	"cmp"

	"simctl.dev/simctl/sim/history"
)

// silences are what can fail so that nothing is heard of a node.
var silences = []string{history.SilentMachine, history.SilentKubelet, history.SilentNetwork}

// NodeSilence is a node of which nothing is heard. In a file a plain string is Name.
type NodeSilence struct {
	Name string `json:"name,omitempty"`
	// NodeOf is a pipeline task: the node of its latest pod is meant.
	NodeOf string `json:"nodeOf,omitempty"`
	// Fails is what fails: the machine (default), its kubelet or its network.
	Fails string `json:"fails,omitempty"`
	// For is how long it lasts, in virtual time; a Go duration. Without it the node stays
	// silent.
	For string `json:"for,omitempty"`
}

// Ref names the node.
func (s *NodeSilence) Ref() NodeRef { return NodeRef{Name: s.Name, NodeOf: s.NodeOf} }

// What returns what fails, the machine by default.
func (s *NodeSilence) What() string { return cmp.Or(s.Fails, history.SilentMachine) }

func nodeSilentAction() action {
	return action{
		field: "nodeSilent",
		given: func(v *Intervention) bool { return v.NodeSilent != nil },
		what: func(v *Intervention) string {
			s := v.NodeSilent
			what := map[string]string{
				history.SilentMachine: "kill the machine of ", history.SilentKubelet: "kill the kubelet of ", history.SilentNetwork: "cut off the network of ",
			}[s.What()] + s.Ref().String()
			return what + lasting(s.For)
		},
		check: func(c *checker, at string, v *Intervention) {
			c.node(at, v.NodeSilent.Ref())
			c.choice(at+".fails", "part of a node", v.NodeSilent.Fails, silences)
			c.span(at+".for", v.NodeSilent.For)
		},
		fits:   func(f fitting, at string, v *Intervention) { f.node(at, v.NodeSilent.Ref()) },
		faults: silentFaults(),
	}
}

func silentFaults() []Fault {
	const decides = "the node lifecycle controller with its monitor, rates and taints, taint eviction, the pod garbage collector, the attach/detach controller with its time for detaching by force"
	remedies := []string{retriesRemedy, outOfServiceRemedy, tolerationRemedy}
	fault := func(name, does, simulated, example string) Fault {
		return Fault{Name: name, Does: does, Real: decides, Simulated: simulated, Timers: silentTimers(), Remedies: remedies, Rule: "fault/node-silent", Example: example}
	}
	return []Fault{
		fault("node-dead", "The machine of a node dies, its Node object stays; what ran there is gone, and when the machine is back it has been booted.",
			"the machine: its containers end without anybody's being told, and its kubelet renews no lease and reports nothing", `
- when: {task: build-image, phase: running}
  after: 1m
  nodeSilent: {nodeOf: build-image, fails: machine, for: 10m}
`),
		fault("kubelet-dead", "The kubelet of a node dies, and its containers go on without it.",
			"the kubelet: it renews no lease, reports nothing and starts and ends no pod until it is back", `
- when: {task: build-image, phase: running}
  after: 1m
  nodeSilent: {nodeOf: build-image, fails: kubelet, for: 10m}
`),
		fault("node-cut-off", "The network of a node is cut off; its kubelet and its containers go on, and nobody hears of them.",
			"the network: nothing that the kubelet says comes through, nor what it is told", `
- when: {task: build-image, phase: running}
  after: 1m
  nodeSilent: {nodeOf: build-image, fails: network, for: 10m}
`),
		fault("node-flaps", "A node is cut off for less than the node lifecycle controller's grace, twice: nothing should come of it for its pods.",
			"the network, as of node-cut-off", `
- when: {task: build-image, phase: running}
  after: 1m
  nodeSilent: {nodeOf: build-image, fails: network, for: 20s}
- when: {task: build-image, phase: running}
  after: 3m
  nodeSilent: {nodeOf: build-image, fails: network, for: 20s}
`),
	}
}

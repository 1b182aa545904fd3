package scenario

// NodeShutdown is a machine that is shut down. In a file a plain string is Name.
type NodeShutdown struct {
	Name string `json:"name,omitempty"`
	// NodeOf is a pipeline task: the node of its latest pod is meant.
	NodeOf string `json:"nodeOf,omitempty"`
	// Notice is how long after it was told to go off the machine is off at the latest, a Go
	// duration: the 2m or 30s that clouds give a spot machine. Without it the kubelet says
	// when.
	Notice string `json:"notice,omitempty"`
	// For is how long it is off, in virtual time; a Go duration. Without it the machine
	// stays off.
	For string `json:"for,omitempty"`
}

// Ref names the node.
func (s *NodeShutdown) Ref() NodeRef { return NodeRef{Name: s.Name, NodeOf: s.NodeOf} }

func nodeShutdownAction() action {
	return action{
		field: "nodeShutdown",
		given: func(v *Intervention) bool { return v.NodeShutdown != nil },
		what: func(v *Intervention) string {
			s := v.NodeShutdown
			what := "shut down the machine of " + s.Ref().String()
			if s.Notice != "" {
				what += " at a notice of " + s.Notice
			}
			return what + lasting(s.For)
		},
		check: func(c *checker, at string, v *Intervention) {
			c.node(at, v.NodeShutdown.Ref())
			c.span(at+".notice", v.NodeShutdown.Notice)
			c.span(at+".for", v.NodeShutdown.For)
		},
		fits:   func(f fitting, at string, v *Intervention) { f.node(at, v.NodeShutdown.Ref()) },
		faults: shutdownFaults(),
	}
}

func shutdownFaults() []Fault {
	const decides = "the kubelet's own shutdown manager (who is ended when, in how much time, in which words; 0 by default: it hears of nothing), and all that finds a silent node"
	fault := func(name, does, simulated, example string) Fault {
		return Fault{Name: name, Does: does, Real: decides, Simulated: simulated, Timers: silentTimers(), Rule: "fault/node-shutdown", Example: example,
			Remedies: []string{retriesRemedy, "`cluster.kubelet.shutdownGracePeriod` long enough for pods to end and volumes to be unmounted, with a `shutdownGracePeriodCriticalPods` in which the kubelet reports it (every 10 s)", outOfServiceRemedy}}
	}
	return []Fault{
		fault("node-shut-down", "The machine of a node is shut down and booted; its kubelet ends the pods before if it has a `shutdownGracePeriod`.",
			"the machine, logind and the node's own critical pods, which take all of `shutdownGracePeriodCriticalPods`", `
- when: {task: build-image, phase: running}
  after: 1m
  nodeShutdown: {nodeOf: build-image, for: 5m}
`),
		fault("spot-reclaimed", "A cloud takes a spot machine back at two minutes' notice that nobody hears, so that volumes are not unmounted; a minute after its end the cloud deletes the Node.",
			"the machine, and what the cloud does", `
- when: {task: build-image, phase: running}
  after: 1m
  nodeShutdown: {nodeOf: build-image, notice: 2m}
- when: {task: build-image, phase: running}
  after: 4m
  removeNode: {nodeOf: build-image}
`),
		fault("spot-reclaimed-drained", "A cloud takes a spot machine back at two minutes' notice, and somebody who hears of it drains the node: pods are ended and volumes unmounted before.",
			"the machine, and what the cloud and the handler of its notices do", `
- when: {task: build-image, phase: running}
  after: 1m
  nodeShutdown: {nodeOf: build-image, notice: 2m}
- when: {task: build-image, phase: running}
  after: 1m
  drain: {nodeOf: build-image, force: true}
`),
	}
}

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
			if s.For != "" {
				what += " for " + s.For
			}
			return what
		},
		check: func(c *checker, at string, v *Intervention) {
			c.node(at, v.NodeSilent.Ref())
			c.choice(at+".fails", "part of a node", v.NodeSilent.Fails, silences)
			c.span(at+".for", v.NodeSilent.For)
		},
		fits: func(f fitting, at string, v *Intervention) { f.node(at, v.NodeSilent.Ref()) },
	}
}

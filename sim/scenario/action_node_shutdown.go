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
			if s.For != "" {
				what += " for " + s.For
			}
			return what
		},
		check: func(c *checker, at string, v *Intervention) {
			c.node(at, v.NodeShutdown.Ref())
			c.span(at+".notice", v.NodeShutdown.Notice)
			c.span(at+".for", v.NodeShutdown.For)
		},
		fits: func(f fitting, at string, v *Intervention) { f.node(at, v.NodeShutdown.Ref()) },
	}
}

package scenario

import (
	"cmp"

	"simctl.dev/simctl/sim/history"
)

// runtimeParts are what a container runtime can fail to make.
var runtimeParts = []string{history.RuntimeContainer, history.RuntimeSandbox}

// RuntimeFailure is a container runtime that does not do what it is asked for: that of a node,
// or without one of every node.
type RuntimeFailure struct {
	Name string `json:"name,omitempty"`
	// NodeOf is a pipeline task: the node of its latest pod is meant.
	NodeOf string `json:"nodeOf,omitempty"`
	// Fails is what it does not make: a container (default), it does not answer then, or a
	// sandbox, for want of a network.
	Fails string `json:"fails,omitempty"`
	// For is how long it lasts, in virtual time; a Go duration. Without it, for good.
	For string `json:"for,omitempty"`
}

// Ref names the node.
func (r *RuntimeFailure) Ref() NodeRef { return NodeRef{Name: r.Name, NodeOf: r.NodeOf} }

// What returns what it does not make, containers by default.
func (r *RuntimeFailure) What() string { return cmp.Or(r.Fails, history.RuntimeContainer) }

func runtimeFailsAction() action {
	everywhere := func(r *RuntimeFailure) bool { return r.Name == "" && r.NodeOf == "" }
	return action{
		field: "runtimeFails",
		given: func(v *Intervention) bool { return v.RuntimeFails != nil },
		what: func(v *Intervention) string {
			r := v.RuntimeFails
			what := "have the container runtime of "
			if everywhere(r) {
				what += "every node"
			} else {
				what += r.Ref().String()
			}
			what += " make no " + r.What()
			return what + lasting(r.For)
		},
		check: func(c *checker, at string, v *Intervention) {
			if !everywhere(v.RuntimeFails) {
				c.node(at, v.RuntimeFails.Ref())
			}
			c.choice(at+".fails", "part that a container runtime makes", v.RuntimeFails.Fails, runtimeParts)
			c.span(at+".for", v.RuntimeFails.For)
		},
		fits: func(f fitting, at string, v *Intervention) {
			if !everywhere(v.RuntimeFails) {
				f.node(at, v.RuntimeFails.Ref())
			}
		},
		faults: runtimeFaults(),
	}
}

func runtimeFaults() []Fault {
	return []Fault{
		{Name: "runtime-hangs", Rule: "fault/runtime",
			Does:      "The container runtime of every node does not answer when it is to make a container.",
			Real:      "what Tekton does about CreateContainerError, and its patience",
			Simulated: "the runtime and the kubelet, which waits for an answer, says `context deadline exceeded`, and asks again at its next look",
			Timers: []Timer{
				{Is: "a kubelet waits for its runtime", Value: "2m", Package: kubelet + "/apis/config/v1beta1", Symbol: "RuntimeRequestTimeout"},
				{Is: "and looks at the pod again after this and up to half as long again", Value: "10s", Package: kubelet, Symbol: "backOffPeriod"},
				{Is: "Tekton's patience with a container that is not made in time (`default-create-container-error-timeout`)", Value: "0m", Package: tektonConfig, Symbol: "DefaultCreateContainerErrorTimeout"},
			},
			Remedies: []string{"`default-create-container-error-timeout` of Tekton's config-defaults, on releases that have it", retriesRemedy},
			Example: `
- when: {task: build-image, phase: scheduled}
  runtimeFails: {fails: container, for: 5m}
`},
		{Name: "sandbox-fails", Rule: "fault/runtime",
			Does:      "The container runtime of a node sets up no sandbox, as while its network is not ready: pods stay in ContainerCreating.",
			Real:      "what Tekton does about a pod that does not start",
			Simulated: "the runtime and the kubelet, which says FailedCreatePodSandBox and asks again at its next look",
			Timers: []Timer{
				{Is: "the kubelet looks at the pod again after this and up to half as long again", Value: "10s", Package: kubelet, Symbol: "backOffPeriod"},
			},
			Remedies: []string{"none but time: nothing fails by it before a time-out does"},
			Example: `
- when: {task: build-image, phase: scheduled}
  runtimeFails: {nodeOf: build-image, fails: sandbox, for: 10m}
`},
	}
}

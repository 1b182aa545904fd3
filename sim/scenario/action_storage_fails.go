package scenario

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"simctl.dev/simctl/sim/history"
)

// StorageFailure is an operation at which CSI drivers fail, or are slow.
type StorageFailure struct {
	// Operation is provision, attach, detach or mount.
	Operation string `json:"operation"`
	// Class is the StorageClass whose driver it is; default all.
	Class string `json:"class,omitempty"`
	// Node is where: a node's name; default all nodes. NodeOf is a pipeline task: the node
	// of its latest pod is meant.
	Node   string `json:"node,omitempty"`
	NodeOf string `json:"nodeOf,omitempty"`
	// Code is the gRPC code of the driver's answer, Internal by default; with
	// DeadlineExceeded and no message it does not answer.
	Code string `json:"code,omitempty"`
	// Message is what the driver says with the code; {node} in it is the node's name.
	Message string `json:"message,omitempty"`
	// Slow is by how much longer the operation takes, in place of a failure; a Go duration.
	Slow string `json:"slow,omitempty"`
	// For is how long it lasts, in virtual time; a Go duration. Without it it lasts for good.
	For string `json:"for,omitempty"`
}

// The operations of drivers, and the codes of answers that say no.
var (
	storageOperations = []string{history.OperationProvision, history.OperationAttach, history.OperationDetach, history.OperationMount}
	grpcCodes         = []string{"Aborted", "DeadlineExceeded", "FailedPrecondition", "Internal", "InvalidArgument", "NotFound", "PermissionDenied", "ResourceExhausted", "Unauthenticated", "Unavailable", "Unknown"}
)

// Ref names the node.
func (s *StorageFailure) Ref() NodeRef { return NodeRef{Name: s.Node, NodeOf: s.NodeOf} }

// Says returns the answer's code; empty if the operation is slow.
func (s *StorageFailure) Says() string {
	if s.Slow != "" {
		return ""
	}
	return cmp.Or(s.Code, "Internal")
}

// Delay is by how much longer the operation takes.
func (s *StorageFailure) Delay() time.Duration {
	d, err := time.ParseDuration(s.Slow)
	if err != nil {
		return 0
	}
	return d
}

func storageFailsAction() action {
	return action{
		field: "storageFails",
		given: func(v *Intervention) bool { return v.StorageFails != nil },
		what: func(v *Intervention) string {
			s := v.StorageFails
			what := "have CSI drivers answer " + s.Says() + " to " + s.Operation
			if s.Slow != "" {
				what = fmt.Sprintf("have %s take %s longer", s.Operation, s.Slow)
			}
			if s.Class != "" {
				what += " of class " + s.Class
			}
			if s.Node != "" || s.NodeOf != "" {
				what += " on " + s.Ref().String()
			}
			return what + lasting(s.For)
		},
		check:  checkStorageFailure,
		faults: storageFaults(),
		fits: func(f fitting, at string, v *Intervention) {
			s := v.StorageFails
			if s.Node != "" || s.NodeOf != "" {
				f.node(at, s.Ref())
			}
			var classes []string
			for _, sc := range f.world.spec.Cluster.StorageClasses {
				classes = append(classes, sc.Name)
				if sc.Name == s.Class && sc.NoAttach && (s.Operation == history.OperationAttach || s.Operation == history.OperationDetach) {
					f.add(at+".operation", "volumes of storage class %q are not attached", s.Class)
				}
			}
			if s.Class != "" && !slices.Contains(classes, s.Class) {
				f.add(at+".class", "no storage class is named %q%s", s.Class, Suggest(s.Class, classes))
			}
		},
	}
}

func storageFaults() []Fault {
	const (
		decides   = "the attach/detach controller, the scheduler's VolumeBinding and the volume binder, with upstream's CSI plugin"
		simulated = "the CSI driver, external-provisioner and external-attacher, whose back-off is theirs, and the kubelets"
	)
	fault := func(name, does, example string) Fault {
		return Fault{Name: name, Does: does, Real: decides, Simulated: simulated, Timers: storageTimers(), Rule: "fault/storage", Example: example,
			Remedies: []string{"`spec.timeouts` of the run with room for the back-offs, which go on after the driver is well again", "fewer attaches: an affinity assistant, or one claim for the tasks of a run"}}
	}
	return []Fault{
		fault("provisioning-fails", "The CSI driver makes no volumes, and does again after a while.", `
- at: 0s
  storageFails: {operation: provision, code: ResourceExhausted, message: no space left in the pool, for: 5m}
`),
		fault("attach-refused", "The CSI driver refuses to attach, as when a node has as many volumes as it takes.", `
- at: 0s
  storageFails: {operation: attach, code: ResourceExhausted, for: 5m}
`),
		fault("attach-hangs", "The CSI driver does not answer when it is to attach: external-attacher gives up after its time-out, and asks again.", `
- at: 0s
  storageFails: {operation: attach, code: DeadlineExceeded, for: 5m}
`),
		fault("attach-slow", "An attach takes longer.", `
- at: 0s
  storageFails: {operation: attach, slow: 90s}
`),
		fault("detach-fails", "Volumes stay attached to the nodes that they are on: who needs them elsewhere waits.", `
- when: {task: download-model, phase: running}
  storageFails: {operation: detach, for: 5m}
`),
		fault("mount-fails", "Volumes that are attached cannot be mounted.", `
- at: 0s
  storageFails: {operation: mount, message: wrong fs type, for: 5m}
`),
	}
}

func checkStorageFailure(c *checker, at string, v *Intervention) {
	s := v.StorageFails
	if s.Operation == "" {
		c.add(at+".operation", "%s has no operation; valid: %s", at, strings.Join(storageOperations, ", "))
	}
	c.choice(at+".operation", "operation of a volume", s.Operation, storageOperations)
	c.span(at+".slow", s.Slow)
	c.span(at+".for", s.For)
	if s.Node != "" && s.NodeOf != "" {
		c.add(at+".nodeOf", "%s has both node and nodeOf; keep one", at)
	}
	c.choice(at+".code", "gRPC code", s.Code, grpcCodes)
	if s.Slow != "" && (s.Code != "" || s.Message != "") {
		c.add(at+".slow", "%s is either slow or fails; remove slow, or code and message", at)
	}
	if s.Operation == history.OperationProvision && (s.Node != "" || s.NodeOf != "") {
		c.add(at+".node", "%s: volumes are provisioned on no node", at)
	}
}

package entrypoint

import "strings"

// The annotations with which Tekton's controller speaks to the entrypoints of a pod, and
// what it writes there.
const (
	ReadyAnnotation  = "tekton.dev/ready"
	ReadyValue       = "READY"
	CancelAnnotation = "tekton.dev/cancel"
	CancelValue      = "CANCEL"
)

const (
	// Binary is where the entrypoint is in a step's container.
	Binary = "/tekton/bin/entrypoint"
	// readyFile shows the ready annotation.
	readyFile = "/tekton/downward/ready"

	stepPrefix = "step-"
)

// StepOf returns the step that a container is for; "" if it is not started through the
// entrypoint.
func StepOf(container string, command []string) string {
	if !strings.HasPrefix(container, stepPrefix) || len(command) != 1 || command[0] != Binary {
		return ""
	}
	return strings.TrimPrefix(container, stepPrefix)
}

// Package node simulates the machines of a cluster: their kubelets, container
// runtimes and image pulls, on virtual time.
//
// [Kubelets] takes every pod that the real scheduler has bound to a node
// through the life the kubelet gives it: admission, waiting until the real
// attach/detach controller has its volumes attached, mounting, the fsGroup
// ownership change, image pulls, init containers, containers, and in the end
// unmounting, which lets the volumes be detached. What it reports goes into the
// statuses of real API objects, as a kubelet's reports do.
//
// The containers of a TaskRun's pod are started through Tekton's entrypoint, which
// package internal/entrypoint simulates: steps run one after another, wait for the
// ready annotation, honour onError and timeouts, skip what follows a failed step, and
// end with the termination message that Tekton's controller reads results and start
// times from. How long steps take, what they read and write on volumes, and how they
// fail comes from the scenario's task models. Any other pod - an affinity assistant -
// runs until it is deleted.
//
// What is on a node's own disk is simulated too; which pod has to go when it is short
// of room is decided by upstream's eviction manager (pkg/kubelet/eviction).
//
// Informers only note what changed; all work is done in events of the virtual
// clock, in an order that depends on names alone.
package node

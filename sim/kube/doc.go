// Package kube runs upstream's controllers in this process: StatefulSet, Deployment,
// ReplicaSet, DaemonSet, ephemeral volumes, PersistentVolume binder, attach/detach, protection of claims and volumes,
// garbage collector, pod garbage collector, PodDisruptionBudgets, resource quota, namespace, ServiceAccount,
// taints by the conditions of nodes and eviction by NoExecute taints, each under the identity that upstream gives it.
//
// # Time
//
// What upstream's controllers do when something happens, they do here at once.
// What they do when time has passed is put on the virtual clock:
//
//   - Queues. A key that is to be looked at again later (a creation refused by
//     admission, five seconds' grace of a deleted namespace) waits on the event
//     queue: as clock.Work where the controller asked for a time (a Deployment's
//     progress deadline, which decides nothing, is clock.Housekeeping), as clock.Retry
//     where it backs off after a failure. Back-offs shorter than [shortest] are
//     served in real time, and [Controllers.Quiet] is false meanwhile: they
//     settle conflicts between controllers, which a cluster never notices.
//     [Controllers.Nudge] serves all waiting keys now.
//   - Evictions. A pod's tolerationSeconds are clock.Work.
//   - Pod garbage collection. Upstream looks around every 20 seconds; here it does
//     once a pod's node is missing or declared out of service, when that look would come
//     ([orphans]).
//   - Node lifecycle. Upstream looks at the kubelets' signs of life every five seconds; here
//     it does from the moment at which one falls silent until another look would find the
//     same ([NodeHealth]).
//   - Attach/detach. Upstream's reconciler looks around ten times a second, and
//     its CSI attacher twice a second; here the reconciler is run when there is
//     something to see and the attacher is woken by the VolumeAttachment's own
//     changes ([passes], [csiByEvent]). What they do then is upstream's code.
//     The attacher's limit of two minutes and the back-off after a failure
//     ([executor]) are virtual, and so are the six minutes after which the
//     volumes of a node that is gone are detached by force ([detachRequests]).
//
// What is left on real time: the garbage collector's retries after an error
// (5 ms and more), and what a PodDisruptionBudget says of the pods that the API
// server has just evicted, which it notes by the host's clock.
//
// Upstream has no setting for any of this but the reconciler's period, so the
// queues, the reconciler and its executor are put into the controllers' own fields before
// they are started ([field]); a test fails when a field is renamed.
package kube

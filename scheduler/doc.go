// Package scheduler runs the real kube-scheduler (k8s.io/kubernetes/pkg/scheduler)
// in this process, on virtual time, with its default profile and four plugins
// of our own, none of which says whether a node can take a pod:
//
//   - Diagnosis records, for every pod that could not be placed, which plugin
//     refused each node and why, taint by taint ([Explain]).
//   - NodeOrder makes the scheduler's choice between equally good nodes depend
//     on the seed instead of the process's random numbers.
//   - PodOrder sorts the queue like upstream's PrioritySort and, between pods
//     that came at the same (virtual) moment, by name.
//   - Progress tells which pods have a node and are not bound yet.
//
// # Ties
//
// Upstream adds up the weighted scores of all plugins (each 0 to 100) and draws
// among the best nodes. Here every default weight is multiplied by [tieScale]
// and NodeOrder adds a number smaller than that, a different one for every
// node: two nodes that differ in their real score keep their order, two that do
// not are ordered by a draw that depends on the seed, the pod and the node's
// name alone. All nodes are scored, so it does not matter at which node the
// search begins. Preemption, where upstream draws too, is left as it is.
//
// # Time
//
// The queue's back-off runs on the clock that is handed in. Upstream's flush of
// pods that stayed unschedulable for five minutes is off, because its loop runs
// on real time: [Scheduler.RetryAll] does the same when asked. A binding that
// waits for volumes is woken by the volumes' own events instead of upstream's
// poll every real second, and its limit of ten minutes is virtual.
//
// # Order
//
// With Options.Hold pods wait in the queue until [Scheduler.TryNext]: then they
// are tried one by one in the queue's order, however their creations raced with
// each other. Without it the scheduler is as eager as upstream's.
package scheduler

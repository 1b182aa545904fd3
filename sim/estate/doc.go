// Package estate is what stays on a plane from cell to cell, as long as they want the
// same: the cluster (nodes, storage classes, namespaces and, on OpenShift, its admission)
// and the definitions of the workload. To make a cluster costs as many requests as a
// third of a run.
//
// A cell finds it as if it had just been made. [Estate.EnsureCluster] and
// [Estate.EnsureDefinitions] make what is not there; [Estate.Note] takes note of what a
// cell writes to, which is looked at before the next one ([Estate] makes anew what is not
// as it was).
//
// A [Check] holds all this to account: between cells there is nothing on the API server
// but what a fresh control plane has and what stays on purpose.
package estate

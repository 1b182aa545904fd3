// Package importer makes a scenario of a cluster, so that what happens on the
// cluster can be replayed without it.
//
// [Read] asks a cluster, [ReadFiles] reads dumps of one (a must-gather, or what
// `kubectl get -o yaml` prints); both return a [Dump]. [Convert] makes files of it:
// a scenario and the manifests that belong to it. Convert does no I/O, so that
// data files can tell what it does.
//
// Reading is done with get and list alone, page by page. What cannot be read is
// a [Gap]; it is written into the scenario as a comment, and the rest goes on.
// Values of Secrets are never asked for, and are dropped where a dump has them; of
// the pods that run on the cluster, what they take of their nodes is kept alone.
package importer

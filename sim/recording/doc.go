// Package recording knows what was seen of a pipeline on a cluster, a real one or
// a simulated one, in one form: a [Recording] is a time line of changes and the
// last state of each object. [Read] reads one that was made on a real cluster,
// [FromHistory] makes one of a cell's history, and [Recorder] makes one of
// objects as a watch shows them.
//
// [Compare] holds one against the other. Names that are made up, times and
// whatever else is chance on a cluster does not count; what is left is a list of
// [Difference]. [Known] is the list of those that are known, each with its reason.
//
// The package does no I/O of its own and knows nothing of clusters: objects are
// JSON.
package recording

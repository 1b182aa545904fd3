// Package impact says what a change of the Tekton release changes for pipelines,
// from results and histories of the same cells on both sides. Everything in it is
// a pure function of these.
//
// [Observe] reads out of a history what a release did with co-scheduling.
// [Compare] sets two sides against each other: outcomes, flags, timing, each
// change with what the histories prove of its cause. [Candidates] lists the
// changes that may mend a cell; whether one does is for a run to show.
package impact

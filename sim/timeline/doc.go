// Package timeline reads a history once and knows it then: the PipelineRuns, their
// TaskRuns and the pods of these, each with the entries at which something became of it,
// what was refused and logged, and every object as it was at any moment ([View]).
//
// All who read a history to say something of a run read it here: verdicts, what changes
// between releases, reports, and the triggers of interventions, for which a timeline grows
// with the cell ([Timeline.Add]). So they mean the same by a run, by a pod that was made
// again, by a phase that was reached, and by the moment at which they look.
//
// Reading is linear in the history and look-ups are indexed: what is asked of one run
// costs what that run's own entries do, however many others there are. An object's past
// states are made when they are asked for and kept, so that a timeline is not for use by
// several goroutines at once.
//
// The package decides nothing and does no I/O.
package timeline

// Package play is one cell being played: on a [Stage], which is a plane with a release
// installed and the estate of the cells before, it has the cell's cluster stand, creates
// the workload, the runs last, has package stepper move time until nothing can happen any
// more, and clears everything away that the cell has made.
//
// The play is the stepper's world: what the scenario does in the middle of the runs, what
// resolvers answer, and in which order news comes where that is open, it brings in when all
// is quiet.
package play

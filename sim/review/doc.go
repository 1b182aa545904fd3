// Package review decides what an upgrade review plays, and puts together what it finds.
//
// A [Plan] has the scenarios' cells on each release of a path. [Plan.Make] has them
// played by a [Player] and compares neighbours on the path; then come, as far as the plan
// asks for them, the candidates that may mend each cell that a bump breaks, every one as
// cells of its own, and the bump in the middle of runs, at each phase of each task. Which
// cells these are follows from what became of those before, so that they are played in
// three turns at most.
//
// The package plays nothing itself and does no I/O: who makes a review says how a cell is
// played, where it is kept, and how the review is shown. What two sides' cells say of a
// bump is package impact's.
package review

// Package evidence makes the report of a run that convinces somebody who was
// not there: what happened, why, what was ruled out, what mends it, which cells
// prove that, and what to type.
//
// [New] makes a [Report] of a result, the histories of its cells and what the
// cells consisted of. It is a pure function: the same input gives the same
// report. [Report.Markdown] and [Report.HTML] render it, [JUnit] and [SARIF]
// give the result to other tools.
//
// Nothing in a report is written beforehand for a certain pipeline: root causes
// are the last links of causal chains, a change is proposed because a cell that
// has it, and nothing else that differs, came out well, and a suspicion is ruled
// out by a cell in which it makes no difference.
package evidence

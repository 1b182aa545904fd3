// Package verdict says what became of a cell, and why. [Judge] is a pure function of the
// cell's history: the same entries give the same [Finding], on any host and at any
// time, so that verdicts are tested by files and an old run can be judged again.
//
// # How a history becomes a finding
//
// The history is read once, into the runs, their TaskRuns and the pods of these, each
// with the entries at which something became of it. Then every PipelineRun is judged by
// itself, and of several the worst outcome is the cell's.
//
// A TaskRun that did not succeed is looked at as of the moment before its end took
// things apart: at a stall, when nothing but time-outs could happen any more, or just
// before it was cancelled. At that moment a wait-for graph is built. Its nodes are
// objects, an edge leads from what waits to what it waits for and carries a [Link] with
// the evidence. A node from which no edge leads is a root and says which outcome it
// makes; a circle of several nodes is a deadlock. The chain of causes is a shortest way
// from the TaskRun to a root, and goes on from there to where the root's reason comes
// from: the flag, the manifest, the one who did it.
//
// # Two tables
//
// What a run can come to is the table of outcomes ([AllOutcomes]): the word, its place in
// the order of precedence, its letter, how bad it is, and what others say of it. Scenarios,
// the schema, reports and SARIF make their lists from it.
//
// What a chain can say is the table of rules ([Rules]). Each has an ID, and every link
// names the rule that it is an instance of, so that causes can be told apart whatever
// their sentences say ([Finding.Key]). The order is that of reasons: of several that hold
// of one object the first is said.
//
// docs/outcomes.md defines every outcome and its evidence, docs/rules.md is printed from
// the rules, and testdata/stories has a story for each.
//
// # Beside the outcome
//
// [Timing] is where the virtual time went, [Conduct] what the outcome does not tell: what
// was refused, not run, done again and left behind. [Summarize] makes the statistics of
// repeats. Whether a cell came out as its scenario expects is no matter of this package:
// scenarios know verdicts, and not the other way round.
package verdict

//go:generate go test -run TestRulesPage|TestOutcomesPage . -update

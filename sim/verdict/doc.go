// Package verdict says what became of a cell. [Judge] is a pure function of the
// cell's history: it finds the outcome, builds the wait-for graph from the
// symptom to the root, takes the timing, and says what the outcome does not tell
// ([Conduct]). [Summarize] gives the statistics of
// groups of repeats. docs/outcomes.md defines every outcome, its precedence and
// its evidence.
package verdict

// Package reports shows the result of a run to people at a terminal, and to programs.
//
// [Render] writes a [verdict.RunResult] in one of the [Formats]. The table is what
// `simctl run` prints:
//
//   - the matrix, one for each scenario, with a row for each combination of the axes'
//     values; repeats are one entry;
//   - the causes of what did not succeed, each once with the cells that have it: they are
//     grouped by the rules, objects and evidence of their chains, not by the sentences;
//   - what was refused, not run, done again and left behind;
//   - timing, and over repeats the statistics.
//
// The wide format has one row for each cell. JSON and YAML are the result as
// docs/result.md describes it.
//
// [RenderReview] does the same for what a bump of the release changes, as package impact
// found it.
//
// The package decides nothing: outcomes, causes and what is expected are in the result,
// and [Deviates] only reads them. It is a pure function of its input, knows no cluster,
// and looks neither at the terminal nor at the environment: width and colour are handed
// in. The report for somebody who was not there is package evidence.
package reports

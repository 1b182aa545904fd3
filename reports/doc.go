// Package reports shows the result of a run. [Render] writes a
// [verdict.RunResult] as a table for people (the matrix of outcomes, what
// deviates and why, timing), as a wide table with one row per cell, or as JSON
// or YAML (docs/result.md says what is in them).
//
// The package is a pure function of the result: it decides nothing, knows no
// cluster, and looks neither at the terminal nor at the environment. What it
// may do with width and colour is handed in.
package reports

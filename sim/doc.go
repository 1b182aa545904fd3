// Package sim runs cells: [Run] builds the releases that they need and has workers take
// them from a queue, each preferably a cell for which it has all installed.
//
// A worker owns one control plane and what is laid on it (package play has the whole
// stage), in this process or, where several run side by side, in one of its own. It has a
// cell played, and what became of it read from the history by package verdict.
package sim

// Package intervention does what a scenario does in the middle of a cell's runs: at a
// moment of virtual time, or as soon as the history shows that a task has reached a phase.
//
// How each action is done is in a file of its own and its entry in one table ([acts]);
// package scenario says what it takes. What an action met is recorded: an answer that
// whoever did this on a cluster would have got too makes it ineffective, anything else is
// an error that ends the cell.
package intervention

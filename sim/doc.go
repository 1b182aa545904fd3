// Package sim runs cells: it puts the parts below it together and says which worker gets
// which cell.
//
// A worker owns one control plane and everything around it, and runs cells on
// it one after another: it sets the cell's cluster up, creates the workload,
// and has package stepper move the clock from event to event, each time only when the
// control plane is quiet. What became of the cell is read from its history by package
// verdict.
package sim

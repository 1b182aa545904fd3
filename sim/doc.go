// Package sim runs cells: it puts the parts below it together, starts them in
// order, and steps virtual time.
//
// A worker owns one control plane and everything around it, and runs cells on
// it one after another: it sets the cell's cluster up, creates the workload,
// and then steps the clock from event to event, each time only when the control
// plane is quiet. When nothing but the runs' own time-outs is left, it has every
// controller try once more, and records that the cell has stalled if that
// changed nothing; the time-outs are then played out. What became of the cell is
// read from its history by package verdict.
package sim

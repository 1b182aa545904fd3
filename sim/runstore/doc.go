// Package runstore keeps runs on disk, so that an interrupted one can go on. A
// run's folder holds
//
//	run.json      what was asked for: command, inputs and their hashes ([Info])
//	cells.jsonl   one line per finished cell, as it finishes ([Record])
//	result.json   the result, written when the run ends
//	simctl.log    simctl's own log
//	cells/ID/     a cell: what it consists of (cell.json) and its history.jsonl
//	logs/         what the controllers log
//
// Each says its format and version, cells.jsonl and histories in a first line; what
// an older simctl wrote is read, what a newer one wrote is refused by [ErrNewer].
//
// A line of cells.jsonl is written with one write and flushed to the disk
// before Append returns; a last line cut short by a crash is dropped when the
// run is opened again. A run is written by one process at a time.
package runstore

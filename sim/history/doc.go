// Package history is the append-only record of everything that was observed
// while one cell ran: every accepted write to the API server with who made it,
// every refused write with the words of the refusal, and what the simulated
// machines did. An [Entry] is one line of JSON; T is virtual time in seconds
// since the cell began.
//
// Outcomes, causes and statistics are pure functions of a history: nothing is
// decided while it is written. [State] folds entries back into objects, so a
// reader can ask what the cluster looked like at any moment.
//
// The package knows nothing of clusters: objects are JSON.
package history

// Package user is who writes a cell's workload, and does things to it in the middle of
// the runs: the client whose writes a history records as the user's. What the API server
// or Tekton's webhook refuses is part of the history and no error.
package user

// Package cli is the command line of simctl: one file for each verb. It knows
// the engine by an interface, so that its tests link no control plane.
//
// Every setting can be given as a flag, as an environment variable SIMCTL_NAME,
// or in a file .simctl.yaml, in this order of precedence. Results go to
// standard output and everything else to standard error. [App.Main] returns the
// exit status: [StatusOK], [StatusDeviates] or [StatusError].
package cli

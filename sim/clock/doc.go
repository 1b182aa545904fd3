// Package clock is virtual time: a clock that stands still until somebody steps
// it, and the one queue of everything the simulated machines will do.
//
// Simulated work is scheduled with [Clock.Schedule]; the driver calls
// [Clock.Step] when the control plane is quiet. Events at the same moment run
// in the order of their keys, whatever order they were scheduled in, so the
// same inputs give the same run. [Rand] returns draws that depend on names alone,
// never on the order in which they are asked for.
//
// A Clock is also a k8s.io/utils/clock.WithTicker, for real code that takes a
// clock: its timers and tickers are [Housekeeping] and fire when time passes
// over them, but never move time.
package clock

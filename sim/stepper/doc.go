// Package stepper steps a cell's virtual time: it decides when the next thing happens,
// when nothing can any more, and when a cell is over.
//
// What is stepped is a [World]: a control plane with its machines, or a fake one. A
// [Stepper] waits until it is quiet, lets everything happen that is due at this very
// moment, and only then moves the clock to its next event, until all runs have ended or
// nothing is left:
//
//   - Work moves time ([clock.Work]).
//   - When none is left, everything is made to try once more ([World.Nudge]), so that
//     what still fails is known to fail for ever. If that changes nothing, what a
//     controller tries again later ([clock.Retry]) moves time as long as something has
//     changed since its last try.
//   - What is left then are time-outs ([clock.Timeout]). They end a wait and supply
//     nothing: the world has stalled, which is recorded before the first of them
//     ([history.FactStalled]).
//   - Upkeep ([clock.Housekeeping]) never moves time, but for that for which a pod in
//     the scheduler's back-off waits.
//
// A controller that is woken by its time-outs for ever, and changes nothing, is busy,
// and a world that goes beyond its [Bounds] is ended there. [Settle] is the same for a
// world without runs: one that is set up or cleared away.
//
// The package decides and does no I/O; it knows nothing of API servers.
package stepper

// Package work is what the simulated machines share: a [List] that turns
// notifications of informers into one event on the virtual clock, so that all
// work is done on the goroutine that steps the clock and in an order that
// depends on names alone; [Retry] for API calls; [Events] for what they say; [StableName],
// which takes the random parts off generated names, for draws that must not depend
// on them.
package work

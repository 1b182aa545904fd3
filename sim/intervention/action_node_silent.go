package intervention

import (
	"time"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/scenario"
)

// Machines are the simulated nodes.
type Machines interface {
	// FallSilent has nothing be heard of a node any more; it reports whether that is news.
	FallSilent(s history.NodeSilent) bool
	// SpeakAgain ends that, and a shutdown.
	SpeakAgain(node string)
	// ShutDown tells a machine that it goes off, after a notice at the latest, and does
	// something when it is off; it reports whether that is news.
	ShutDown(node string, notice time.Duration, off func()) (bool, error)
	// RuntimeFails has container runtimes not do something; the function ends that.
	RuntimeFails(which history.Runtime) (mend func())
	// MemoryTaken has something take a node's memory; the function ends that.
	MemoryTaken(t history.MemoryTaken) (mend func())
	// RegistryFails has images not come; the function ends that.
	RegistryFails(which history.Registry) (mend func())
	// StorageFails has CSI drivers fail at an operation, or be slow at it; met is told of
	// the claims, NAMESPACE/NAME, and the function ends it.
	StorageFails(what history.StorageFault, met func(claim string)) (mend func())
}

// nodeSilent has nothing be heard of a node; what comes of it is the node lifecycle
// controller's business.
func nodeSilent(all *Interventions, v *scenario.Intervention, f *history.Intervention) error {
	s := v.NodeSilent
	name, err := all.thereIs(s.Ref(), f)
	if err != nil {
		return err
	}
	since := all.now()
	if !all.Machines().FallSilent(history.NodeSilent{Node: name, What: s.What()}) {
		return ineffective("nothing is heard of Node %s already", name)
	}
	return all.lasting(f, s.For, "node-back/"+name, func() { all.Machines().SpeakAgain(name) }, func() []string { return all.podsOn(name, since) })
}

package play

import (
	"time"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/intervention"
)

// machines are the cell's simulated nodes, together with who watches for their signs of life.
type machines struct{ *play }

var _ intervention.Machines = machines{}

// FallSilent implements intervention.Machines.
func (m machines) FallSilent(s history.NodeSilent) bool {
	if !m.kubelets.FallSilent(s) {
		return false
	}
	m.watch()
	return true
}

// SpeakAgain implements intervention.Machines.
func (m machines) SpeakAgain(node string) {
	m.kubelets.SpeakAgain(m.ctx, node)
	m.watch()
}

// StorageFails implements intervention.Machines.
func (m machines) StorageFails(what history.StorageFault, met func(claim string)) func() {
	mend := m.disks.Fail(what, met)
	return func() {
		mend()
		m.kubelets.LookAtVolumes(m.ctx)
	}
}

func (m machines) watch() {
	if err := m.Plane.Controllers.NodeHealth.Watch(m.kubelets); err != nil {
		m.cancel(err)
	}
}

// ShutDown implements intervention.Machines.
func (m machines) ShutDown(node string, notice time.Duration, off func()) (bool, error) {
	news, err := m.kubelets.ShutDown(m.ctx, node, notice, func() {
		m.FallSilent(history.NodeSilent{Node: node, What: history.SilentMachine})
		off()
	})
	if news {
		m.watch() // Its kubelet may say that it is not ready.
	}
	return news, err
}

// RuntimeFails implements intervention.Machines.
func (m machines) RuntimeFails(which history.Runtime) func() {
	return m.kubelets.RuntimeFails(which)
}

// MemoryTaken implements intervention.Machines.
func (m machines) MemoryTaken(t history.MemoryTaken) func() {
	return m.kubelets.MemoryTaken(m.ctx, t)
}

// RegistryFails implements intervention.Machines.
func (m machines) RegistryFails(which history.Registry) func() {
	return m.kubelets.RegistryFails(which)
}

package intervention

import (
	"fmt"
	"time"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/scenario"
)

// nodeShutdown shuts a machine down. Whether its pods are ended before is its kubelet's
// business.
func nodeShutdown(all *Interventions, v *scenario.Intervention, f *history.Intervention) error {
	s := v.NodeShutdown
	name, err := all.thereIs(s.Ref(), f)
	if err != nil {
		return err
	}
	var notice time.Duration
	if s.Notice != "" {
		if notice, err = time.ParseDuration(s.Notice); err != nil {
			return fmt.Errorf("reading the notice: %w", err)
		}
	}
	since := all.now()
	// It may be off at once.
	var began *fault
	off := false
	boots := func() error { return all.ends(began, s.For, "node-back/"+name) }
	news, err := all.Machines().ShutDown(name, notice, func() {
		if off = true; began == nil {
			return
		}
		if err := boots(); err != nil {
			all.failed = err
		}
	})
	if err != nil {
		return fmt.Errorf("shutting Node %s down: %w", name, err)
	}
	if !news {
		return ineffective("Node %s goes off already, or nothing is heard of it", name)
	}
	began = all.begun(f, func() { all.Machines().SpeakAgain(name) }, func() []string { return all.podsOn(name, since) })
	if off {
		return boots()
	}
	return nil
}

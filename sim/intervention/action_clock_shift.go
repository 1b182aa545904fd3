package intervention

import (
	"fmt"
	"time"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/wellknown"
)

// clockShift has the clock of Tekton's controller be wrong.
func clockShift(all *Interventions, v *scenario.Intervention, f *history.Intervention) error {
	by, err := time.ParseDuration(v.ClockShift.By)
	if err != nil {
		return fmt.Errorf("reading by how much: %w", err)
	}
	since := all.now()
	began := history.ClockShift{Seconds: by.Seconds()}
	all.Install.ShiftClock(by)
	all.Record(history.FactClockShifted, began)
	return all.lasting(f, v.ClockShift.For, "clock-right", func() {
		all.Install.ShiftClock(0)
		all.Record(history.FactClockRight, began)
	}, func() []string { return all.writtenBy(wellknown.TektonController, since) })
}

// writtenBy are the objects that somebody has written from an entry on.
func (all *Interventions) writtenBy(actor string, since int) []string {
	met := &tally{}
	for _, e := range all.History.Log().Entries()[since:] {
		if e.Kind == history.KindObject && e.Actor == actor && (e.Object.Kind == "PipelineRun" || e.Object.Kind == "TaskRun") {
			met.add(e.Object.String())
		}
	}
	return met.all()
}

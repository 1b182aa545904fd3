package intervention

import (
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/wellknown"
)

// schedulerAway has the scheduler do nothing. It meets the pods that wait for a node meanwhile.
func schedulerAway(all *Interventions, v *scenario.Intervention, f *history.Intervention) error {
	fact, since := history.SchedulerAway{Intervention: f.Index}, all.now()
	record := func(name string) {
		all.History.Log().Record(history.NewFact(wellknown.KubeScheduler, history.Ref{Kind: "Scheduler", Name: fact.Key()}, name, fact))
	}
	back := all.Plane.StopScheduling()
	record(history.FactSchedulerAway)
	return all.lasting(f, v.SchedulerAway.For, "scheduler-back/"+fact.Key(), func() {
		back()
		record(history.FactSchedulerBack)
	}, func() []string { return all.unbound(since) })
}

// unbound are the pods that had no node at some time from an entry on.
func (all *Interventions) unbound(since int) []string {
	var out []string
	for _, p := range all.timeline.Pods {
		if !past(p.BoundSeq, since) && !past(p.GoneSeq, since) {
			out = append(out, p.Object())
		}
	}
	return out
}

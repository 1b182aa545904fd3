package intervention

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"simctl.dev/simctl/sim/clock"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/timeline"
)

// fault is one that has begun and lasts.
type fault struct {
	f   history.Intervention
	end func()
	// met says whom it has met, each once, in an order that is the same whenever the cell is
	// played, which that of names that the API server makes up is not.
	met  func() []string
	over bool
}

// told is how many of those that a fault has met are named.
const told = 10

// lasting has a fault that has begun end after a time, or when another intervention ends
// it; one without a time lasts for good. Whom it has met is recorded at its end, or at the
// cell's.
func (all *Interventions) lasting(f *history.Intervention, text, key string, end func(), met func() []string) error {
	return all.ends(all.begun(f, end, met), text, key)
}

// begun notes a fault that has begun and lasts.
func (all *Interventions) begun(f *history.Intervention, end func(), met func() []string) *fault {
	began := &fault{f: *f, end: end, met: met}
	all.faults = append(all.faults, began)
	return began
}

// ends has a fault end after a time from now on; one without a time lasts for good.
func (all *Interventions) ends(began *fault, text, key string) error {
	if text == "" {
		return nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("reading for how long: %w", err)
	}
	all.After(d, key, func() { all.over(began, true) })
	return nil
}

// over ends a fault, or the cell has ended under it, and records whom it has met.
func (all *Interventions) over(o *fault, ended bool) {
	if o.over {
		return
	}
	o.over = true
	if err := all.look(); err != nil && all.failed == nil {
		all.failed = err
	}
	whom := o.met()
	if ended {
		o.end()
	}
	all.Record(history.FactFaultMet, history.FaultMet{Index: o.f.Index, Name: o.f.Name, Action: o.f.Action, What: o.f.What,
		Over: ended, Count: len(whom), Whom: whom[:min(told, len(whom))]})
}

// endFaults ends the faults of the interventions with a name.
func endFaults(all *Interventions, v *scenario.Intervention, _ *history.Intervention) error {
	found := false
	for _, o := range slices.Clone(all.faults) {
		if o.f.Name == v.End && !o.over {
			found = true
			all.over(o, true)
		}
	}
	if !found {
		return ineffective("no fault that is called %q goes on", v.End)
	}
	return nil
}

// Conclude records whom faults have met that the cell ends under.
func (all *Interventions) Conclude() {
	for _, o := range all.faults {
		all.over(o, false)
	}
}

// drawn says whether an intervention with a probability is to be done, and notes the draw.
func (all *Interventions) drawn(v *intervention, f *history.Intervention) bool {
	if v.Probability == nil {
		return true
	}
	draw := clock.Rand(all.Seed, "intervention", fmt.Sprint(v.index)).Float64()
	f.Probability, f.Draw = v.Probability, &draw
	f.Spared = draw >= *v.Probability
	return !f.Spared
}

// now is the number of the next entry of the history.
func (all *Interventions) now() int { return len(all.History.Log().Entries()) }

// podsOn are the pods that were on a node and had not ended at some time from an entry on.
func (all *Interventions) podsOn(node string, since int) []string {
	var out []string
	for _, p := range all.timeline.Pods {
		if p.Node == node && !past(p.OverSeq, since) && !past(p.GoneSeq, since) {
			out = append(out, p.Object())
		}
	}
	return out
}

// past says whether an entry has come before another.
func past(seq, before int) bool { return seq != 0 && seq < before }

// unpulled are the pods that waited from an entry on for images that an outage keeps away.
func (all *Interventions) unpulled(r history.Registry, since int) []string {
	var out []string
	for _, p := range all.timeline.Pods {
		if slices.ContainsFunc(p.Unpulled, func(u timeline.Unpulled) bool {
			return r.Has(u.Failed.Data.Image) && !past(u.CameSeq, since)
		}) {
			out = append(out, p.Object())
		}
	}
	return out
}

// tally counts whom a fault meets that is told of one after the other, by whatever
// goroutine.
type tally struct {
	mu  sync.Mutex
	met map[string]bool
}

func (t *tally) add(whom string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.met == nil {
		t.met = map[string]bool{}
	}
	t.met[whom] = true
}

func (t *tally) all() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Sorted(maps.Keys(t.met))
}

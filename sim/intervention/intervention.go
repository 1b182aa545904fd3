package intervention

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/install"
	"simctl.dev/simctl/sim/plane"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/tekton"
	"simctl.dev/simctl/sim/timeline"
	"simctl.dev/simctl/sim/user"
)

// Interventions are those of one cell. Their methods are called by the goroutine that
// steps the clock.
type Interventions struct {
	Options
	ctx  context.Context // of the cell
	list []*intervention
	// timeline is the history read, as far as it has been looked at.
	timeline *timeline.Timeline
	// failed is why one could not be carried out.
	failed error
	// evictions are those that a drained node waits for, by their pods.
	evictions map[string]*eviction
	// reclaims are the nodes that the cluster autoscaler looks at.
	reclaims []*reclaim
	// faults are those that have begun and last.
	faults []*fault
}

// Options are what Interventions are made of.
type Options struct {
	Cell *scenario.Cell
	// Seed is what chance goes by in the cell.
	Seed int64
	// Builds are the releases that the cell needs, by version.
	Builds  map[string]*tekton.Build
	Plane   *plane.Plane
	Install *install.Install
	User    *user.User
	// History is the cell's, Record takes a fact of it.
	History *history.Follower
	Record  func(fact string, data any)
	// Machines returns the simulated nodes, which are there when interventions are made.
	Machines func() Machines
	// After has something done after a time, unless the cell has ended by then.
	After  func(d time.Duration, key string, run func())
	Logger logr.Logger
}

// intervention is one of them.
type intervention struct {
	*scenario.Intervention
	index int
	// set says that its trigger has come or is on the clock, done that it was
	// carried out.
	set, done bool
}

// New returns a cell's interventions, none of which is made yet. They are made as long as
// ctx does not end.
func New(ctx context.Context, o Options) *Interventions {
	all := &Interventions{Options: o, ctx: ctx, evictions: map[string]*eviction{}, timeline: timeline.New()}
	for i := range o.Cell.Spec.Interventions {
		all.list = append(all.list, &intervention{Intervention: &o.Cell.Spec.Interventions[i], index: i})
	}
	return all
}

// Plan puts the interventions that have a time on the clock. It returns the tasks at
// whose end something is done at once: Tekton's controller must not be told of it before.
// The runs are about to be created.
func (all *Interventions) Plan() (ends map[string]bool) {
	ends = map[string]bool{}
	for _, v := range all.list {
		switch {
		case v.When == nil:
			all.schedule(v, v.At)
		case v.AfterRun():
		case v.When.Phase == scenario.PhaseDone && v.After == "":
			ends[v.When.Task] = true
		}
	}
	return ends
}

// schedule has an intervention carried out after a time.
func (all *Interventions) schedule(v *intervention, after string) {
	v.set = true
	d, err := time.ParseDuration(after)
	if err != nil {
		all.failed = fmt.Errorf("reading the time of intervention %d (%s): %w", v.index, v.Name, err)
		return
	}
	all.After(d, fmt.Sprintf("intervention/%04d", v.index), func() { all.carryOut(v) })
}

// Make carries out the first intervention whose moment has just come, and
// puts those on the clock that come some time after theirs. It reports whether
// it did anything. The error is that of one that could not be carried out.
func (all *Interventions) Make() (bool, error) {
	if all.failed != nil {
		return false, all.failed
	}
	if err := all.look(); err != nil {
		return false, err
	}
	if did, err := all.lookAtReclaims(); did || err != nil {
		return did, err
	}
	did := false
	for _, v := range all.list {
		if v.set || !all.reached(v.When) {
			continue
		}
		did = true
		if v.After != "" {
			all.schedule(v, v.After)
			continue
		}
		v.set = true
		all.carryOut(v)
		break
	}
	return did, all.failed
}

// reached says whether the moment of an intervention has come.
func (all *Interventions) reached(m *scenario.Moment) bool {
	switch m.Run {
	case "":
		return all.timeline.Reached(m.Task, timeline.Phase(m.Phase))
	case scenario.AllRuns:
		return all.timeline.AllDone()
	}
	return all.timeline.RunDone(m.Run)
}

// Awaited says whether one is on the clock that comes after a run's end: the cell is not
// over before it.
func (all *Interventions) Awaited() bool {
	return slices.ContainsFunc(all.list, func(v *intervention) bool { return v.AfterRun() && v.set && !v.done })
}

// look reads what was recorded since the last call.
func (all *Interventions) look() error {
	if len(all.list) == 0 {
		return nil // nobody asks
	}
	entries := all.History.Log().Entries()
	if err := all.timeline.Add(entries[len(all.timeline.Entries()):]...); err != nil {
		return fmt.Errorf("reading the cell's own history: %w", err)
	}
	return nil
}

// Nudge has what was refused for now be asked for again at once.
func (all *Interventions) Nudge() {
	for _, e := range all.cancelled() {
		all.evictAgain(e)
	}
}

// End ends the interventions: nothing more is done.
func (all *Interventions) End() {
	all.cancelled()
	for _, r := range all.reclaims {
		r.end()
	}
}

// Missed records the interventions whose trigger never came.
func (all *Interventions) Missed() {
	for _, v := range all.list {
		if v.done {
			continue
		}
		f := v.fact()
		f.Missed = true
		all.Record(history.FactIntervention, f)
		all.Logger.Info("An intervention was not made: the cell ended first", "cell", all.Cell.ID(), "trigger", f.Trigger, "what", f.What)
	}
}

func (v *intervention) fact() history.Intervention {
	return history.Intervention{Index: v.index, Name: v.Name, Trigger: v.Trigger(), Action: v.Action(), What: v.What()}
}

// noEffect is why an intervention had no effect: an answer that whoever did this
// on a cluster would have got too.
type noEffect struct{ error }

func ineffective(format string, args ...any) error { return noEffect{fmt.Errorf(format, args...)} }

// carryOut does what an intervention says and records it.
func (all *Interventions) carryOut(v *intervention) {
	v.done = true
	f := v.fact()
	if !all.drawn(v, &f) {
		all.Record(history.FactIntervention, f)
		return
	}
	all.Logger.V(1).Info("Intervention", "cell", all.Cell.ID(), "what", f.What, "now", all.Plane.Clock.Elapsed())
	err := all.act(v.Intervention, &f)
	var answer apierrors.APIStatus
	var none noEffect
	switch {
	case err == nil:
	case errors.As(err, &none), errors.As(err, &answer), errors.Is(err, tekton.ErrExited):
		f.Failure = err.Error()
	default:
		all.failed = fmt.Errorf("intervention %d (%s): %w", v.index, f.What, err)
	}
	all.Record(history.FactIntervention, f)
}

func (all *Interventions) act(v *scenario.Intervention, f *history.Intervention) error {
	// Objects may have been written since the history was read.
	if err := all.look(); err != nil {
		return err
	}
	do := acts()[v.Action()]
	if do == nil {
		return errors.New("it says nothing that is to be done")
	}
	return do(all, v, f)
}

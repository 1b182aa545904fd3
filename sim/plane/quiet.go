package plane

import (
	"context"
	"slices"
	"sync"

	"simctl.dev/simctl/sim/controlplane"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/stepper"
)

var _ stepper.Plane = &Plane{}

// Member is a process beside the plane that belongs to what has to be quiet.
type Member struct {
	Name string
	PID  int
	// Idle says that the process has nothing to do; an error ends a wait for quiet.
	// Settled is called once all is quiet, Record when what is recorded goes elsewhere.
	// Each may be nil.
	Idle    func() (bool, error)
	Settled func()
	Record  func(history.Recorder)
}

// Join has a process belong to the plane until leave is called.
func (p *Plane) Join(m Member) (leave func()) {
	p.members = append(p.members, &m)
	return func() {
		p.members = slices.DeleteFunc(p.members, func(other *Member) bool { return other == &m })
	}
}

// Quiet waits until nothing goes on any more. The error is a member's, ctx's, or the API
// server's if it gave up a request for want of real time.
func (p *Plane) Quiet(ctx context.Context) error {
	checks := []controlplane.Check{
		{Name: "scheduler", Idle: func() (bool, error) { return p.Scheduler.Idle(), nil }},
		{Name: "kube", Idle: func() (bool, error) { return p.Controllers.Quiet(), nil }},
	}
	var pids []int
	for _, m := range p.members {
		pids = append(pids, m.PID)
		if m.Idle != nil {
			checks = append(checks, controlplane.Check{Name: m.Name, Idle: m.Idle})
		}
	}
	if err := p.Servers.Quiet(ctx, pids, checks...); err != nil {
		return err
	}
	for _, m := range p.members {
		if m.Settled != nil {
			m.Settled()
		}
	}
	return nil
}

// Schedule implements [stepper.Plane].
func (p *Plane) Schedule() (tried, waiting int) {
	if p.unscheduled > 0 {
		return 0, 0
	}
	if tried = p.Scheduler.TryNext(); tried > 0 {
		return tried, 0
	}
	return 0, p.Scheduler.Backoff()
}

// StopScheduling has the scheduler try no pod until the function that it returns is called,
// once for each call.
func (p *Plane) StopScheduling() (again func()) {
	p.unscheduled++
	return sync.OnceFunc(func() { p.unscheduled = max(0, p.unscheduled-1) })
}

// Mend ends what has kept the plane from doing what it does.
func (p *Plane) Mend() {
	p.unscheduled = 0
	p.Tap().Mend()
}

// Settle steps time until no work is left, as [stepper.Settle] does.
func (p *Plane) Settle(ctx context.Context) error { return stepper.Settle(ctx, p, p.Clock) }

// SettleAll steps time until no work is left and nothing that a controller has failed at
// succeeds when it is tried again at once: what would be tried again later would be
// forgotten when the plane begins anew. The length of log says whether anything came of it.
func (p *Plane) SettleAll(ctx context.Context, log *history.Log) error {
	nudge := func() int {
		if p.Controllers.Pending() == 0 {
			return 0
		}
		return p.Controllers.Nudge()
	}
	return stepper.SettleAll(ctx, p, p.Clock, nudge, func() int { return len(log.Entries()) })
}

package play

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/stepper"
	"simctl.dev/simctl/sim/tekton"
)

// world is a cell as its stepper sees it.
type world struct{ *play }

var _ stepper.World = world{}

// Schedule implements stepper.Plane.
func (c world) Schedule() (tried, waiting int) { return c.Plane.Schedule() }

// Quiet implements stepper.Plane. A Tekton controller that has ended is put back.
func (c world) Quiet(ctx context.Context) error {
	for {
		err := c.Plane.Quiet(ctx)
		if !errors.Is(err, tekton.ErrExited) || ctx.Err() != nil {
			return err
		}
		if err := c.restart(err); err != nil {
			return err
		}
	}
}

// maxRestarts bounds how often Tekton's processes may end by themselves in a cell.
const maxRestarts = 5

// restart puts a new process of Tekton's in the place of one that has ended, as its
// Deployment does.
func (c *play) restart(cause error) error {
	if c.restarts++; c.restarts > maxRestarts {
		return fmt.Errorf("%d restarts did not help: %w", maxRestarts, cause)
	}
	c.Logger.Info("A process of Tekton's has ended; starting it again", "cause", cause.Error())
	return c.Install.Revive(c.ctx)
}

// Done implements stepper.World: every run has reached a final condition. A run that the
// API server refused has none to reach.
func (c world) Done() (bool, error) {
	s, err := c.history.State()
	if err != nil {
		return false, err
	}
	for _, kind := range []string{"PipelineRun", "TaskRun"} {
		for _, o := range s.List(kind) {
			if !history.Ended(o.Field("status", "conditions")) {
				return false, nil
			}
		}
	}
	return true, nil
}

// Awaited implements stepper.World.
func (c world) Awaited() bool { return c.interventions.Awaited() }

// React implements stepper.World: resolvers answer, and interventions are made.
func (c world) React() (did bool, err error) {
	s, err := c.history.State()
	if err != nil {
		return false, err
	}
	if err := c.resolvers.Take(c.ctx, s); err != nil {
		return false, err
	}
	return c.interventions.Make()
}

// Deliver implements stepper.World.
func (c world) Deliver() bool { return c.podFirst() || c.Plane.Tap().Deliver() }

// Nudge implements stepper.World.
func (c world) Nudge() {
	c.Plane.Scheduler.RetryAll()
	c.Plane.Controllers.Nudge()
	c.interventions.Nudge()
}

// Retrying implements stepper.World.
func (c world) Retrying() map[string]int { return c.Install.Retrying() }

// patience is how long, in real time, nothing may come before a run is called stuck
// or a time-out is played.
const patience = 100 * time.Millisecond

// Still implements stepper.World. All may seem quiet while news is under way in the
// kernel, or in a process that a loaded host keeps waiting.
func (c world) Still(ctx context.Context) bool {
	before := c.Plane.Tap().Activity()
	select {
	case <-ctx.Done():
		return false
	case <-time.After(patience):
		return c.Plane.Tap().Activity() == before
	}
}

// Deadline implements stepper.World.
func (c world) Deadline() (at float64, some bool) {
	s, err := c.history.State()
	if err != nil {
		return 0, false // Done has said so
	}
	usual := defaultTimeout
	if n, err := strconv.Atoi(c.cell.Spec.Tekton.Defaults["default-timeout-minutes"]); err == nil {
		usual = time.Duration(n) * time.Minute
	}
	for _, kind := range []string{"PipelineRun", "TaskRun"} {
		for _, o := range s.List(kind) {
			if history.Ended(o.Field("status", "conditions")) {
				continue
			}
			limit := usual
			for _, path := range [][]string{{"spec", "timeouts", "pipeline"}, {"spec", "timeout"}} {
				if d, err := time.ParseDuration(o.Text(path...)); err == nil {
					limit = d
				}
			}
			if limit > 0 {
				at, some = max(at, o.Created+limit.Seconds()), true
			}
		}
	}
	return at, some
}

// defaultTimeout is Tekton's for a run without one.
const defaultTimeout = time.Hour

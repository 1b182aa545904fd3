package sim

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"simctl.dev/simctl/sim/stepper"
	"simctl.dev/simctl/sim/tekton"
)

// world is a cell as its stepper sees it.
type world struct{ *play }

var _ stepper.World = world{}

// Schedule implements stepper.Plane.
func (c world) Schedule() (tried, waiting int) { return c.plane.Schedule() }

// Quiet implements stepper.Plane. A Tekton controller that has ended is put back.
func (c world) Quiet(ctx context.Context) error {
	for {
		err := c.plane.Quiet(ctx)
		if !errors.Is(err, tekton.ErrExited) || ctx.Err() != nil {
			return err
		}
		if err := c.restart(err); err != nil {
			return err
		}
	}
}

// maxRestarts bounds how often a cell's controller may end by itself.
const maxRestarts = 5

// restart puts a new Tekton controller in the place of one that has ended, as
// its Deployment does.
func (c *play) restart(cause error) error {
	if c.restarts++; c.restarts > maxRestarts {
		return fmt.Errorf("%d restarts did not help: %w", maxRestarts, cause)
	}
	c.logger.Info("The Tekton controller has ended; starting it again", "cause", cause.Error())
	return c.install.Start(c.ctx)
}

// Done implements stepper.World: every run has reached a final condition. A run that the
// API server refused has none to reach.
func (c world) Done() (bool, error) {
	if err := c.fold(); err != nil {
		return false, err
	}
	for _, kind := range []string{"PipelineRun", "TaskRun"} {
		for _, o := range c.state.List(kind) {
			if !final(o.Field("status", "conditions")) {
				return false, nil
			}
		}
	}
	return true, nil
}

// final says whether among the conditions of a run's status Succeeded is True or
// False.
func final(conditions any) bool {
	list, _ := conditions.([]any)
	for _, c := range list {
		if m, ok := c.(map[string]any); ok && m["type"] == "Succeeded" {
			return m["status"] != "Unknown"
		}
	}
	return false
}

// React implements stepper.World: resolvers answer, and interventions are made. The cell's
// history is folded.
func (c world) React() (did bool, err error) {
	if err := c.resolve(); err != nil {
		return false, err
	}
	return c.intervene()
}

// Deliver implements stepper.World.
func (c world) Deliver() bool { return c.podFirst() || c.plane.Tap().Deliver() }

// Nudge implements stepper.World.
func (c world) Nudge() {
	c.plane.Scheduler.RetryAll()
	c.plane.Controllers.Nudge()
	c.interventions.nudge(c.evictAgain)
}

// Retrying implements stepper.World.
func (c world) Retrying() map[string]int { return c.install.Retrying() }

// patience is how long, in real time, nothing may come before a run is called stuck
// or a time-out is played.
const patience = 100 * time.Millisecond

// Still implements stepper.World. All may seem quiet while news is under way in the
// kernel, or in a process that a loaded host keeps waiting.
func (c world) Still(ctx context.Context) bool {
	before := c.plane.Tap().Activity()
	select {
	case <-ctx.Done():
		return false
	case <-time.After(patience):
		return c.plane.Tap().Activity() == before
	}
}

// Deadline implements stepper.World.
func (c world) Deadline() (at float64, some bool) {
	usual := defaultTimeout
	if n, err := strconv.Atoi(c.cell.Spec.Tekton.Defaults["default-timeout-minutes"]); err == nil {
		usual = time.Duration(n) * time.Minute
	}
	for _, kind := range []string{"PipelineRun", "TaskRun"} {
		for _, o := range c.state.List(kind) {
			if final(o.Field("status", "conditions")) {
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

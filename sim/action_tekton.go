package sim

import (
	"simctl.dev/simctl/sim/scenario"
)

// control does something to Tekton's controller.
func (c *play) control(what string) error {
	running := c.install.Running()
	if !running && what != scenario.ControllerStart && what != scenario.ControllerRestart {
		return ineffective("the controller does not run")
	}
	switch what {
	case scenario.ControllerStop:
		return c.install.Stop(c.ctx)
	case scenario.ControllerStart:
		if running {
			return ineffective("the controller runs already")
		}
	case scenario.ControllerKill:
		// The world sees its end and starts it again, as its Deployment would.
		return c.install.Kill(c.ctx)
	}
	return c.install.Start(c.ctx)
}

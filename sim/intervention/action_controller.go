package intervention

import (
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/scenario"
)

// control does something to Tekton's controller.
func control(all *Interventions, v *scenario.Intervention, f *history.Intervention) error {
	f.Controller = v.Controller
	running := all.Install.Running()
	if !running && v.Controller != scenario.ControllerStart && v.Controller != scenario.ControllerRestart {
		return ineffective("the controller does not run")
	}
	switch v.Controller {
	case scenario.ControllerStop:
		return all.Install.Stop(all.ctx)
	case scenario.ControllerStart:
		if running {
			return ineffective("the controller runs already")
		}
	case scenario.ControllerKill:
		// Its end is seen, and it is started again, as its Deployment would do.
		return all.Install.Kill(all.ctx)
	}
	return all.Install.Start(all.ctx)
}

package intervention

import (
	"simctl.dev/simctl/sim/controlplane"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/scenario"
)

func apiErrors(all *Interventions, v *scenario.Intervention, _ *history.Intervention) error {
	mend := all.Plane.Tap().Fail(controlplane.Fault{Actor: v.APIErrors.Client, Code: v.APIErrors.Status()})
	return all.lasts(v.APIErrors.For, "api-errors/"+v.APIErrors.Client, mend)
}

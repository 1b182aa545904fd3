package intervention

import (
	"simctl.dev/simctl/sim/controlplane"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/scenario"
)

func apiErrors(all *Interventions, v *scenario.Intervention, f *history.Intervention) error {
	met := &tally{}
	mend := all.Plane.Tap().Fail(controlplane.Fault{Actor: v.APIErrors.Client, Code: v.APIErrors.Status(), Met: met.add})
	return all.lasting(f, v.APIErrors.For, "api-errors/"+v.APIErrors.Client, mend, met.all)
}

package intervention

import (
	"fmt"
	"time"

	"simctl.dev/simctl/sim/controlplane"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/scenario"
)

func apiErrors(all *Interventions, v *scenario.Intervention, _ *history.Intervention) error {
	d, err := time.ParseDuration(v.APIErrors.For)
	if err != nil {
		return fmt.Errorf("reading for how long: %w", err)
	}
	all.After(d, "api-errors/"+v.APIErrors.Client, all.Plane.Tap().Fail(controlplane.Fault{Actor: v.APIErrors.Client, Code: v.APIErrors.Status()}))
	return nil
}

package intervention

import (
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/scenario"
)

func swapRelease(all *Interventions, v *scenario.Intervention, f *history.Intervention) error {
	f.FormerRelease, f.Release = all.Install.Version(), v.SwapRelease
	return all.Install.Swap(all.ctx, all.Builds[v.SwapRelease])
}

package intervention

import (
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/scenario"
)

// registryFails has images not come; how often they are asked for again is the kubelets' and
// how long that is borne Tekton's business.
func registryFails(all *Interventions, v *scenario.Intervention, _ *history.Intervention) error {
	r := v.RegistryFails
	mend := all.Machines().RegistryFails(history.Registry{Images: r.Which(), Answer: r.Says()})
	return all.lasts(r.For, "registry-back/"+r.Which(), mend)
}

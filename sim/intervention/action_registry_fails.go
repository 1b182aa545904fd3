package intervention

import (
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/scenario"
)

// registryFails has images not come; how often they are asked for again is the kubelets' and
// how long that is borne Tekton's business.
func registryFails(all *Interventions, v *scenario.Intervention, f *history.Intervention) error {
	r := v.RegistryFails
	which, since := history.Registry{Images: r.Which(), Answer: r.Says()}, all.now()
	mend := all.Machines().RegistryFails(which)
	return all.lasting(f, r.For, "registry-back/"+r.Which(), mend, func() []string { return all.unpulled(which, since) })
}

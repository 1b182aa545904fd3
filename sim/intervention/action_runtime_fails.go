package intervention

import (
	"slices"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/timeline"
)

// runtimeFails has container runtimes not do something; how often they are asked again is the
// kubelets' and how long that is borne Tekton's business.
func runtimeFails(all *Interventions, v *scenario.Intervention, f *history.Intervention) error {
	r := v.RuntimeFails
	which, since := history.Runtime{Fails: r.What()}, all.now()
	if r.Name != "" || r.NodeOf != "" {
		name, err := all.nodeOf(r.Ref())
		if err != nil {
			return err
		}
		f.Node, which.Node = name, name
	}
	mend := all.Machines().RuntimeFails(which)
	return all.lasting(f, r.For, "runtime-back/"+which.Name(), mend, func() []string { return all.notMade(which, since) })
}

// notMade are the pods of which a runtime has not made something from an entry on.
func (all *Interventions) notMade(r history.Runtime, since int) []string {
	var out []string
	for _, p := range all.timeline.Pods {
		if slices.ContainsFunc(p.NotMade, func(m timeline.Fact[history.NotMade]) bool {
			return m.Seq >= since && m.Data.What == r.Fails && (r.Node == "" || r.Node == m.Data.Node)
		}) {
			out = append(out, p.Object())
		}
	}
	return out
}

package intervention

import (
	"simctl.dev/simctl/sim/controlplane"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/wellknown"
)

// apiErrors has clients of the API server be answered with errors; how often they ask again,
// and what they take for good, is theirs.
func apiErrors(all *Interventions, v *scenario.Intervention, f *history.Intervention) error {
	e := v.APIErrors
	clients := scenario.Clients
	if e.Client != "" {
		clients = []string{e.Client}
	}
	fact := history.APIFault{Intervention: f.Index, Client: e.Client, Resources: e.Resources, Verbs: e.Which(), Code: e.Status(), Message: e.Message()}
	if fact.Message == "" {
		fact.Message = controlplane.Words(fact.Code)
	}
	met := &tally{}
	var mend []func()
	for _, c := range clients {
		mend = append(mend, all.Plane.Tap().Fail(controlplane.Fault{
			Actor: c, Resources: fact.Resources, Verbs: fact.Verbs, Code: fact.Code, Message: fact.Message, Met: met.add,
		}))
	}
	record := func(name string) {
		all.History.Log().Record(history.NewFact(wellknown.Simctl, history.Ref{Kind: "APIServer", Name: fact.Key()}, name, fact))
	}
	record(history.FactAPIFails)
	return all.lasting(f, e.For, "api-errors/"+fact.Key(), func() {
		for _, m := range mend {
			m()
		}
		record(history.FactAPIBack)
	}, met.all)
}

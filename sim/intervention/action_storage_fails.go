package intervention

import (
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/scenario"
)

// storageFails has CSI drivers fail at an operation, or be slow at it; when it is tried again
// is the sidecars', the attach/detach controller's and the kubelets' business.
func storageFails(all *Interventions, v *scenario.Intervention, f *history.Intervention) error {
	s := v.StorageFails
	fault := history.StorageFault{Operation: s.Operation, Class: s.Class, Code: s.Says(), Message: s.Message, Slow: s.Delay().Seconds()}
	if s.Node != "" || s.NodeOf != "" {
		name, err := all.nodeOf(s.Ref())
		if err != nil {
			return err
		}
		fault.Node, f.Node = name, name
	}
	met := &tally{}
	mend := all.Machines().StorageFails(fault, func(claim string) { met.add("PersistentVolumeClaim " + claim) })
	return all.lasting(f, s.For, "storage-back/"+fault.Key(), mend, met.all)
}

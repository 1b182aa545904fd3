package verdict

import (
	"cmp"
	"fmt"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/wellknown"
)

// apiFault says which fault of the API server Tekton speaks of in what it wrote with an
// entry; nil if it speaks of none.
func (t *judging) apiFault(said string, entry int) []Link {
	s := t.FaultOf(wellknown.TektonController, said, entry)
	if s == nil {
		return nil
	}
	f := s.Began.Data
	return []Link{apiErrors.link("kube-apiserver", fmt.Sprintf("%s at %.0f s: %s", history.FactAPIFails, s.Began.T, f.Message),
		cmp.Or(f.Client, "all controllers"), f.Code, lasted(*s))}
}

package verdict

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/timeline"
)

// volumeFailed says which operation a CSI driver does not do for one of a pod's claims, and
// why; nil if it does all. A pod without a node waits for its claims to be provisioned, one
// with a node for the rest.
func (t *judging) volumeFailed(p *timeline.Pod, spec *corev1.Pod, before int) []Link {
	claims := claimNames(spec)
	bound := past(p.BoundSeq, before)
	for _, f := range slices.Backward(t.VolumeFailures) {
		v := f.Data
		switch {
		case f.Seq >= before || v.Namespace != p.Namespace || !slices.Contains(claims, v.Claim):
			continue
		case bound && v.Node != p.Node || !bound && v.Operation != history.OperationProvision:
			continue
		case t.operationDone(f, before):
			continue
		}
		links := t.operationFailed(f)
		if v.Operation == history.OperationAttach && len(links) == 1 {
			links = append(links, t.undetached(v, before)...)
		}
		return links
	}
	return nil
}

// undetached says why a volume that is to be attached is not detached from another node; nil
// if nothing failed there.
func (t *judging) undetached(v history.VolumeFailed, before int) []Link {
	for _, f := range slices.Backward(t.VolumeFailures) {
		if f.Seq < before && f.Data.Operation == history.OperationDetach && f.Data.PV == v.PV && f.Data.Node != v.Node && !t.operationDone(f, before) {
			return t.operationFailed(f)
		}
	}
	return nil
}

// operationDone says whether what had failed was done after all, before an entry.
func (t *judging) operationDone(f timeline.Fact[history.VolumeFailed], before int) bool {
	done := func(list []timeline.Fact[history.Volume]) bool {
		return slices.ContainsFunc(list, func(v timeline.Fact[history.Volume]) bool {
			return v.Seq > f.Seq && v.Seq < before && v.Data.PV == f.Data.PV && v.Data.Node == f.Data.Node
		})
	}
	switch f.Data.Operation {
	case history.OperationAttach:
		return done(t.Attached)
	case history.OperationDetach:
		return done(t.Detached)
	}
	return false
}

// operationFailed says of an operation that failed what the driver says, and why.
func (t *judging) operationFailed(f timeline.Fact[history.VolumeFailed]) []Link {
	v, where := f.Data, ""
	if v.Node != "" {
		where = map[string]string{history.OperationDetach: " from"}[v.Operation]
		if where == "" {
			where = map[string]string{history.OperationAttach: " to", history.OperationMount: " on"}[v.Operation]
		}
		where += " node " + v.Node
	}
	links := []Link{volumeOperation.link(fmt.Sprintf("PersistentVolumeClaim %s/%s", v.Namespace, v.Claim), clip(v.Message), v.Operation, v.Claim, where)}
	s := t.StorageFaultAt(v.Operation, v.Class, v.Node, f.Seq)
	if s == nil || !s.Lasts(f.Seq) {
		return links
	}
	return append(links, t.storageFault(s))
}

// storageFault says from when to when drivers failed at an operation.
func (t *judging) storageFault(s *timeline.Spell[history.StorageFault]) Link {
	f := s.Began.Data
	object, of := "StorageClass *", "all storage classes"
	if f.Class != "" {
		object, of = "StorageClass "+f.Class, "class "+f.Class
	}
	if f.Node != "" {
		of += " on node " + f.Node
	}
	evidence := fmt.Sprintf("%s at %.0f s: %s", history.FactStorageFails, s.Began.T, f.Code)
	return storageFails.link(object, evidence, f.Operation, of, lasted(*s))
}

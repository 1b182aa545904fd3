package intervention

import (
	"fmt"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/scenario"
)

// memoryTaken has something take a node's memory. Whom its kubelet evicts for that is
// upstream's eviction manager's business.
func memoryTaken(all *Interventions, v *scenario.Intervention, f *history.Intervention) error {
	m := v.MemoryTaken
	name, err := all.thereIs(m.Ref(), f)
	if err != nil {
		return err
	}
	left, err := m.Left.Bytes()
	if err != nil {
		return fmt.Errorf("reading what is left: %w", err)
	}
	since := all.now()
	mend := all.Machines().MemoryTaken(history.MemoryTaken{Node: name, Left: left})
	return all.lasting(f, m.For, "memory-back/"+name, mend, func() []string { return all.evictedForMemory(name, since) })
}

// evictedForMemory are the pods that were evicted from a node for want of memory from an
// entry on.
func (all *Interventions) evictedForMemory(node string, since int) []string {
	var out []string
	for _, p := range all.timeline.Pods {
		if p.Memory != nil && p.Memory.Seq >= since && p.Memory.Data.Node == node {
			out = append(out, p.Object())
		}
	}
	return out
}

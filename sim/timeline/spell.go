package timeline

import (
	"slices"
	"strings"

	"simctl.dev/simctl/sim/history"
)

// Spell is a time in which something was so.
type Spell[T any] struct {
	Began Fact[T]
	// Ended is nil if it did not end.
	Ended *Fact[T]
}

// Lasts says whether it has not ended before an entry.
func (s *Spell[T]) Lasts(before int) bool { return s.Ended == nil || s.Ended.Seq >= before }

// beginSpell adds a spell that a fact begins.
func beginSpell[T any](list *[]Spell[T], e history.Entry) error {
	f, err := decoded[T](e)
	*list = append(*list, Spell[T]{Began: f})
	return err
}

// endSpell ends the first spell that is about what a fact is about and lasts.
func endSpell[T any](list []Spell[T], e history.Entry, about func(T) string) error {
	for i := range list {
		if s := &list[i]; about(s.Began.Data) == e.Object.Name && s.Ended == nil {
			f, err := decoded[T](e)
			s.Ended = &f
			return err
		}
	}
	return nil
}

// lastSpell returns the last spell that began before an entry for which is says so; nil without one.
func lastSpell[T any](list []Spell[T], before int, is func(T) bool) *Spell[T] {
	var found *Spell[T]
	for i := range list {
		if s := &list[i]; s.Began.Seq < before && is(s.Began.Data) {
			found = s
		}
	}
	return found
}

// OutageOf returns the last time in which an image did not come that began before an entry,
// over or not; nil if there was none.
func (t *Timeline) OutageOf(image string, before int) *Spell[history.Registry] {
	return lastSpell(t.Registries, before, func(r history.Registry) bool { return r.Has(image) })
}

// WebhookOutage returns the last time in which Tekton's webhook could not be asked that began
// before an entry, over or not; nil if there was none.
func (t *Timeline) WebhookOutage(before int) *Spell[history.Webhook] {
	return lastSpell(t.Webhooks, before, func(history.Webhook) bool { return true })
}

// StorageFaultAt returns the last time in which an operation of a class on a node failed or
// was slow that began before an entry, over or not; nil if there was none.
func (t *Timeline) StorageFaultAt(operation, class, node string, before int) *Spell[history.StorageFault] {
	return lastSpell(t.StorageFaults, before, func(f history.StorageFault) bool {
		return f.Operation == operation && (f.Class == "" || f.Class == class) && (f.Node == "" || f.Node == node)
	})
}

// SilenceOf returns the last time in which nothing was heard of a node that began before an
// entry, over or not; nil if there was none.
func (t *Timeline) SilenceOf(node string, before int) *Spell[history.NodeSilent] {
	return lastSpell(t.Silences, before, func(s history.NodeSilent) bool { return s.Node == node })
}

// ShutdownOf returns the last time in which a node's machine was about to go off, or off, that
// began before an entry, over or not; nil if there was none.
func (t *Timeline) ShutdownOf(node string, before int) *Spell[history.NodeShutdown] {
	return lastSpell(t.Shutdowns, before, func(s history.NodeShutdown) bool { return s.Node == node })
}

// shutdownOver ends a shutdown with the fact that its node is back.
func (t *Timeline) shutdownOver(e history.Entry) {
	for i := range t.Shutdowns {
		if s := &t.Shutdowns[i]; s.Began.Data.Node == e.Object.Name && s.Ended == nil {
			s.Ended = &Fact[history.NodeShutdown]{Seq: e.Seq, T: e.T, Data: s.Began.Data}
		}
	}
}

// MemoryOf returns the last time in which the memory of a node was taken outside of pods that
// began before an entry, over or not; nil if there was none.
func (t *Timeline) MemoryOf(node string, before int) *Spell[history.MemoryTaken] {
	return lastSpell(t.Memories, before, func(m history.MemoryTaken) bool { return m.Node == node })
}

// ClockShift returns the last time in which the clock of Tekton's controller was wrong that
// began before an entry, over or not; nil if there was none.
func (t *Timeline) ClockShift(before int) *Spell[history.ClockShift] {
	return lastSpell(t.Clocks, before, func(history.ClockShift) bool { return true })
}

// RuntimeOf returns the last time in which a node's container runtime did not do something
// that began before an entry, over or not; nil if there was none.
func (t *Timeline) RuntimeOf(node, what string, before int) *Spell[history.Runtime] {
	return lastSpell(t.Runtimes, before, func(r history.Runtime) bool {
		return r.Fails == what && (r.Node == "" || r.Node == node)
	})
}

// FaultOf returns the last fault of the API server, begun before an entry and over or not,
// whose words a client was told; nil if there was none.
func (t *Timeline) FaultOf(client, told string, before int) *Spell[history.APIFault] {
	return lastSpell(t.APIFaults, before, func(f history.APIFault) bool {
		return (f.Client == "" || f.Client == client) && strings.Contains(told, f.Message)
	})
}

// UnscheduledAt returns the last time in which the scheduler did nothing that had begun before
// an entry and lasted; nil if there was none.
func (t *Timeline) UnscheduledAt(before int) *Spell[history.SchedulerAway] {
	for i := range slices.Backward(t.SchedulerAway) {
		if s := &t.SchedulerAway[i]; s.Began.Seq < before && s.Lasts(before) {
			return s
		}
	}
	return nil
}

package timeline

import "simctl.dev/simctl/sim/history"

// Silence is a time in which nothing is heard of a node.
type Silence struct {
	Began Fact[history.NodeSilent]
	// Ended is nil if it does not.
	Ended *Fact[history.NodeSilent]
}

// SilenceOf returns the last time in which nothing was heard of a node that began before an
// entry, over or not; nil if there was none.
func (t *Timeline) SilenceOf(node string, before int) *Silence {
	var found *Silence
	for i := range t.Silences {
		if s := &t.Silences[i]; s.Began.Data.Node == node && s.Began.Seq < before {
			found = s
		}
	}
	return found
}

// Lasts says whether the silence has not ended before an entry.
func (s *Silence) Lasts(before int) bool { return s.Ended == nil || s.Ended.Seq >= before }

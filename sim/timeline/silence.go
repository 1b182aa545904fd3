package timeline

import (
	"strings"

	"simctl.dev/simctl/sim/history"
)

// Silence is a time in which nothing is heard of a node.
type Silence struct {
	Began Fact[history.NodeSilent]
	// Ended is nil if it does not.
	Ended *Fact[history.NodeSilent]
}

// Outage is a time in which a registry does not give images.
type Outage struct {
	Began Fact[history.Registry]
	// Ended is nil if it does not.
	Ended *Fact[history.Registry]
}

// OutageOf returns the last time in which an image did not come that began before an entry,
// over or not; nil if there was none.
func (t *Timeline) OutageOf(image string, before int) *Outage {
	var found *Outage
	for i := range t.Registries {
		o := &t.Registries[i]
		begin, open := strings.CutSuffix(o.Began.Data.Images, "*")
		if about := begin == image || open && strings.HasPrefix(image, begin); about && o.Began.Seq < before {
			found = o
		}
	}
	return found
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

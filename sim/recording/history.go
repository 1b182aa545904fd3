package recording

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"simctl.dev/simctl/sim/history"
)

// FromHistory returns what was seen in a namespace while a cell ran, up to a time of
// the history.
func FromHistory(entries []history.Entry, namespace string, until float64) (*Recording, error) {
	r := NewRecorder(namespace)
	_, err := history.Replay(entries, func(e history.Entry, before *history.Object, s *history.State) {
		if e.Kind != history.KindObject || e.T > until || !slices.Contains(kinds, e.Object.Kind) {
			return
		}
		if e.Verb == history.VerbDelete {
			if before != nil {
				// A watch shows what a deletion changes as a change of its own.
				last := fieldsOf(s.Get(e.Object))
				r.See(e.T, last)
				r.Gone(e.T, last)
			}
			return
		}
		if o := s.Get(e.Object); o != nil && !o.Deleted {
			r.See(e.T, fieldsOf(o))
		}
	})
	if err != nil {
		return nil, fmt.Errorf("making a recording of a history: %w", err)
	}
	return r.Recording(), nil
}

// RealTimes returns the times in specs and statuses of last states that are not of the
// years of virtual time.
func RealTimes(r *Recording, virtual func(time.Time) bool) []Difference {
	n := normalize(r)
	var out []Difference
	for _, of := range slices.Sorted(maps.Keys(n.finals)) {
		for _, part := range []string{"spec", "status"} {
			realTimes(n.finals[of][part], part, virtual, func(path string) {
				out = append(out, Difference{DifferentClock, of + ": " + path + ": real time in simctl"})
			})
		}
	}
	return out
}

func realTimes(v any, path string, virtual func(time.Time) bool, found func(path string)) {
	if s, ok := v.(string); ok {
		if at, err := time.Parse(time.RFC3339, s); err == nil && !virtual(at) {
			found(path)
		}
		return
	}
	inner := keyed(v)
	for _, name := range slices.Sorted(maps.Keys(inner)) {
		realTimes(inner[name], path+"."+name, virtual, found)
	}
}

// fieldsOf returns an object with its kind, which an API server may leave out.
func fieldsOf(o *history.Object) map[string]any {
	m, _ := o.Field().(map[string]any)
	if text(m, "kind") != "" {
		return m
	}
	out := map[string]any{"kind": o.Ref.Kind}
	for k, v := range m {
		out[k] = v
	}
	return out
}

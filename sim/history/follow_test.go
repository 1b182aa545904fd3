package history_test

import (
	"testing"

	"simctl.dev/simctl/sim/history"
)

// TestFollow: a follower has what was recorded, each entry once.
func TestFollow(t *testing.T) {
	log := history.NewLog(func() float64 { return 1 }, nil)
	f := history.Follow(log)
	pod := history.Ref{APIVersion: "v1", Kind: "Pod", Namespace: "ns", Name: "a"}
	for _, step := range []struct {
		entry history.Entry
		phase string
	}{
		{history.Entry{Kind: history.KindObject, Verb: history.VerbCreate, Object: pod, Body: []byte(`{"status":{"phase":"Pending"}}`)}, "Pending"},
		{history.Entry{Kind: history.KindObject, Verb: history.VerbUpdate, Object: pod, Patch: []byte(`{"status":{"phase":"Running"}}`)}, "Running"},
	} {
		log.Record(step.entry)
		for range 2 {
			s, err := f.State()
			if err != nil {
				t.Fatal(err)
			}
			if got := s.Get(pod).Text("status", "phase"); got != step.phase {
				t.Errorf("got %q, want %q", got, step.phase)
			}
		}
	}
	log.Record(history.Entry{Kind: history.KindObject, Verb: history.VerbUpdate, Object: pod, Patch: []byte(`{`)})
	if _, err := f.State(); err == nil {
		t.Error("an entry that cannot be read is taken")
	}
}

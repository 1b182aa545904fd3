package resolvers

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/internal/resolver"
)

// TestTake: each request to a resolver of Tekton's is taken up once, and again when it is
// made anew.
func TestTake(t *testing.T) {
	now := 0.0
	log := history.NewLog(func() float64 { return now }, nil)
	write := func(verb, name, label string) {
		e := history.Entry{Kind: history.KindObject, Verb: verb, Object: history.Ref{APIVersion: "resolution.tekton.dev/v1beta1", Kind: "ResolutionRequest", Namespace: "ns", Name: name}}
		if verb == history.VerbCreate {
			e.Body = []byte(`{"metadata":{"labels":{"` + resolver.Label + `":"` + label + `"}}}`)
		}
		log.Record(e)
	}
	var taken []string
	r := New(Options{Log: log, After: func(d time.Duration, key string, _ func()) { taken = append(taken, key+" after "+d.String()) }})
	f := history.Follow(log)
	for i, step := range []struct {
		does func()
		want []string
	}{
		{func() {}, nil},
		{func() { write("create", "a", "git"); write("create", "b", "somebody's own") }, []string{"resolution/ns/a after 1s"}},
		{func() {}, nil},
		{func() { write("delete", "a", ""); now = 5; write("create", "a", "hub") }, []string{"resolution/ns/a after 1s"}},
	} {
		taken = nil
		step.does()
		s, err := f.State()
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Take(context.Background(), s); err != nil {
			t.Error(err)
		}
		if !slices.Equal(taken, step.want) {
			t.Errorf("step %d: %q, want %q", i, taken, step.want)
		}
	}
}

// TestFetch: manifests stand for what is elsewhere.
func TestFetch(t *testing.T) {
	r := New(Options{Objects: []json.RawMessage{
		[]byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"build"}}`),
		[]byte(`{"apiVersion":"tekton.dev/v1","kind":"Task","metadata":{"name":"build"},"spec":{"description":"it"}}`),
	}})
	data, err := r.fetch(context.Background(), "git", resolver.Target{Name: "build"})
	if err != nil || !strings.Contains(string(data), "description: it\n") {
		t.Errorf("%v\n%s", err, data)
	}
	if _, err := r.fetch(context.Background(), "git", resolver.Target{Kind: "Pipeline", Name: "build"}); !errors.Is(err, errNotGiven) {
		t.Errorf("got %v", err)
	}
}

package resolvers

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/internal/resolver"
	"simctl.dev/simctl/sim/scenario"
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

// TestFetch: manifests stand for what is elsewhere, by the file asked for or else by name.
func TestFetch(t *testing.T) {
	r := New(Options{Remotes: []scenario.Remote{
		{File: "catalog/0.1/build.yaml", Object: []byte(`{"apiVersion":"tekton.dev/v1","kind":"Task","metadata":{"name":"builder"},"spec":{"description":"first"}}`)},
		{File: "catalog/0.2/build.yaml", Object: []byte(`{"apiVersion":"tekton.dev/v1","kind":"Task","metadata":{"name":"builder"},"spec":{"description":"second"}}`)},
	}})
	fetch := func(of string, params map[string]string) (string, error) {
		target, err := resolver.Of(of, params)
		if err != nil {
			t.Fatal(err)
		}
		data, err := r.fetch(context.Background(), of, target)
		return string(data), err
	}
	data, err := fetch("git", map[string]string{"pathInRepo": "task/0.2/build.yaml"})
	if err != nil || !strings.Contains(data, "description: second\n") {
		t.Errorf("%v\n%s", err, data)
	}
	if _, err := fetch("hub", map[string]string{"kind": "pipeline", "name": "builder"}); !errors.Is(err, errNotGiven) {
		t.Errorf("got %v", err)
	}
	if _, err := fetch("bundles", map[string]string{"name": "builder"}); !errors.Is(err, resolver.ErrAmbiguous) {
		t.Errorf("got %v", err)
	}
}

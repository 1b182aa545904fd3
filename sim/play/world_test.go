package play

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/scenario"
)

// TestDeadline: the time of the last run that has not ended, by what is said of it.
func TestDeadline(t *testing.T) {
	for name, test := range map[string]struct {
		runs     []string
		defaults map[string]string
		at       float64 // 0: it is said of none
		done     bool
	}{
		"no runs":          {done: true},
		"Tekton's default": {runs: []string{`{}`}, at: 3600},
		"the cell's default": {runs: []string{`{}`}, defaults: map[string]string{"default-timeout-minutes": "5"},
			at: 300},
		"its own":       {runs: []string{`{"spec":{"timeouts":{"pipeline":"2h"}}}`}, at: 7200},
		"a TaskRun's":   {runs: []string{`{"spec":{"timeout":"90s"}}`}, at: 90},
		"none":          {runs: []string{`{"spec":{"timeout":"0s"}}`}},
		"the last":      {runs: []string{`{"spec":{"timeout":"90s"}}`, `{"spec":{"timeout":"40s"}}`}, at: 90},
		"one has ended": {runs: []string{`{"spec":{"timeout":"90s"},"status":{"conditions":[{"type":"Succeeded","status":"False"}]}}`, `{"spec":{"timeout":"40s"}}`}, at: 40},
		"all have":      {runs: []string{`{"status":{"conditions":[{"type":"Succeeded","status":"True"}]}}`}, done: true},
	} {
		t.Run(name, func(t *testing.T) {
			log := history.NewLog(func() float64 { return 0 }, nil)
			for i, run := range test.runs {
				log.Record(history.Entry{Kind: history.KindObject, Verb: history.VerbCreate, Body: []byte(run),
					Object: history.Ref{APIVersion: "tekton.dev/v1", Kind: "TaskRun", Namespace: "ns", Name: string(rune('a' + i))}})
			}
			cell := &scenario.Cell{}
			cell.Spec.Tekton.Defaults = test.defaults
			c := world{&play{cell: cell, log: log, history: history.Follow(log)}}
			if done, err := c.Done(); done != test.done || err != nil {
				t.Errorf("done is %t, %v", done, err)
			}
			if at, some := c.Deadline(); at != test.at || some != (test.at > 0) {
				t.Errorf("%g, %t, want %g", at, some, test.at)
			}
		})
	}
}

// TestSeedOf: repeats differ, cells do not.
func TestSeedOf(t *testing.T) {
	cell := func(name string, repeat int) *scenario.Cell {
		c := &scenario.Cell{Scenario: name, Repeat: repeat}
		c.Spec.Seed = 1
		return c
	}
	if seedOf(cell("a", 0)) != seedOf(cell("b", 0)) {
		t.Error("two cells of one repeat have other luck")
	}
	if seedOf(cell("a", 0)) == seedOf(cell("a", 1)) {
		t.Error("two repeats have the same luck")
	}
}

// TestPoliciesFirst: the order of the others stays as it is.
func TestPoliciesFirst(t *testing.T) {
	var objects []*unstructured.Unstructured
	for _, kind := range []string{"Secret", "ValidatingAdmissionPolicy", "Role", "MutatingAdmissionPolicyBinding"} {
		u := &unstructured.Unstructured{}
		u.SetKind(kind)
		objects = append(objects, u)
	}
	policiesFirst(objects)
	got := ""
	for _, u := range objects {
		got += u.GetKind() + " "
	}
	if want := "ValidatingAdmissionPolicy MutatingAdmissionPolicyBinding Secret Role "; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

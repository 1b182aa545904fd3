package estate

import (
	"strings"
	"testing"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/install"
)

var (
	worker = history.Ref{APIVersion: "v1", Kind: "Node", Name: "worker-0"}
	task   = history.Ref{APIVersion: "tekton.dev/v1", Kind: "Task", Namespace: "ns", Name: "build"}
	pod    = history.Ref{APIVersion: "v1", Kind: "Pod", Namespace: "ns", Name: "a"}
)

func standing() *Estate {
	e := New(Options{Install: &install.Install{}})
	e.cluster = &cluster{kept: newKept("cluster")}
	e.cluster.refs = []history.Ref{worker}
	definitions := newKept("definitions")
	definitions.refs = []history.Ref{task}
	e.definitions = &definitions
	return e
}

// TestNote: what a cell writes to is looked at before the next; that it found it is no
// write, and what does not stay is not looked at.
func TestNote(t *testing.T) {
	wrote := func(ref history.Ref) history.Entry {
		return history.Entry{Kind: history.KindObject, Verb: history.VerbUpdate, Object: ref}
	}
	fact := history.Entry{Kind: history.KindFact, Object: task}
	for name, test := range map[string]struct {
		entries      []history.Entry
		worker, task bool
	}{
		"nothing":          {},
		"found":            {entries: []history.Entry{wrote(worker), wrote(task)}},
		"found, then more": {entries: []history.Entry{wrote(worker), wrote(task), wrote(pod), wrote(pod), wrote(worker)}, worker: true},
		"a fact":           {entries: []history.Entry{wrote(worker), wrote(task), fact}},
		"each":             {entries: []history.Entry{wrote(worker), wrote(task), wrote(task), wrote(worker)}, worker: true, task: true},
	} {
		t.Run(name, func(t *testing.T) {
			e := standing()
			e.Note(e.AfterFound(test.entries))
			if e.cluster.touched[worker] != test.worker || e.definitions.touched[task] != test.task {
				t.Errorf("touched %v and %v", e.cluster.touched, e.definitions.touched)
			}
			for ref, made := range map[history.Ref]bool{worker: test.worker, task: test.task, pod: false} {
				if e.madeAnew(ref) != made {
					t.Errorf("%s is made anew: %t", ref, !made)
				}
			}
		})
	}
}

// TestStays: what stays is known by what it stays for, and goes with it.
func TestStays(t *testing.T) {
	e := standing()
	account := history.Ref{APIVersion: "v1", Kind: "ServiceAccount", Namespace: "ns", Name: "default"}
	for ref, want := range map[history.Ref]string{worker: "cluster", task: "definitions", pod: ""} {
		if got := e.part(ref); got != want {
			t.Errorf("%s stays for %q, want %q", ref, got, want)
		}
		if e.stays(ref, nil) != (want != "") {
			t.Errorf("%s stays: %t", ref, want == "")
		}
	}
	if e.stays(account, nil) {
		t.Error("the ServiceAccount of a namespace stays that does not")
	}
	e.cluster.refs = append(e.cluster.refs, history.Ref{APIVersion: "v1", Kind: "Namespace", Name: "ns"})
	if !e.stays(account, nil) {
		t.Error("the ServiceAccount of a namespace goes that stays")
	}
	e.GiveDefinitionsUp()
	if e.Keeps(func(r history.Ref) bool { return r == task }) {
		t.Error("definitions that were given up stay")
	}
}

// TestAlike: only what is counted, dated or made up may differ.
func TestAlike(t *testing.T) {
	type object = map[string]any
	was := object{"metadata": object{"name": "a", "uid": "1", "resourceVersion": "5"}, "spec": object{"list": []any{"x"}, "empty": object{}}}
	for name, test := range map[string]struct {
		is   object
		want bool
		says string
	}{
		"counted":  {object{"metadata": object{"name": "a", "uid": "2", "generation": 3}, "spec": object{"list": []any{"x"}}}, true, ""},
		"a value":  {object{"metadata": object{"name": "a"}, "spec": object{"list": []any{"y"}}}, false, "list:[y]"},
		"a field":  {object{"metadata": object{"name": "a", "labels": object{"b": "c"}}, "spec": object{"list": []any{"x"}}}, false, "labels:map[b:c]"},
		"is gone":  {object{"metadata": object{"name": "a"}}, false, "spec:<nil>"},
		"in order": {object{"metadata": object{"name": "a"}, "spec": object{"list": []any{"x", "x"}}}, false, "list:[x x]"},
	} {
		if got := alike(was, test.is); got != test.want {
			t.Errorf("%s: alike is %t", name, got)
		}
		if text := difference(was, test.is); !test.want && !strings.Contains(text, test.says) {
			t.Errorf("%s: %s, want %s", name, text, test.says)
		}
	}
}

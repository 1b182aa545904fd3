package impact

import (
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/timeline"
)

// recorded reads a history that a real run left.
func recorded(t *testing.T, name string) *timeline.Timeline {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "verdict", "testdata", name+".jsonl.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := history.Read(z)
	if err != nil {
		t.Fatal(err)
	}
	return sound(t, entries)
}

// sound reads a history that is sound once its entries have their numbers.
func sound(t *testing.T, entries []history.Entry) *timeline.Timeline {
	t.Helper()
	for i := range entries {
		entries[i].Seq = i + 1
	}
	for _, v := range history.Check(entries) {
		// Some were recorded when what came of clearing a cell away was still written to
		// its history.
		if v.Invariant != "cell/over" {
			t.Error(v)
		}
	}
	of, err := timeline.Read(entries)
	if err != nil {
		t.Fatal(err)
	}
	return of
}

func TestDivergence(t *testing.T) {
	create := func(at float64, kind, name, task string) history.Entry {
		body := `{"metadata":{"labels":{"tekton.dev/pipelineTask":"` + task + `"}}}`
		if task == "" {
			body = `{"metadata":{"labels":{"app.kubernetes.io/component":"affinity-assistant"}}}`
		}
		return history.Entry{T: at, Kind: history.KindObject, Verb: history.VerbCreate, Object: history.Ref{Kind: kind, Namespace: "n", Name: name}, Body: json.RawMessage(body)}
	}
	event := func(at float64, reason, kind, name, message string) history.Entry {
		return history.Entry{T: at, Kind: history.KindObject, Verb: history.VerbCreate, Object: history.Ref{Kind: "Event", Namespace: "n", Name: name + ".1"},
			Body: json.RawMessage(`{"reason":"` + reason + `","message":"` + message + `","involvedObject":{"kind":"` + kind + `","namespace":"n","name":"` + name + `"}}`)}
	}
	kubelet := func(at float64, kind, reason string) history.Entry {
		return history.Entry{T: at, Kind: history.KindObject, Verb: history.VerbCreate, Object: history.Ref{Kind: "Event", Namespace: "n", Name: "p.2"},
			Body: json.RawMessage(`{"type":"` + kind + `","reason":"` + reason + `","source":{"component":"kubelet"},"involvedObject":{"kind":"Pod","namespace":"n","name":"p"}}`)}
	}
	refused := func(at float64, kind, message string) history.Entry {
		return history.Entry{T: at, Kind: history.KindRefused, Verb: history.VerbCreate, Object: history.Ref{Kind: kind, Namespace: "n"}, Code: 403, Reason: "Forbidden", Message: message,
			Body: json.RawMessage(`{"metadata":{"labels":{"tekton.dev/pipelineTask":"build"}}}`)}
	}
	fact := func(at float64, name, pod, message string) history.Entry {
		return history.Entry{T: at, Kind: history.KindFact, Fact: name, Object: history.Ref{Kind: "Pod", Namespace: "n", Name: pod}, Data: json.RawMessage(`{"message":"` + message + `"}`)}
	}
	for _, tt := range []struct {
		name string
		x, y []history.Entry
		want string // what|before|after; empty if they do not part
	}{
		{"made-up names do not part them",
			[]history.Entry{create(0, "Pod", "run-abc-pod", "build"), event(1, "Pulled", "Pod", "run-abc-pod", "a")},
			[]history.Entry{create(0, "Pod", "run-xyz-pod", "build"), event(2, "Pulled", "Pod", "run-xyz-pod", "b")},
			""},
		{"something new", nil, []history.Entry{create(3, "StatefulSet", "affinity-assistant-1", "")},
			"the histories part at 3s: StatefulSet of the affinity assistant is made|did not happen|StatefulSet n/affinity-assistant-1"},
		{"something gone", []history.Entry{create(0, "Pod", "p", "build"), event(4, "FailedMount", "Pod", "p", "no such key")}, []history.Entry{create(0, "Pod", "p", "build")},
			"the histories part at 4s: Pod of task build: FailedMount|no such key|did not happen"},
		{"the earlier of two, whichever side it is on",
			[]history.Entry{create(9, "TaskRun", "late", "late")}, []history.Entry{create(5, "TaskRun", "early", "early")},
			"the histories part at 5s: TaskRun of task early is made|did not happen|TaskRun n/early"},
		{"at one time what is made comes before its events",
			nil, []history.Entry{create(0, "StatefulSet", "a", ""), event(0, "FailedCreate", "StatefulSet", "a", "no")},
			"the histories part at 0s: StatefulSet of the affinity assistant is made|did not happen|StatefulSet n/a"},
		{"a refusal", nil, []history.Entry{refused(0, "Pod", "exceeded quota")},
			"the histories part at 0s: the API server refuses Pod of task build|did not happen|exceeded quota"},
		{"a fact", []history.Entry{create(0, "Pod", "p", "build")}, []history.Entry{create(0, "Pod", "p", "build"), fact(1, history.FactUnschedulable, "p", "0/3 nodes")},
			"the histories part at 1s: no node takes Pod of task build|did not happen|0/3 nodes"},
		{"what a kubelet does all day does not part them", []history.Entry{create(0, "Pod", "p", "build")}, []history.Entry{create(0, "Pod", "p", "build"), fact(1, history.FactImagePulled, "p", ""), kubelet(2, "Normal", "Pulled")}, ""},
		{"what a kubelet warns of does", nil, []history.Entry{kubelet(2, "Warning", "FailedMount")},
			"the histories part at 2s: Pod: FailedMount|did not happen|Event n/p.2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			if r, ok := divergence(happened(sound(t, tt.x)), happened(sound(t, tt.y))); ok {
				got = r.What + "|" + r.Before + "|" + r.After
			}
			if got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

// TestRecorded reads histories that real controllers left: of the run that hangs
// without its assistant's pod, and where others part from it.
func TestRecorded(t *testing.T) {
	hung := recorded(t, "deadlock-recorded-incident")
	o := Observe(hung)
	if len(o.Assistants) != 1 {
		t.Fatalf("assistants %+v", o.Assistants)
	}
	a := o.Assistants[0]
	if a.ServiceAccount != "default" || !strings.Contains(a.SecurityContext, `"fsGroup":2000`) || !strings.Contains(a.Failed, "2000 is not an allowed group") {
		t.Errorf("assistant %+v", a)
	}
	if !strings.Contains(o.Affinity, a.Name) {
		t.Errorf("affinity %q has nothing of %s", o.Affinity, a.Name)
	}
	if _, ok := divergence(happened(hung), happened(hung)); ok {
		t.Error("a history parts from itself")
	}
	refused := Observe(recorded(t, "invalid-config-recorded-kept-old"))
	if !strings.Contains(refused.Refused, "is incompatible with disable-affinity-assistant setting to false") || o.Refused != "" {
		t.Errorf("refused flags: %q; flags that are taken: %q", refused.Refused, o.Refused)
	}
	for name, want := range map[string]string{
		// Co-scheduling was off: no assistant.
		"multi-attach-recorded-incident": "StatefulSet of the affinity assistant is made",
		// The fsGroup was in the range: the assistant has a pod.
		"success-recorded-incident": "Pod of the affinity assistant is made",
		// The task's own pod was refused.
		"admission-denied-recorded-scc": "Pod of task download-model is made",
	} {
		r, ok := divergence(happened(hung), happened(recorded(t, name)))
		if !ok || !strings.Contains(r.What, want) {
			t.Errorf("%s: %+v, want %q", name, r, want)
		}
	}
}

package verdict

import (
	"strings"
	"testing"

	"simctl.dev/simctl/sim/history"
)

// A finding is told apart by its root's rule and object and by the circle, whatever the
// sentences are and whatever names controllers made up.
func TestKey(t *testing.T) {
	pending := Link{Rule: podPending.ID, What: "waits", Object: "Pod ns/a"}
	circle := Link{Rule: circleVolume.ID, What: "a circle", Object: "PersistentVolume pv-1"}
	node := Link{Rule: nodeFull.ID, What: "no room", Object: "Node a"}
	for name, test := range map[string]struct {
		cause []Link
		want  string
	}{
		"nothing":               {nil, "\n"},
		"the last link":         {[]Link{pending, node}, "node/insufficient\nNode a"},
		"a circle on the way":   {[]Link{pending, circle, node}, "circle/volume\nnode/insufficient\nNode a"},
		"a link without a rule": {[]Link{{What: "no room", Object: "Node a"}}, "no room\nNode a"},
	} {
		f := Finding{Cause: test.cause}
		if got := f.Key(); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

func TestStays(t *testing.T) {
	l := Link{Behind: []Link{{Object: "Pod ns/a"}, {Object: "Pod ns/a"}, {Object: "PersistentVolume v"}}}
	if got := l.Stays(); got != "and so it stays: Pod ns/a -> PersistentVolume v -> Pod ns/a" {
		t.Error(got)
	}
	if got := (Link{}).Stays(); got != "" {
		t.Errorf("a link that is no circle stays: %s", got)
	}
}

// A task is named with its run where there are several.
func TestTitle(t *testing.T) {
	a, b, alone := TaskTiming{Task: "build", PipelineRun: "q"}, TaskTiming{Task: "build", PipelineRun: "r"}, TaskTiming{Task: "build"}
	if got := (Timing{Tasks: []TaskTiming{a, a}}).Title(a); got != "build" {
		t.Errorf("in one run: %s", got)
	}
	several := Timing{Tasks: []TaskTiming{a, b, alone}}
	if got := several.Title(b); got != "r: build" {
		t.Errorf("in two runs: %s", got)
	}
	if got := several.Title(alone); got != "build" {
		t.Errorf("without a run: %s", got)
	}
}

// What fills pages is cut, and what is kept is verbatim.
func TestClip(t *testing.T) {
	long := strings.Repeat("x", 4000)
	for in, want := range map[string]string{" a\n": "a", long: long, long + "y": long + "..."} {
		if got := clip(in); got != want {
			t.Errorf("%d bytes became %d", len(in), len(got))
		}
	}
}

// The words with which a configuration is refused, wherever they stand.
func TestRefusedConfig(t *testing.T) {
	const words = `invalid value for feature flag "coschedule": "nowhere"`
	flags := history.Ref{Kind: "ConfigMap", Namespace: "tekton-pipelines", Name: "feature-flags"}
	refused := func(code int, o history.Ref) history.Entry {
		return history.Entry{Kind: history.KindRefused, Code: code, Object: o, Message: words}
	}
	exit := func(message string) history.Entry {
		return history.NewFact("tekton", history.Ref{}, history.FactTektonExited, history.Tekton{Message: message})
	}
	for name, test := range map[string]struct {
		entry history.Entry
		said  bool
	}{
		"by the webhook":         {refused(400, flags), true},
		"as invalid":             {refused(422, flags), true},
		"by admission":           {refused(403, flags), true},
		"another ConfigMap":      {refused(400, history.Ref{Kind: "ConfigMap", Name: "settings"}), false},
		"config-defaults":        {refused(400, history.Ref{Kind: "ConfigMap", Name: "config-defaults"}), true},
		"the operator's":         {refused(400, history.Ref{Kind: "TektonConfig", Name: "config"}), true},
		"a Secret of that name":  {refused(400, history.Ref{Kind: "Secret", Name: "feature-flags"}), false},
		"a conflict":             {refused(409, flags), false},
		"in the log":             {history.Entry{Kind: history.KindLog, Message: words}, true},
		"another line":           {history.Entry{Kind: history.KindLog, Message: "started"}, false},
		"the last words":         {exit(words), true},
		"other last words":       {exit("panic"), false},
		"a start with the words": {history.NewFact("tekton", history.Ref{}, history.FactTektonStarted, history.Tekton{Message: words}), false},
		"an accepted write":      {history.Entry{Kind: history.KindObject, Code: 400, Object: flags, Message: words}, false},
	} {
		want := ""
		if test.said {
			want = words
		}
		if got := RefusedConfig(test.entry); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestJudgementsInWords(t *testing.T) {
	for j, want := range map[Judgement]string{AsExpected: "as expected", NotAsExpected: "not as expected", NothingExpected: "nothing expected"} {
		if j.String() != want {
			t.Errorf("%s, want %s", j, want)
		}
	}
}

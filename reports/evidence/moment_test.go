package evidence

import (
	"encoding/json"
	"strings"
	"testing"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/verdict"
)

// What is shown of objects is of the moment that was judged, whatever became of them; of
// a result that does not say when that was, of the first stall.
func TestExhibitsAreOfTheMomentThatWasJudged(t *testing.T) {
	ref := history.Ref{APIVersion: "v1", Kind: "ConfigMap", Namespace: "tekton-pipelines", Name: "feature-flags"}
	run := history.Ref{APIVersion: "tekton.dev/v1", Kind: "PipelineRun", Namespace: "ns", Name: "run"}
	entries := []history.Entry{
		{Seq: 1, Kind: history.KindObject, Verb: history.VerbCreate, Object: ref, Body: json.RawMessage(`{"data":{"coschedule":"first"}}`)},
		{Seq: 2, Kind: history.KindObject, Verb: history.VerbCreate, Object: run, Body: json.RawMessage(`{"status":{"conditions":[{"type":"Succeeded","status":"Unknown"}]}}`)},
		{Seq: 3, T: 1, Kind: history.KindObject, Verb: history.VerbUpdate, Object: ref, Patch: json.RawMessage(`{"data":{"coschedule":"second"}}`)},
		{Seq: 4, T: 2, Kind: history.KindFact, Fact: history.FactStalled, Object: history.Ref{Kind: "Cell", Name: "c"}, Data: json.RawMessage(`{"waiting":[]}`)},
		{Seq: 5, T: 3, Kind: history.KindObject, Verb: history.VerbUpdate, Object: ref, Patch: json.RawMessage(`{"data":{"coschedule":"third"}}`)},
		{Seq: 6, T: 4, Kind: history.KindObject, Verb: history.VerbUpdate, Object: run, Patch: json.RawMessage(`{"status":{"conditions":[{"type":"Succeeded","status":"False"}]}}`)},
	}
	if wrong := history.Check(entries); len(wrong) > 0 {
		t.Fatal(wrong)
	}
	for asOf, want := range map[int]string{0: "second", 1: "first", 2: "first", 3: "second", 5: "third", 6: "third"} {
		f := finding(verdict.Failed, "a")
		f.AsOf = asOf
		in := matrix([][]string{{"x", "y"}, {"only"}}, func([]string) verdict.Finding { return f })
		in.History = func(string) ([]history.Entry, error) { return entries, nil }
		r := build(t, in)
		text, ended := "", ""
		for _, e := range r.Scenarios[0].Cells[0].Detail.Exhibits {
			switch {
			case strings.HasPrefix(e.Title, "Feature flags"):
				text = e.Text
			case strings.HasPrefix(e.Title, "PipelineRun"):
				ended = e.Text
			}
		}
		if text != "coschedule: "+want+"\n" {
			t.Errorf("as of entry %d the flags are %q, want %s", asOf, text, want)
		}
		if !strings.Contains(ended, `"False"`) {
			t.Errorf("as of entry %d the run ended with %q", asOf, ended)
		}
	}
}

package recording

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"testing/fstest"

	"simctl.dev/simctl/sim/history"
)

// recorded reads the recordings that package sim is held against.
func recorded(t *testing.T) map[string]*Recording {
	t.Helper()
	files, err := filepath.Glob("../testdata/recordings/*/" + TimelineFile)
	if err != nil || len(files) == 0 {
		t.Fatalf("recordings %v, error %v", files, err)
	}
	out := map[string]*Recording{}
	for _, f := range files {
		dir := filepath.Dir(f)
		r, err := Read(os.DirFS(dir))
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.Base(dir)] = r
	}
	return out
}

func TestReadRefusesWhatIsNoRecording(t *testing.T) {
	zip := func(s string) *fstest.MapFile {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		if _, err := z.Write([]byte(s)); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return &fstest.MapFile{Data: b.Bytes()}
	}
	line := `{"t":1.5,"kind":"Pod","namespace":"ns","name":"a","op":"changed","node":"n0","nominatedNodeName":null}`
	r, err := Read(fstest.MapFS{TimelineFile: zip(line + "\n"), FinalFile: zip(`[{"goneAt":2,"object":{"kind":"Pod"}}]`)})
	if err != nil {
		t.Fatal(err)
	}
	want := Change{T: 1.5, Kind: "Pod", Namespace: "ns", Name: "a", Op: OpChanged, Fields: map[string]any{"node": "n0", "nominatedNodeName": nil}}
	if len(r.Timeline) != 1 || !reflect.DeepEqual(r.Timeline[0], want) || len(r.Final) != 1 || *r.Final[0].GoneAt != 2 {
		t.Errorf("read %+v", r)
	}
	for name, folder := range map[string]fstest.MapFS{
		"no last states":     {TimelineFile: zip(line)},
		"a line is cut off":  {TimelineFile: zip(line + "\n" + `{"t":`), FinalFile: zip(`[]`)},
		"it is not gzipped":  {TimelineFile: {Data: []byte(line)}, FinalFile: zip(`[]`)},
		"no list of objects": {TimelineFile: zip(line), FinalFile: zip(`{}`)},
	} {
		if _, err := Read(folder); err == nil {
			t.Errorf("%s: it was read", name)
		}
	}
}

// object makes an object of JSON.
func objectOf(t *testing.T, raw string) map[string]any {
	t.Helper()
	var o map[string]any
	if err := json.Unmarshal([]byte(raw), &o); err != nil {
		t.Fatal(err)
	}
	return o
}

// TestFromHistory: the time line says what is new, in the form of the recordings.
func TestFromHistory(t *testing.T) {
	pod := history.Ref{APIVersion: "v1", Kind: "Pod", Namespace: "ns", Name: "a"}
	other := history.Ref{APIVersion: "v1", Kind: "Pod", Namespace: "elsewhere", Name: "a"}
	event := history.Ref{APIVersion: "v1", Kind: "Event", Namespace: "ns", Name: "a.1"}
	entry := func(seq int, at float64, verb string, ref history.Ref, body, patch string) history.Entry {
		return history.Entry{Seq: seq, T: at, Kind: history.KindObject, Verb: verb, Object: ref, Body: json.RawMessage(body), Patch: json.RawMessage(patch)}
	}
	entries := []history.Entry{
		entry(1, 10, history.VerbCreate, pod, `{"kind":"Pod","metadata":{"name":"a","namespace":"ns","uid":"1"},"status":{"phase":"Pending"}}`, ""),
		entry(2, 10, history.VerbCreate, other, `{"kind":"Pod","metadata":{"name":"a","namespace":"elsewhere"}}`, ""),
		entry(3, 11, history.VerbUpdate, pod, "", `{"spec":{"nodeName":"n0"},"status":{"conditions":[{"type":"PodScheduled","status":"True","lastTransitionTime":"2100-01-01T00:00:00Z"}]}}`),
		entry(4, 11.5, history.VerbUpdate, pod, "", `{"status":{"qosClass":"Burstable"}}`), // nothing that a time line has
		entry(5, 12, history.VerbCreate, event, `{"kind":"Event","metadata":{"name":"a.1","namespace":"ns"},"regarding":{"kind":"Pod","namespace":"ns","name":"a"},"reason":"Scheduled","note":"to n0","type":"Normal","reportingController":"default-scheduler"}`, ""),
		entry(6, 13, history.VerbUpdate, pod, "", `{"metadata":{"deletionTimestamp":"2100-01-01T00:00:00Z","deletionGracePeriodSeconds":30}}`),
		entry(7, 15, history.VerbDelete, pod, "", `{"metadata":{"deletionGracePeriodSeconds":0}}`),
		entry(8, 16, history.VerbCreate, pod, `{"kind":"Pod","metadata":{"name":"a","namespace":"ns","uid":"2"}}`, ""),
		entry(9, 99, history.VerbDelete, pod, "", ""), // later than it is asked for
	}
	r, err := FromHistory(entries, "ns", 20)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`{"t":0,"kind":"Pod","namespace":"ns","name":"a","op":"created","phase":"Pending"}`,
		`{"t":1,"kind":"Pod","namespace":"ns","name":"a","op":"changed","conditions":[{"status":"True","type":"PodScheduled"}],"node":"n0"}`,
		`{"t":2,"kind":"Event","about":"Pod/a","message":"to n0","reason":"Scheduled","source":"default-scheduler","type":"Normal"}`,
		`{"t":3,"kind":"Pod","namespace":"ns","name":"a","op":"changed","deletionAsked":{"gracePeriodSeconds":30}}`,
		`{"t":5,"kind":"Pod","namespace":"ns","name":"a","op":"changed","gracePeriodSeconds":0}`,
		`{"t":5,"kind":"Pod","namespace":"ns","name":"a","op":"gone"}`,
		`{"t":6,"kind":"Pod","namespace":"ns","name":"a","op":"created"}`,
	}
	if len(r.Timeline) != len(want) {
		t.Fatalf("%d lines, want %d: %v", len(r.Timeline), len(want), r.Timeline)
	}
	for i, c := range r.Timeline {
		if got, err := json.Marshal(c); err != nil || string(got) != want[i] {
			t.Errorf("line %d:\n got %s (%v)\nwant %s", i+1, got, err, want[i])
		}
	}
	if len(r.Final) != 2 || r.Final[0].GoneAt == nil || *r.Final[0].GoneAt != 5 || r.Final[1].GoneAt != nil {
		t.Errorf("last states %+v, want one that is gone at 5 and one that is there", r.Final)
	}
}

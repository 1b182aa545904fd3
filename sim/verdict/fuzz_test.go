package verdict

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"simctl.dev/simctl/sim/history"
)

// FuzzJudge judges what may be a history, as it is and edited: Judge does not panic,
// its error is one line, and it is a pure function, of which the history is not changed.
func FuzzJudge(f *testing.F) {
	files, err := filepath.Glob("testdata/*.jsonl")
	if err != nil || len(files) == 0 {
		f.Fatalf("no histories: %v", err)
	}
	for i, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw, []byte(nil))
		f.Add(raw, []byte{byte(i), 3, byte(5 * i), 9, byte(i), 14})
	}
	f.Fuzz(func(t *testing.T, raw, edits []byte) {
		entries, err := history.Read(bytes.NewReader(raw))
		if err != nil && len(entries) == 0 {
			return
		}
		entries = edited(entries, edits)
		history.Check(entries)
		before := marshal(t, entries)
		first, err := Judge(entries)
		second, again := Judge(entries)
		if (err == nil) != (again == nil) || err != nil && err.Error() != again.Error() {
			t.Fatalf("judged twice: %v, %v", err, again)
		}
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r") {
				t.Errorf("the error has several lines: %q", err)
			}
			return
		}
		if a, b := marshal(t, first), marshal(t, second); !bytes.Equal(a, b) {
			t.Errorf("judged twice:\n%s\n%s", a, b)
		}
		if after := marshal(t, entries); !bytes.Equal(before, after) {
			t.Error("judging has changed the history")
		}
	})
}

func marshal(t *testing.T, v any) []byte {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// edited does to a history what damage to a file rarely does and a fault in recording
// may: each two bytes name an entry and an edit.
func edited(entries []history.Entry, edits []byte) []history.Entry {
	out := slices.Clone(entries)
	for ; len(edits) > 1 && len(out) > 0; edits = edits[2:] {
		i := int(edits[0]) % len(out)
		e := &out[i]
		switch edits[1] % 16 {
		case 0:
			out = slices.Delete(out, i, i+1)
		case 1:
			out = slices.Insert(out, i, *e)
		case 2:
			j := (i + 1) % len(out)
			out[i], out[j] = out[j], out[i]
		case 3:
			out = out[:i]
		case 4:
			e.T = -e.T
		case 5:
			e.T *= 1000
		case 6:
			e.Actor = ""
		case 7:
			e.Verb = history.VerbDelete
		case 8:
			e.Verb = history.VerbCreate
		case 9:
			e.Body, e.Patch = e.Patch, e.Body
		case 10:
			e.Body, e.Patch = json.RawMessage(`{}`), nil
		case 11:
			e.Data = nil
		case 12:
			e.Data = json.RawMessage(`{}`)
		case 13:
			e.Object.Namespace = ""
		case 14:
			e.Object = out[0].Object
		case 15:
			e.Patch = json.RawMessage(`{"metadata":null,"spec":[],"status":{"conditions":[null,1,{}]}}`)
		}
	}
	return out
}

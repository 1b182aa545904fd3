package history

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

// FuzzRead reads what may be a history and checks it: neither panics, an error is one
// line, both are pure, and what was read is read again from what a [Log] writes of it.
func FuzzRead(f *testing.F) {
	const entry = `{"seq":1,"t":0.5,"kind":"object","actor":"user","verb":"create","object":{"apiVersion":"v1","kind":"Pod","namespace":"ns","name":"a"},"body":{"metadata":{"uid":"1"}}}` + "\n"
	f.Add(string(header.Line()) + entry)
	f.Add(entry + strings.Replace(entry, "create", "update", 1) + strings.Replace(entry, `"body"`, `"patch"`, 1))
	f.Add(`{"format":"simctl.dev/history","version":7}` + "\n" + entry)
	f.Add(`{"seq":2,"t":1,"kind":"fact","object":{"kind":"PersistentVolumeClaim","name":"c"},"fact":"Attached","data":{"pv":"p","node":"n"}}`)
	f.Add(`{"seq":3,"t":1,"kind":"object","verb":"update","object":{"kind":"TaskRun","name":"r"},"body":{"status":{"conditions":[{"type":"Succeeded","status":"True"}]}}}` + "\n" +
		`{"seq":4,"t":1,"kind":"object","verb":"bind","object":{"kind":"TaskRun","name":"r"},"patch":{"status":{"conditions":null}}}`)
	f.Add("null\n{}\n[]")
	f.Fuzz(func(t *testing.T, file string) {
		entries, err := Read(strings.NewReader(file))
		if err != nil && strings.ContainsAny(err.Error(), "\n\r") {
			t.Errorf("the error has several lines: %q", err)
		}
		got := Check(entries)
		for _, v := range got {
			if strings.ContainsAny(v.String(), "\n\r") {
				t.Errorf("the violation has several lines: %q", v)
			}
		}
		if again := Check(entries); !reflect.DeepEqual(got, again) {
			t.Errorf("checked twice:\n%v\n%v", got, again)
		}
		if len(entries) == 0 {
			return
		}
		var out bytes.Buffer
		l := NewLog(func() float64 { return 1 }, &out)
		for _, e := range entries {
			l.Record(e)
		}
		if l.Err() != nil {
			t.Fatal(l.Err())
		}
		again, err := Read(&out)
		if err != nil || len(again) != len(entries) {
			t.Errorf("%d entries were written, and %d read: %v", len(entries), len(again), err)
		}
	})
}

package history

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestLogIsReadBack(t *testing.T) {
	now := 0.0
	var out bytes.Buffer
	l := NewLog(func() float64 { return now }, &out)
	l.Record(NewFact("csi", Ref{Kind: "PersistentVolumeClaim", Namespace: "ns", Name: "c"}, FactAttached, Volume{Node: "n0", Seconds: 10}))
	now = 12.5
	l.Record(Entry{Kind: KindLog, Actor: "tekton-pipelines-controller", Message: "a line"})
	if err := l.Err(); err != nil {
		t.Fatal(err)
	}
	got, err := Read(&out)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0].Seq != 1 || got[0].T != 0 || got[1].Seq != 2 || got[1].T != 12.5 {
		t.Fatalf("read %+v", got)
	}
	var v Volume
	if err := got[0].Decode(&v); err != nil || v.Node != "n0" || v.Seconds != 10 {
		t.Errorf("decoded %+v, %v", v, err)
	}
	if err := got[1].Decode(&v); err == nil {
		t.Error("a log line decoded as a fact")
	}
}

// TestReadKnowsVersions reads what is written now, what was written before there was a
// first line, and what is neither.
func TestReadKnowsVersions(t *testing.T) {
	entry := `{"seq":1,"t":0,"kind":"log","object":{"kind":"","name":""},"message":"x"}` + "\n"
	const head1 = `{"format":"simctl.dev/history","version":1}` + "\n"
	for name, c := range map[string]struct {
		file    string
		entries int
		want    error
	}{
		"version 0":               {entry, 1, nil},
		"version 1":               {head1 + entry, 1, nil},
		"a version to come":       {`{"format":"simctl.dev/history","version":2}` + "\n" + entry, 0, ErrNewer},
		"another file":            {`{"format":"simctl.dev/cells","version":1}` + "\n" + entry, 0, ErrForeign},
		"a first line cut short":  {head1[:20], 0, ErrTruncated},
		"two histories in a file": {head1 + entry + head1 + entry, 1, ErrForeign},
	} {
		t.Run(name, func(t *testing.T) {
			entries, err := Read(strings.NewReader(c.file))
			if !errors.Is(err, c.want) {
				t.Errorf("error %v, want %v", err, c.want)
			}
			if len(entries) != c.entries {
				t.Errorf("%d entries, want %d", len(entries), c.entries)
			}
		})
	}
	// The first line is no entry: numbers and lengths are as without it.
	var out bytes.Buffer
	l := NewLog(func() float64 { return 0 }, &out)
	var n int
	var length int64
	l.Limit(func(entries int, bytes int64) { n, length = entries, bytes })
	l.Record(Entry{Kind: KindLog, Message: "x"})
	if out.String() != head1+entry {
		t.Errorf("written:\n%s", out.String())
	}
	if n != 1 || length != int64(len(entry)) {
		t.Errorf("the length is told as %d entries in %d bytes", n, length)
	}
}

func TestReadSaysWhereAFileBreaks(t *testing.T) {
	whole := `{"seq":1,"t":0,"kind":"log","object":{"kind":"","name":""},"message":"x"}` + "\n"
	entries, err := Read(strings.NewReader(whole + whole[:30]))
	if !errors.Is(err, ErrTruncated) || len(entries) != 1 {
		t.Errorf("a file cut short gave %d entries and %v", len(entries), err)
	}
	if _, err := Read(strings.NewReader(whole[:30] + "\n" + whole)); err == nil || errors.Is(err, ErrTruncated) {
		t.Errorf("a broken line in the middle gave %v", err)
	}
}

type brokenWriter struct{ n int }

var errDisk = errors.New("no space left on device")

func (w *brokenWriter) Write(p []byte) (int, error) {
	w.n++
	return 0, errDisk
}

func TestLogKeepsTheFirstError(t *testing.T) {
	w := &brokenWriter{}
	l := NewLog(func() float64 { return 0 }, w)
	l.Record(Entry{Kind: KindLog})
	l.Record(Entry{Kind: KindLog})
	if !errors.Is(l.Err(), errDisk) {
		t.Errorf("error %v", l.Err())
	}
	if w.n != 1 || len(l.Entries()) != 2 {
		t.Errorf("%d writes after the disk was full, %d entries kept", w.n, len(l.Entries()))
	}
}

// TestClose: what is recorded after the end is neither kept nor written.
func TestClose(t *testing.T) {
	var out bytes.Buffer
	log := NewLog(func() float64 { return 0 }, &out)
	log.Record(Entry{Kind: KindLog, Message: "before"})
	log.Close()
	log.Record(Entry{Kind: KindLog, Message: "after"})
	if n := len(log.Entries()); n != 1 || strings.Contains(out.String(), "after") {
		t.Errorf("%d entries, written:\n%s", n, out.String())
	}
}

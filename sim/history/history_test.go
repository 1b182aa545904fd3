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

package tekton

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"

	"simctl.dev/simctl/sim/clock"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/tekton/hook/wire"
)

func TestLog(t *testing.T) {
	raw, err := os.ReadFile("testdata/controller.log")
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	h := history.NewLog(clock.New(clock.Epoch).Elapsed, nil)
	var all bytes.Buffer
	l := newLogReader(r, &all)
	l.setRecorder(h)
	if _, err := w.Write(raw); err != nil {
		t.Fatal(err)
	}
	if l.empty() {
		t.Error("nothing has been read, and the pipe is said to be empty")
	}
	_ = w.Close()
	l.read()
	if all.String() != string(raw) {
		t.Errorf("the whole log is %q", all.String())
	}
	var got []string
	for _, e := range h.Entries() {
		got = append(got, e.Reason+" "+e.Object.String()+": "+e.Message)
	}
	want := []string{
		`error TaskRun work/run-build: Reconcile error: pods "run-build-pod" is forbidden`,
		`warn  : something to note`,
		`fatal  : Failed to start configmap watcher: failed parsing feature flags config "sometimes"`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("recorded\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if got := l.words(); !strings.Contains(got, "feature flags config") {
		t.Errorf("the last words are %q", got)
	}
}

func TestLastWords(t *testing.T) {
	for text, want := range map[string]string{
		"2026/11/22 22:20:14 Registering 8 clients\n2026/11/22 22:20:15 Error loading logging configuration: no route\n": "Error loading logging configuration: no route",
		"panic: nil map\n\ngoroutine 1 [running]:\n": "panic: nil map",
		"one\ntwo": "two",
		"":         "",
	} {
		l := newLogReader(nil, io.Discard)
		for line := range strings.SplitSeq(text, "\n") {
			l.take(line)
		}
		if got := l.words(); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestKindOf(t *testing.T) {
	for _, test := range []struct {
		delay wire.Delay
		want  clock.Kind
	}{
		{wire.Delay{Reason: wire.Deadline}, clock.Timeout},
		{wire.Delay{Reason: wire.Failure, Attempt: 1}, clock.Work},
		{wire.Delay{Reason: wire.Failure, Attempt: 12}, clock.Work},
		{wire.Delay{Reason: wire.Failure, Attempt: 13}, clock.Retry},
		{wire.Delay{Reason: wire.Retry, Attempt: 3}, clock.Work},
		{wire.Delay{Reason: wire.Retry, Attempt: 4}, clock.Retry},
	} {
		if got := kindOf(test.delay); got != test.want {
			t.Errorf("%+v is %v, want %v", test.delay, got, test.want)
		}
	}
}

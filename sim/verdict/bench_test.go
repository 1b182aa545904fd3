package verdict

import (
	"fmt"
	"runtime"
	"syscall"
	"testing"
	"time"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/internal/manyruns"
)

// manyRuns is a history of many runs on many nodes.
func manyRuns(tb testing.TB, runs, nodes int) []history.Entry {
	tb.Helper()
	entries, err := manyruns.History(runs, nodes, readFile(tb, "testdata/success-recorded-incident.jsonl.gz"),
		readFile(tb, "testdata/deadlock-recorded-incident.jsonl.gz"), readFile(tb, "testdata/multi-attach-recorded-incident.jsonl.gz"))
	if err != nil {
		tb.Fatal(err)
	}
	return entries
}

// The benchmark is worth something if its histories could be real.
func TestManyRuns(t *testing.T) {
	entries := manyRuns(t, 30, 50)
	for _, v := range history.Check(entries) {
		t.Error(v)
	}
	f, err := Judge(entries)
	if err != nil {
		t.Fatal(err)
	}
	if f.Outcome != Deadlock {
		t.Errorf("outcome %s", f.Outcome)
	}
	if n := len(f.Timing.Tasks); n != 28*5+1+5 {
		t.Errorf("%d tasks", n)
	}
}

// BenchmarkJudge judges histories of many runs on many nodes: what an entry takes must
// not grow with how many there are. Beside other work the time of all processors that the
// judging takes, garbage collection with it, says more than the real time.
func BenchmarkJudge(b *testing.B) {
	for _, runs := range []int{10, 100, 1000} {
		b.Run(fmt.Sprintf("runs=%d", runs), func(b *testing.B) {
			entries := manyRuns(b, runs, 5*runs)
			runtime.GC()
			b.ResetTimer()
			before := processorTime(b)
			for b.Loop() {
				if _, err := Judge(entries); err != nil {
					b.Fatal(err)
				}
			}
			took := processorTime(b) - before
			b.ReportMetric(took.Seconds()/float64(b.N), "cpu-s/op")
			b.ReportMetric(float64(took.Microseconds())/float64(b.N*len(entries)), "cpu-µs/entry")
			b.ReportMetric(float64(len(entries)), "entries")
		})
	}
}

// processorTime is what this process has had of all processors.
func processorTime(tb testing.TB) time.Duration {
	tb.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

package sim_test

import (
	"context"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"simctl.dev/simctl/sim"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/verdict"
)

// TestPauses has the API server stand still for some milliseconds again and again, as
// one does that a loaded host keeps waiting: news that is under way meanwhile shows
// in no process. No run's time may run out for it.
func TestPauses(t *testing.T) {
	f, err := scenario.Load(filepath.Join("testdata", "bench", "five-tasks.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	repeats := 7
	cells, err := f.Cells(scenario.Options{Repeats: &repeats})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done, paused := 0, make(chan int, 1)
	results, err := run(t, context.Background(), cells, sim.Options{Parallel: 1, Progress: func(e sim.Event) {
		if e.Kind != sim.EventCellDone {
			return
		}
		switch done++; done {
		case 1: // The control plane is there.
			go func() { paused <- pause(ctx, childOf(t, "kube-apiserver")) }()
		case len(cells):
			cancel()
			if n := <-paused; n < 100 {
				t.Errorf("the API server was paused %d times, which is too little to show anything", n)
			}
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if r.Judgement != verdict.AsExpected {
			t.Errorf("repeat %d: %s, expected %s (%s)\n%s", r.Repeat, r.Outcome, r.Expected, r.Error, chain(r))
		}
	}
}

// childOf gives the child of this process with that word in its command line.
func childOf(t *testing.T, word string) (pid int) {
	for _, c := range children(t) {
		if id, line, _ := strings.Cut(c, " "); strings.Contains(line, word) {
			pid, _ = strconv.Atoi(id)
		}
	}
	return pid
}

// pause stops a process for most of the time until ctx ends, and says how often.
func pause(ctx context.Context, pid int) (times int) {
	const stopped, running = 30 * time.Millisecond, 4 * time.Millisecond
	for pid > 0 && ctx.Err() == nil && unix.Kill(pid, unix.SIGSTOP) == nil {
		times++
		time.Sleep(stopped)
		_ = unix.Kill(pid, unix.SIGCONT)
		time.Sleep(running)
	}
	return times
}

package sim_test

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"simctl.dev/simctl/sim"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/verdict"
)

// BenchmarkCells runs the five-task success cell on one control plane, on two and on
// three side by side, which is what a run takes on two cores if it has few cells,
// some, or many. It reports cells a second after the first (which pays for the
// start), the seconds until the first cell could begin and until everything had
// stopped, and the memory of the process tree.
func BenchmarkCells(b *testing.B) {
	f, err := scenario.Load(filepath.Join("testdata", "bench", "five-tasks.yaml"))
	if err != nil {
		b.Fatal(err)
	}
	for name, c := range map[string]struct{ workers, repeats int }{"one": {1, 10}, "two": {2, 30}, "three": {3, 48}} {
		cells, err := f.Cells(scenario.Options{Repeats: &c.repeats})
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) { benchmarkCells(b, cells, c.workers) })
	}
}

func benchmarkCells(b *testing.B, cells []scenario.Cell, workers int) {
	var rate, start, stop, memory float64
	for b.Loop() {
		var mu sync.Mutex
		var done []time.Time
		peak := peakMemory()
		begun := time.Now()
		results, err := sim.Run(context.Background(), cells, sim.Options{
			Parallel: workers, OutDir: b.TempDir(), Logger: logr.Discard(),
			Progress: func(e sim.Event) {
				if e.Kind == sim.EventCellDone {
					mu.Lock()
					done = append(done, time.Now())
					mu.Unlock()
				}
			},
		})
		end := time.Now()
		memory += peak()
		if err != nil {
			b.Fatal(err)
		}
		for _, r := range results {
			if r.Outcome != verdict.Success {
				b.Fatalf("%s: %s", r.Outcome, r.Error)
			}
		}
		// Each worker's first cell pays for its start.
		first, last := done[workers-1], done[len(done)-1]
		perSecond := float64(len(done)-workers) / last.Sub(first).Seconds()
		rate += perSecond
		start += first.Sub(begun).Seconds() - float64(workers)/perSecond
		stop += end.Sub(last).Seconds()
	}
	n := float64(b.N)
	b.ReportMetric(rate/n, "cells/s")
	b.ReportMetric(start/n, "s-to-start")
	b.ReportMetric(stop/n, "s-to-stop")
	b.ReportMetric(memory/n, "MiB")
}

// peakMemory samples the memory of this process and its descendants; the function
// it gives stops that and tells the largest sum in MiB. A page that several of them
// share, as those of the one executable that they all are, counts once: it is the
// sum of proportional set sizes.
func peakMemory() func() float64 {
	quit, out := make(chan struct{}), make(chan float64)
	go func() {
		var peak float64
		// To add up a process's pages takes as long as a tenth of a cell.
		tick := time.NewTicker(3 * time.Second)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				out <- peak
				return
			case <-tick.C:
				peak = max(peak, treeMemory())
			}
		}
	}()
	return func() float64 { close(quit); return <-out }
}

func treeMemory() float64 {
	parents := map[int]int{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range stats {
		raw, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		fields := strings.Fields(string(raw[strings.LastIndexByte(string(raw), ')')+1:]))
		if len(fields) > 1 {
			parents[pid], _ = strconv.Atoi(fields[1])
		}
	}
	var kib float64
	for pid := range parents {
		for up := pid; up > 1; up = parents[up] {
			if up == os.Getpid() {
				kib += proportional(pid)
				break
			}
		}
	}
	return kib / (1 << 10)
}

// proportional gives a process' proportional set size in KiB; 0 for one that is
// gone.
func proportional(pid int) float64 {
	raw, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "smaps_rollup"))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, "Pss:"); ok {
			kib, _ := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 64)
			return kib
		}
	}
	return 0
}

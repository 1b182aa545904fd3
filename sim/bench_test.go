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

// BenchmarkCells runs the five-task success cell ten times on one control plane
// and reports cells a second after the first (which pays for the start), the
// seconds until the first cell could begin and until everything had stopped, and
// the memory of the process tree.
func BenchmarkCells(b *testing.B) {
	f, err := scenario.Load(filepath.Join("testdata", "bench", "five-tasks.yaml"))
	if err != nil {
		b.Fatal(err)
	}
	cells, err := f.Cells(scenario.Options{})
	if err != nil {
		b.Fatal(err)
	}
	var rate, start, stop, memory float64
	for b.Loop() {
		var mu sync.Mutex
		var done []time.Time
		peak := peakMemory()
		begun := time.Now()
		results, err := sim.Run(context.Background(), cells, sim.Options{
			Parallel: 1, OutDir: b.TempDir(), Logger: logr.Discard(),
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
		cell := done[len(done)-1].Sub(done[0]) / time.Duration(len(done)-1)
		rate += 1 / cell.Seconds()
		start += (done[0].Sub(begun) - cell).Seconds()
		stop += end.Sub(done[len(done)-1]).Seconds()
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
		tick := time.NewTicker(time.Second)
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

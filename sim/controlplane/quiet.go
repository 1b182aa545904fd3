package controlplane

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"runtime/metrics"
	"strconv"
	"syscall"
	"time"
)

// A Check says whether a part of the system has nothing to do. Idle is asked
// often and must be cheap; an error ends the wait.
type Check struct {
	Name string
	Idle func() (idle bool, err error)
}

// Quiet waits until nothing goes on any more: no request is in flight, every
// check says so, no goroutine of this process is about to run and no thread of
// the control plane's processes, or of the further ones named in pids, is on a
// processor - several times in a row.
func (c *ControlPlane) Quiet(ctx context.Context, pids []int, checks ...Check) error {
	// The checks in a row guard against the gap between two wake-ups of one
	// chain, e.g. a thread that was woken but has not been scheduled.
	const inARow = 3
	all := append(append([]int(nil), c.pids...), pids...)
	row, last := 0, int64(-1)
	report := time.Now().Add(reportAfter)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		busy, err := c.busy(all, checks)
		if err != nil {
			return err
		}
		if now := c.tap.Activity(); busy == "" && now == last {
			row++
		} else {
			row, last = 0, now
		}
		if row >= inARow {
			return nil
		}
		if time.Now().After(report) {
			c.logger.Info("The control plane is still busy", "with", busy, "requests", last)
			report = report.Add(reportAfter)
		}
		time.Sleep(400 * time.Microsecond)
	}
}

// reportAfter is how long Quiet waits before it says in the log what for.
const reportAfter = 3 * time.Second

// busy names one thing that goes on, or is empty.
func (c *ControlPlane) busy(pids []int, checks []Check) (string, error) {
	if c.tap.InFlight() != 0 {
		return "requests", nil
	}
	if !goroutinesIdle() {
		return "goroutines", nil
	}
	// Before the checks: these may ask a process, which makes it run.
	if pid := running(pids); pid != 0 {
		return command(pid), nil
	}
	for _, check := range checks {
		if idle, err := check.Idle(); !idle || err != nil {
			return check.Name, err
		}
	}
	return "", nil
}

// goroutinesIdle says whether no goroutine but the caller's is running or about
// to run.
func goroutinesIdle() bool {
	s := []metrics.Sample{
		{Name: "/sched/goroutines/runnable:goroutines"},
		{Name: "/sched/goroutines/running:goroutines"},
	}
	metrics.Read(s)
	return s[0].Value.Uint64() == 0 && s[1].Value.Uint64() <= 1
}

// running gives one of the processes that has a thread on a processor, waiting
// for one, or in a disk operation; 0 if there is none.
func running(pids []int) int {
	var buf [512]byte
	for _, pid := range pids {
		dir := "/proc/" + strconv.Itoa(pid) + "/task/"
		d, err := os.Open(dir)
		if err != nil {
			continue // The process has ended: it does nothing any more.
		}
		threads, _ := d.Readdirnames(-1)
		_ = d.Close()
		for _, th := range threads {
			// "pid (name) STATE ..."; the name may hold anything.
			stat := buf[:read(dir+th+"/stat", buf[:])]
			if i := bytes.LastIndexByte(stat, ')'); i >= 0 && i+2 < len(stat) {
				if s := stat[i+2]; s == 'R' || s == 'D' {
					return pid
				}
			}
		}
	}
	return 0
}

// read gives the first bytes of a file, none if it cannot be read. This is done
// thousands of times a second: a file of package os costs twice as much.
func read(name string, buf []byte) int {
	fd, err := syscall.Open(name, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	defer func() { _ = syscall.Close(fd) }()
	n, err := syscall.Read(fd, buf)
	if err != nil {
		return 0
	}
	return n
}

// children lists the processes whose parent this one is.
func children() []int {
	self := os.Getpid()
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	var out []int
	for _, name := range stats {
		stat, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		i := bytes.LastIndexByte(stat, ')')
		fields := bytes.Fields(stat[i+1:])
		if i < 0 || len(fields) < 2 {
			continue
		}
		if parent, _ := strconv.Atoi(string(fields[1])); parent == self {
			if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name))); err == nil {
				out = append(out, pid)
			}
		}
	}
	return out
}

// command gives the name of the file that a process executes.
func command(pid int) string {
	comm, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "comm"))
	if err != nil {
		return ""
	}
	return string(bytes.TrimSpace(comm))
}

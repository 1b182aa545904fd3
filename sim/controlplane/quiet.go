package controlplane

import (
	"bytes"
	"cmp"
	"context"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"simctl.dev/simctl/sim/internal/host"
)

// A Check says whether a part of the system has nothing to do. Idle is asked
// often and must be cheap; an error ends the wait.
type Check struct {
	Name string
	Idle func() (idle bool, err error)
}

// Quiet waits until nothing goes on any more. For a moment no request was in
// flight, nothing was delivered, and no process - the control plane's, those
// named in pids - has used a processor but for what an idle one uses; and then
// no thread of theirs runs or waits for one, no goroutine of this process is
// about to run, and every check says so.
func (c *ControlPlane) Quiet(ctx context.Context, pids []int, checks ...Check) error {
	// The moment guards against the gap between two wake-ups of one chain.
	const inARow = 2
	all := append(append([]int(nil), c.pids...), pids...)
	row, last := 0, progress{activity: -1}
	report := time.Now().Add(reportAfter)
	for {
		if err := cmp.Or(context.Cause(ctx), c.tap.TooSlow()); err != nil {
			return err
		}
		busy, now := "", c.progress(all)
		switch {
		case c.tap.InFlight() != 0:
			busy = "requests"
		case !goroutinesIdle():
			busy = "goroutines"
		case now.activity != last.activity, now.processor-last.processor > idleUse(now.at.Sub(last.at)):
			busy = "processes"
		}
		last = now
		if busy == "" {
			row++
		} else {
			row = 0
		}
		if row >= inARow {
			// Looking closely costs more, and asking makes processes run.
			var err error
			if busy, err = c.busy(all, now, checks); err != nil {
				return err
			}
			if busy == "" && c.tap.Activity() == last.activity && c.tap.InFlight() == 0 {
				return nil
			}
			// One more moment of rest, and another look.
			row, last = inARow-1, c.progress(all)
		}
		if time.Now().After(report) {
			c.logger.Info("The control plane is still busy", "with", busy, "requests", last.activity)
			report = report.Add(reportAfter)
		}
		if busy != "" {
			// While something goes on, looking takes processors from it.
			pause(time.Millisecond)
		} else {
			pause(300 * time.Microsecond)
		}
	}
}

// idleUse is how much processor time idle processes may use in a while: their
// runtimes wake up now and then, and find nothing to do. One that does something
// uses a processor all along.
func idleUse(while time.Duration) time.Duration { return while / 5 }

// pause sleeps in a system call of its own. A sleep of the runtime takes a
// millisecond at least and, in a process that was started without hurry, up to
// another, which adds up to a fifth of a cell's time. But it hands this goroutine's
// processor on, without which the network is not read where there is no other.
func pause(d time.Duration) {
	if runtime.GOMAXPROCS(0) == 1 {
		time.Sleep(d)
		return
	}
	t := unix.NsecToTimespec(int64(d))
	_ = host.Hurried(func() error { return unix.Nanosleep(&t, nil) })
}

// reportAfter is how long Quiet waits before it says in the log what for.
const reportAfter = 3 * time.Second

// progress is different when something has gone on in between.
type progress struct {
	at        time.Time
	activity  int64
	processor time.Duration // that the processes have used
}

func (c *ControlPlane) progress(pids []int) progress {
	p := progress{at: time.Now(), activity: c.tap.Activity()}
	for _, pid := range pids {
		// The clock of another process's processor time; see
		// clock_getcpuclockid(3). One that has ended uses no more.
		var used unix.Timespec
		if unix.ClockGettime(int32(^pid<<3|2), &used) == nil { //nolint:gosec // pids fit
			p.processor += time.Duration(used.Nano())
		}
	}
	return p
}

// busy names one thing that goes on, or is empty.
func (c *ControlPlane) busy(pids []int, before progress, checks []Check) (string, error) {
	// Before the checks: these may ask a process, which makes it run.
	if pid := running(pids); pid != 0 {
		return command(pid), nil
	}
	// One may have handed on to another that had been looked at already.
	if now := c.progress(pids); now.processor-before.processor > idleUse(now.at.Sub(before.at)) {
		return "processes", nil
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

// running returns one of the processes, or this one, that has a thread on a
// processor, waiting for one, or in a disk operation; 0 if there is none. The
// calling thread does not count. On a loaded host a thread of this process
// may wait for a processor with what a watch has delivered, and no goroutine
// shows that.
func running(pids []int) int {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	self, caller := os.Getpid(), strconv.Itoa(unix.Gettid())
	for _, pid := range append([]int{self}, pids...) {
		except := ""
		if pid == self {
			except = caller
		}
		if active(pid, except) {
			return pid
		}
	}
	return 0
}

// active says whether a process has such a thread, but for one.
func active(pid int, except string) bool {
	dir := "/proc/" + strconv.Itoa(pid) + "/task/"
	d, err := os.Open(dir)
	if err != nil {
		return false // The process has ended: it does nothing any more.
	}
	threads, _ := d.Readdirnames(-1)
	_ = d.Close()
	var buf [512]byte
	for _, th := range threads {
		if th == except {
			continue
		}
		// "pid (name) STATE ..."; the name may hold anything.
		stat := buf[:read(dir+th+"/stat", buf[:])]
		if i := bytes.LastIndexByte(stat, ')'); i >= 0 && i+2 < len(stat) {
			if s := stat[i+2]; s == 'R' || s == 'D' {
				return true
			}
		}
	}
	return false
}

// read reads the first bytes of a file and returns how many they are, none if it cannot
// be read. This is done thousands of times a second: a file of package os costs twice as
// much.
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

// command returns the name of the file that a process executes.
func command(pid int) string {
	comm, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "comm"))
	if err != nil {
		return ""
	}
	return string(bytes.TrimSpace(comm))
}

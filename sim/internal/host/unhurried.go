package host

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// How late timers may be in processes that are started without hurry, and on a
// thread that is in one: the kernel's default.
const (
	slack = time.Millisecond
	hurry = 50 * time.Microsecond
)

// Unhurried runs f. The processes that f starts, and theirs, may be woken by their
// timers a millisecond late. The runtime of a Go program that has something to do
// wakes up every 20 microseconds to look after its threads (sysmon in
// runtime/proc.go), and a control plane is several such programs: where waking up
// is dear, as where the host is virtual, that is a tenth of all they do and more. f has to
// start them on the goroutine that it is called on.
func Unhurried(f func() error) error {
	// A process inherits the slack of the thread that starts it.
	return withSlack(slack, f)
}

// Hurried runs f with a thread whose timers are on time even in a process that was
// started without hurry: for a short sleep in a system call of its own.
func Hurried(f func() error) error { return withSlack(hurry, f) }

// withSlack runs f on a thread whose timers may be that late.
func withSlack(late time.Duration, f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	was, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	if err == nil && unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(late), 0, 0, 0) == nil {
		defer func() { _ = unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(was), 0, 0, 0) }()
	}
	return f()
}

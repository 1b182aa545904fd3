package machine

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// slack is how late a timer may be in processes that are started without hurry.
const slack = time.Millisecond

// Unhurried runs f. The processes that f starts, and theirs, may be woken by their
// timers a millisecond late. The runtime of a Go program that has something to do
// wakes up every 20 microseconds to look after its threads (sysmon in
// runtime/proc.go), and a control plane is several such programs: where waking up
// is dear, as on virtual machines, that is a tenth of all they do and more. f has to
// start them on the goroutine that it is called on.
func Unhurried(f func() error) error {
	// A process inherits the slack of the thread that starts it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	was, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	if err == nil && unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(slack), 0, 0, 0) == nil {
		defer func() { _ = unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(was), 0, 0, 0) }()
	}
	return f()
}

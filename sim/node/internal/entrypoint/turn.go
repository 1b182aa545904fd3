package entrypoint

import (
	"slices"
	"strconv"
	"time"

	"simctl.dev/simctl/sim/wellknown"
)

// What a container ends with whose entrypoint was sent SIGTERM.
const (
	// ExitChildSignalled: it passes the signal on to its program and exits as that one
	// did; of a program that died of a signal this is -1.
	ExitChildSignalled = 255
	// ExitWaiting: while it waits for its turn it has no handler, and Go's runtime, as a
	// container's first process, ends itself with 2.
	ExitWaiting = 2
)

// exitCancelled is that of a step that is cancelled: the number of SIGKILL.
const exitCancelled = 9

// Tekton's own reasons for the end of a step.
const (
	wordSkipped   = "Skipped"
	wordTimeout   = "TimeoutExceeded"
	wordCancelled = "Cancelled"
)

// Reasons that a container runtime gives for the end of a container.
const (
	reasonCompleted = "Completed"
	reasonError     = "Error"
)

// Turn is what becomes of a step's program.
type Turn struct {
	// Exit is the program's exit code, -1 if it alone died of a signal; Reason is the
	// container runtime's word for it, Log the last line of its log.
	Exit   int32
	Reason string
	Log    string
	// Duration is how long it runs.
	Duration time.Duration
	// Skipped says that its when expressions are false, so that it never ran.
	Skipped bool
	// Killed says that the entrypoint goes with its program, so that nobody writes the
	// post file for the steps after it.
	Killed bool
	// word is Tekton's own reason for the end; empty if it has none.
	word string
}

// Turn begins a step's turn: a program that does its work in no time, or that is skipped.
func (a Args) Turn() Turn {
	t := Turn{Reason: reasonCompleted}
	if a.skips() {
		t.Skipped, t.word = true, wordSkipped
	}
	return t
}

// Fail has the program fail.
func (t *Turn) Fail(exit int32, log string) {
	t.Exit, t.Reason, t.Log, t.word = exit, reasonError, log, ""
}

// KillForMemory has the kernel kill the program for want of memory: all that runs in the
// container's cgroup, the entrypoint too, or the one process that asked for too much.
func (t *Turn) KillForMemory(exit int32, alone bool) {
	t.Exit, t.Reason, t.Killed = exit, wellknown.OOMKilled, !alone
	if alone {
		t.Exit = -1
	}
}

// Limit ends a turn at the step's time-out.
func (a Args) Limit(t *Turn) {
	if a.Timeout > 0 && t.Duration > a.Timeout {
		t.Fail(1, "context deadline exceeded")
		t.word, t.Duration, t.Killed = wordTimeout, a.Timeout, false
	}
}

// Ending is what the entrypoint leaves.
type Ending struct {
	// Exit, Reason and Message are the container's.
	Exit            int32
	Reason, Message string
	// Failed says that the post file ends in .err, which skips the steps after it. A
	// container that ends with an error may leave another one.
	Failed bool
	// Word is Tekton's own reason, empty if it has none; Log the last line of the log.
	Word, Log string
}

// End ends a step whose turn began at a time. Results are those that its program left.
func (a Args) End(t Turn, began time.Time, results []Result) Ending {
	e := Ending{Exit: t.Exit & 0xff, Reason: t.Reason, Failed: t.Exit != 0, Word: t.word, Log: t.Log}
	own := []Result{startedAt(began)}
	if t.word != "" {
		own = append(own, internal("Reason", t.word))
	}
	if e.Failed && a.OnError == "continue" && t.word == "" {
		own = append(own, internal("ExitCode", strconv.Itoa(int(t.Exit))))
		e.Failed, e.Exit = false, 0
		if e.Reason != wellknown.OOMKilled {
			e.Reason = reasonCompleted
		}
	}
	var fits bool
	if e.Message, fits = a.message(slices.Concat(results, own)...); !fits {
		// The post file is there by now: the steps after it are none the wiser.
		e.Message, _ = a.message(own...)
		e.Exit, e.Reason, e.Log = 1, reasonError, tooLong
	}
	return e
}

// Skip ends a step at a time because the one before it failed.
func (a Args) Skip(at time.Time) Ending {
	e := Ending{Exit: 1, Reason: reasonError, Failed: true, Word: wordSkipped, Log: "Skipping step because a previous step failed"}
	e.Message, _ = a.message(startedAt(at), internal("Reason", wordSkipped))
	return e
}

// Cancel ends a step that the cancel annotation ends: the entrypoint kills its program.
func (a Args) Cancel(began time.Time) Ending {
	return a.End(Turn{Exit: exitCancelled, Reason: reasonError, Log: "Step was cancelled", word: wordCancelled}, began, nil)
}

// Signalled is the message of a step whose program was sent SIGTERM by way of the
// entrypoint, which lives on to write it.
func (a Args) Signalled(began time.Time) string {
	message, _ := a.message(startedAt(began))
	return message
}

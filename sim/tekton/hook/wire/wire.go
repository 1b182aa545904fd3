// Package wire is what a Tekton controller's process and the process that started
// it say to each other: lines of JSON over a socket that is inherited, one [Answer]
// to each [Request].
//
// Both ends are compiled from this source, one of them within a copy of upstream's
// module, so that it uses the standard library only. A field that is added here is
// there at both.
package wire

// EnvFD names the environment variable with the number of the inherited socket.
const EnvFD = "SIMCTL_TEKTON_FD"

// WebhookName is the argv[0] under which a release's build is its webhook; under others
// it is its controller.
const WebhookName = "tekton-pipelines-webhook"

// Reasons of a [Delay].
const (
	// Deadline: a time-out of the run itself, which ends waiting.
	Deadline = "deadline"
	// Retry: the reconciler wants to look again, because something it needs was
	// not there.
	Retry = "retry"
	// Failure: Reconcile returned an error.
	Failure = "error"
	// Busy: the reconciler sets itself off again and again, and is kept from it.
	Busy = "busy"
	// Lease: another process has the lease that the controller needs to act; Key
	// names it, and the delay is the retry period without what chance adds to it.
	Lease = "lease"
)

// Key names one key of one controller's work queue.
type Key struct {
	// Controller is the short name, e.g. "taskrun".
	Controller string `json:"controller"`
	// Key is "namespace/name".
	Key string `json:"key"`
}

// Delay says that a key wants to be reconciled again.
type Delay struct {
	Key
	// At is the virtual moment in Unix nanoseconds.
	At int64 `json:"at"`
	// Reason is one of [Deadline], [Retry], [Failure], [Busy] and [Lease].
	Reason string `json:"reason"`
	// Attempt counts retries, failures, busy times or looks at the lease of the key
	// in a row, from 1.
	Attempt int `json:"attempt"`
	// Lease is how long the lease holds, counted from the first look at it, in
	// nanoseconds.
	Lease int64 `json:"lease,omitempty"`
	// Error is the text of the error, for a failure.
	Error string `json:"error,omitempty"`
}

// Request is a line from the parent. Fields that are not set mean no change.
type Request struct {
	// N is repeated in the answer.
	N int `json:"n"`
	// Now is the virtual time in Unix nanoseconds.
	Now int64 `json:"now,omitempty"`
	// Enqueue lists keys, and leases, whose time has come.
	Enqueue []Key `json:"enqueue,omitempty"`
	// Release gives the leases back: the process is about to be ended.
	Release bool `json:"release,omitempty"`
	// Forget drops the counts of failed attempts and the delays that have not
	// been reported yet.
	Forget bool `json:"forget,omitempty"`
	// Rest has reconcilers leave every key alone until a request says Forget.
	Rest bool `json:"rest,omitempty"`
	// Settled: all is quiet, so that what keys are reconciled for from now on has
	// another cause. A new time says so too.
	Settled bool `json:"settled,omitempty"`
	// Wait has the answer wait some milliseconds for reconcilers to come to an end.
	Wait bool `json:"wait,omitempty"`
}

// Answer is the line that answers a request.
type Answer struct {
	N int `json:"n"`
	// Ready: every controller runs with its caches in sync.
	Ready bool `json:"ready"`
	// Leads: every controller has its leases, so that it acts.
	Leads bool `json:"leads"`
	// Elected are the leases that were got since the last answer after waiting for
	// them.
	Elected []Key `json:"elected,omitempty"`
	// Idle: nothing is queued or reconciling, no goroutine is about to run and
	// everything that arrived on a socket has been read.
	Idle bool `json:"idle"`
	// Queued and Active count the keys in work queues and in reconcilers, looks at
	// leases among them.
	Queued int `json:"queued"`
	Active int `json:"active"`
	// Runnable counts goroutines, the answering one aside, that run or could.
	Runnable int `json:"runnable"`
	// Unread counts bytes in socket buffers.
	Unread int `json:"unread"`
	// Reconciles counts the calls of reconcilers so far.
	Reconciles int `json:"reconciles"`
	// Parked: a key that sets itself off has been left alone since all was quiet.
	Parked bool `json:"parked,omitempty"`
	// Delays are new since the last answer.
	Delays []Delay `json:"delays,omitempty"`
}

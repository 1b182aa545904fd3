package kube

import (
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/util/goroutinemap/exponentialbackoff"
	"k8s.io/kubernetes/pkg/volume/util"
	"k8s.io/kubernetes/pkg/volume/util/operationexecutor"
	volumetypes "k8s.io/kubernetes/pkg/volume/util/types"

	"simctl.dev/simctl/sim/clock"
)

// Upstream's back-off after an attach or detach that failed.
const (
	firstOperationBackoff   = 500 * time.Millisecond
	longestOperationBackoff = 2*time.Minute + 2*time.Second
)

const attachOperation = "volume_attach"

// executor is upstream's executor of attach and detach operations, its own
// back-off switched off and replaced by one on the virtual clock.
type executor struct {
	operationexecutor.OperationExecutor
	clock *clock.Clock
	// want has the reconciler look again.
	want func()

	mu sync.Mutex
	// begun counts the operations that were to start.
	begun int
	// started tells which operation was started for a volume and a node.
	started map[target]begun
	// latest is the number of the operation that was put on upstream's books last,
	// by what may have one operation at a time there.
	latest map[target]int
	failed map[operation]*failure
}

// begun is an operation with its number.
type begun struct {
	operation
	n int
}

// target is a volume and a node.
type target struct {
	volume corev1.UniqueVolumeName
	node   types.NodeName
}

// operation is what backs off: an attach or a detach of a volume, on one node
// if the volume may be on several.
type operation struct {
	target
	name string
}

type failure struct {
	delay time.Duration
	until time.Time
	event *clock.Event
}

var _ operationexecutor.OperationExecutor = &executor{}

// AttachVolume implements operationexecutor.OperationExecutor.
func (e *executor) AttachVolume(logger klog.Logger, v operationexecutor.VolumeToAttach, asw operationexecutor.ActualStateOfWorldAttacherUpdater) error {
	op := operation{target{volume: v.VolumeName}, attachOperation}
	if util.IsMultiAttachAllowed(v.VolumeSpec) {
		op.node = v.NodeName
	}
	return e.start(op, v.NodeName, func() error { return e.OperationExecutor.AttachVolume(logger, v, asw) })
}

// DetachVolume implements operationexecutor.OperationExecutor.
func (e *executor) DetachVolume(logger klog.Logger, v operationexecutor.AttachedVolume, verify bool, asw operationexecutor.ActualStateOfWorldAttacherUpdater) error {
	op := operation{target{volume: v.VolumeName}, operationexecutor.DetachOperationName}
	if util.IsMultiAttachAllowed(v.VolumeSpec) {
		op.node = v.NodeName
	}
	return e.start(op, v.NodeName, func() error { return e.OperationExecutor.DetachVolume(logger, v, verify, asw) })
}

// IsOperationSafeToRetry implements operationexecutor.OperationExecutor.
func (e *executor) IsOperationSafeToRetry(volume corev1.UniqueVolumeName, pod volumetypes.UniquePodName, node types.NodeName, name string) bool {
	return e.OperationExecutor.IsOperationSafeToRetry(volume, pod, node, name) && !e.backsOff(operation{target{volume, node}, name})
}

// start has upstream start an operation, and takes it down; or refuses it in words
// that the reconciler does not log.
func (e *executor) start(op operation, node types.NodeName, upstream func() error) error {
	if e.backsOff(op) {
		return exponentialbackoff.NewExponentialBackoffError(op.name, exponentialbackoff.ExponentialBackoff{})
	}
	e.mu.Lock()
	e.begun++
	n := e.begun
	e.started[target{op.volume, node}] = begun{op, n}
	e.mu.Unlock()
	if err := upstream(); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.latest[op.target] = n
	return nil
}

func (e *executor) backsOff(op operation) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	f := e.failed[op]
	return f != nil && e.clock.Now().Before(f.until)
}

// ended takes down how an operation ended, and has it tried again later if it
// failed. What it returns says whether the operation is off upstream's books: it stays
// there for a moment after its end, and the next one of the volume may be on them
// right after.
func (e *executor) ended(volume corev1.UniqueVolumeName, node types.NodeName, err error) (off func() bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	was, ok := e.started[target{volume, node}]
	if !ok {
		return func() bool { return true }
	}
	delete(e.started, target{volume, node})
	off = func() bool {
		if !e.IsOperationPending(was.volume, "", was.node) {
			return true
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		return e.latest[was.target] > was.n
	}
	e.backOff(was.operation, err)
	return off
}

// backOff has an operation that failed tried again later.
func (e *executor) backOff(op operation, err error) {
	f := e.failed[op]
	if err == nil {
		if f != nil {
			f.event.Cancel()
			delete(e.failed, op)
		}
		return
	}
	if f == nil {
		f = &failure{delay: firstOperationBackoff}
		e.failed[op] = f
	} else {
		f.event.Cancel()
		f.delay = min(2*f.delay, longestOperationBackoff)
	}
	wait := f.delay
	var old statusError
	if errors.As(err, &old) {
		// The next try is as long as a look at the VolumeAttachment later: here that is
		// looked at at once, where upstream sleeps first.
		wait += firstLook
	}
	f.until = e.clock.Now().Add(wait)
	f.event = e.clock.Schedule(wait, clock.Retry, e.key(op), e.want)
}

func (e *executor) key(op operation) string {
	return fmt.Sprintf("%s %s %s", op.name, op.volume, op.node)
}

// hope says that what failed for a volume and a node would not fail now. It is tried again
// when its back-off is over, and that is work.
func (e *executor) hope(volume corev1.UniqueVolumeName, node types.NodeName) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for op, f := range e.failed {
		if op.volume == volume && (op.node == "" || op.node == node) && f.event.Cancel() {
			f.event = e.clock.Schedule(f.until.Sub(e.clock.Now()), clock.Work, e.key(op), e.want)
		}
	}
}

// waiting is the number of operations that back off.
func (e *executor) waiting() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := 0
	for _, f := range e.failed {
		if e.clock.Now().Before(f.until) {
			n++
		}
	}
	return n
}

// nudge ends every back-off and returns their number.
func (e *executor) nudge() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := 0
	for _, f := range e.failed {
		if f.event.Cancel() {
			f.until = e.clock.Now()
			n++
		}
	}
	return n
}

// reset forgets every failure.
func (e *executor) reset() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for op, f := range e.failed {
		f.event.Cancel()
		delete(e.failed, op)
	}
	clear(e.latest)
}

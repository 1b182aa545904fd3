package storage

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"simctl.dev/simctl/sim/clock"
	"simctl.dev/simctl/sim/history"
)

// How long the sidecars wait for a driver's answer, and how soon they ask again after one
// that failed: external-attacher's --timeout, external-provisioner's, and both their
// --retry-interval-start and -max, which double in between. A driver that is slower than
// that by itself, as its class says, is given as long as it takes: whoever runs it has set
// the sidecars to it.
const (
	AttacherTimeout      = 15 * time.Second
	ProvisionerTimeout   = 10 * time.Second
	FirstRetryInterval   = time.Second
	LongestRetryInterval = 5 * time.Minute
)

// fault is an operation at which drivers fail or are slow.
type fault struct {
	history.StorageFault
	// met is told of the claims that it meets.
	met func(claim string)
}

// Fail has drivers fail at an operation, or be slow at it, and tells of the claims,
// NAMESPACE/NAME, for which it is asked for then; the function that it returns ends that.
func (d *Driver) Fail(what history.StorageFault, met func(claim string)) (mend func()) {
	f := &fault{what, met}
	d.faults = append(d.faults, f)
	d.faultFact(history.FactStorageFails, what)
	d.reconsider()
	return func() {
		d.faults = slices.DeleteFunc(d.faults, func(g *fault) bool { return g == f })
		d.faultFact(history.FactStorageBack, what)
		d.reconsider()
	}
}

// Mend ends all faults, without a word in the history.
func (d *Driver) Mend() {
	d.faults = nil
	d.reconsider()
}

func (d *Driver) faultFact(fact string, f history.StorageFault) {
	d.o.Recorder.Record(history.NewFact(actor, history.Ref{Kind: "StorageFault", Name: f.Key()}, fact, f))
}

// faultAt returns the last fault that begun of those that hold of an operation; nil if none
// does. The node is empty where the operation is on none.
func (d *Driver) faultAt(operation, class, node string) *fault {
	for _, f := range slices.Backward(d.faults) {
		if f.Operation == operation && (f.Class == "" || f.Class == class) && (f.Node == "" || f.Node == node) {
			return f
		}
	}
	return nil
}

// rpcError words a driver's answer as the sidecars and the kubelet do, who have it of gRPC.
func rpcError(code, desc string) string { return "rpc error: code = " + code + " desc = " + desc }

// Answers of a driver to a call that fails, and how long that takes.
type answer struct {
	code, desc string
	// silent: no answer comes, and the caller gives up after its own time-out.
	silent bool
}

func (a answer) String() string { return rpcError(a.code, a.desc) }

// noAnswer is what a caller says of a call that has had none in time.
const deadlineExceeded = "DeadlineExceeded"

var noAnswer = answer{deadlineExceeded, "context deadline exceeded", true}

// fails says how a call fails under a fault, nil if it does not. In what the driver says
// {node} stands for the node.
func (f *fault) fails(node string) *answer {
	switch {
	case f == nil || f.Slow > 0:
		return nil
	case f.Code == deadlineExceeded && f.Message == "":
		a := noAnswer
		return &a
	}
	return &answer{code: f.Code, desc: strings.ReplaceAll(cmp.Or(f.Message, f.Operation+" failed"), "{node}", node)}
}

// meets tells that an operation for a claim was asked for under a fault.
func (f *fault) meets(namespace, claim string) {
	if f != nil {
		f.met(namespace + "/" + claim)
	}
}

// delay is by how much longer an operation takes under a fault.
func (f *fault) delay() time.Duration {
	if f == nil {
		return 0
	}
	return time.Duration(f.Slow * float64(time.Second))
}

// call is what a sidecar asks of a driver, again and again until it is done.
type call struct {
	key string
	// barred says how a call would fail now, nil if it would not; took draws how long the
	// driver takes by itself; fault is what holds of it now, nil if nothing does.
	barred func() *answer
	took   func() time.Duration
	fault  func() *fault
	// namespace and claim are whose volume it is about.
	namespace, claim string
	// again says before each call whether it is still wanted; nil if it is until it is dropped.
	again func() bool
	// timeout is how long the sidecar waits for an answer of a driver that takes less.
	timeout time.Duration
	// begin says that the driver is at it; done is what comes of it, failed of an answer
	// that says no.
	begin  func()
	done   func(took time.Duration)
	failed func(answer)

	// failures count for the back-off.
	failures int
	// doneAt is when the driver has done it, since it is at it; began is when it began.
	began, doneAt time.Time
	patience      time.Duration
	// next is the answer under way or, if waiting, the next try.
	next    *clock.Event
	waiting bool
}

// ask has a driver asked.
func (d *Driver) ask(c *call) {
	if c.again != nil && !c.again() {
		d.drop(c)
		return
	}
	d.calls[c] = true
	now, f := d.o.Clock.Now(), c.fault()
	f.meets(c.namespace, c.claim)
	if no := c.barred(); no != nil {
		// What it was at, if at anything, is not told of.
		if !no.silent {
			d.answered(c, *no)
			return
		}
		d.answerAfter(c, cmp.Or(c.patience, c.timeout), func() { d.answered(c, *no) })
		return
	}
	if c.doneAt.IsZero() {
		took := c.took()
		c.began, c.doneAt = now, now.Add(took+f.delay())
		c.patience = max(c.timeout, took)
		c.begin()
	}
	if left := c.doneAt.Sub(now); left > c.patience {
		d.answerAfter(c, c.patience, func() { d.answered(c, noAnswer) })
		return
	}
	d.answerAfter(c, c.doneAt.Sub(now), func() {
		if no := c.barred(); no != nil {
			// It has begun to fail meanwhile.
			c.doneAt = time.Time{}
			c.fault().meets(c.namespace, c.claim)
			d.answered(c, *no)
			return
		}
		delete(d.calls, c)
		c.done(d.o.Clock.Now().Sub(c.began))
	})
}

// answerAfter has an answer come after a time.
func (d *Driver) answerAfter(c *call, after time.Duration, then func()) {
	c.next = d.o.Clock.Schedule(after, clock.Work, c.key, func() {
		c.next = nil
		then()
	})
}

// answered is an answer that says no, or none in time: the sidecar tells of it and asks
// again later.
func (d *Driver) answered(c *call, no answer) {
	wait := min(FirstRetryInterval<<min(c.failures, 20), LongestRetryInterval)
	c.failures++
	c.failed(no)
	c.waiting = true
	d.plan(c, wait)
}

// plan puts the next try on the clock: a repetition as long as it would fail, and work if it
// would not.
func (d *Driver) plan(c *call, wait time.Duration) {
	kind := clock.Work
	if c.barred() != nil {
		kind = clock.Retry
	}
	c.next = d.o.Clock.Schedule(wait, kind, c.key, func() {
		c.next, c.waiting = nil, false
		d.ask(c)
	})
}

// drop ends what is under way.
func (d *Driver) drop(c *call) {
	if c.next != nil {
		c.next.Cancel()
	}
	c.next, c.waiting = nil, false
	delete(d.calls, c)
}

// reconsider looks at every try that is waited for: whether it would fail may have changed.
func (d *Driver) reconsider() {
	for c := range d.calls {
		if c.waiting && (c.next.Kind == clock.Retry) != (c.barred() != nil) {
			at := c.next.At
			c.next.Cancel()
			d.plan(c, at.Sub(d.o.Clock.Now()))
		}
	}
}

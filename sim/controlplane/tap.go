package controlplane

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"simctl.dev/simctl/sim/history"
)

// Tap sees the traffic of every client of one API server. It is safe for
// concurrent use.
type Tap struct {
	inFlight atomic.Int64
	activity atomic.Int64

	mu       sync.Mutex
	recorder history.Recorder
	events   eventStore
	reads    reads
	holds    holds
	faults   []*Fault
	echoes   echoes
	// last holds the latest recorded state of each object.
	last map[history.Ref]*seen
	// deleting says who has asked for the end of an object and has no answer yet.
	deleting map[target]string
	births   births
	orders   orders

	slow atomic.Pointer[string]
	// virtual is the virtual time, if there is one.
	virtual atomic.Pointer[virtualTime]
}

type seen struct {
	version uint64
	object  map[string]any // pruned
}

// SetRecorder starts a history: what is seen from now on goes to r. A nil r
// stops recording.
func (t *Tap) SetRecorder(r history.Recorder) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.recorder = r
	t.last = map[history.Ref]*seen{}
	t.births.forget()
	t.orders.forget()
	t.events.forget()
}

// Found records an object that was there before the recording began, as created
// by actor.
func (t *Tap) Found(actor string, raw []byte) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.recorder == nil {
		return nil
	}
	o, err := decode(raw)
	if err != nil {
		return fmt.Errorf("reading an object: %w", err)
	}
	t.state(actor, history.VerbCreate, RefOf(o), 0, prune(o))
	return nil
}

// InFlight is the number of requests, watches aside, that were sent and not
// answered.
func (t *Tap) InFlight() int64 { return t.inFlight.Load() }

// Activity is a number that grows with every request and everything a watch
// delivers.
func (t *Tap) Activity() int64 { return t.activity.Load() }

// RefOf names an object as histories do.
func RefOf(o *unstructured.Unstructured) history.Ref {
	return history.Ref{APIVersion: o.GetAPIVersion(), Kind: o.GetKind(), Namespace: o.GetNamespace(), Name: o.GetName()}
}

// ErrTooSlow says that the API server gave a request up because it took too long in
// real time: what follows from that says something of this host and nothing of a
// pipeline.
var ErrTooSlow = errors.New("the API server gave a request up for want of real time: this host is too busy")

// tooSlow are the words with which it does so: its own, etcd's, and Go's for a
// webhook that has not answered.
var tooSlow = []string{
	"request did not complete within", "unable to return a response in the time allotted",
	"etcdserver: request timed out", "resource quota evaluation timed out", "context deadline exceeded", "Client.Timeout exceeded",
}

// heed looks whether a request was given up.
func (t *Tap) heed(code int, got []byte) {
	if code < http.StatusInternalServerError {
		return
	}
	var s status
	if json.Unmarshal(got, &s) == nil && slices.ContainsFunc(tooSlow, func(words string) bool { return strings.Contains(s.Message, words) }) {
		t.slow.CompareAndSwap(nil, &s.Message)
	}
}

// TooSlow is an [ErrTooSlow] from the first request on that the API server has given up.
func (t *Tap) TooSlow() error {
	if words := t.slow.Load(); words != nil {
		return fmt.Errorf("%w: %s", ErrTooSlow, *words)
	}
	return nil
}

// status is the API server's refusal.
type status struct {
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

package controlplane

import (
	"fmt"
	"io"
	"net/http"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utiljson "k8s.io/apimachinery/pkg/util/json"
)

// Fault is a failure of the API server towards one client: its requests do not come
// through. Watches that are open go on, as a connection does that stands.
type Fault struct {
	// Actor is the client, as histories name it; Code its answer.
	Actor string
	Code  int
}

// Fail has the API server fail until the function that it returns is called.
func (t *Tap) Fail(f Fault) (over func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	own := &f
	t.faults = append(t.faults, own)
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		for i, g := range t.faults {
			if g == own {
				t.faults = append(t.faults[:i:i], t.faults[i+1:]...)
				return
			}
		}
	}
}

// Mend ends all faults.
func (t *Tap) Mend() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.faults = nil
}

// faultOf is the fault that an actor meets; nil if there is none.
func (t *Tap) faultOf(actor string) *Fault {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range t.faults {
		if f.Actor == actor {
			return f
		}
	}
	return nil
}

// faults is the link of the chain that answers requests which meet a fault. It is the
// first: neither the API server nor the tap's own answers are asked. A write that fails
// is in the history as refused.
type faults struct {
	tap   *Tap
	actor string
	next  http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (l faults) RoundTrip(req *http.Request) (*http.Response, error) {
	f := l.tap.faultOf(l.actor)
	if f == nil || isWatch(req) {
		return l.next.RoundTrip(req)
	}
	l.tap.activity.Add(1)
	var sent []byte
	if req.Body != nil {
		var err error
		if sent, err = io.ReadAll(req.Body); err != nil {
			return nil, fmt.Errorf("reading a request that is to fail: %w", err)
		}
		_ = req.Body.Close()
	}
	got, err := utiljson.Marshal(metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure, Code: int32(f.Code), //nolint:gosec // a code of HTTP
		Reason: map[int]metav1.StatusReason{
			http.StatusInternalServerError: metav1.StatusReasonInternalError, http.StatusServiceUnavailable: metav1.StatusReasonServiceUnavailable,
			http.StatusGatewayTimeout: metav1.StatusReasonTimeout,
		}[f.Code],
		Message: "the server is currently unable to handle the request",
	})
	if err != nil {
		return nil, fmt.Errorf("writing the answer to a request that is to fail: %w", err)
	}
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		l.tap.record(l.actor, req, parsePath(req.URL.Path), f.Code, sent, got, nil)
	}
	return answerJSON(req, f.Code, got), nil
}

// isWatch says whether a request opens a watch.
func isWatch(req *http.Request) bool {
	w := req.URL.Query().Get("watch")
	return w == "true" || w == "1"
}

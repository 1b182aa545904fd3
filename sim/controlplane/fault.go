package controlplane

import (
	"fmt"
	"io"
	"net/http"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utiljson "k8s.io/apimachinery/pkg/util/json"
)

// Fault is a failure between one client and the API server.
type Fault struct {
	// Actor is the client, as histories name it.
	Actor string
	// Code is what its requests are answered with, which then do not come through. Watches
	// that are open, or are opened, go on, as a connection does that stands.
	Code int
	// Link, if not nil, is a failure of another kind, in the place of Code: it stands
	// before all that the tap does with the client's requests, of which next is the first,
	// and lets through what it does not meet. [Tap.Refuse] answers in the API server's
	// place.
	Link func(next http.RoundTripper) http.RoundTripper
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

// faults is the link of the chain for faults. It is the first: of requests that meet one,
// neither the API server nor the tap's own answers are asked.
type faults struct {
	tap   *Tap
	actor string
	next  http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (l faults) RoundTrip(req *http.Request) (*http.Response, error) {
	switch f := l.tap.faultOf(l.actor); {
	case f == nil:
		return l.next.RoundTrip(req)
	case f.Link != nil:
		return f.Link(l.next).RoundTrip(req)
	case isWatch(req):
		return l.next.RoundTrip(req)
	default:
		return l.tap.Refuse(l.actor, req, f.Code, "the server is currently unable to handle the request")
	}
}

// Refuse answers a client's request in the place of the API server. A write is in the
// history as refused.
func (t *Tap) Refuse(actor string, req *http.Request, code int, message string) (*http.Response, error) {
	t.activity.Add(1)
	var sent []byte
	if req.Body != nil {
		var err error
		if sent, err = io.ReadAll(req.Body); err != nil {
			return nil, fmt.Errorf("reading a request that is to fail: %w", err)
		}
		_ = req.Body.Close()
	}
	got, err := utiljson.Marshal(metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure, Code: int32(code), //nolint:gosec // a code of HTTP
		Reason: reasons[code], Message: message,
	})
	if err != nil {
		return nil, fmt.Errorf("writing the answer to a request that is to fail: %w", err)
	}
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		t.record(actor, req, parsePath(req.URL.Path), code, sent, got, nil)
	}
	return answerJSON(req, code, got), nil
}

// reasons are those by which clients know an answer.
//
//nolint:gochecknoglobals // a table that nothing changes
var reasons = map[int]metav1.StatusReason{
	http.StatusForbidden: metav1.StatusReasonForbidden, http.StatusNotFound: metav1.StatusReasonNotFound,
	http.StatusConflict: metav1.StatusReasonConflict, http.StatusTooManyRequests: metav1.StatusReasonTooManyRequests,
	http.StatusInternalServerError: metav1.StatusReasonInternalError, http.StatusServiceUnavailable: metav1.StatusReasonServiceUnavailable,
	http.StatusGatewayTimeout: metav1.StatusReasonTimeout,
}

// isWatch says whether a request opens a watch.
func isWatch(req *http.Request) bool {
	w := req.URL.Query().Get("watch")
	return w == "true" || w == "1"
}

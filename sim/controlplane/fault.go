package controlplane

import (
	"fmt"
	"io"
	"net/http"
	"strings"
)

// Fault is a failure between one client and the API server.
type Fault struct {
	// Actor is the client, as histories name it.
	Actor string
	// Code is what its requests are answered with, which then do not come through. Watches
	// that are open, or are opened, go on, as a connection does that stands.
	Code int
	// Link, if not nil, is a failure of another kind, in the place of Code: it stands
	// before the API server and what the tap answers in its place, and lets through to next
	// what it does not meet. [Refuse] answers in the API server's place.
	Link func(next http.RoundTripper) http.RoundTripper
	// Met, if not nil, is told of each request that the fault meets: one that it does not let
	// through to the API server as it is, or whose answer is not the one that comes from there.
	Met func(request string)
}

// meets tells that a request has met the fault.
func (f *Fault) meets(req *http.Request, c *call) {
	if f.Met != nil {
		f.Met(c.actor + ": " + strings.TrimSpace(req.Method+" "+strings.Trim(c.where.resource+"/"+c.where.subresource, "/")))
	}
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

// fails is the link for faults: of requests that meet one, neither the API server nor what
// the tap knows is asked.
func (t *Tap) fails(req *http.Request, c *call, next sender) (*http.Response, error) {
	f := t.faultOf(c.actor)
	switch {
	case f == nil, f.Link == nil && c.kind == kindWatch:
		return next(req, c)
	case f.Link == nil:
		f.meets(req, c)
		return c.answer(req, f.Code, refusal(f.Code, "the server is currently unable to handle the request")), nil
	}
	on := &through{call: c, next: next}
	resp, err := f.Link(on).RoundTrip(req)
	if on.sent != req || resp != on.got {
		f.meets(req, c)
	}
	if err != nil || c.kind == kindWatch || c.got != nil {
		return resp, err
	}
	got, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		return nil, fmt.Errorf("reading the answer of a fault: %w", err)
	}
	return c.answer(req, resp.StatusCode, got), nil
}

// through is the rest of the chain for a call.
type through struct {
	call *call
	next sender
	// sent is what was let through last, got what came of it.
	sent *http.Request
	got  *http.Response
}

// RoundTrip implements http.RoundTripper.
func (t *through) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.next(req, t.call)
	t.sent, t.got = req, resp
	return resp, err
}

// Refuse returns an answer to a client's request in the place of the API server. A write
// that is answered so is in the history as refused, but for codes of the ordinary course
// of things, such as a conflict.
func Refuse(req *http.Request, code int, message string) *http.Response {
	return answerJSON(req, code, refusal(code, message))
}

package controlplane

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

// Fault is a failure between one client and the API server.
type Fault struct {
	// Actor is the client, as histories name it.
	Actor string
	// Resources and Verbs are what it meets of the client's requests, in the words of RBAC
	// rules: "pods" is not "pods/status", "pods/*" is all that belongs to pods but the pods
	// themselves. It meets all where there are none.
	Resources, Verbs []string
	// Code is what requests are answered with, which then do not come through. Watches
	// that are open, or are opened, go on, as a connection does that stands.
	Code int
	// Message is what the answer says; by default what a client makes of the code alone.
	Message string
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

// faultOf is the fault that is about a request; nil if there is none.
func (t *Tap) faultOf(req *http.Request, c *call) *Fault {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range t.faults {
		if f.concerns(req, c) {
			return f
		}
	}
	return nil
}

// concerns says whether the fault is about a request.
func (f *Fault) concerns(req *http.Request, c *call) bool {
	if f.Actor != c.actor || f.Link == nil && c.kind == kindWatch {
		return false
	}
	if len(f.Verbs) > 0 && !slices.Contains(f.Verbs, verbOf(req, c)) {
		return false
	}
	return len(f.Resources) == 0 || slices.ContainsFunc(f.Resources, c.where.is)
}

// is says whether a resource, as RBAC rules name it, is the target's.
func (t target) is(resource string) bool {
	of, sub, _ := strings.Cut(resource, "/")
	return of == t.resource && (sub == t.subresource || sub == "*" && t.subresource != "")
}

// verbOf is the verb of a request, as the API server authorizes it.
func verbOf(req *http.Request, c *call) string {
	switch {
	case c.kind == kindWatch:
		return "watch"
	case req.Method == http.MethodPost:
		return "create"
	case req.Method == http.MethodPut:
		return "update"
	case req.Method == http.MethodPatch:
		return "patch"
	case req.Method == http.MethodDelete && c.where.name == "":
		return "deletecollection"
	case req.Method == http.MethodDelete:
		return "delete"
	case c.where.name == "":
		return "list"
	}
	return "get"
}

// fails is the link for faults: of requests that meet one, neither the API server nor what
// the tap knows is asked.
func (t *Tap) fails(req *http.Request, c *call, next sender) (*http.Response, error) {
	f := t.faultOf(req, c)
	if f == nil {
		return next(req, c)
	}
	if f.Link == nil {
		f.meets(req, c)
		return c.answer(req, f.Code, refusal(f.Code, cmp.Or(f.Message, Words(f.Code)))), nil
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

// Words returns what the answer of a fault says by default.
func Words(code int) string {
	return cmp.Or(wordsOf[code], wordsOf[http.StatusServiceUnavailable])
}

// wordsOf are what client-go makes of a code without words of the API server's own
// (NewGenericServerResponse of apimachinery's errors).
//
//nolint:gochecknoglobals // a table that nothing changes
var wordsOf = map[int]string{
	http.StatusTooManyRequests:     "the server has received too many requests and has asked us to try again later",
	http.StatusInternalServerError: "an error on the server has prevented the request from succeeding",
	http.StatusServiceUnavailable:  "the server is currently unable to handle the request",
	http.StatusGatewayTimeout:      "the server was unable to return a response in the time allotted, but may still be processing the request",
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

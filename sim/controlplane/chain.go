package controlplane

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utiljson "k8s.io/apimachinery/pkg/util/json"
)

// call is a request on its way through the tap, with its answer on the way back.
type call struct {
	actor string
	where target
	kind  callKind
	// sent is the body of a write.
	sent []byte
	// begun says that it is among the orders, over ends its place among the births.
	begun bool
	over  func()
	// got is the body of the answer, object the object in it, if it has one, and version
	// that object's resourceVersion, 0 if it has none; of a write. Whoever records the
	// object changes it: links that come earlier have its version alone.
	got     []byte
	object  *unstructured.Unstructured
	version uint64
}

// callKind says what a request is for.
type callKind int

const (
	kindRead callKind = iota
	kindWatch
	kindWrite
	kindTrial // a write that asks what would happen
)

// sender has a request answered.
type sender func(req *http.Request, c *call) (*http.Response, error)

// link is what one part of the tap does with each request: before it is sent, in its
// place, or when it has been answered. What does not concern a link it hands on.
type link func(req *http.Request, c *call, next sender) (*http.Response, error)

// links are the parts that a request passes, the first one first; its answer passes them
// the other way round. What is new of a fault is data of fails; another way to meddle
// with the traffic is a link more.
func (t *Tap) links() []link {
	return []link{
		t.counts,       // what is on its way, for Quiet
		t.outlives,     // a write is carried out though its caller goes away
		t.echo,         // an answer waits until its caller has heard of its write
		t.records,      // what is written and refused is put into the history
		t.fails,        // a fault answers in the API server's place
		t.begins,       // what is sent from here on is waited for by records
		t.dates,        // virtual time takes the place of the host's
		t.keepsEvents,  // Events are not stored by the API server
		t.withholds,    // news is kept back
		t.recalls,      // what is known is not read again
		t.findsEvicted, // what an eviction has done is in the answer
	}
}

// Wrap returns a rest.Config.WrapTransport for a client whose writes are recorded
// under the name actor.
func (t *Tap) Wrap(actor string) func(http.RoundTripper) http.RoundTripper {
	return func(next http.RoundTripper) http.RoundTripper {
		links := t.links()
		send := t.exchange(next)
		for i := len(links) - 1; i >= 0; i-- {
			l, behind := links[i], send
			send = func(req *http.Request, c *call) (*http.Response, error) { return l(req, c, behind) }
		}
		return client{actor, send}
	}
}

// client is the transport of one client.
type client struct {
	actor string
	send  sender
}

// RoundTrip implements http.RoundTripper.
func (c client) RoundTrip(req *http.Request) (*http.Response, error) {
	return c.send(req, &call{actor: c.actor, where: parsePath(req.URL.Path), kind: kindOf(req)})
}

func kindOf(req *http.Request) callKind {
	query := req.URL.Query()
	switch w := query.Get("watch"); {
	case w == "true" || w == "1":
		return kindWatch
	case req.Method == http.MethodGet || req.Method == http.MethodHead:
		return kindRead
	case query.Has("dryRun"):
		return kindTrial
	}
	return kindWrite
}

// exchange is the end of the chain: it has the API server answer, and reads the answer
// whole, but for watches. A request is over when its answer is here.
func (t *Tap) exchange(transport http.RoundTripper) sender {
	return func(req *http.Request, c *call) (*http.Response, error) {
		if c.kind == kindWatch {
			return transport.RoundTrip(req)
		}
		if c.sent != nil {
			// What is recorded is JSON.
			req.Header.Set("Accept", runtime.ContentTypeJSON)
			req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(c.sent)), int64(len(c.sent))
		}
		resp, err := transport.RoundTrip(req)
		if err != nil {
			return nil, err
		}
		got, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil {
			return nil, err
		}
		t.activity.Add(1)
		t.heed(resp.StatusCode, got)
		resp.Body = io.NopCloser(bytes.NewReader(got))
		c.answered(got)
		return resp, nil
	}
}

// answered takes the body of the answer.
func (c *call) answered(got []byte) {
	c.got = got
	if c.kind == kindWrite {
		c.object, c.version = parse(got), 0
		if c.object != nil {
			c.version, _ = strconv.ParseUint(c.object.GetResourceVersion(), 10, 64)
		}
	}
}

// answer returns an answer that the tap gives in the API server's place.
func (c *call) answer(req *http.Request, code int, body []byte) *http.Response {
	c.answered(body)
	return answerJSON(req, code, body)
}

// counts is the link that counts what is on its way.
func (t *Tap) counts(req *http.Request, c *call, next sender) (*http.Response, error) {
	t.activity.Add(1)
	if c.kind == kindRead { // a watch is none that is over, a write outlives this
		t.inFlight.Add(1)
		defer t.inFlight.Add(-1)
	}
	return next(req, c)
}

// outlives is the link that has a write done whatever its caller does: the API server has
// it once it is sent, and one who goes away before the answer comes gets none.
func (t *Tap) outlives(req *http.Request, c *call, next sender) (*http.Response, error) {
	if c.kind != kindWrite && c.kind != kindTrial {
		return next(req, c)
	}
	ctx := req.Context()
	if err := ctx.Err(); err != nil {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, err
	}
	if req.Body != nil {
		var err error
		if c.sent, err = io.ReadAll(req.Body); err != nil {
			return nil, fmt.Errorf("reading a request's body: %w", err)
		}
		_ = req.Body.Close()
	}
	type answer struct {
		resp *http.Response
		err  error
	}
	answered := make(chan answer, 1)
	own := req.Clone(context.WithoutCancel(ctx))
	if c.sent != nil {
		own.Body = io.NopCloser(bytes.NewReader(c.sent))
	}
	t.inFlight.Add(1)
	go func() {
		defer t.inFlight.Add(-1)
		resp, err := next(own, c) //nolint:bodyclose // whoever asked closes it; it is in memory
		answered <- answer{resp, err}
	}()
	select {
	case a := <-answered:
		return a.resp, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// answerJSON is an answer that the tap gives itself.
func answerJSON(req *http.Request, code int, body []byte) *http.Response {
	return &http.Response{
		Status:     strconv.Itoa(code) + " " + http.StatusText(code),
		StatusCode: code,
		Proto:      "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        http.Header{"Content-Type": {runtime.ContentTypeJSON}},
		ContentLength: int64(len(body)),
		Body:          io.NopCloser(bytes.NewReader(body)),
		Request:       req,
	}
}

// refusal returns the API server's answer to what it does not do, with the reason by which
// clients know it.
func refusal(code int, message string) []byte {
	body, _ := json.Marshal(metav1.Status{ //nolint:errchkjson // strings and numbers
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure, Code: int32(code), //nolint:gosec // a code of HTTP
		Reason: reasons[code], Message: message,
	})
	return body
}

//nolint:gochecknoglobals // a table that nothing changes
var reasons = map[int]metav1.StatusReason{
	http.StatusBadRequest: metav1.StatusReasonBadRequest, http.StatusForbidden: metav1.StatusReasonForbidden,
	http.StatusNotFound: metav1.StatusReasonNotFound, http.StatusConflict: metav1.StatusReasonConflict,
	http.StatusTooManyRequests: metav1.StatusReasonTooManyRequests, http.StatusInternalServerError: metav1.StatusReasonInternalError,
	http.StatusServiceUnavailable: metav1.StatusReasonServiceUnavailable, http.StatusGatewayTimeout: metav1.StatusReasonTimeout,
}

func isJSON(resp *http.Response) bool {
	t, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	return err == nil && t == runtime.ContentTypeJSON
}

// parse returns the object of an answer; nil if it has none.
func parse(got []byte) *unstructured.Unstructured {
	o, err := decode(got)
	if err != nil || o.GetKind() == "" || o.GetKind() == "Status" || strings.HasSuffix(o.GetKind(), "List") {
		return nil
	}
	return o
}

// decode reads a JSON object, of a kind or not.
func decode(raw []byte) (*unstructured.Unstructured, error) {
	o := &unstructured.Unstructured{}
	err := utiljson.Unmarshal(raw, &o.Object)
	return o, err
}

// target is what a request's path says.
type target struct {
	group, resource, namespace, name, subresource string
}

func parsePath(path string) target {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	var t target
	switch {
	case len(parts) > 2 && parts[0] == "api":
		parts = parts[2:]
	case len(parts) > 3 && parts[0] == "apis":
		t.group = parts[1]
		parts = parts[3:]
	default:
		return t
	}
	if parts[0] == "namespaces" && len(parts) > 2 && parts[2] != "status" && parts[2] != "finalize" {
		t.namespace = parts[1]
		parts = parts[2:]
	}
	t.resource = parts[0]
	if len(parts) > 1 {
		t.name = parts[1]
	}
	if len(parts) > 2 {
		t.subresource = parts[2]
	}
	return t
}

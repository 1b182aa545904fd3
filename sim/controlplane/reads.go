package controlplane

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"sync"
)

// reads remembers the answers to reads of single Tasks and Pipelines. Tekton
// reads a run's Tasks from the API server in every reconcile, a quarter of a
// cell's requests, and hardly anybody writes to them. Every client's writes go
// through the tap, so that an answer is known to hold until one of them.
type reads struct {
	mu      sync.Mutex
	changes int // writes so far
	answers map[string]answer
}

type answer struct {
	resource string
	code     int
	header   http.Header
	body     []byte
}

// remembered says of which kind of object answers are kept; empty if of none.
func remembered(where target) string {
	if where.group == "tekton.dev" && where.subresource == "" {
		switch where.resource {
		case "tasks", "pipelines":
			return where.resource
		}
	}
	return ""
}

func readKey(actor string, req *http.Request) string {
	return actor + " " + req.Header.Get("Accept") + " " + req.URL.RequestURI()
}

// get gives the answer to a read, if it is still known, or how many writes there
// have been.
func (r *reads) get(actor string, req *http.Request) (resp *http.Response, changes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a, ok := r.answers[readKey(actor, req)]
	if !ok {
		return nil, r.changes
	}
	return &http.Response{
		Status:     strconv.Itoa(a.code) + " " + http.StatusText(a.code),
		StatusCode: a.code,
		Proto:      "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        a.header.Clone(),
		ContentLength: int64(len(a.body)),
		Body:          io.NopCloser(bytes.NewReader(a.body)),
		Request:       req,
	}, r.changes
}

// put keeps an answer, unless something was written while it was on its way.
func (r *reads) put(actor, resource string, changes int, req *http.Request, resp *http.Response, body []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if resp.StatusCode != http.StatusOK || r.changes != changes {
		return
	}
	if r.answers == nil {
		r.answers = map[string]answer{}
	}
	r.answers[readKey(actor, req)] = answer{resource: resource, code: resp.StatusCode, header: resp.Header, body: body}
}

// written forgets the answers about a resource, or all if it is empty.
func (r *reads) written(resource string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changes++
	for k, a := range r.answers {
		if resource == "" || a.resource == resource {
			delete(r.answers, k)
		}
	}
}

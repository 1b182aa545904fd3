package controlplane

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"sync"
)

// holds keeps news back: what watches would deliver.
type holds struct {
	mu       sync.Mutex
	resource string
	match    func(object []byte) bool
	// What deleter deletes of a resource, reader hears of last.
	deleter, reader, deleted string
	watches                  map[*watchBody]*held // open ones; nil: it is not held
}

// held is a watch that is held.
type held struct {
	turn    chan struct{} // a value lets one piece of news go; closed: all
	waiting bool          // it has something to deliver
}

// Withhold has the tap look at what is written of a resource, as in "taskruns".
// Once match says so of an object that is sent, its writer is told nothing more of
// that resource until [Tap.Deliver]: the watches that it has open at that moment
// are held. The write goes on and shows in the answer, so what it changes is there
// and nobody has acted on it yet. A nil match looks for nothing. What was held
// before is let go. match is called while the write waits, from any goroutine.
func (t *Tap) Withhold(resource string, match func(object []byte) bool) {
	t.holds.mu.Lock()
	defer t.holds.mu.Unlock()
	t.holds.free()
	t.holds.resource, t.holds.match = resource, match
}

// TellLast has reader hear of what deleter deletes of a resource, as in "taskruns", when
// [Tap.Deliver] is called, that is when all others have done what they do about it; empty
// names end that. On a cluster chance decides, within milliseconds, whether the garbage
// collector has taken away what belongs to a deleted object before its controller makes
// that object anew.
func (t *Tap) TellLast(reader, resource, deleter string) {
	t.holds.mu.Lock()
	defer t.holds.mu.Unlock()
	t.holds.reader, t.holds.deleted, t.holds.deleter = reader, resource, deleter
}

// Deliver lets the first piece of news go that each held watch has, a change of an
// object, and says whether there was any. One that has none is held no longer.
func (t *Tap) Deliver() bool {
	h := &t.holds
	h.mu.Lock()
	defer h.mu.Unlock()
	did := false
	for w, held := range h.watches {
		switch {
		case held == nil:
		case held.waiting:
			held.waiting = false
			held.turn <- struct{}{}
			did = true
		default:
			close(held.turn)
			h.watches[w] = nil
		}
	}
	return did
}

// free lets everything go. Callers hold the lock.
func (h *holds) free() {
	for w, held := range h.watches {
		if held != nil {
			close(held.turn)
			h.watches[w] = nil
		}
	}
}

// withholds is the link that keeps news back: it looks at what is written, and has watches
// wait.
func (t *Tap) withholds(req *http.Request, c *call, next sender) (*http.Response, error) {
	if c.kind == kindWrite {
		t.holds.sends(c.actor, c.where, c.sent)
		if req.Method == http.MethodDelete {
			t.holds.deletes(c.actor, c.where)
		}
	}
	resp, err := next(req, c)
	if err == nil && c.kind == kindWatch {
		body := &watchBody{ReadCloser: resp.Body, ctx: req.Context(), tap: t, actor: c.actor, where: c.where}
		t.holds.opened(body)
		resp.Body = body
	}
	return resp, err
}

// sends looks at what an actor is about to write.
func (h *holds) sends(actor string, where target, object []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.match == nil || where.resource != h.resource || !h.match(object) {
		return
	}
	h.hold(actor, where)
}

// deletes notes that an actor is about to delete an object.
func (h *holds) deletes(actor string, where target) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.deleter != "" && actor == h.deleter && where.resource == h.deleted {
		h.hold(h.reader, where)
	}
}

// hold holds an actor's watches of a resource. Callers hold the lock.
func (h *holds) hold(actor string, where target) {
	for w, now := range h.watches {
		if now == nil && w.actor == actor && w.where.group == where.group && w.where.resource == where.resource {
			h.watches[w] = &held{turn: make(chan struct{}, 1)}
		}
	}
}

// opened notes a watch.
func (h *holds) opened(w *watchBody) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.watches == nil {
		h.watches = map[*watchBody]*held{}
	}
	h.watches[w] = nil
}

func (h *holds) closed(w *watchBody) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.watches, w)
}

// holds says whether a watch is held.
func (h *holds) holds(w *watchBody) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.watches[w] != nil
}

// wait returns when a watch may deliver what it has read; one says that it is only
// the first piece of it.
func (h *holds) wait(w *watchBody) (one bool) {
	h.mu.Lock()
	held := h.watches[w]
	if held == nil {
		h.mu.Unlock()
		return false
	}
	held.waiting = true
	h.mu.Unlock()
	select {
	case _, one = <-held.turn:
		return one
	case <-w.ctx.Done():
		return false
	}
}

// watchBody is what a watch delivers; it is counted, and may be held.
type watchBody struct {
	io.ReadCloser
	ctx   context.Context // the request's
	tap   *Tap
	actor string
	where target
	// rest was read and not delivered, err is what comes after it.
	rest []byte
	err  error
	// echoes says that its client waits for news of its own writes; heard is what it
	// has been given.
	echoes bool
	heard  heard
}

// Read implements io.Reader.
func (b *watchBody) Read(p []byte) (int, error) {
	if b.echoes {
		// Whoever reads on has handed on what there was.
		b.tap.echoes.delivered(b, b.heard.version)
	}
	var n int
	if len(b.rest) > 0 {
		n = copy(p, b.rest)
		b.rest = b.rest[n:]
	} else if b.err == nil {
		n, b.err = b.ReadCloser.Read(p)
	}
	b.tap.activity.Add(1)
	if b.tap.holds.wait(b) {
		// The API server ends each change with a newline.
		if i := bytes.IndexByte(p[:n], '\n'); i >= 0 && i+1 < n {
			b.rest = append(bytes.Clone(p[i+1:n]), b.rest...)
			n = i + 1
		}
	}
	if b.echoes {
		b.heard.read(p[:n])
	}
	if len(b.rest) > 0 {
		return n, nil
	}
	return n, b.err
}

// Close implements io.Closer.
func (b *watchBody) Close() error {
	b.tap.holds.closed(b)
	b.tap.echoes.closed(b)
	return b.ReadCloser.Close()
}

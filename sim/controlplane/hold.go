package controlplane

import (
	"context"
	"io"
	"sync"
)

// holds keeps news back: what watches would deliver.
type holds struct {
	mu       sync.Mutex
	resource string
	match    func(object []byte) bool
	watches  map[*watchBody]chan struct{} // open ones, with what they wait for, if held
	held     chan struct{}                // closed when what is held is let go; nil: nothing is
}

// Withhold has the tap look at what is written of a resource, as in "taskruns".
// Once match says so of an object that is sent, its writer is told nothing more of
// that resource until [Tap.Deliver]: the watches that it has open at that moment
// are held. The write goes on and shows in the answer, so what it changes is there
// and nobody has acted on it yet. A nil match looks for nothing. What was held
// before is let go.
func (t *Tap) Withhold(resource string, match func(object []byte) bool) {
	t.Deliver()
	t.holds.mu.Lock()
	defer t.holds.mu.Unlock()
	t.holds.resource, t.holds.match = resource, match
}

// Deliver lets go what is held; it says whether any watch was.
func (t *Tap) Deliver() bool {
	h := &t.holds
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.held == nil {
		return false
	}
	close(h.held)
	h.held = nil
	for w := range h.watches {
		h.watches[w] = nil
	}
	return true
}

// sends looks at what an actor is about to write.
func (h *holds) sends(actor string, where target, object []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.match == nil || where.resource != h.resource || !h.match(object) {
		return
	}
	for w := range h.watches {
		if w.actor != actor || w.where.resource != h.resource {
			continue
		}
		if h.held == nil {
			h.held = make(chan struct{})
		}
		h.watches[w] = h.held
	}
}

// opened notes a watch.
func (h *holds) opened(w *watchBody) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.watches == nil {
		h.watches = map[*watchBody]chan struct{}{}
	}
	h.watches[w] = nil
}

func (h *holds) closed(w *watchBody) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.watches, w)
}

// wait returns when a watch may deliver what it has read.
func (h *holds) wait(w *watchBody) {
	h.mu.Lock()
	held := h.watches[w]
	h.mu.Unlock()
	if held == nil {
		return
	}
	select {
	case <-held:
	case <-w.ctx.Done():
	}
}

// watchBody is what a watch delivers; it is counted, and may be held.
type watchBody struct {
	io.ReadCloser
	ctx   context.Context // the request's
	tap   *Tap
	actor string
	where target
}

// Read implements io.Reader.
func (b *watchBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.tap.activity.Add(1)
	b.tap.holds.wait(b)
	return n, err
}

// Close implements io.Closer.
func (b *watchBody) Close() error {
	b.tap.holds.closed(b)
	return b.ReadCloser.Close()
}

package controlplane

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"sync"
	"time"
)

// echoes has a client in another process hear of its own writes before they are
// answered. On a cluster the news of a write comes back within a millisecond or so, and
// what the write sets in motion takes longer: a controller seldom acts on an object
// that it has itself written to as it was before. Here what others do takes no longer
// than the news, so that chance would decide which is first, and with it whether a
// reconciler repeats itself on the older object and puts what it makes of that in the
// place of the newer one. Where that is to be played, news is withheld on purpose
// ([Tap.Withhold]).
type echoes struct {
	mu    sync.Mutex
	actor string
	idle  func() bool
	// changed is closed when a watch has delivered something, or has come or gone.
	changed chan struct{}
	watches map[*watchBody]uint64 // the resource version that each has delivered
}

// Echo has the writes of an actor answered once its watches have told it of them and
// idle says that it has nothing to do any more; idle is called from any goroutine. Only
// watches that are opened later count.
func (t *Tap) Echo(actor string, idle func() bool) {
	t.echoes.mu.Lock()
	defer t.echoes.mu.Unlock()
	t.echoes.actor, t.echoes.idle = actor, idle
}

// echo is the link that has answers wait until their callers have heard of what they wrote.
func (t *Tap) echo(req *http.Request, c *call, next sender) (*http.Response, error) {
	resp, err := next(req, c)
	switch {
	case err != nil:
		return nil, err
	case c.kind == kindWatch:
		if body, ok := resp.Body.(*watchBody); ok && isJSON(resp) {
			body.echoes = t.echoes.opened(body, req.URL.Query())
		}
	case c.kind == kindWrite && c.version > 0 && !isEvent(c.where) && changes(req, resp.StatusCode):
		t.echoes.wait(req.Context(), c.actor, c.where, c.version, t.holds.holds)
	}
	return resp, nil
}

// opened notes a watch, which begins after a version, and says whether it counts: it is
// the actor's and of all objects of a resource.
func (e *echoes) opened(w *watchBody, query url.Values) bool {
	from, _ := strconv.ParseUint(query.Get("resourceVersion"), 10, 64)
	e.mu.Lock()
	defer e.mu.Unlock()
	if w.actor != e.actor || query.Get("labelSelector") != "" || query.Get("fieldSelector") != "" {
		return false
	}
	if e.watches == nil {
		e.watches = map[*watchBody]uint64{}
	}
	e.watches[w] = from
	e.wake()
	return true
}

func (e *echoes) closed(w *watchBody) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.watches, w)
	e.wake()
}

// delivered notes that a watch's client has been given all up to a version.
func (e *echoes) delivered(w *watchBody, version uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if before, ok := e.watches[w]; ok && version > before {
		e.watches[w] = version
		e.wake()
	}
}

// wake has those look again who wait. Callers hold the lock.
func (e *echoes) wake() {
	if e.changed != nil {
		close(e.changed)
		e.changed = nil
	}
}

// wait returns when an actor has heard of the version of an object that it has written,
// or does not listen.
func (e *echoes) wait(ctx context.Context, actor string, where target, version uint64, held func(*watchBody) bool) {
	for {
		e.mu.Lock()
		if e.idle == nil || e.actor != actor {
			e.mu.Unlock()
			return
		}
		idle, listens, waits := e.idle, false, false
		for w, has := range e.watches {
			of := w.actor == actor && w.where.group == where.group && w.where.resource == where.resource &&
				(w.where.namespace == "" || w.where.namespace == where.namespace)
			if of && held(w) {
				e.mu.Unlock()
				return
			}
			listens = listens || of
			waits = waits || of && has < version
		}
		if !waits {
			e.mu.Unlock()
			if listens {
				settled(ctx, idle)
			}
			return
		}
		if e.changed == nil {
			e.changed = make(chan struct{})
		}
		changed := e.changed
		e.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// settled waits until idle says so twice: one that is not may hand on, between two looks
// at its threads, to one that has been looked at.
func settled(ctx context.Context, idle func() bool) {
	const inARow = 2
	for row := 0; row < inARow && ctx.Err() == nil; {
		if idle() {
			row++
		} else {
			row = 0
		}
		pause(100 * time.Microsecond)
	}
}

// Resting says whether no thread of a process runs, or waits for a processor.
func Resting(pid int) bool { return !active(pid, "") }

// heard is what a client has been given of a watch.
type heard struct {
	line    []byte // the beginning of a change
	version uint64
}

var resourceVersions = regexp.MustCompile(`"resourceVersion":"(\d+)"`)

// read takes what is about to be delivered. The API server ends each change with a
// newline.
func (h *heard) read(p []byte) {
	for {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			h.line = append(h.line, p...)
			return
		}
		h.line = append(h.line, p[:i]...)
		for _, m := range resourceVersions.FindAllSubmatch(h.line, -1) {
			if v, err := strconv.ParseUint(string(m[1]), 10, 64); err == nil {
				h.version = max(h.version, v)
			}
		}
		h.line, p = h.line[:0], p[i+1:]
	}
}

// changes says whether an answer is that to a write that others hear of.
func changes(req *http.Request, code int) bool {
	return code < http.StatusMultipleChoices && req.Method != http.MethodDelete
}

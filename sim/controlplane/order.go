package controlplane

import (
	"cmp"
	"math"
	"net/http"
	"slices"
)

// orders are the objects that somebody is writing to, by what names them. Answers that
// overtake each other, as they do on a loaded host, wait here for those that are still
// on their way, so that a history has the writes to an object in the order in which the
// API server did them, each with who made it: a pod that was patched and then deleted was
// not deleted and then patched.
type orders map[target]*order

// order is of one object.
type order struct {
	unanswered int
	answered   []answered
	// recorded is closed when all of it is in the history.
	recorded chan struct{}
}

// answered is a write that the API server has accepted.
type answered struct {
	version uint64 // 0: the answer shows none
	// made says that it created the object, gone that it asked for its end.
	made, gone bool
	record     func()
}

// begin notes a write to an object.
func (os *orders) begin(key target) {
	if *os == nil {
		*os = orders{}
	}
	o := (*os)[key]
	if o == nil {
		o = &order{recorded: make(chan struct{})}
		(*os)[key] = o
	}
	o.unanswered++
}

// end notes that a write that had begun is answered, and whether it is to be recorded. It
// returns what to wait for until it is; nil if it is done.
func (os orders) end(key target, begun bool, a *answered) (recorded <-chan struct{}) {
	o := os[key]
	switch {
	case o == nil: // a creation of which nobody else has heard
		a.record()
		return nil
	case begun:
		o.unanswered--
	}
	if a != nil {
		o.answered = append(o.answered, *a)
	}
	if o.unanswered > 0 {
		if a == nil {
			return nil
		}
		return o.recorded
	}
	delete(os, key)
	for _, a := range inOrder(o.answered) {
		a.record()
	}
	close(o.recorded)
	return nil
}

// inOrder sorts writes to one object. A deletion may show no version, or that of the write
// before it; it comes before the creation of the next object of the name. A binding shows
// none and comes first, since nobody writes to a pod's status before it.
func inOrder(all []answered) []answered {
	end := uint64(math.MaxUint64)
	for _, a := range all {
		if a.made {
			end = a.version - 1
		}
	}
	for i, a := range all {
		if a.gone && a.version == 0 {
			all[i].version = end
		}
	}
	slices.SortStableFunc(all, func(a, b answered) int {
		switch {
		case a.version != b.version:
			return cmp.Compare(a.version, b.version)
		case a.gone == b.gone:
			return 0
		case b.gone:
			return -1
		}
		return 1
	})
	return all
}

// forget drops what waits: another history begins.
func (os orders) forget() {
	for _, o := range os {
		o.answered = nil
	}
}

// begins is the link that notes creations and writes to objects: from here on they are
// sent.
func (t *Tap) begins(req *http.Request, c *call, next sender) (*http.Response, error) {
	switch {
	case c.kind != kindWrite || isEvent(c.where):
	case req.Method == http.MethodPost && c.where.name == "":
		c.over = t.creates(c.where)
	case c.where.name != "":
		c.begun = true
		where := c.where
		where.subresource = ""
		t.mu.Lock()
		t.orders.begin(where)
		t.mu.Unlock()
	}
	return next(req, c)
}

// inTurn has a write recorded, once those to the same object are answered that began
// before.
func (t *Tap) inTurn(req *http.Request, c *call, code int) {
	key := c.where
	key.subresource = ""
	if key.name == "" && c.object != nil {
		key.name = c.object.GetName()
	}
	var a *answered
	if code < http.StatusMultipleChoices && code > 0 {
		a = &answered{
			made:   req.Method == http.MethodPost && c.where.name == "",
			gone:   req.Method == http.MethodDelete || isEviction(c.where) && c.object == nil,
			record: func() { t.recordLocked(c.actor, req, c.where, code, c.sent, c.got, c.object) },

			version: c.version,
		}
	}
	t.mu.Lock()
	if a == nil && code > 0 {
		t.recordLocked(c.actor, req, c.where, code, c.sent, c.got, c.object)
	}
	var recorded <-chan struct{}
	if c.begun || a != nil {
		recorded = t.orders.end(key, c.begun, a)
	}
	t.mu.Unlock()
	if recorded != nil {
		<-recorded
	}
}

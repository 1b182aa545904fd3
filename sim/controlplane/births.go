package controlplane

import (
	"slices"
	"sync"
)

// births are the creations that have no answer yet, by the collection that they are in.
// Somebody who watches hears of a new object before its creator does, and the answer to
// what he writes to it may be the first to come. It waits here for that of the creation,
// so that a history shows the creation first, and whose it was. The creation of what the
// new object owns waits as well: a TaskRun's pod has a TaskRun.
type births map[target]*collection

// collection is one in which something is being created.
type collection struct {
	unanswered int
	waiting    []waiting
	// heirs are closed when the object that owns them is in the history, by its name.
	heirs []heir
}

type heir struct {
	owner string
	born  chan struct{}
}

// waiting is what is to be recorded of a write to an object of this name.
type waiting struct {
	name   string
	record func()
}

func collectionOf(where target) target {
	return target{group: where.group, resource: where.resource, namespace: where.namespace}
}

// begin notes a creation until the function that it returns is called, which takes the
// lock that births are under.
func (b *births) begin(where target, lock sync.Locker) (over func()) {
	if *b == nil {
		*b = births{}
	}
	key := collectionOf(where)
	c := (*b)[key]
	if c == nil {
		c = &collection{}
		(*b)[key] = c
	}
	c.unanswered++
	return func() {
		lock.Lock()
		defer lock.Unlock()
		if c.unanswered--; c.unanswered > 0 {
			return
		}
		if (*b)[key] == c {
			delete(*b, key)
		}
		c.record(func(waiting) bool { return true })
		c.bear(func(heir) bool { return true })
	}
}

// owned returns what to wait for before the creation of something that an object owns is
// recorded; nil if nothing is being created where the owner is.
func (b births) owned(owner target) <-chan struct{} {
	c := b[collectionOf(owner)]
	if c == nil {
		return nil
	}
	h := heir{owner.name, make(chan struct{})}
	c.heirs = append(c.heirs, h)
	return h.born
}

// due says whether something is being created in the collection of an object.
func (b births) due(where target) bool { return b[collectionOf(where)] != nil }

// waitsFor says whether something waits for the creation of an object.
func (b births) waitsFor(where target) bool {
	c := b[collectionOf(where)]
	if c == nil {
		return false
	}
	for _, w := range c.waiting {
		if w.name == where.name {
			return true
		}
	}
	return false
}

// wait has a write recorded when the creation of its object has been, or when it is
// certain that it was not created here.
func (b births) wait(where target, record func()) {
	c := b[collectionOf(where)]
	c.waiting = append(c.waiting, waiting{where.name, record})
}

// answered has recorded what has waited for the creation of an object.
func (b births) answered(where target, name string) {
	if c := b[collectionOf(where)]; c != nil {
		c.record(func(w waiting) bool { return w.name == name })
		c.bear(func(h heir) bool { return h.owner == name })
	}
}

// record records what is due, in the order in which it came.
func (c *collection) record(due func(waiting) bool) {
	all := c.waiting
	c.waiting = nil
	for _, w := range all {
		if due(w) {
			w.record()
		} else {
			c.waiting = append(c.waiting, w)
		}
	}
}

// bear lets go on what was waiting for its owner.
func (c *collection) bear(due func(heir) bool) {
	c.heirs = slices.DeleteFunc(c.heirs, func(h heir) bool {
		if due(h) {
			close(h.born)
			return true
		}
		return false
	})
}

// forget drops what has waited: another history begins.
func (b births) forget() {
	for _, c := range b {
		c.waiting = nil
		c.bear(func(heir) bool { return true })
	}
}

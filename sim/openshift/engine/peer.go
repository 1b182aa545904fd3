//go:build ignore

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"

	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"simctl.dev/simctl/sim/openshift/engine/wire"
)

// peer is the other side.
type peer struct {
	mu      sync.Mutex
	out     *json.Encoder
	waiting map[uint64]*asker
}

func (p *peer) send(r wire.Reply) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Encode(r)
}

// asker returns the authorizer of a request.
func (p *peer) asker(id uint64, usable map[string][]string) *asker {
	a := &asker{id: id, usable: usable, peer: p, answers: make(chan wire.Answer, 1)}
	p.mu.Lock()
	p.waiting[id] = a
	p.mu.Unlock()
	return a
}

func (p *peer) answer(id uint64, a wire.Answer) {
	p.mu.Lock()
	w := p.waiting[id]
	p.mu.Unlock()
	if w != nil {
		w.answers <- a
	}
}

func (p *peer) finish(r wire.Reply) {
	p.mu.Lock()
	delete(p.waiting, r.ID)
	p.mu.Unlock()
	if err := p.send(r); err != nil {
		fmt.Fprintln(os.Stderr, "sending a decision:", err)
		os.Exit(1)
	}
}

// asker is an authorizer that asks the other side, one question at a time, what it
// has no answer for.
type asker struct {
	id      uint64
	usable  map[string][]string
	peer    *peer
	answers chan wire.Answer
}

// Authorize implements authorizer.Authorizer. The context is not heeded: it
// bounds the plug-in's waiting, and every question is answered.
func (a *asker) Authorize(_ context.Context, attr authorizer.Attributes) (authorizer.Decision, string, error) {
	u := attr.GetUser()
	if sccs, known := a.usable[u.GetName()]; known {
		if slices.Contains(sccs, attr.GetName()) {
			return authorizer.DecisionAllow, "", nil
		}
		return authorizer.DecisionNoOpinion, "", nil
	}
	q := &wire.Question{
		User:      authenticationv1.UserInfo{Username: u.GetName(), UID: u.GetUID(), Groups: u.GetGroups()},
		Namespace: attr.GetNamespace(),
		SCC:       attr.GetName(),
	}
	for k, v := range u.GetExtra() {
		if q.User.Extra == nil {
			q.User.Extra = map[string]authenticationv1.ExtraValue{}
		}
		q.User.Extra[k] = v
	}
	if err := a.peer.send(wire.Reply{ID: a.id, Question: q}); err != nil {
		return authorizer.DecisionNoOpinion, "", err
	}
	got := <-a.answers
	switch {
	case got.Error != "":
		return authorizer.DecisionNoOpinion, "", errors.New(got.Error)
	case got.Allowed:
		return authorizer.DecisionAllow, "", nil
	}
	return authorizer.DecisionNoOpinion, "", nil
}

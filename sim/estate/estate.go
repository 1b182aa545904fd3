package estate

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/go-logr/logr"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/install"
	"simctl.dev/simctl/sim/plane"
)

// Estate is what stays on a plane.
type Estate struct {
	Options
	cluster     *cluster // nil until one is made
	definitions *kept    // nil if none are there
}

// Options are what an Estate is made of.
type Options struct {
	Plane   *plane.Plane
	Install *install.Install
	Logger  logr.Logger
}

// New returns an estate in which nothing is yet.
func New(o Options) *Estate { return &Estate{Options: o} }

// kept are objects that stay from cell to cell.
type kept struct {
	key  string        // equal for cells that can share them
	refs []history.Ref // in the order of making
	// made is each object as it was when all were ready.
	made map[history.Ref][]byte
	// touched are the objects that cells wrote to; they are looked at before the
	// next cell.
	touched map[history.Ref]bool
}

func newKept(key string) kept {
	return kept{key: key, made: map[history.Ref][]byte{}, touched: map[history.Ref]bool{}}
}

// all gives everything that stays when a cell ends.
func (e *Estate) all() []*kept {
	var out []*kept
	if e.cluster != nil {
		out = append(out, &e.cluster.kept)
	}
	if e.definitions != nil {
		out = append(out, e.definitions)
	}
	return out
}

// Keeps says whether one of the objects that stay is meant.
func (e *Estate) Keeps(meant func(history.Ref) bool) bool {
	return slices.ContainsFunc(e.all(), func(k *kept) bool { return slices.ContainsFunc(k.refs, meant) })
}

// Note takes note of what entries say was written to: what stays and, for Install, what
// is installed.
func (e *Estate) Note(entries []history.Entry) {
	for _, entry := range entries {
		if entry.Kind != history.KindObject {
			continue
		}
		for _, k := range e.all() {
			if slices.Contains(k.refs, entry.Object) {
				k.touched[entry.Object] = true
			}
		}
		e.Install.Note(entry.Object)
	}
}

// AfterFound leaves out the first entry of each object that stays, which only says that it
// was there when the cell began.
func (e *Estate) AfterFound(entries []history.Entry) []history.Entry {
	found := map[history.Ref]bool{}
	return slices.DeleteFunc(slices.Clone(entries), func(entry history.Entry) bool {
		first := entry.Kind == history.KindObject && !found[entry.Object] && e.Keeps(func(r history.Ref) bool { return r == entry.Object })
		found[entry.Object] = true
		return first
	})
}

// look remembers what kept objects are like now.
func (e *Estate) look(ctx context.Context, k *kept) (err error) {
	for _, ref := range k.refs {
		if k.made[ref], err = e.Plane.Get(ctx, ref); err != nil {
			return err
		}
	}
	return nil
}

// untouched says whether the objects that cells wrote to are again as they were.
func (e *Estate) untouched(ctx context.Context, k *kept) (bool, error) {
	for ref := range k.touched {
		body, err := e.Plane.Get(ctx, ref)
		if err != nil {
			return false, err
		}
		if !bytes.Equal(body, k.made[ref]) {
			e.Logger.V(1).Info("What stays between cells is made anew", "because", ref.String())
			return false, nil
		}
	}
	clear(k.touched)
	return true, nil
}

// record records objects that the cell found as if actor had made them for
// it.
func (e *Estate) record(actor string, k *kept) error {
	for _, ref := range k.refs {
		if err := e.Plane.Tap().Found(actor, k.made[ref]); err != nil {
			return fmt.Errorf("recording %s: %w", ref, err)
		}
	}
	return nil
}

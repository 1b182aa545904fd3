package history

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// ErrNoBase says that an entry holds a patch for an object whose whole state
// the history never showed.
var ErrNoBase = errors.New("a patch for an object that was never seen whole")

// Object is what a history says of one object at the moment to which its
// [State] was folded. It must not be changed.
type Object struct {
	Ref Ref
	// Created is the virtual time of the first entry that showed the object,
	// Updated of the last one; Actor made the last one.
	Created, Updated float64
	Actor            string
	// CondemnedAt and CondemnedBy are when and by whom the deletion was asked for
	// of an object that may stay a while, with a metadata.deletionTimestamp;
	// CondemnedBy is empty if nobody has.
	CondemnedAt float64
	CondemnedBy string
	// Deleted says that the object is gone; its last state is kept. DeletedAt is
	// when, DeletedBy who asked for it.
	Deleted   bool
	DeletedAt float64
	DeletedBy string

	fields map[string]any
}

// Decode unmarshals the object's JSON into out.
func (o *Object) Decode(out any) error {
	raw, err := json.Marshal(o.fields)
	if err == nil {
		err = json.Unmarshal(raw, out)
	}
	if err != nil {
		return fmt.Errorf("decoding %s: %w", o.Ref, err)
	}
	return nil
}

// Field returns the value at a path of field names as encoding/json decodes it
// into an any, or nil when there is none.
func (o *Object) Field(path ...string) any {
	var at any = o.fields
	for _, name := range path {
		m, ok := at.(map[string]any)
		if !ok {
			return nil
		}
		at = m[name]
	}
	return at
}

// Text returns the string at a path of field names, or "".
func (o *Object) Text(path ...string) string {
	s, _ := o.Field(path...).(string)
	return s
}

// JSON returns the value at a path of field names as compact JSON with sorted
// keys, or "" when there is none.
func (o *Object) JSON(path ...string) string {
	v := o.Field(path...)
	if v == nil {
		return ""
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(raw)
}

// State is the objects of a history, folded from its entries in order. Entries
// that are no accepted writes leave it as it is.
type State struct {
	objects map[Ref]*Object
	kinds   map[string]*ofKind
	last    Entry
}

// ofKind are the objects of one kind, each in the version of its API in which it was
// written last.
type ofKind struct {
	latest map[key]*Object
	// sorted are the keys of latest in their order, but for those that were added since
	// they were asked for last.
	sorted, added []key
}

type key struct{ namespace, name string }

func compareKeys(a, b key) int {
	return cmp.Or(strings.Compare(a.namespace, b.namespace), strings.Compare(a.name, b.name))
}

// NewState returns a State without objects.
func NewState() *State {
	return &State{objects: map[Ref]*Object{}, kinds: map[string]*ofKind{}}
}

// set makes an object what its last write made of it.
func (s *State) set(o *Object) {
	s.objects[o.Ref] = o
	of := s.kinds[o.Ref.Kind]
	if of == nil {
		of = &ofKind{latest: map[key]*Object{}}
		s.kinds[o.Ref.Kind] = of
	}
	k := key{o.Ref.Namespace, o.Ref.Name}
	if of.latest[k] == nil {
		of.added = append(of.added, k)
	}
	of.latest[k] = o
}

// keys returns the keys in their order.
func (of *ofKind) keys() []key {
	if len(of.added) > 0 {
		of.sorted = append(of.sorted, of.added...)
		of.added = nil
		slices.SortFunc(of.sorted, compareKeys)
	}
	return of.sorted
}

// Apply folds the next entry in. An error that wraps [ErrNoBase] or says that a
// body or patch is no JSON object leaves the State as it was.
func (s *State) Apply(e Entry) error {
	if e.Kind != KindObject {
		s.last = e
		return nil
	}
	old := s.objects[e.Object]
	if e.Verb == VerbDelete {
		// An object may be deleted that was made before the history began.
		o := Object{Ref: e.Object, Created: e.T, fields: map[string]any{}}
		if old != nil {
			o = *old
		}
		if len(e.Patch) > 0 && old != nil {
			var patch map[string]any
			if err := json.Unmarshal(e.Patch, &patch); err != nil {
				return fmt.Errorf("entry %d: patch of %s: %w", e.Seq, e.Object, err)
			}
			o.fields = merge(o.fields, patch)
		}
		if o.CondemnedBy == "" {
			o.CondemnedAt, o.CondemnedBy = e.T, e.Actor
		}
		o.Deleted, o.DeletedAt, o.DeletedBy = true, e.T, o.CondemnedBy
		s.set(&o)
		s.last = e
		return nil
	}
	o := Object{Ref: e.Object, Created: e.T, Updated: e.T, Actor: e.Actor}
	switch {
	case len(e.Body) > 0:
		if err := json.Unmarshal(e.Body, &o.fields); err != nil {
			return fmt.Errorf("entry %d: body of %s: %w", e.Seq, e.Object, err)
		}
	case old == nil:
		return fmt.Errorf("entry %d: %s: %w", e.Seq, e.Object, ErrNoBase)
	default:
		o.fields = old.fields
	}
	if old != nil {
		// A write whose answer came after that of the deletion does not bring
		// the object back: a new one of the same name has another uid.
		same := len(e.Body) == 0 || o.Text("metadata", "uid") == old.Text("metadata", "uid") && o.Text("metadata", "uid") != ""
		if same && old.Deleted {
			o.Deleted, o.DeletedAt, o.DeletedBy = true, old.DeletedAt, old.DeletedBy
		}
		if same || !old.Deleted {
			o.Created, o.CondemnedAt, o.CondemnedBy = old.Created, old.CondemnedAt, old.CondemnedBy
		}
	}
	if len(e.Patch) > 0 {
		var patch map[string]any
		if err := json.Unmarshal(e.Patch, &patch); err != nil {
			return fmt.Errorf("entry %d: patch of %s: %w", e.Seq, e.Object, err)
		}
		o.fields = merge(o.fields, patch)
	}
	if o.CondemnedBy == "" && o.Text("metadata", "deletionTimestamp") != "" {
		o.CondemnedAt, o.CondemnedBy = e.T, e.Actor
	}
	s.set(&o)
	s.last = e
	return nil
}

// merge returns target with a merge patch (RFC 7386) applied; it shares what the
// patch leaves alone and changes neither.
func merge(target, patch map[string]any) map[string]any {
	out := make(map[string]any, len(target)+len(patch))
	maps.Copy(out, target)
	for name, value := range patch {
		switch v := value.(type) {
		case nil:
			delete(out, name)
		case map[string]any:
			inner, _ := out[name].(map[string]any)
			out[name] = merge(inner, v)
		default:
			out[name] = v
		}
	}
	return out
}

// MergePatch returns the merge patch (RFC 7386) that makes the JSON object to of the
// object from; it is empty if they are equal. A field that is null counts as one
// that is not there.
func MergePatch(from, to map[string]any) map[string]any {
	out := map[string]any{}
	for name, value := range to {
		old := from[name]
		if reflect.DeepEqual(old, value) {
			continue
		}
		before, wasObject := old.(map[string]any)
		after, isObject := value.(map[string]any)
		if !wasObject || !isObject {
			out[name] = value
			continue
		}
		if inner := MergePatch(before, after); len(inner) > 0 {
			out[name] = inner
		}
	}
	for name, value := range from {
		if _, ok := to[name]; !ok && value != nil {
			out[name] = nil
		}
	}
	return out
}

// T is the virtual time of the last entry that was folded in.
func (s *State) T() float64 { return s.last.T }

// Seq is the number of the last entry that was folded in.
func (s *State) Seq() int { return s.last.Seq }

// Get returns an object, deleted or not. A ref without an APIVersion finds the
// object in whichever version of its API it was written last. It is nil when
// the history never showed the object.
func (s *State) Get(ref Ref) *Object {
	if ref.APIVersion != "" {
		return s.objects[ref]
	}
	of := s.kinds[ref.Kind]
	if of == nil {
		return nil
	}
	return of.latest[key{ref.Namespace, ref.Name}]
}

// Live returns an object that exists; nil when it does not.
func (s *State) Live(kind, namespace, name string) *Object {
	o := s.Get(Ref{Kind: kind, Namespace: namespace, Name: name})
	if o == nil || o.Deleted {
		return nil
	}
	return o
}

// List returns the objects of a kind that exist, by namespace and name. An object
// that was written in several versions of its API is listed once.
func (s *State) List(kind string) []*Object {
	return slices.DeleteFunc(s.All(kind), func(o *Object) bool { return o.Deleted })
}

// All is List with the deleted objects.
func (s *State) All(kind string) []*Object {
	of := s.kinds[kind]
	if of == nil {
		return nil
	}
	out := make([]*Object, 0, len(of.latest))
	for _, k := range of.keys() {
		out = append(out, of.latest[k])
	}
	return out
}

// Replay folds entries one after the other and calls visit after each with the
// state as of then; before is what the entry's object was until then, nil if
// there was none. visit may be nil. Replay gives the last state.
func Replay(entries []Entry, visit func(e Entry, before *Object, s *State)) (*State, error) {
	s := NewState()
	for _, e := range entries {
		before := s.objects[e.Object]
		if err := s.Apply(e); err != nil {
			return s, fmt.Errorf("folding the history: %w", err)
		}
		if visit != nil {
			visit(e, before, s)
		}
	}
	return s, nil
}

// AsOf returns the state after the entry numbered seq.
func AsOf(entries []Entry, seq int) (*State, error) {
	n := 0
	for n < len(entries) && entries[n].Seq <= seq {
		n++
	}
	return Replay(entries[:n], nil)
}

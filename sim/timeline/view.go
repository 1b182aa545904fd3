package timeline

import (
	"bytes"
	"cmp"
	"encoding/json"
	"reflect"
	"slices"
	"sort"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/internal/tree"
	"simctl.dev/simctl/sim/wellknown"
)

// View is the objects of a history as they were at one moment.
type View struct {
	t *Timeline
	// n is how many entries it takes in, before the number of the one after them.
	n, before int
}

// Before is the objects as they were before an entry.
func (t *Timeline) Before(seq int) *View {
	return &View{t: t, n: t.place(seq), before: seq}
}

// Now is the objects as they are after all entries that were read.
func (t *Timeline) Now() *View {
	return &View{t: t, n: len(t.entries), before: t.End()}
}

// AsOf is the number of the last entry that the view takes in; 0 if there is none.
func (v *View) AsOf() int {
	if v.n == 0 {
		return 0
	}
	return v.t.entries[v.n-1].Seq
}

// Get returns an object, deleted or not, in whichever version of its API it was written
// last. It is nil when it had not been seen yet.
func (v *View) Get(kind, namespace, name string) *history.Object {
	return v.object(v.t.index.byRef[history.Ref{Kind: kind, Namespace: namespace, Name: name}])
}

// Live returns an object that exists; nil when it does not.
func (v *View) Live(kind, namespace, name string) *history.Object {
	o := v.Get(kind, namespace, name)
	if o == nil || o.Deleted {
		return nil
	}
	return o
}

// All returns the objects of a kind, deleted or not, by namespace and name.
func (v *View) All(kind string) []*history.Object { return v.objects(v.t.index.sorted(kind)) }

// List returns the objects of a kind that exist, by namespace and name.
func (v *View) List(kind string) []*history.Object { return living(v.All(kind)) }

// In returns the objects of a kind that exist in a namespace, by name.
func (v *View) In(kind, namespace string) []*history.Object {
	all := v.t.index.sorted(kind)
	from := sort.Search(len(all), func(i int) bool { return all[i].ref.Namespace >= namespace })
	to := sort.Search(len(all), func(i int) bool { return all[i].ref.Namespace > namespace })
	return living(v.objects(all[from:to]))
}

// Named returns the objects of a kind and a name that exist, by namespace.
func (v *View) Named(kind, name string) []*history.Object {
	return living(v.objects(sortedTracks(v.t.index.named[history.Ref{Kind: kind, Name: name}])))
}

// OfRun returns the objects of a kind that have the label of a PipelineRun, deleted or
// not, by name.
func (v *View) OfRun(kind, namespace, run string) []*history.Object {
	return slices.DeleteFunc(v.objects(sortedTracks(v.t.index.ofRun[ofRun{kind, namespace, run}])), func(o *history.Object) bool {
		return o.Text("metadata", "labels", wellknown.PipelineRunLabel) != run
	})
}

// OwnedBy returns the objects of a kind that have an owner, deleted or not, by name.
func (v *View) OwnedBy(kind string, owner history.Ref) []*history.Object {
	owner.APIVersion = ""
	return slices.DeleteFunc(v.objects(sortedTracks(v.t.index.owned[owned{kind, owner}])), func(o *history.Object) bool {
		return MetaOf(o).OwnedBy(owner.Kind, "") != owner.Name
	})
}

// WithUID returns the object of a kind with a UID, deleted or not; nil without one.
func (v *View) WithUID(kind, uid string) *history.Object {
	for _, o := range v.objects(sortedTracks(v.t.index.uids[uid])) {
		if o.Ref.Kind == kind && o.Text("metadata", "uid") == uid {
			return o
		}
	}
	return nil
}

// Attachments returns the VolumeAttachments of a PersistentVolume that exist, by name.
func (v *View) Attachments(volume string) []*history.Object {
	return living(v.objects(sortedTracks(v.t.index.attachments[volume])))
}

// EventsAbout returns the Event objects about an object, deleted or not, by name. One
// object stands for all occurrences of the same, with how often; [Timeline.EventsAbout]
// has each.
func (v *View) EventsAbout(kind, namespace, name string) []*history.Object {
	return v.objects(sortedTracks(v.t.index.aboutObject[history.Ref{Kind: kind, Namespace: namespace, Name: name}]))
}

// FeatureFlags returns Tekton's ConfigMap feature-flags; nil without one.
func (v *View) FeatureFlags() *history.Object {
	if all := v.Named("ConfigMap", wellknown.FeatureFlags); len(all) > 0 {
		return all[0]
	}
	return nil
}

// PodsOn returns the pods that exist on a node, by namespace and name.
func (v *View) PodsOn(node string) []*Pod { return v.pods(v.t.index.podsOn[node]) }

// PodsOfClaim returns the pods that exist and mount a claim, by name.
func (v *View) PodsOfClaim(namespace, claim string) []*Pod {
	return v.pods(v.t.index.podsOfClaim[name{namespace, claim}])
}

// PodsThatHad returns the pods that mounted a claim and are gone, in the order in which they
// were made.
func (v *View) PodsThatHad(namespace, claim string) []*Pod {
	return slices.DeleteFunc(slices.Clone(v.t.index.podsOfClaim[name{namespace, claim}]), func(p *Pod) bool {
		return p.GoneSeq == 0 || p.GoneSeq >= v.before
	})
}

// PodsSelected returns the pods that exist in a namespace and that a selector takes, by
// name; none if it cannot be read.
func (v *View) PodsSelected(namespace string, selector *metav1.LabelSelector) []*Pod {
	sel, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil || selector == nil {
		return nil
	}
	var few []*Pod
	for k, value := range selector.MatchLabels {
		if with := v.t.index.podsLabelled[name{namespace, k + "=" + value}]; few == nil || len(with) < len(few) {
			if few = with; len(few) == 0 {
				return nil
			}
		}
	}
	if len(selector.MatchLabels) == 0 {
		few = v.t.index.podsIn[namespace]
	}
	return slices.DeleteFunc(v.pods(few), func(p *Pod) bool {
		o := v.Live("Pod", p.Namespace, p.Name)
		return o == nil || !sel.Matches(labels.Set(MetaOf(o).Labels))
	})
}

// pods are those that exist, by namespace and name.
func (v *View) pods(all []*Pod) []*Pod {
	var out []*Pod
	for _, p := range all {
		if p.CreatedSeq < v.before && (p.GoneSeq == 0 || p.GoneSeq >= v.before) {
			out = append(out, p)
		}
	}
	slices.SortStableFunc(out, func(a, b *Pod) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
	})
	return out
}

func living(all []*history.Object) []*history.Object {
	return slices.DeleteFunc(all, func(o *history.Object) bool { return o.Deleted })
}

// Decode unmarshals an object that exists, the same one once; false when it does not or
// has another form. It must not be changed.
func Decode[T any](v *View, kind, namespace, name string) (*T, bool) {
	return DecodeObject[T](v, v.Live(kind, namespace, name))
}

// DecodeObject is Decode for one of the view's objects, which may be nil.
func DecodeObject[T any](v *View, o *history.Object) (*T, bool) {
	if o == nil {
		return nil, false
	}
	k := decoding{o, reflect.TypeFor[T]()}
	if had, ok := v.t.index.decoded[k]; ok {
		out, _ := had.(*T)
		return out, out != nil
	}
	out := new(T)
	if o.Decode(out) != nil {
		out = nil
	}
	v.t.index.decoded[k] = out
	return out, out != nil
}

type decoding struct {
	of *history.Object
	to reflect.Type
}

// LastWrite is the last write before an entry of an object that was accepted; nil without
// one.
func (t *Timeline) LastWrite(o history.Ref, before int) *history.Entry {
	o.APIVersion = ""
	tr := t.index.byRef[o]
	if tr == nil {
		return nil
	}
	if n := tr.count(t.place(before)); n > 0 {
		return &t.entries[tr.at[n-1]]
	}
	return nil
}

// LastWriteBy is the last write of an object by one whom by takes; nil without one.
func (t *Timeline) LastWriteBy(o history.Ref, by func(actor string) bool) *history.Entry {
	o.APIVersion = ""
	if tr := t.index.byRef[o]; tr != nil {
		for _, at := range slices.Backward(tr.at) {
			if e := &t.entries[at]; by(e.Actor) {
				return e
			}
		}
	}
	return nil
}

// Deletions are the times that an object was gone, in order.
func (t *Timeline) Deletions(o history.Ref) []history.Entry {
	o.APIVersion = ""
	var out []history.Entry
	if tr := t.index.byRef[o]; tr != nil {
		for _, at := range tr.at {
			if t.entries[at].Verb == history.VerbDelete {
				out = append(out, t.entries[at])
			}
		}
	}
	return out
}

// LastChange is the last write before an entry that changed a field of an object; nil if
// it is as it was made.
func (t *Timeline) LastChange(o history.Ref, before int, field ...string) *history.Entry {
	o.APIVersion = ""
	tr := t.index.byRef[o]
	if tr == nil {
		return nil
	}
	changes := tr.changesOf(t.entries, field)
	if n, _ := slices.BinarySearch(changes, t.place(before)); n > 0 {
		return &t.entries[changes[n-1]]
	}
	return nil
}

// track is one object through the history, in whichever version of its API.
type track struct {
	ref history.Ref
	// at are the places of its writes; last is what it is after the last of them.
	at   []int
	last *history.Object
	// folded is what it was after each, as far as anybody asked, folding how far it is.
	folded  []*history.Object
	folding *history.State
	changes map[string]*changes
}

// changes are the places of the writes that changed a field, of those that were looked at.
type changes struct {
	looked int
	at     []int
}

// count is how many of its writes are among the first n entries.
func (tr *track) count(n int) int {
	i, _ := slices.BinarySearch(tr.at, n)
	return i
}

// object is a track's object at the view's moment.
func (v *View) object(tr *track) *history.Object {
	if tr == nil {
		return nil
	}
	n := tr.count(v.n)
	switch n {
	case 0:
		return nil
	case len(tr.at):
		return tr.last
	}
	if tr.folding == nil {
		tr.folding = history.NewState()
	}
	for len(tr.folded) < n {
		// It could be folded when it was read.
		_ = tr.folding.Apply(v.t.entries[tr.at[len(tr.folded)]])
		tr.folded = append(tr.folded, tr.folding.Get(tr.ref))
	}
	return tr.folded[n-1]
}

func (v *View) objects(all []*track) []*history.Object {
	var out []*history.Object
	for _, tr := range all {
		if o := v.object(tr); o != nil {
			out = append(out, o)
		}
	}
	return out
}

func (tr *track) changesOf(entries []history.Entry, field []string) []int {
	path := strings.Join(field, "\x00")
	c := tr.changes[path]
	if c == nil {
		if tr.changes == nil {
			tr.changes = map[string]*changes{}
		}
		c = &changes{}
		tr.changes[path] = c
	}
	for ; c.looked < len(tr.at); c.looked++ {
		at := tr.at[c.looked]
		var patch map[string]any
		if raw := entries[at].Patch; len(raw) == 0 || json.Unmarshal(raw, &patch) != nil {
			continue
		}
		// Where the field was taken out its value is null, so that what holds it is asked.
		if _, ok := tree.Map(patch, field[:len(field)-1]...)[field[len(field)-1]]; ok {
			c.at = append(c.at, at)
		}
	}
	return c.at
}

// objects is where objects are found.
type objects struct {
	byRef map[history.Ref]*track
	kinds map[string]*tracks
	// named are tracks by kind and name, attachments VolumeAttachments by their volume.
	named       map[history.Ref][]*track
	ofRun       map[ofRun][]*track
	owned       map[owned][]*track
	attachments map[string][]*track
	uids        map[string][]*track
	// aboutObject are Events by what they are about.
	aboutObject map[history.Ref][]*track
	decoded     map[decoding]any
}

type (
	ofRun struct{ kind, namespace, run string }
	owned struct {
		kind  string
		owner history.Ref
	}
	// tracks are those of a kind, in order up to the first so many.
	tracks struct {
		all     []*track
		ordered int
	}
)

func newObjects() objects {
	return objects{
		byRef: map[history.Ref]*track{}, kinds: map[string]*tracks{}, named: map[history.Ref][]*track{}, ofRun: map[ofRun][]*track{},
		owned: map[owned][]*track{}, attachments: map[string][]*track{}, uids: map[string][]*track{}, aboutObject: map[history.Ref][]*track{}, decoded: map[decoding]any{},
	}
}

// sorted returns the tracks of a kind by namespace and name.
func (x *objects) sorted(kind string) []*track {
	of := x.kinds[kind]
	if of == nil {
		return nil
	}
	if of.ordered < len(of.all) {
		of.all = sortedTracks(of.all)
		of.ordered = len(of.all)
	}
	return of.all
}

func sortedTracks(all []*track) []*track {
	out := slices.Clone(all)
	slices.SortFunc(out, func(a, b *track) int {
		return cmp.Or(strings.Compare(a.ref.Namespace, b.ref.Namespace), strings.Compare(a.ref.Name, b.ref.Name))
	})
	return out
}

// write takes in a write that was accepted, at a place in the history, with what it made
// of the object.
func (x *objects) write(at int, e history.Entry, now *history.Object) {
	ref := e.Object
	ref.APIVersion = ""
	tr := x.byRef[ref]
	if tr == nil {
		tr = &track{ref: ref}
		x.byRef[ref] = tr
		if x.kinds[ref.Kind] == nil {
			x.kinds[ref.Kind] = &tracks{}
		}
		of := x.kinds[ref.Kind]
		of.all = append(of.all, tr)
		n := history.Ref{Kind: ref.Kind, Name: ref.Name}
		x.named[n] = append(x.named[n], tr)
	}
	tr.at, tr.last = append(tr.at, at), now
	if len(e.Body) > 0 || bytes.Contains(e.Patch, []byte("ownerReferences")) || bytes.Contains(e.Patch, []byte("labels")) {
		if uid := now.Text("metadata", "uid"); uid != "" {
			put(x.uids, uid, tr)
		}
		m := MetaOf(now)
		if run := m.Labels[wellknown.PipelineRunLabel]; run != "" {
			put(x.ofRun, ofRun{ref.Kind, ref.Namespace, run}, tr)
		}
		for _, o := range m.OwnerReferences {
			put(x.owned, owned{ref.Kind, history.Ref{Kind: o.Kind, Namespace: ref.Namespace, Name: o.Name}}, tr)
		}
	}
	if ref.Kind == "Event" && len(e.Body) > 0 {
		put(x.aboutObject, eventOf(now).About(), tr)
	}
	if ref.Kind == "VolumeAttachment" {
		put(x.attachments, now.Text("spec", "source", "persistentVolumeName"), tr)
	}
}

// put adds a track to those under a key, once.
func put[K comparable](m map[K][]*track, k K, tr *track) {
	if !slices.Contains(m[k], tr) {
		m[k] = append(m[k], tr)
	}
}

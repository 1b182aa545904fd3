package timeline

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/wellknown"
)

// recorded are the histories that verdicts are tested with.
func recorded(t *testing.T) map[string][]history.Entry {
	t.Helper()
	files, err := filepath.Glob("../verdict/testdata/*.jsonl*")
	if err != nil || len(files) < 40 {
		t.Fatalf("%d histories: %v", len(files), err)
	}
	out := map[string][]history.Entry{}
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		var in io.Reader = f
		if strings.HasSuffix(file, ".gz") {
			if in, err = gzip.NewReader(f); err != nil {
				t.Fatal(err)
			}
		}
		entries, err := history.Read(in)
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.Base(file)] = entries
	}
	return out
}

// A view must show what folding the entries up to its moment shows, at any moment and in
// whichever order it is asked.
func TestViewsAreWhatFoldingShows(t *testing.T) {
	for file, entries := range recorded(t) {
		t.Run(file, func(t *testing.T) {
			tl, err := Read(entries)
			if err != nil {
				t.Fatal(err)
			}
			last := entries[len(entries)-1].Seq
			const moments = 5
			for i := range moments {
				seq := 1 + (i*3%moments)*last/(moments-1)
				want, err := history.AsOf(entries, seq-1)
				if err != nil {
					t.Fatal(err)
				}
				same(t, tl.Before(seq), want, entries)
			}
			now, err := history.Replay(entries, nil)
			if err != nil {
				t.Fatal(err)
			}
			same(t, tl.Now(), now, entries)
		})
	}
}

// same holds a view to a state.
func same(t *testing.T, v *View, want *history.State, entries []history.Entry) {
	t.Helper()
	if v.AsOf() != want.Seq() {
		t.Fatalf("as of entry %d, want %d", v.AsOf(), want.Seq())
	}
	asked := map[string]bool{}
	once := func(what ...string) bool {
		k := strings.Join(what, " ")
		was := asked[k]
		asked[k] = true
		return !was
	}
	kinds := map[string]bool{}
	for _, e := range entries {
		kinds[e.Object.Kind] = true
	}
	for kind := range kinds {
		all := want.All(kind)
		equal(t, "all of "+kind, v.All(kind), all)
		equal(t, "list of "+kind, v.List(kind), want.List(kind))
		for _, o := range all {
			equal(t, "get", []*history.Object{v.Get(kind, o.Ref.Namespace, o.Ref.Name)}, []*history.Object{o})
			only := func(take func(*history.Object) bool) []*history.Object {
				return slices.DeleteFunc(slices.Clone(all), func(o *history.Object) bool { return !take(o) })
			}
			if once(kind, "in", o.Ref.Namespace) {
				equal(t, "in "+o.Ref.Namespace, v.In(kind, o.Ref.Namespace), only(func(x *history.Object) bool { return !x.Deleted && x.Ref.Namespace == o.Ref.Namespace }))
			}
			equal(t, "named "+o.Ref.Name, v.Named(kind, o.Ref.Name), only(func(x *history.Object) bool { return !x.Deleted && x.Ref.Name == o.Ref.Name }))
			if run := o.Text("metadata", "labels", wellknown.PipelineRunLabel); run != "" && once(kind, "of", o.Ref.Namespace, run) {
				equal(t, "of run "+run, v.OfRun(kind, o.Ref.Namespace, run), only(func(x *history.Object) bool {
					return x.Ref.Namespace == o.Ref.Namespace && x.Text("metadata", "labels", wellknown.PipelineRunLabel) == run
				}))
			}
			for _, owner := range MetaOf(o).OwnerReferences {
				equal(t, "owned by "+owner.Name, v.OwnedBy(kind, history.Ref{Kind: owner.Kind, Namespace: o.Ref.Namespace, Name: owner.Name}), only(func(x *history.Object) bool {
					return x.Ref.Namespace == o.Ref.Namespace && slices.Contains(MetaOf(x).OwnerReferences, owner)
				}))
			}
			if uid := o.Text("metadata", "uid"); uid != "" {
				if found := v.WithUID(kind, uid); found == nil || found.Text("metadata", "uid") != uid {
					t.Errorf("with UID %s: %v", uid, found)
				}
			}
			if kind == "VolumeAttachment" {
				pv := o.Text("spec", "source", "persistentVolumeName")
				equal(t, "attachments of "+pv, v.Attachments(pv), only(func(x *history.Object) bool {
					return !x.Deleted && x.Text("spec", "source", "persistentVolumeName") == pv
				}))
			}
			if kind == "Pod" {
				podsAs(t, v, o, want.List(kind))
			}
		}
	}
}

// podsAs holds the ways in which pods are found to going through them all.
func podsAs(t *testing.T, v *View, o *history.Object, all []*history.Object) {
	t.Helper()
	check := func(what string, got []*Pod, take func(*history.Object) bool) {
		t.Helper()
		var want, have []string
		for _, p := range all {
			if take(p) {
				want = append(want, p.Ref.Namespace+"/"+p.Ref.Name)
			}
		}
		for _, p := range got {
			have = append(have, p.Namespace+"/"+p.Name)
		}
		if !slices.Equal(have, want) {
			t.Errorf("before entry %d, pods %s: %v, want %v", v.before, what, have, want)
		}
	}
	near := func(p *history.Object) bool { return p.Ref.Namespace == o.Ref.Namespace }
	if node := o.Text("spec", "nodeName"); node != "" {
		check("on "+node, slices.DeleteFunc(v.PodsOn(node), func(p *Pod) bool { return p.BoundSeq >= v.before }), func(p *history.Object) bool { return p.Text("spec", "nodeName") == node })
	}
	for _, claim := range ClaimsOf(o) {
		check("of claim "+claim, v.PodsOfClaim(o.Ref.Namespace, claim), func(p *history.Object) bool { return near(p) && slices.Contains(ClaimsOf(p), claim) })
	}
	own := MetaOf(o).Labels
	check("with its labels", v.PodsSelected(o.Ref.Namespace, &metav1.LabelSelector{MatchLabels: own}), func(p *history.Object) bool {
		return near(p) && labels.SelectorFromSet(own).Matches(labels.Set(MetaOf(p).Labels))
	})
	for k, value := range own {
		check("with "+k, v.PodsSelected(o.Ref.Namespace, &metav1.LabelSelector{MatchLabels: map[string]string{k: value}}), func(p *history.Object) bool {
			return near(p) && MetaOf(p).Labels[k] == value
		})
		check("that have "+k, v.PodsSelected(o.Ref.Namespace, &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: k, Operator: metav1.LabelSelectorOpExists}}}), func(p *history.Object) bool {
			_, has := MetaOf(p).Labels[k]
			return near(p) && has
		})
	}
	check("of no selector", v.PodsSelected(o.Ref.Namespace, nil), func(*history.Object) bool { return false })
}

func equal(t *testing.T, what string, got, want []*history.Object) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d objects, want %d", what, len(got), len(want))
	}
	for i := range want {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Fatalf("%s: %+v, want %+v", what, got[i], want[i])
		}
	}
}

// A timeline that grows with a cell is the one that is read at its end.
func TestAddIsRead(t *testing.T) {
	for file, entries := range recorded(t) {
		grown := New()
		for from := 0; from < len(entries); from += 7 {
			if err := grown.Add(entries[from:min(from+7, len(entries))]...); err != nil {
				t.Fatal(err)
			}
			// To be asked in between must not show later.
			grown.Now().List("Pod")
			grown.Before(grown.End() - 3).All("TaskRun")
			grown.LastChange(history.Ref{Kind: "Node", Name: "node-1"}, grown.End(), "spec", "taints")
		}
		read, err := Read(entries)
		if err != nil {
			t.Fatal(err)
		}
		for what, of := range map[string]func(*Timeline) any{
			"runs": func(t *Timeline) any { return t.Runs }, "TaskRuns": func(t *Timeline) any { return t.TaskRuns },
			"pods": func(t *Timeline) any { return t.Pods }, "events": func(t *Timeline) any { return t.Events },
			"rest": func(t *Timeline) any {
				return []any{t.Refused, t.Logs, t.Stalls, t.Starts, t.Exits, t.Interventions, t.MadeUp, t.Remade, t.Attached, t.Detached, t.Finished}
			},
		} {
			if !reflect.DeepEqual(of(grown), of(read)) {
				t.Errorf("%s: the %s differ", file, what)
			}
		}
		for kind := range map[string]bool{"Pod": true, "TaskRun": true, "Node": true} {
			equal(t, file, grown.Now().All(kind), read.Now().All(kind))
		}
	}
}

// LastChange goes by the writes that changed a field, LastWrite by all.
func TestLastChange(t *testing.T) {
	node := history.Ref{Kind: "Node", Name: "a"}
	write := func(seq int, verb, raw string) history.Entry {
		e := history.Entry{Seq: seq, T: float64(seq), Kind: history.KindObject, Verb: verb, Object: node, Actor: "user"}
		if verb == history.VerbCreate {
			e.Body = json.RawMessage(raw)
		} else if raw != "" {
			e.Patch = json.RawMessage(raw)
		}
		return e
	}
	tl, err := Read([]history.Entry{
		write(1, history.VerbCreate, `{"spec":{"taints":[]}}`), write(2, history.VerbUpdate, `{"spec":{"taints":[{"key":"k"}]}}`),
		write(3, history.VerbUpdate, `{"status":{"phase":"x"}}`), write(4, history.VerbUpdate, `{"spec":{"taints":null}}`), write(5, history.VerbDelete, ""),
	})
	if err != nil {
		t.Fatal(err)
	}
	seq := func(e *history.Entry) int {
		if e == nil {
			return 0
		}
		return e.Seq
	}
	for before, want := range map[int][2]int{1: {0, 0}, 2: {0, 1}, 3: {2, 2}, 4: {2, 3}, 5: {4, 4}, 6: {4, 5}, 9: {4, 5}} {
		if got := [2]int{seq(tl.LastChange(node, before, "spec", "taints")), seq(tl.LastWrite(node, before))}; got != want {
			t.Errorf("before entry %d: %v, want %v", before, got, want)
		}
	}
	if e := tl.LastChange(history.Ref{Kind: "Node", Name: "b"}, 9, "spec"); e != nil {
		t.Errorf("of a node that was never there: %v", e)
	}
	if o := tl.Before(3).Live("Node", "", "a"); o == nil || o.JSON("spec", "taints") != `[{"key":"k"}]` {
		t.Errorf("before entry 3: %v", o)
	}
	if o := tl.Now().Live("Node", "", "a"); o != nil {
		t.Errorf("it is gone: %v", o)
	}
}

package history

import (
	"encoding/json"
	"errors"
	"testing"
)

func write(seq int, t float64, verb string, ref Ref, body, patch string) Entry {
	return Entry{Seq: seq, T: t, Kind: KindObject, Actor: "user", Verb: verb, Object: ref, Body: json.RawMessage(body), Patch: json.RawMessage(patch)}
}

func TestStateFoldsObjects(t *testing.T) {
	pod := Ref{APIVersion: "v1", Kind: "Pod", Namespace: "ns", Name: "a"}
	s := NewState()
	for _, e := range []Entry{
		write(1, 0, VerbCreate, pod, `{"metadata":{"uid":"1","labels":{"a":"1","b":"2"}},"spec":{"volumes":[1,2]}}`, ""),
		write(2, 1, VerbUpdate, pod, "", `{"metadata":{"labels":{"a":null,"c":"3"}},"spec":{"volumes":[3]},"status":{"phase":"Pending"}}`),
		{Seq: 3, T: 2, Kind: KindFact, Object: pod, Fact: FactPodAdmitted},
		write(4, 3, VerbBind, pod, "", `{"spec":{"nodeName":"n0"}}`),
	} {
		if err := s.Apply(e); err != nil {
			t.Fatal(err)
		}
	}
	o := s.Live("Pod", "ns", "a")
	if o == nil {
		t.Fatal("the pod is not there")
	}
	if got, want := o.JSON("metadata", "labels"), `{"b":"2","c":"3"}`; got != want {
		t.Errorf("labels %s, want %s", got, want)
	}
	if got, want := o.JSON("spec"), `{"nodeName":"n0","volumes":[3]}`; got != want {
		t.Errorf("spec %s, want %s", got, want)
	}
	if o.Created != 0 || o.Updated != 3 {
		t.Errorf("created at %v and updated at %v, want 0 and 3", o.Created, o.Updated)
	}
	if got := o.Text("status", "phase"); got != "Pending" {
		t.Errorf("phase %q", got)
	}
	if got := o.Field("status", "phase", "deeper"); got != nil {
		t.Errorf("a field below a string is %v", got)
	}
	if s.T() != 3 || s.Seq() != 4 {
		t.Errorf("the state stands at %v, entry %d", s.T(), s.Seq())
	}
}

// TestStateOfADeletion: what a deletion changed of an object is in its last state, and
// one of an object from before the history has none.
func TestStateOfADeletion(t *testing.T) {
	pod := Ref{APIVersion: "v1", Kind: "Pod", Namespace: "ns", Name: "a"}
	unseen := Ref{APIVersion: "v1", Kind: "Pod", Namespace: "ns", Name: "b"}
	const patch = `{"metadata":{"deletionTimestamp":"2100-01-01T00:00:05Z","deletionGracePeriodSeconds":0}}`
	var before *Object
	s, err := Replay([]Entry{
		write(1, 0, VerbCreate, pod, `{"metadata":{"uid":"1"}}`, ""),
		write(2, 5, VerbDelete, pod, "", patch),
		write(3, 5, VerbDelete, unseen, "", patch),
	}, func(e Entry, was *Object, _ *State) {
		if e.Seq == 2 {
			before = was
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Get(pod).JSON("metadata"); got != `{"deletionGracePeriodSeconds":0,"deletionTimestamp":"2100-01-01T00:00:05Z","uid":"1"}` || !s.Get(pod).Deleted {
		t.Errorf("the last state has %s", got)
	}
	if got := before.JSON("metadata"); got != `{"uid":"1"}` {
		t.Errorf("the state before has become %s", got)
	}
	if err := s.Apply(write(4, 6, VerbDelete, pod, "", `no`)); err == nil {
		t.Error("a patch that is no JSON was taken")
	}
}

func TestStateRemembersTheDeleted(t *testing.T) {
	pod := Ref{APIVersion: "v1", Kind: "Pod", Namespace: "ns", Name: "a"}
	entries := []Entry{
		write(1, 0, VerbCreate, pod, `{"metadata":{"uid":"1"},"status":{"phase":"Running"}}`, ""),
		write(2, 5, VerbUpdate, pod, "", `{"metadata":{"deletionTimestamp":"2100-01-01T00:00:05Z"}}`),
		write(3, 6, VerbDelete, pod, "", ""),
		// Two answers that came too late.
		write(4, 6, VerbUpdate, pod, `{"metadata":{"uid":"1"},"status":{"phase":"Failed"}}`, ""),
		write(5, 6, VerbUpdate, pod, "", `{"status":{"reason":"late"}}`),
		write(6, 9, VerbCreate, pod, `{"metadata":{"uid":"2"}}`, ""),
	}
	alive := []bool{true, true, false, false, false, true}
	for i, want := range alive {
		s, err := AsOf(entries, i+1)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Live("Pod", "ns", "a") != nil; got != want {
			t.Errorf("after entry %d: alive %v, want %v", i+1, got, want)
		}
		if got := len(s.List("Pod")) == 1; got != want {
			t.Errorf("after entry %d: listed %v, want %v", i+1, got, want)
		}
		if len(s.All("Pod")) != 1 {
			t.Errorf("after entry %d: the pod is forgotten", i+1)
		}
	}
	s, err := AsOf(entries, 5)
	if err != nil {
		t.Fatal(err)
	}
	o := s.Get(pod)
	if o.DeletedAt != 6 || o.DeletedBy != "user" || o.Text("status", "phase") != "Failed" || o.Text("status", "reason") != "late" {
		t.Errorf("deleted at %v by %q with status %s", o.DeletedAt, o.DeletedBy, o.JSON("status"))
	}
	s, err = AsOf(entries, 6)
	if err != nil {
		t.Fatal(err)
	}
	if o := s.Get(pod); o.Created != 9 || o.Text("metadata", "uid") != "2" {
		t.Errorf("the new pod was created at %v with uid %q", o.Created, o.Text("metadata", "uid"))
	}
}

func TestStateKnowsVersionsOfOneObject(t *testing.T) {
	old := Ref{APIVersion: "tekton.dev/v1beta1", Kind: "TaskRun", Namespace: "ns", Name: "a"}
	cur := Ref{APIVersion: "tekton.dev/v1", Kind: "TaskRun", Namespace: "ns", Name: "a"}
	s, err := Replay([]Entry{
		write(1, 0, VerbCreate, old, `{"spec":{"v":1}}`, ""),
		write(2, 1, VerbUpdate, cur, `{"spec":{"v":2}}`, ""),
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Live("TaskRun", "ns", "a").JSON("spec", "v"); got != "2" {
		t.Errorf("v is %s, want the one written last", got)
	}
	if n := len(s.List("TaskRun")); n != 1 {
		t.Errorf("listed %d times", n)
	}
	if got := s.Get(old).JSON("spec", "v"); got != "1" {
		t.Errorf("v of the old version is %s", got)
	}
}

func TestStateRefusesWhatItCannotFold(t *testing.T) {
	ref := Ref{Kind: "Pod", Name: "a"}
	s := NewState()
	if err := s.Apply(write(1, 0, VerbUpdate, ref, "", `{"a":1}`)); !errors.Is(err, ErrNoBase) {
		t.Errorf("a patch without a base: %v", err)
	}
	if err := s.Apply(write(2, 0, VerbUpdate, ref, `[1]`, "")); err == nil {
		t.Error("a body that is no object was taken")
	}
	if err := s.Apply(write(3, 0, VerbCreate, ref, `{"a":1}`, "")); err != nil {
		t.Fatal(err)
	}
	if err := s.Apply(write(4, 0, VerbUpdate, ref, "", `"no"`)); err == nil {
		t.Error("a patch that is no object was taken")
	}
	if got := s.Get(ref).JSON("a"); got != "1" {
		t.Errorf("a refused patch left a as %s", got)
	}
}

func TestReplayShowsWhatWasBefore(t *testing.T) {
	ref := Ref{Kind: "Pod", Name: "a"}
	var seen []string
	_, err := Replay([]Entry{
		write(1, 0, VerbCreate, ref, `{"v":1}`, ""),
		write(2, 0, VerbUpdate, ref, "", `{"v":2}`),
	}, func(_ Entry, before *Object, s *State) {
		was := ""
		if before != nil {
			was = before.JSON("v")
		}
		seen = append(seen, was+">"+s.Get(ref).JSON("v"))
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(seen) != 2 || seen[0] != ">1" || seen[1] != "1>2" {
		t.Errorf("seen %q", seen)
	}
}

func TestMergePatch(t *testing.T) {
	for name, c := range map[string]struct{ from, to, want string }{
		"equal":                      {`{"a":{"b":1},"c":[1]}`, `{"a":{"b":1},"c":[1]}`, `{}`},
		"a value":                    {`{"a":{"b":1,"c":2}}`, `{"a":{"b":1,"c":3}}`, `{"a":{"c":3}}`},
		"a field more":               {`{"a":1}`, `{"a":1,"b":{"c":1}}`, `{"b":{"c":1}}`},
		"a field less":               {`{"a":{"b":1,"c":2}}`, `{"a":{"b":1}}`, `{"a":{"c":null}}`},
		"a list is one value":        {`{"a":[1,2]}`, `{"a":[1]}`, `{"a":[1]}`},
		"an object for a value":      {`{"a":1}`, `{"a":{"b":1}}`, `{"a":{"b":1}}`},
		"a value for an object":      {`{"a":{"b":1}}`, `{"a":1}`, `{"a":1}`},
		"an empty object":            {`{"a":{"b":1}}`, `{"a":{}}`, `{"a":{"b":null}}`},
		"null is as good as nothing": {`{"a":null}`, `{"b":null}`, `{}`},
		"null for a value":           {`{"a":1}`, `{"a":null}`, `{"a":null}`},
	} {
		t.Run(name, func(t *testing.T) {
			object := func(raw string) map[string]any {
				var o map[string]any
				if err := json.Unmarshal([]byte(raw), &o); err != nil {
					t.Fatal(err)
				}
				return o
			}
			from, to := object(c.from), object(c.to)
			patch := MergePatch(from, to)
			if got, err := json.Marshal(patch); err != nil || string(got) != c.want {
				t.Errorf("got %s, want %s (%v)", got, c.want, err)
			}
			if again := MergePatch(merge(from, patch), to); len(again) > 0 {
				t.Errorf("what the patch makes still differs by %v", again)
			}
		})
	}
}

// TestStateKnowsWhoAsked has an object go later than it was to, by somebody else.
func TestStateKnowsWhoAsked(t *testing.T) {
	claim := Ref{APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: "ns", Name: "a"}
	write := func(seq int, at float64, actor, verb, patch string) Entry {
		e := Entry{Seq: seq, T: at, Kind: KindObject, Actor: actor, Verb: verb, Object: claim}
		if patch != "" {
			e.Patch = json.RawMessage(patch)
		}
		return e
	}
	made := write(1, 1, "tekton", VerbCreate, "")
	made.Body = json.RawMessage(`{"metadata":{"uid":"1","finalizers":["kubernetes.io/pvc-protection"]}}`)
	entries := []Entry{
		made,
		write(2, 5, "user", VerbUpdate, `{"metadata":{"deletionTimestamp":"2100-01-01T00:00:05Z"}}`),
		write(3, 6, "binder", VerbUpdate, `{"status":{"phase":"Bound"}}`),
		write(4, 9, "pvc-protection-controller", VerbDelete, ""),
	}
	for i, want := range []string{"", "user", "user", "user"} {
		s, err := AsOf(entries, i+1)
		if err != nil {
			t.Fatal(err)
		}
		o := s.Get(claim)
		if o.CondemnedBy != want || want != "" && o.CondemnedAt != 5 {
			t.Errorf("after entry %d its end was asked for by %q at %v", i+1, o.CondemnedBy, o.CondemnedAt)
		}
		if o.Deleted && (o.DeletedBy != "user" || o.DeletedAt != 9) {
			t.Errorf("deleted by %q at %v", o.DeletedBy, o.DeletedAt)
		}
	}
}

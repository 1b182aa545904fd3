package history

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"
)

// tale reads a history from lines such as
//
//	3 user create Pod ns/a {"metadata":{"uid":"1"}}
//	4 kubelet/n1 fact:PodAdmitted Pod ns/a {"node":"n1"}
//
// which are the time, who did it, the write or the fact, the object, and what was
// written: a whole object, or after "~" a patch.
func tale(t *testing.T, text string) []Entry {
	t.Helper()
	versions := map[string]string{
		"PipelineRun": "tekton.dev/v1", "TaskRun": "tekton.dev/v1", "VolumeAttachment": "storage.k8s.io/v1", "StatefulSet": "apps/v1",
	}
	var entries []Entry
	for line := range strings.Lines(text) {
		words := strings.SplitN(strings.TrimSpace(line), " ", 6)
		if len(words) < 5 {
			continue
		}
		e := Entry{Seq: len(entries) + 1, Actor: words[1], Verb: words[2], Kind: KindObject}
		if err := json.Unmarshal([]byte(words[0]), &e.T); err != nil {
			t.Fatal(err)
		}
		e.Object = Ref{APIVersion: "v1", Kind: words[3], Name: words[4]}
		if v := versions[words[3]]; v != "" {
			e.Object.APIVersion = v
		}
		if ns, name, ok := strings.Cut(words[4], "/"); ok {
			e.Object.Namespace, e.Object.Name = ns, name
		}
		content := ""
		if len(words) > 5 {
			content = words[5]
		}
		patch, isPatch := strings.CutPrefix(content, "~")
		fact, isFact := strings.CutPrefix(e.Verb, "fact:")
		switch {
		case isFact:
			e.Kind, e.Verb, e.Fact, e.Data = KindFact, "", fact, json.RawMessage(content)
		case isPatch:
			e.Patch = json.RawMessage(patch)
		case content != "":
			e.Body = json.RawMessage(content)
		}
		entries = append(entries, e)
	}
	return entries
}

const (
	running = `{"status":{"conditions":[{"type":"Succeeded","status":"Unknown"}]}}`
	failed  = `{"status":{"conditions":[{"type":"Succeeded","status":"False"}]}}`
	disk    = `0 csi create PersistentVolume pv1 {"spec":{"accessModes":["ReadWriteOnce"]}}
		0 user create PersistentVolumeClaim ns/c {}
		0 simctl create Node n1 {}
		0 simctl create Node n2 {}
		`
	// VolumeAttachments of the disk to two nodes.
	first  = `{"spec":{"nodeName":"n1","source":{"persistentVolumeName":"pv1"}}}`
	second = `{"spec":{"nodeName":"n2","source":{"persistentVolumeName":"pv1"}}}`
	there  = `~{"status":{"attached":true}}`
	shared = `0 csi update PersistentVolume pv1 ~{"spec":{"accessModes":["ReadWriteOnce","ReadWriteMany"]}}
		`
)

// TestCheck has for each invariant histories that violate it and histories that come
// close and do not.
func TestCheck(t *testing.T) {
	tests := []struct {
		name, tale string
		// change is done to the entries, for what a tale cannot tell.
		change func(e []Entry) []Entry
		// want is the invariant that the last entry violates; none if it is empty.
		want string
	}{
		{name: "nothing"},
		{name: "a life", tale: `
			0 user create Pod ns/a {"metadata":{"uid":"1"}}
			1 kube-scheduler bind Pod ns/a ~{"spec":{"nodeName":"n1"}}
			5 kubelet update Pod ns/a ~{"status":{"phase":"Running"}}
			9 kubelet update Pod ns/a ~{"status":{"phase":"Failed"}}
			9 kubelet update Pod ns/a ~{"status":{"reason":"Evicted"}}
			9 user delete Pod ns/a
			9 user create Pod ns/a {"metadata":{"uid":"2"}}`},

		{name: "an entry is missing", tale: `
			0 user create Pod ns/a {}
			0 user create Pod ns/b {}`,
			change: func(e []Entry) []Entry { return e[1:] }, want: "entry/number"},
		{name: "an entry twice", tale: `
			0 user create Pod ns/a {}
			0 user update Pod ns/a ~{}`,
			change: func(e []Entry) []Entry { return append(e, e[1]) }, want: "entry/number"},
		{name: "time goes back", tale: `
			3 user create Pod ns/a {}
			2.5 user create Pod ns/b {}`, want: "entry/time"},
		{name: "time before the cell", tale: `
			-1 user create Pod ns/a {}`, want: "entry/time"},

		{name: "no such kind of entry", tale: `
			0 user create Pod ns/a {}`,
			change: func(e []Entry) []Entry { e[0].Kind = "thought"; return e }, want: "entry/form"},
		{name: "no such write", tale: `
			0 user apply ConfigMap ns/a {}`, want: "entry/form"},
		{name: "a creation without an object", tale: `
			0 user create Pod ns/a`, want: "entry/form"},
		{name: "a body that is null", tale: `
			0 user create Pod ns/a null`, want: "entry/form"},
		{name: "a patch of what was never seen whole", tale: `
			0 user update ConfigMap ns/a ~{"data":null}`, want: "entry/form"},
		{name: "a deletion with a body", tale: `
			0 user create Pod ns/a {}
			0 user delete Pod ns/a {}`, want: "entry/form"},
		{name: "a deletion that says what it changed", tale: `
			0 user create Pod ns/a {}
			1 user delete Pod ns/a ~{"metadata":{"deletionGracePeriodSeconds":0}}`},
		{name: "a fact with other fields", tale: `
			0 user create Pod ns/a {}
			0 kubelet/n1 fact:Container Pod ns/a {"exitCode":"one"}`, want: "entry/form"},
		{name: "a fact to come", tale: `
			0 kubelet/n1 fact:Dreamt Pod ns/a {"of":"sheep"}`},
		{name: "a refusal without a code", tale: `
			0 user create Pod ns/a {}`,
			change: func(e []Entry) []Entry { e[0].Kind = KindRefused; return e }, want: "entry/form"},
		{name: "a refusal", tale: `
			0 user create Pod ns/a {}`,
			change: func(e []Entry) []Entry { e[0].Kind, e[0].Code = KindRefused, CodeForbidden; return e }},

		{name: "after the end", tale: `
			5 simctl fact:Finished Cell c {"done":true}
			6 user create Pod ns/a {}`, want: "cell/over"},
		{name: "missed at the end", tale: `
			5 simctl fact:Finished Cell c {"done":true}
			5 simctl fact:Intervention Cell c {"missed":true}`},
		{name: "done after the end", tale: `
			5 simctl fact:Finished Cell c {"done":true}
			5 simctl fact:Intervention Cell c {}`, want: "cell/over"},

		{name: "another object in the body", tale: `
			0 user create Pod ns/a {"kind":"Pod","metadata":{"name":"b","namespace":"ns"}}`, want: "object/name"},
		{name: "another version in the body", tale: `
			0 user create TaskRun ns/a {"apiVersion":"tekton.dev/v1beta1"}`, want: "object/name"},

		{name: "created twice", tale: `
			0 user create Pod ns/a {"metadata":{"uid":"1"}}
			1 user create Pod ns/a {"metadata":{"uid":"2"}}`, want: "object/life"},
		{name: "deleted and never made", tale: `
			0 user delete Pod ns/a`, want: "object/life"},
		{name: "changed and never made", tale: `
			0 tekton update TaskRun ns/a {}`, want: "object/life"},
		{name: "there before the cell", tale: `
			0 user update ConfigMap tekton-pipelines/feature-flags {}
			0 user delete ServiceAccount ns/default`},
		{name: "made in one version of the API and changed in another", tale: `
			0 user create PipelineRun ns/a {"metadata":{"uid":"1"}}
			1 tekton update PipelineRun ns/a {"metadata":{"uid":"1"}}`,
			change: func(e []Entry) []Entry { e[0].Object.APIVersion = "tekton.dev/v1beta1"; return e }},
		{name: "deleted twice", tale: `
			0 user create Pod ns/a {}
			1 user delete Pod ns/a
			1 user delete Pod ns/a`, want: "object/life"},
		{name: "changed after its end", tale: `
			0 user create Pod ns/a {"metadata":{"uid":"1"}}
			1 user delete Pod ns/a
			2 kubelet update Pod ns/a {"metadata":{"uid":"1"}}`, want: "object/life"},
		{name: "told late", tale: `
			0 user create Pod ns/a {"metadata":{"uid":"1"}}
			1 user delete Pod ns/a
			1 kubelet update Pod ns/a {"metadata":{"uid":"1"}}
			1 kubelet update Pod ns/a ~{"status":{"phase":"Failed"}}
			1 user delete Pod ns/a
			1 user create Pod ns/a {"metadata":{"uid":"2"}}`},
		{name: "another after the end, not created", tale: `
			0 user create Pod ns/a {"metadata":{"uid":"1"}}
			1 user delete Pod ns/a
			1 kubelet update Pod ns/a {"metadata":{"uid":"2"}}`, want: "object/life"},

		{name: "another UID", tale: `
			0 user create Pod ns/a {"metadata":{"uid":"1"}}
			1 user update Pod ns/a ~{"metadata":{"uid":"2"}}`, want: "object/same"},
		{name: "created again", tale: `
			0 user create Pod ns/a {"metadata":{"creationTimestamp":"2100-01-01T00:00:00Z"}}
			1 user update Pod ns/a ~{"metadata":{"creationTimestamp":null}}`, want: "object/same"},
		{name: "generation goes back", tale: `
			0 user create StatefulSet ns/a {"metadata":{"generation":2}}
			1 user update StatefulSet ns/a ~{"metadata":{"generation":1}}`, want: "object/same"},
		{name: "resource version goes back", tale: `
			0 user create Pod ns/a {"metadata":{"resourceVersion":"10"}}
			1 user update Pod ns/a ~{"metadata":{"resourceVersion":"9"}}`, want: "object/same"},
		{name: "resource version goes on", tale: `
			0 user create Pod ns/a {"metadata":{"resourceVersion":"9"}}
			1 user update Pod ns/a ~{"metadata":{"resourceVersion":"10"}}`},
		{name: "deletion taken back", tale: `
			0 user create Pod ns/a {"metadata":{"deletionTimestamp":"2100-01-01T00:00:00Z"}}
			1 user update Pod ns/a ~{"metadata":{"deletionTimestamp":null}}`, want: "object/same"},

		{name: "bound twice", tale: `
			0 user create Pod ns/a {}
			1 kube-scheduler bind Pod ns/a ~{"spec":{"nodeName":"n1"}}
			2 kube-scheduler bind Pod ns/a ~{"spec":{"nodeName":"n2"}}`, want: "pod/bound"},
		{name: "unbound", tale: `
			0 user create Pod ns/a {"spec":{"nodeName":"n1"}}
			2 user update Pod ns/a ~{"spec":null}`, want: "pod/bound"},
		{name: "the next of its name bound elsewhere", tale: `
			0 user create Pod ns/a {"spec":{"nodeName":"n1"}}
			1 user delete Pod ns/a
			1 user create Pod ns/a {}
			2 kube-scheduler bind Pod ns/a ~{"spec":{"nodeName":"n2"}}`},

		{name: "a pod comes back", tale: `
			0 user create Pod ns/a {"status":{"phase":"Failed"}}
			1 kubelet update Pod ns/a ~{"status":{"phase":"Running"}}`, want: "pod/ended"},

		{name: "a run comes back", tale: `
			0 user create TaskRun ns/a ` + running + `
			1 tekton update TaskRun ns/a ~` + failed + `
			2 tekton update TaskRun ns/a ~` + running, want: "run/done"},
		{name: "a run has another end", tale: `
			0 user create PipelineRun ns/a ` + running + `
			1 tekton update PipelineRun ns/a ~` + failed + `
			2 tekton update PipelineRun ns/a ~` + strings.Replace(failed, "False", "True", 1), want: "run/done"},
		{name: "a run is tried again", tale: `
			0 user create TaskRun ns/a ` + running + `
			1 tekton update TaskRun ns/a ~` + failed + `
			1 tekton update TaskRun ns/a ~{"status":{"retriesStatus":[{}],"conditions":[{"type":"Succeeded","status":"Unknown"}]}}`},
		{name: "somebody wrote to the run", tale: `
			0 user create TaskRun ns/a ` + running + `
			1 tekton update TaskRun ns/a ~` + failed + `
			2 user update TaskRun ns/a ~{"status":null}
			3 tekton update TaskRun ns/a ~` + running},
		{name: "somebody labelled the run", tale: `
			0 user create TaskRun ns/a ` + running + `
			1 tekton update TaskRun ns/a ~` + failed + `
			2 user update TaskRun ns/a ~{"metadata":{"labels":{"a":"b"}}}
			3 tekton update TaskRun ns/a ~` + running},
		{name: "somebody wrote before it was done", tale: `
			0 user create TaskRun ns/a ` + running + `
			0 user update TaskRun ns/a ~{"metadata":{"labels":{"a":"b"}}}
			1 tekton update TaskRun ns/a ~` + failed + `
			3 tekton update TaskRun ns/a ~` + running, want: "run/done"},
		{name: "the controller overtook itself", tale: `
			0 tekton create Pod ns/a-pod {}
			0 user create TaskRun ns/a ` + running + `
			1 simctl fact:Overlap TaskRun ns/a {"pod":"a-pod","stale":true}
			1 tekton update TaskRun ns/a ~` + failed + `
			1 tekton update TaskRun ns/a ~` + running},

		{name: "a disk on two nodes, says its driver", tale: disk + `
			1 csi fact:Attached PersistentVolumeClaim ns/c {"pv":"pv1","claim":"c","node":"n1"}
			2 csi fact:Attached PersistentVolumeClaim ns/c {"pv":"pv1","claim":"c","node":"n2"}`, want: "volume/one-node"},
		{name: "a disk on one node after the other", tale: disk + `
			1 csi fact:Attached PersistentVolumeClaim ns/c {"pv":"pv1","claim":"c","node":"n1"}
			361 csi fact:Detached PersistentVolumeClaim ns/c {"pv":"pv1","claim":"c","node":"n1"}
			371 csi fact:Attached PersistentVolumeClaim ns/c {"pv":"pv1","claim":"c","node":"n2"}`},
		{name: "a disk attached to two nodes", tale: disk + `
			0 attachdetach create VolumeAttachment a ` + first + `
			0 attachdetach create VolumeAttachment b ` + second + `
			1 csi update VolumeAttachment a ` + there + `
			1 csi update VolumeAttachment b ` + there, want: "volume/one-node"},
		{name: "a disk asked for on two nodes", tale: disk + `
			0 attachdetach create VolumeAttachment a ` + first + `
			0 attachdetach create VolumeAttachment b ` + second + `
			1 csi update VolumeAttachment a ` + there + `
			1 csi update VolumeAttachment b ~{"status":{"attached":false,"attachError":{"message":"attached to n1"}}}
			7 csi delete VolumeAttachment a
			8 csi update VolumeAttachment b ` + there},
		{name: "a shared volume on two nodes", tale: disk + shared + `
			0 attachdetach create VolumeAttachment a ` + first + `
			0 attachdetach create VolumeAttachment b ` + second + `
			1 csi update VolumeAttachment a ` + there + `
			1 csi fact:Attached PersistentVolumeClaim ns/c {"pv":"pv1","claim":"c","node":"n1"}
			1 csi update VolumeAttachment b ` + there + `
			1 csi fact:Attached PersistentVolumeClaim ns/c {"pv":"pv1","claim":"c","node":"n2"}`},
		{name: "a volume of access modes that nobody knows", tale: `
			0 user create PersistentVolumeClaim ns/c {}
			1 csi fact:Attached PersistentVolumeClaim ns/c {"pv":"pv1","claim":"c","node":"n1"}
			2 csi fact:Attached PersistentVolumeClaim ns/c {"pv":"pv1","claim":"c","node":"n2"}`},
		{name: "detached from another node", tale: disk + `
			1 csi fact:Attached PersistentVolumeClaim ns/c {"pv":"pv1","claim":"c","node":"n1"}
			2 csi fact:Detached PersistentVolumeClaim ns/c {"pv":"pv1","claim":"c","node":"n2"}`, want: "volume/detached"},

		{name: "a fact of a pod that never was", tale: `
			0 kubelet/n1 fact:ContainersBusy Pod ns/a {"node":"n1"}`, want: "fact/object"},
		{name: "a fact of a pod that is gone", tale: `
			0 user create Pod ns/a {}
			1 user delete Pod ns/a
			1 kubelet/n1 fact:Container Pod ns/a {"name":"step-a","exitCode":143}`},
		{name: "a fact of a node that never was", tale: disk + `
			0 user create Pod ns/a {}
			0 kubelet/n3 fact:PodAdmitted Pod ns/a {"node":"n3"}`, want: "fact/object"},
		{name: "a node that never was refuses a pod", tale: disk + `
			0 user create Pod ns/a {}
			0 kube-scheduler fact:Unschedulable Pod ns/a {"nodes":[{"node":"n1"},{"node":"n3"}]}`, want: "fact/object"},
		{name: "a fact that knows no version", tale: `
			0 user create TaskRun ns/a {}
			0 tekton fact:Busy TaskRun ns/a {"controller":"taskrun"}`,
			change: func(e []Entry) []Entry { e[1].Object.APIVersion = ""; return e }},
	}
	violated := map[string]bool{}
	for _, test := range tests {
		violated[test.want] = true
		t.Run(test.name, func(t *testing.T) {
			entries := tale(t, test.tale)
			if test.change != nil {
				entries = test.change(entries)
			}
			got := Check(entries)
			if test.want == "" {
				if len(got) > 0 {
					t.Errorf("violations %v", got)
				}
				return
			}
			if len(got) != 1 || got[0].Invariant != test.want || got[0].Seq != entries[len(entries)-1].Seq {
				t.Errorf("violations %v, want one of %s by the last entry", got, test.want)
			}
			// Cut short before that, the history is sound.
			if got := Check(entries[:len(entries)-1]); len(got) > 0 {
				t.Errorf("violations %v before the last entry", got)
			}
		})
	}
	for _, inv := range Invariants() {
		if !violated[inv.ID] {
			t.Errorf("no history violates %s", inv.ID)
		}
	}
}

// TestViolationIsOneLine: a damaged history can hold any name.
func TestViolationIsOneLine(t *testing.T) {
	got := Check([]Entry{{Seq: 1, T: 2.5, Kind: KindObject, Verb: VerbDelete, Object: Ref{Kind: "Pod", Name: "a\nb"}}})
	if len(got) != 1 || got[0].String() != `entry 1 at 2.5 s violates object/life: delete of Pod a\nb, which was never created` {
		t.Errorf("got %v", got)
	}
}

// TestEveryFactIsChecked: the form of a fact that is declared is known.
func TestEveryFactIsChecked(t *testing.T) {
	for _, fact := range declaredFacts(t) {
		if factData(fact) == nil {
			t.Errorf("Check does not know the fields of %s", fact)
		}
	}
}

// declaredFacts returns the facts that facts.go declares.
func declaredFacts(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "facts.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var facts []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if ok && strings.HasPrefix(spec.Names[0].Name, "Fact") {
			fact, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			facts = append(facts, fact)
		}
		return true
	})
	if len(facts) == 0 {
		t.Fatal("no fact is declared")
	}
	return facts
}

// BenchmarkCheck checks histories each ten times as long as the one before, which
// should take ten times as long.
func BenchmarkCheck(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000} {
		var entries []Entry
		for i := range n {
			pod := Ref{APIVersion: "v1", Kind: "Pod", Namespace: "ns", Name: fmt.Sprint(i / 10)}
			e := Entry{Seq: i + 1, Kind: KindObject, Verb: VerbUpdate, Object: pod, Patch: json.RawMessage(`{"status":{"reason":"` + fmt.Sprint(i) + `"}}`)}
			if i%10 == 0 {
				e.Verb, e.Body, e.Patch = VerbCreate, json.RawMessage(`{"metadata":{"uid":"1"}}`), nil
			}
			entries = append(entries, e)
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				if got := Check(entries); len(got) > 0 {
					b.Fatal(got[0])
				}
			}
		})
	}
}

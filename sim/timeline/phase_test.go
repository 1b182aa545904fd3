package timeline

import (
	"encoding/json"
	"testing"

	"simctl.dev/simctl/sim/history"
)

// way is what happens to a task until it is done, each with the phases that are reached
// by then.
var way = []struct {
	entry   history.Entry
	reached []Phase
}{
	{create("TaskRun", "ns", "build", `{"metadata":{"labels":{"tekton.dev/pipelineTask":"build"}}}`), []Phase{Queued}},
	{create("PersistentVolumeClaim", "ns", "data", `{"spec":{"volumeName":"pv"}}`), nil},
	{create("PersistentVolume", "", "pv", `{"spec":{"csi":{"driver":"disk"}}}`), nil},
	{create("Pod", "ns", "build-pod", `{"metadata":{"labels":{"tekton.dev/taskRun":"build"}},"spec":{"volumes":[{"persistentVolumeClaim":{"claimName":"data"}}]}}`), nil},
	{update("Pod", "ns", "build-pod", `{"spec":{"nodeName":"worker-0"}}`), []Phase{Scheduled}},
	{create("VolumeAttachment", "", "a", `{"spec":{"nodeName":"worker-0","source":{"persistentVolumeName":"pv"}}}`), nil},
	{update("VolumeAttachment", "", "a", `{"status":{"attached":true}}`), []Phase{Attached}},
	{ofPod(history.FactVolumesReady, history.VolumesReady{}), []Phase{Mounted}},
	{ofPod(history.FactImagePulled, history.ImagePull{}), []Phase{Pulled}},
	{ofPod(history.FactContainersBusy, struct{}{}), []Phase{Running}},
	{update("TaskRun", "ns", "build", `{"status":{"conditions":[{"type":"Succeeded","status":"Unknown"}]}}`), nil},
	{update("TaskRun", "ns", "build", `{"status":{"conditions":[{"type":"Succeeded","status":"False"}]}}`), []Phase{Done}},
}

func create(kind, namespace, name, body string) history.Entry {
	return history.Entry{Kind: history.KindObject, Verb: history.VerbCreate, Object: history.Ref{APIVersion: "v1", Kind: kind, Namespace: namespace, Name: name}, Body: json.RawMessage(body)}
}

func update(kind, namespace, name, patch string) history.Entry {
	return history.Entry{Kind: history.KindObject, Verb: history.VerbUpdate, Object: history.Ref{APIVersion: "v1", Kind: kind, Namespace: namespace, Name: name}, Patch: json.RawMessage(patch)}
}

func ofPod(fact string, data any) history.Entry {
	return history.NewFact("kubelet", history.Ref{Kind: "Pod", Namespace: "ns", Name: "build-pod"}, fact, data)
}

// A phase is reached with the entry that shows it, and stays reached.
func TestReached(t *testing.T) {
	tl := New()
	had := map[Phase]bool{}
	for i, step := range way {
		step.entry.Seq = i + 1
		if err := tl.Add(step.entry); err != nil {
			t.Fatal(err)
		}
		for _, p := range step.reached {
			had[p] = true
		}
		for _, p := range Phases() {
			if got := tl.Reached("build", p); got != had[p] {
				t.Errorf("after entry %d: %s reached: %t, want %t", i+1, p, got, had[p])
			}
			if tl.Reached("other", p) {
				t.Errorf("after entry %d: %s is reached by a task that is not there", i+1, p)
			}
		}
	}
	if len(had) != len(Phases()) {
		t.Errorf("only %v are reached", had)
	}
	if wrong := history.Check(tl.Entries()); len(wrong) > 0 {
		t.Error(wrong)
	}
}

// The kubelet's word counts where the attachment is not shown, and a driver that does not
// attach holds up nobody.
func TestAttached(t *testing.T) {
	for name, last := range map[string]history.Entry{
		"by the kubelet": ofPod(history.FactVolumesAttached, history.Volume{Claim: "data", Node: "worker-0"}),
		"never":          create("CSIDriver", "", "disk", `{"spec":{"attachRequired":false}}`),
	} {
		tl := New()
		for i, step := range append(way[:5:5], struct {
			entry   history.Entry
			reached []Phase
		}{entry: last}) {
			step.entry.Seq = i + 1
			if tl.Reached("build", Attached) {
				t.Errorf("%s: it is attached before entry %d", name, i+1)
			}
			if err := tl.Add(step.entry); err != nil {
				t.Fatal(err)
			}
		}
		if !tl.Reached("build", Attached) {
			t.Errorf("%s: it is not attached", name)
		}
	}
}

// The node of a task is that of the last pod that had one, of the last TaskRun by name.
func TestNodeOfTask(t *testing.T) {
	tl := New()
	seq := 0
	add := func(e history.Entry) {
		seq++
		e.Seq = seq
		if err := tl.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(want string) {
		t.Helper()
		if got := tl.NodeOfTask("build"); got != want {
			t.Errorf("after entry %d: %q, want %q", seq, got, want)
		}
	}
	expect("")
	for _, run := range []string{"b", "a"} {
		add(create("TaskRun", "ns", run, `{"metadata":{"labels":{"tekton.dev/pipelineTask":"build"}}}`))
	}
	pod := func(name, run, node string) {
		add(create("Pod", "ns", name, `{"metadata":{"labels":{"tekton.dev/taskRun":"`+run+`"}}}`))
		if node != "" {
			add(update("Pod", "ns", name, `{"spec":{"nodeName":"`+node+`"}}`))
		}
	}
	pod("a-1", "a", "one")
	expect("one")
	pod("b-1", "b", "two")
	expect("two")
	pod("a-2", "a", "three")
	expect("two")
	pod("b-2", "b", "four")
	expect("four")
	pod("b-3", "b", "")
	expect("four")
}

// The pod of a task is the one made last: of all its TaskRuns, of a run by either name, of
// an attempt, and of the run of a pipeline within the run.
func TestPodOfTask(t *testing.T) {
	tl := New()
	seq := 0
	add := func(e history.Entry) {
		seq++
		e.Seq = seq
		if err := tl.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	add(create("PipelineRun", "ns", "ci-x7abc", `{"metadata":{"generateName":"ci-"}}`))
	add(create("PipelineRun", "ns", "ci-x7abc-sub", `{"metadata":{"ownerReferences":[{"kind":"PipelineRun","name":"ci-x7abc"}]}}`))
	add(create("PipelineRun", "ns", "other", `{}`))
	for _, r := range []struct{ run, of string }{{"a", "ci-x7abc"}, {"b", "ci-x7abc-sub"}, {"c", "other"}} {
		add(create("TaskRun", "ns", r.run, `{"metadata":{"labels":{"tekton.dev/pipelineTask":"build","tekton.dev/pipelineRun":"`+r.of+`"}}}`))
	}
	pod := func(name, run string) {
		add(create("Pod", "ns", name, `{"metadata":{"labels":{"tekton.dev/taskRun":"`+run+`"}}}`))
	}
	pod("b-1", "b")
	pod("a-1", "a")
	add(update("TaskRun", "ns", "a", `{"status":{"retriesStatus":[{}]}}`))
	pod("a-2", "a")
	pod("c-1", "c")
	for _, c := range []struct {
		run     string
		attempt int
		want    string
	}{
		{"", 0, "c-1"}, {"", 2, "a-2"}, {"", 3, ""}, {"ci-", 0, "a-2"}, {"ci-", 1, "a-1"}, {"ci-x7abc", 1, "a-1"},
		{"ci-x7abc-sub", 0, "b-1"}, {"other", 0, "c-1"}, {"other", 2, ""}, {"x", 0, ""},
	} {
		got := ""
		if p := tl.PodOfTask("build", c.attempt, func(r *TaskRun) bool {
			return c.run == "" || tl.IsNamed(r.Namespace, r.PipelineRun, c.run)
		}); p != nil {
			got = p.Name
		}
		if got != c.want {
			t.Errorf("attempt %d of run %q: %q, want %q", c.attempt, c.run, got, c.want)
		}
	}
}

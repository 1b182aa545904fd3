package recording

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"
)

// TestARecordingIsAsItself: nothing of a recording differs from itself.
func TestARecordingIsAsItself(t *testing.T) {
	for name, r := range recorded(t) {
		for _, d := range Compare(r, r) {
			t.Errorf("%s: %s: %s", name, d.Kind, d.Text)
		}
	}
}

// cluster is a case of two pods of two tasks, as a cluster with names of its own
// shows it.
type cluster struct {
	node, volume, driver string
	// second is the node of the second pod.
	second string
	// reason is a condition's, qos a field, holder the pod that has the volume.
	reason, qos, holder string
	// phase is when the first pod is in its terminal phase, attach how long an attach
	// takes.
	phase, attach float64
	// event is one more.
	event string
}

var real0 = cluster{node: "n1", volume: "pvc-8a0b1d77-d6fc-4abc-9d02-635a5b9036c4", driver: "disk.csi.example", second: "n1",
	reason: "PodCompleted", qos: "Burstable", holder: "r-a-pod", phase: 22, attach: 10}

func (c cluster) recording(t *testing.T) *Recording {
	t.Helper()
	r := NewRecorder("ns")
	see := func(at float64, format string, args ...any) { r.See(at, objectOf(t, fmt.Sprintf(format, args...))) }
	see(0, `{"kind":"PipelineRun","metadata":{"name":"r","namespace":"ns","uid":%q}}`, c.volume[4:])
	see(1, `{"kind":"PersistentVolume","metadata":{"name":%q},"spec":{"claimRef":{"namespace":"ns","name":"claim"},"csi":{"driver":%q}}}`, c.volume, c.driver)
	pod := `{"kind":"Pod","metadata":{"name":"r-%s-pod","namespace":"ns","labels":{"tekton.dev/task":%q,"tekton.dev/pipelineRun":"r"}},"spec":{"nodeName":%q},"status":{"qosClass":%q,"phase":%q,"conditions":[{"type":"Ready","status":"False","reason":%q}]}}`
	see(2, pod, "a", "a", c.node, c.qos, "Pending", "ContainersNotReady")
	see(3, pod, "b", "b", c.second, c.qos, "Pending", "ContainersNotReady")
	see(3, `{"kind":"Event","metadata":{"name":"e0","namespace":"ns"},"involvedObject":{"kind":"Pod","namespace":"ns","name":"r-b-pod"},"reason":"Scheduled","message":"Successfully assigned ns/r-b-pod to %s"}`, c.second)
	see(3, `{"kind":"Event","metadata":{"name":"e1","namespace":"ns"},"involvedObject":{"kind":"Pod","namespace":"ns","name":"r-b-pod"},"reason":"FailedAttachVolume","message":"Multi-Attach error for volume %s: used by pod(s) %s"}`, c.volume, c.holder)
	if c.event != "" {
		see(3, `{"kind":"Event","metadata":{"name":"e2","namespace":"ns"},"involvedObject":{"kind":"Pod","namespace":"ns","name":"r-b-pod"},"reason":%q,"message":"x"}`, c.event)
	}
	va := `{"kind":"VolumeAttachment","metadata":{"name":"csi-1"},"spec":{"nodeName":%q,"source":{"persistentVolumeName":%q}},"status":{"attached":%t}}`
	see(4, va, c.node, c.volume, false)
	if c.phase < 20 {
		see(c.phase, pod, "a", "a", c.node, c.qos, "Succeeded", c.reason)
	}
	see(4+c.attach, va, c.node, c.volume, true)
	see(20, pod, "b", "b", c.second, c.qos, "Running", "ContainersNotReady")
	if c.phase >= 20 {
		see(c.phase, pod, "a", "a", c.node, c.qos, "Succeeded", c.reason)
	}
	return r.Recording()
}

func TestCompare(t *testing.T) {
	names := func(c *cluster) {
		c.node, c.second, c.volume, c.driver = "worker-7", "worker-7", "pvc-00000000-0000-4000-8000-000000000001", "block.csi.example"
	}
	for name, c := range map[string]struct {
		change func(*cluster)
		want   []Difference
	}{
		"names are chance": {names, nil},
		"the node is chance, who is with whom is not": {func(c *cluster) { c.second = "n2" },
			[]Difference{{DifferentNodes, "Pod r-a-pod and Pod r-b-pod: one node in the recording, others in simctl"}}},
		"a condition": {func(c *cluster) { c.reason = "ContainersNotReady" },
			[]Difference{{DifferentCondition, "Pod r-a-pod Ready False PodCompleted: only in the recording"}}},
		"a field": {func(c *cluster) { c.qos = "Guaranteed" },
			[]Difference{{DifferentField, `Pod r-a-pod: status.qosClass: "Burstable", in simctl "Guaranteed"`}, {DifferentField, `Pod r-b-pod: status.qosClass: "Burstable", in simctl "Guaranteed"`}}},
		"the holder": {func(c *cluster) { c.holder = "r-c-pod" }, []Difference{
			{DifferentHolder, `Pod r-b-pod FailedAttachVolume "Multi-Attach error for volume volume-of-claim: used by pod(s) r-a-pod" (): only in the recording`},
			{DifferentHolder, `Pod r-b-pod FailedAttachVolume "Multi-Attach error for volume volume-of-claim: used by pod(s) r-c-pod" (): only in simctl`}}},
		"an event": {func(c *cluster) { c.event = "BackOff" }, []Difference{{DifferentEvent, `Pod r-b-pod BackOff "x" (): only in simctl`}}},
		"an order": {func(c *cluster) { c.phase = 19 },
			[]Difference{{DifferentOrder, "Pod r-b-pod started, then Pod r-a-pod in its terminal phase: the other way round in simctl"}}},
		"at once": {func(c *cluster) { c.phase = 20 },
			[]Difference{{DifferentOrder, "Pod r-b-pod started, then Pod r-a-pod in its terminal phase: at once in simctl"}}},
		"durations are chance":     {func(c *cluster) { c.phase = 25 }, nil},
		"a duration by design":     {func(c *cluster) { c.attach = 3 }, []Difference{{DifferentDuration, "VolumeAttachment attachment of volume-of-claim to NODE-A created to attached: not as long in simctl"}}},
		"what chance brings about": {func(c *cluster) { c.event = "SchedulerError" }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			simulated := real0
			c.change(&simulated)
			if got := Compare(real0.recording(t), simulated.recording(t)); !slices.Equal(got, c.want) {
				t.Errorf("got %v\nwant %v", got, c.want)
			}
		})
	}
}

// TestEventsOfPodsOfOneName: an event is that of the pod that bore the name then.
func TestEventsOfPodsOfOneName(t *testing.T) {
	record := func(told string) *Recording {
		r := NewRecorder("ns")
		see := func(at float64, format string, args ...any) { r.See(at, objectOf(t, fmt.Sprintf(format, args...))) }
		pod := `{"kind":"Pod","metadata":{"name":%q,"namespace":"ns","uid":%q},"spec":{"nodeName":%q}}`
		see(0, pod, "a", "1", "n1")
		see(0, pod, "b", "2", "n1")
		see(1, `{"kind":"Event","metadata":{"name":"e","namespace":"ns"},"involvedObject":{"kind":"Pod","namespace":"ns","name":%q},"reason":"SuccessfulAttachVolume"}`, told)
		r.Gone(2, objectOf(t, fmt.Sprintf(pod, "a", "1", "n1")))
		see(3, pod, "a", "3", "n2")
		return r.Recording()
	}
	if got := Compare(record("a"), record("b")); len(got) > 0 {
		t.Errorf("got %v", got)
	}
}

func TestBoth(t *testing.T) {
	a, b, c := Difference{"event", "a"}, Difference{"event", "b"}, Difference{"field", "a"}
	if got := Both([]Difference{a, b}, []Difference{c, b}); !slices.Equal(got, []Difference{b}) {
		t.Errorf("got %v", got)
	}
}

func TestKnown(t *testing.T) {
	field := func(text string) Difference { return Difference{DifferentField, text} }
	found := map[string][]Difference{
		"one": {field("Pod a: status.x: only in the recording"), field("Pod a: status.y: only in simctl")},
		"two": {field("Pod b: status.x: only in the recording")},
	}
	for name, c := range map[string]struct {
		list []KnownDifference
		want []string
		// updated are the patterns and cases of the list written anew.
		updated map[string][]string
	}{
		"all are known": {
			[]KnownDifference{{DifferentField, "Pod *: status.x: *", []string{AllCases}, "why"}, {DifferentField, "Pod a: status.y: only in simctl", []string{"one"}, "why"}},
			nil,
			map[string][]string{"Pod *: status.x: *": {AllCases}, "Pod a: status.y: only in simctl": {"one"}},
		},
		"one is not": {
			[]KnownDifference{{DifferentField, "Pod *: status.x: *", []string{AllCases}, "why"}},
			[]string{"one: not known: field: Pod a: status.y: only in simctl"},
			map[string][]string{"Pod *: status.x: *": {AllCases}, "Pod *: status.y: only in simctl": {"one"}},
		},
		"one is in another case too": {
			[]KnownDifference{{DifferentField, "Pod *: status.x: *", []string{"one"}, "why"}, {DifferentField, "Pod *y: only in simctl", []string{"one"}, "why"}},
			[]string{"two: not known: field: Pod b: status.x: only in the recording"},
			map[string][]string{"Pod *: status.x: *": {AllCases}, "Pod *y: only in simctl": {"one"}},
		},
		"of another kind": {
			[]KnownDifference{{DifferentField, "Pod *", []string{AllCases}, "why"}, {DifferentEvent, "Pod *", []string{"one"}, "why"}},
			[]string{"event: Pod *: does not occur in one any more: take it off the list"},
			map[string][]string{"Pod *": {AllCases}},
		},
		"one occurs no more in a case": {
			[]KnownDifference{{DifferentField, "Pod *: status.x: *", []string{"one", "two"}, "why"}, {DifferentField, "Pod *y: only in simctl", []string{AllCases}, "why"}},
			[]string{"field: Pod *y: only in simctl: does not occur in two any more: take it off the list"},
			map[string][]string{"Pod *: status.x: *": {AllCases}, "Pod *y: only in simctl": {"one"}},
		},
		"one has no reason": {
			[]KnownDifference{{DifferentField, "Pod *", []string{AllCases}, ToDo}},
			[]string{"field: Pod *: has no reason"},
			map[string][]string{"Pod *": {AllCases}},
		},
		"one is about anything": {
			[]KnownDifference{{DifferentField, "*", []string{AllCases}, "why"}},
			[]string{"field: *: does not name the kind of object that it is about"},
			map[string][]string{"*": {AllCases}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			k := &Known{Differences: c.list}
			if got := k.Check(found); !slices.Equal(got, c.want) {
				t.Errorf("got %q\nwant %q", got, c.want)
			}
			updated := k.Update(found)
			got := map[string][]string{}
			for _, e := range updated.Differences {
				got[e.Pattern] = e.Cases
			}
			if !maps.EqualFunc(got, c.updated, slices.Equal) {
				t.Errorf("updated %v\nwant %v", got, c.updated)
			}
			raw, err := updated.YAML()
			if err != nil {
				t.Fatal(err)
			}
			if again, err := ReadKnown(raw); err != nil || len(again.Differences) != len(updated.Differences) {
				t.Errorf("the list read again is %+v (%v)", again, err)
			}
		})
	}
}

// TestOutcomesAreNeverExcused: whatever the list says.
func TestOutcomesAreNeverExcused(t *testing.T) {
	for _, c := range []struct {
		Difference
		outcome bool
	}{
		{Difference{DifferentCondition, "PipelineRun r Succeeded True Completed: only in simctl"}, true},
		{Difference{DifferentCondition, `TaskRun r-build Succeeded False Failed "why": only in the recording`}, true},
		{Difference{DifferentCondition, "TaskRun r-build Succeeded Unknown Started, Unknown Pending, in simctl Unknown Pending, Unknown Started"}, true},
		{Difference{DifferentMilestone, "PipelineRun r ended: only in simctl"}, true},
		{Difference{DifferentMilestone, "TaskRun r-build retried: only in the recording"}, true},
		{Difference{DifferentField, "TaskRun r-push: only in simctl"}, true},
		{Difference{DifferentField, "TaskRun r-push: spec.timeout: only in the recording"}, false},
		{Difference{DifferentCondition, "Pod r-build-pod Ready True: only in simctl"}, false},
		{Difference{DifferentOrder, "PipelineRun r ended, then Pod r-push-pod gone: at once in simctl"}, false},
	} {
		k := &Known{Differences: []KnownDifference{{c.Kind, c.Text, []string{AllCases}, "why"}}}
		if got := k.Check(map[string][]Difference{"one": {c.Difference}}); len(got) > 0 != c.outcome {
			t.Errorf("%s: %s: problems %q", c.Kind, c.Text, got)
		}
	}
}

func TestKnownOfSomeCases(t *testing.T) {
	k := &Known{
		NotPlayed: []NotPlayed{{"three", "why"}, {"four", "why"}},
		Differences: []KnownDifference{
			{DifferentField, "Pod a", []string{AllCases}, "why"},
			{DifferentField, "Pod b", []string{"one", "two"}, "why"},
			{DifferentField, "Pod c", []string{"two"}, "why"},
		},
	}
	got := k.Of([]string{"one", "three"})
	if len(got.NotPlayed) != 1 || got.NotPlayed[0].Case != "three" {
		t.Errorf("not played: %v", got.NotPlayed)
	}
	if problems := got.Check(map[string][]Difference{"one": {{DifferentField, "Pod a"}, {DifferentField, "Pod b"}}}); len(problems) > 0 {
		t.Errorf("problems %q", problems)
	}
	if want := []string{"one", "two"}; !slices.Equal(k.Differences[1].Cases, want) {
		t.Errorf("the whole list now has %q, want %q", k.Differences[1].Cases, want)
	}
}

// TestTheListCanBeRead needs no control plane to tell.
func TestTheListCanBeRead(t *testing.T) {
	raw, err := os.ReadFile("../testdata/recordings/known.yaml")
	if err != nil {
		t.Fatal(err)
	}
	k, err := ReadKnown(raw)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range k.Differences {
		if len(e.Cases) == 0 {
			t.Errorf("%s: %s has no cases", e.Kind, e.Pattern)
		}
		e.Cases = nil
		for _, problem := range (&Known{Differences: []KnownDifference{e}}).Check(nil) {
			t.Error(problem)
		}
	}
}

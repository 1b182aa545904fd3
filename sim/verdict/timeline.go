package verdict

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/wellknown"
)

// The labels of Tekton that tie objects to runs.
// pipelineRun is what a history says of one PipelineRun.
type pipelineRun struct {
	namespace, name string
	created         float64
	// status is that of the condition Succeeded: "True", "False" or "".
	status, reason, message string
	doneT                   float64
	doneSeq                 int
	// gone is the end of the object; nil while it is there.
	gone     *history.Entry
	taskRuns []*taskRun
	// refused are writes of the run's own machinery that the API server
	// refused: claims, StatefulSets, TaskRuns.
	refused []history.Entry
}

func (r *pipelineRun) object() string { return "PipelineRun " + r.namespace + "/" + r.name }

// taskRun is what a history says of one TaskRun.
type taskRun struct {
	namespace, name, task, taskRef, pipelineRun string
	created                                     float64
	createdSeq                                  int
	status, reason, message                     string
	doneT                                       float64
	doneSeq                                     int
	// cancelSeq is the entry that asked for its cancellation.
	cancelSeq int
	// overlap is the order in which the news of its end and of its pod's came; again
	// is when it came to life again after its end, 0 if it did not, and then is what
	// became of it.
	overlap *fact[history.Overlap]
	again   float64
	then    string
	// gone says that the object is no longer there.
	gone bool
	// attempts are the moments at which an attempt began, the first at created.
	attempts []float64
	pods     []*pod
	// refused are its pods that the API server refused.
	refused []history.Entry
}

func (t *taskRun) object() string { return "TaskRun " + t.namespace + "/" + t.name }

// pod is what a history says of one pod; a pod made again under the same name
// is another.
type pod struct {
	namespace, name                 string
	taskRun, pipelineRun, assistant string
	created                         float64
	createdSeq                      int
	node                            string
	boundT                          float64
	boundSeq                        int
	// startedSeq is the entry with which its containers began to run, overSeq
	// the one with which it ended, stopSeq the one that asked for its deletion.
	startedSeq, overSeq, stopSeq int
	goneSeq                      int

	unschedulable []unschedulable
	// attached is how long it waited until its volumes were attached.
	attached   *float64
	volumes    *history.VolumesReady
	volumesT   float64
	volumesSeq int
	busyT      float64
	busySeq    int
	containers []container
	ownership  float64
	pull       float64
	denied     []fact[history.File]
	noSpace    []fact[history.Space]
	disk       *fact[history.Disk]
	refusals   []fact[history.Refusal]
	holds      []hold
}

func (p *pod) object() string { return "Pod " + p.namespace + "/" + p.name }

// title names a pod with the task it belongs to.
func (p *pod) title(t *timeline) string {
	switch r := t.taskRun(p.namespace, p.taskRun); {
	case r != nil:
		return fmt.Sprintf("%s of task %s", p.object(), r.task)
	case p.assistant != "":
		return p.object() + " (affinity assistant)"
	}
	return p.object()
}

// lastUnschedulable is the scheduler's last refusal before an entry.
func (p *pod) lastUnschedulable(before int) *unschedulable {
	for i := len(p.unschedulable) - 1; i >= 0; i-- {
		if p.unschedulable[i].seq < before {
			return &p.unschedulable[i]
		}
	}
	return nil
}

// fact is a fact's fields with where it stands in the history.
type fact[F any] struct {
	seq  int
	t    float64
	data F
}

type (
	unschedulable = fact[history.Unschedulable]
	container     = fact[history.Container]
)

// hold is a Multi-Attach error of a pod.
type hold struct {
	seq     int
	t       float64
	message string
}

// event is one occurrence of a Kubernetes event.
type event struct {
	seq                   int
	t                     float64
	kind, namespace, name string
	typ, reason, message  string
}

// timeline is a history read once from its beginning to its end.
type timeline struct {
	entries  []history.Entry
	runs     []*pipelineRun
	taskRuns []*taskRun
	pods     []*pod
	events   []event
	refused  []history.Entry
	logs     []history.Entry
	stalls   []fact[history.Stalled]
	starts   []fact[history.Tekton]
	exits    []fact[history.Tekton]
	// held and taken are the beginning and the end of waits for leases.
	held, taken []fact[history.Lease]
	// interventions are what the scenario did in the middle of the runs.
	interventions []fact[history.Intervention]
	inert, busy   []string
	// madeUp are results that no model gives, deletions who asked for the deletion of
	// a TaskRun that is there or was last, remade the TaskRuns that were made again.
	madeUp    []madeUp
	deletions map[history.Ref]deletion
	remade    []remade
	attaches  int
	detaches  int
	finished  *fact[history.Finished]
	written   []fact[history.File]
	deleted   []fact[history.File]
	progress  []progress
	lastState *history.State
	states    map[int]*history.State
	// writes are those that were accepted, by the object, its API's version aside.
	writes map[history.Ref][]*history.Entry
}

// progress is an entry with which something of a run went on; run is empty for
// what cannot be told apart by run, as volumes.
type progress struct {
	seq int
	t   float64
	run string
}

// run is the latest PipelineRun of a name: one that is made after another was
// deleted is a run of its own.
func (t *timeline) run(namespace, name string) *pipelineRun {
	for _, r := range slices.Backward(t.runs) {
		if r.namespace == namespace && r.name == name {
			return r
		}
	}
	return nil
}

// taskRun is the latest TaskRun of a name.
func (t *timeline) taskRun(namespace, name string) *taskRun {
	for _, r := range slices.Backward(t.taskRuns) {
		if r.namespace == namespace && r.name == name {
			return r
		}
	}
	return nil
}

// pod is the pod that had a name last before an entry.
func (t *timeline) pod(namespace, name string, before int) *pod {
	for i := len(t.pods) - 1; i >= 0; i-- {
		if p := t.pods[i]; p.namespace == namespace && p.name == name && p.createdSeq < before {
			return p
		}
	}
	return nil
}

// state is the objects as they were before an entry.
func (t *timeline) state(before int) (*history.State, error) {
	if s := t.states[before]; s != nil {
		return s, nil
	}
	s, err := history.AsOf(t.entries, before-1)
	if err == nil {
		t.states[before] = s
	}
	return s, err
}

// entry returns the entry of a number; false if there is none.
func (t *timeline) entry(seq int) (history.Entry, bool) {
	i, found := slices.BinarySearchFunc(t.entries, seq, func(e history.Entry, seq int) int { return cmp.Compare(e.Seq, seq) })
	if !found {
		return history.Entry{}, false
	}
	return t.entries[i], true
}

// writesOf returns the writes of an object that were accepted, in whichever version of
// its API, in their order.
func (t *timeline) writesOf(o history.Ref) []*history.Entry {
	o.APIVersion = ""
	return t.writes[o]
}

// lastEvent is the last event before an entry that is about an object and that
// pick takes.
func (t *timeline) lastEvent(kind, namespace, name string, before int, pick func(event) bool) *event {
	for i := len(t.events) - 1; i >= 0; i-- {
		e := &t.events[i]
		if e.seq < before && e.kind == kind && e.namespace == namespace && e.name == name && pick(*e) {
			return e
		}
	}
	return nil
}

// lastProgress is when a run went on last before an entry.
func (t *timeline) lastProgress(run *pipelineRun, before int) float64 {
	at := run.created
	for _, p := range t.progress {
		if p.seq < before && (p.run == "" || p.run == run.namespace+"/"+run.name) {
			at = max(at, p.t)
		}
	}
	return at
}

// end is the number after that of the last entry.
func (t *timeline) end() int {
	if len(t.entries) == 0 {
		return 1
	}
	return t.entries[len(t.entries)-1].Seq + 1
}

// succeeded is the condition Succeeded of a PipelineRun or TaskRun.
func succeeded(o *history.Object) (status, reason, message string) {
	return condition(o, "Succeeded")
}

func condition(o *history.Object, typ string) (status, reason, message string) {
	list, _ := o.Field("status", "conditions").([]any)
	for _, c := range list {
		m, _ := c.(map[string]any)
		if m["type"] == typ {
			status, _ = m["status"].(string)
			reason, _ = m["reason"].(string)
			message, _ = m["message"].(string)
			return status, reason, message
		}
	}
	return "", "", ""
}

// final is a condition's status once it is final.
func final(status string) string {
	if status == "True" || status == "False" {
		return status
	}
	return ""
}

// meta is as much of an object's metadata as ties it to others.
type meta struct {
	Metadata struct {
		Labels          map[string]string `json:"labels"`
		OwnerReferences []struct {
			Kind string `json:"kind"`
			Name string `json:"name"`
		} `json:"ownerReferences"`
		DeletionTimestamp string `json:"deletionTimestamp"`
	} `json:"metadata"`
}

// ownedBy is the name of the object's owner of a kind, which a label gives too.
func (m meta) ownedBy(kind, label string) string {
	if v := m.Metadata.Labels[label]; v != "" {
		return v
	}
	for _, o := range m.Metadata.OwnerReferences {
		if o.Kind == kind {
			return o.Name
		}
	}
	return ""
}

// multiAttach is the attach/detach controller's complaint that a volume is on
// another node: reportMultiAttachError in
// pkg/controller/volume/attachdetach/reconciler of Kubernetes, whose wording
// was "Multi-Attach error for volume" before it became "Waiting for detach".
var multiAttach = regexp.MustCompile(`^(Multi-Attach error|Waiting for detach) for volume "([^"]*)"`)

// readTimeline reads a history.
func readTimeline(entries []history.Entry) (*timeline, error) {
	t := &timeline{entries: entries, deletions: map[history.Ref]deletion{}, states: map[int]*history.State{}, writes: map[history.Ref][]*history.Entry{}}
	for i := range entries {
		if e := &entries[i]; e.Kind == history.KindObject {
			ref := e.Object
			ref.APIVersion = ""
			t.writes[ref] = append(t.writes[ref], e)
		}
	}
	var failed error
	s, err := history.Replay(entries, func(e history.Entry, before *history.Object, s *history.State) {
		if failed == nil {
			failed = t.take(e, before, s)
		}
	})
	if err == nil {
		err = failed
	}
	if err != nil {
		return nil, err
	}
	t.lastState = s
	return t, nil
}

func (t *timeline) take(e history.Entry, before *history.Object, s *history.State) error {
	switch e.Kind {
	case history.KindObject:
		return t.object(e, before, s.Get(e.Object))
	case history.KindRefused:
		t.refusal(e)
	case history.KindLog:
		t.logs = append(t.logs, e)
	case history.KindFact:
		return t.fact(e)
	}
	return nil
}

func (t *timeline) object(e history.Entry, before *history.Object, o *history.Object) error {
	switch e.Object.Kind {
	case "PipelineRun":
		r := t.run(e.Object.Namespace, e.Object.Name)
		if r != nil && e.Verb == history.VerbDelete {
			r.gone = &e
			return nil
		}
		if r == nil || r.gone != nil && !o.Deleted {
			r = &pipelineRun{namespace: e.Object.Namespace, name: e.Object.Name, created: e.T}
			t.runs = append(t.runs, r)
			t.went(e, r.namespace+"/"+r.name)
		}
		status, reason, message := succeeded(o)
		if status != "" {
			r.reason, r.message = reason, message
		}
		if r.status == "" && final(status) != "" {
			r.status, r.doneT, r.doneSeq = final(status), e.T, e.Seq
		}
	case "TaskRun":
		t.taskRunMadeAgain(e, before)
		t.asked(e, before, o)
		return t.taskRunWritten(e, o)
	case "Pod":
		return t.podWritten(e, before, o)
	case "StatefulSet", "PersistentVolumeClaim", "PersistentVolume", "VolumeAttachment":
		if before == nil || before.Deleted {
			t.went(e, "")
		}
	case "Event":
		if e.Verb != history.VerbDelete {
			t.eventWritten(e, o)
		}
	}
	return nil
}

// went notes that something went on.
func (t *timeline) went(e history.Entry, run string) {
	t.progress = append(t.progress, progress{seq: e.Seq, t: e.T, run: run})
}

func (t *timeline) taskRunWritten(e history.Entry, o *history.Object) error {
	r := t.taskRun(e.Object.Namespace, e.Object.Name)
	if r != nil && e.Verb == history.VerbDelete {
		r.gone = true
		return nil
	}
	if r == nil || r.gone && !o.Deleted && t.anew(r) {
		var m meta
		if err := o.Decode(&m); err != nil {
			return err
		}
		r = &taskRun{
			namespace: e.Object.Namespace, name: e.Object.Name,
			task: m.Metadata.Labels[wellknown.PipelineTaskLabel], taskRef: o.Text("spec", "taskRef", "name"),
			pipelineRun: m.ownedBy("PipelineRun", wellknown.PipelineRunLabel),
			created:     e.T, createdSeq: e.Seq, attempts: []float64{e.T},
		}
		if r.task == "" {
			r.task = r.name
		}
		t.taskRuns = append(t.taskRuns, r)
		if run := t.run(r.namespace, r.pipelineRun); run != nil {
			run.taskRuns = append(run.taskRuns, r)
		}
		t.went(e, r.namespace+"/"+r.pipelineRun)
	}
	status, reason, message := succeeded(o)
	if status != "" && r.status == "" {
		r.reason, r.message = reason, message
	}
	if r.status == "" && final(status) != "" {
		r.status, r.doneT, r.doneSeq = final(status), e.T, e.Seq
		t.went(e, r.namespace+"/"+r.pipelineRun)
	}
	switch {
	case r.doneSeq != 0 && final(status) == "" && status != "":
		if r.again == 0 {
			r.again = e.T
		}
		r.then = fmt.Sprintf("%s: %s", reason, message)
	case r.again != 0:
		r.then = fmt.Sprintf("%s at %.0f s", reason, e.T)
	}
	if r.cancelSeq == 0 && o.Text("spec", "status") != "" {
		r.cancelSeq = e.Seq
	}
	if retries, _ := o.Field("status", "retriesStatus").([]any); len(retries) >= len(r.attempts) {
		r.attempts = append(r.attempts, e.T)
		t.went(e, r.namespace+"/"+r.pipelineRun)
	}
	return nil
}

// anew says whether a TaskRun that comes under the name of one that is gone belongs
// to another run. Within one run it is a task that is run again.
func (t *timeline) anew(r *taskRun) bool {
	run := t.run(r.namespace, r.pipelineRun)
	return run != nil && !slices.Contains(run.taskRuns, r)
}

func (t *timeline) podWritten(e history.Entry, before, o *history.Object) error {
	p := t.pod(e.Object.Namespace, e.Object.Name, e.Seq)
	if e.Verb == history.VerbDelete {
		if p != nil && p.goneSeq == 0 {
			p.goneSeq = e.Seq
			if p.stopSeq == 0 {
				p.stopSeq = e.Seq
			}
		}
		return nil
	}
	if o.Deleted {
		return nil
	}
	if p == nil || before == nil || before.Deleted {
		var m meta
		if err := o.Decode(&m); err != nil {
			return err
		}
		p = &pod{
			namespace: e.Object.Namespace, name: e.Object.Name,
			taskRun:     m.ownedBy("TaskRun", wellknown.TaskRunLabel),
			pipelineRun: m.ownedBy("PipelineRun", wellknown.PipelineRunLabel),
			created:     e.T, createdSeq: e.Seq,
		}
		if m.Metadata.Labels[wellknown.ComponentLabel] == wellknown.AffinityAssistant {
			p.assistant = m.Metadata.Labels[wellknown.InstanceLabel]
		}
		t.pods = append(t.pods, p)
		if r := t.taskRun(p.namespace, p.taskRun); r != nil {
			r.pods = append(r.pods, p)
			p.pipelineRun = r.pipelineRun
		}
		t.went(e, p.namespace+"/"+p.pipelineRun)
	}
	if node := o.Text("spec", "nodeName"); node != "" && p.node == "" {
		p.node, p.boundT, p.boundSeq = node, e.T, e.Seq
		t.went(e, p.namespace+"/"+p.pipelineRun)
	}
	if p.stopSeq == 0 && o.Text("metadata", "deletionTimestamp") != "" {
		p.stopSeq = e.Seq
	}
	if status, _, message := condition(o, "PodScheduled"); status == "False" && p.node == "" &&
		(len(p.unschedulable) == 0 || p.unschedulable[len(p.unschedulable)-1].data.Message != message) {
		// A pod that the scheduler refused before the plugin could say why.
		p.unschedulable = append(p.unschedulable, unschedulable{seq: e.Seq, t: e.T, data: history.Unschedulable{Message: message}})
	}
	phase := o.Text("status", "phase")
	if p.startedSeq == 0 && (ran(o) || phase == string(corev1.PodRunning)) {
		p.startedSeq = e.Seq
		t.went(e, p.namespace+"/"+p.pipelineRun)
	}
	if p.overSeq == 0 && (phase == string(corev1.PodSucceeded) || phase == string(corev1.PodFailed)) {
		p.overSeq = e.Seq
		t.went(e, p.namespace+"/"+p.pipelineRun)
	}
	return nil
}

// ran says that one of a pod's containers runs or has run.
func ran(o *history.Object) bool {
	list, _ := o.Field("status", "containerStatuses").([]any)
	for _, c := range list {
		m, _ := c.(map[string]any)
		state, _ := m["state"].(map[string]any)
		if state["running"] != nil || state["terminated"] != nil {
			return true
		}
	}
	return false
}

func (t *timeline) eventWritten(e history.Entry, o *history.Object) {
	// core/v1 and events.k8s.io/v1 name the same things differently.
	about, message := "involvedObject", o.Text("message")
	if o.Field("regarding") != nil {
		about, message = "regarding", o.Text("note")
	}
	ev := event{
		seq: e.Seq, t: e.T,
		kind: o.Text(about, "kind"), namespace: o.Text(about, "namespace"), name: o.Text(about, "name"),
		typ: o.Text("type"), reason: o.Text("reason"), message: message,
	}
	t.events = append(t.events, ev)
	if ev.kind == "Pod" && ev.reason == "FailedAttachVolume" && multiAttach.MatchString(ev.message) {
		if p := t.pod(ev.namespace, ev.name, e.Seq); p != nil {
			p.holds = append(p.holds, hold{seq: e.Seq, t: e.T, message: ev.message})
		}
	}
}

func (t *timeline) refusal(e history.Entry) {
	t.refused = append(t.refused, e)
	if e.Verb != history.VerbCreate {
		return
	}
	var m meta
	if len(e.Body) > 0 {
		// A body that is no object has no owner: the refusal still counts.
		_ = json.Unmarshal(e.Body, &m)
	}
	if e.Object.Kind == "Pod" || e.Object.Kind == "pods" {
		if r := t.taskRun(e.Object.Namespace, m.ownedBy("TaskRun", wellknown.TaskRunLabel)); r != nil {
			r.refused = append(r.refused, e)
			return
		}
	}
	if r := t.run(e.Object.Namespace, m.ownedBy("PipelineRun", wellknown.PipelineRunLabel)); r != nil {
		r.refused = append(r.refused, e)
	}
}

// decoded unmarshals a fact of one type.
func decoded[F any](e history.Entry) (fact[F], error) {
	f := fact[F]{seq: e.Seq, t: e.T}
	return f, e.Decode(&f.data)
}

// add appends a fact to a list.
func add[F any](list *[]fact[F], e history.Entry) error {
	f, err := decoded[F](e)
	if err == nil {
		*list = append(*list, f)
	}
	return err
}

func (t *timeline) fact(e history.Entry) error {
	switch e.Fact {
	case history.FactStalled:
		return add(&t.stalls, e)
	case history.FactTektonStarted:
		return add(&t.starts, e)
	case history.FactTektonExited:
		return add(&t.exits, e)
	case history.FactLeaseHeld:
		return add(&t.held, e)
	case history.FactLeaseTaken:
		return add(&t.taken, e)
	case history.FactOverlap:
		if r := t.taskRun(e.Object.Namespace, e.Object.Name); r != nil {
			f, err := decoded[history.Overlap](e)
			r.overlap = &f
			return err
		}
	case history.FactIntervention:
		return add(&t.interventions, e)
	case history.FactBusy:
		t.busyWith(e.Object)
	case history.FactInert:
		f, err := decoded[history.Inert](e)
		t.inert = append(t.inert, e.Object.String()+": "+f.data.Reason)
		return err
	case history.FactFinished:
		f, err := decoded[history.Finished](e)
		t.finished = &f
		return err
	case history.FactProvisioned:
		t.went(e, "")
	case history.FactAttached:
		t.attaches++
		t.went(e, "")
	case history.FactDetached:
		t.detaches++
		t.went(e, "")
	case history.FactNoSpace:
		return t.outOfSpace(e)
	}
	if e.Object.Kind != "Pod" {
		return nil
	}
	p := t.pod(e.Object.Namespace, e.Object.Name, e.Seq)
	if p == nil {
		return nil
	}
	switch e.Fact {
	case history.FactUnschedulable:
		// The fact says more than the condition with the same message.
		if n := len(p.unschedulable); n > 0 && p.unschedulable[n-1].data.Nodes == nil {
			p.unschedulable = p.unschedulable[:n-1]
		}
		return add(&p.unschedulable, e)
	case history.FactPodRefused:
		return add(&p.refusals, e)
	case history.FactFileDenied:
		return add(&p.denied, e)
	case history.FactDisk:
		f, err := decoded[history.Disk](e)
		p.disk = &f
		return err
	case history.FactResultMadeUp:
		return t.resultMadeUp(e, p)
	}
	t.went(e, p.namespace+"/"+p.pipelineRun)
	switch e.Fact {
	case history.FactVolumesAttached:
		f, err := decoded[history.Volume](e)
		p.attached = &f.data.Seconds
		return err
	case history.FactVolumesReady:
		f, err := decoded[history.VolumesReady](e)
		p.volumes, p.volumesT, p.volumesSeq = &f.data, e.T, e.Seq
		return err
	case history.FactOwnership:
		f, err := decoded[history.Ownership](e)
		p.ownership += f.data.Seconds
		return err
	case history.FactImagePulled:
		f, err := decoded[history.ImagePull](e)
		p.pull += f.data.Seconds
		return err
	case history.FactContainersBusy:
		p.busyT, p.busySeq = e.T, e.Seq
		if p.startedSeq == 0 {
			p.startedSeq = e.Seq
		}
	case history.FactContainer:
		return add(&p.containers, e)
	case history.FactFileWritten:
		return add(&t.written, e)
	case history.FactFileDeleted:
		return add(&t.deleted, e)
	}
	return nil
}

// busyWith notes a run that a reconciler does not leave alone; TaskRuns by the names
// of their tasks, which tell more than those that are made up.
func (t *timeline) busyWith(o history.Ref) {
	what := o.String()
	if r := t.taskRun(o.Namespace, o.Name); r != nil && o.Kind == "TaskRun" {
		what = "TaskRun of task " + r.task
	}
	if !slices.Contains(t.busy, what) {
		t.busy = append(t.busy, what)
	}
}

// outOfSpace gives a write that did not fit to the pod that did it: the fact is
// about the claim and names the task.
func (t *timeline) outOfSpace(e history.Entry) error {
	f, err := decoded[history.Space](e)
	if err != nil {
		return err
	}
	for _, p := range slices.Backward(t.pods) {
		if e.Object.Kind == "Pod" {
			if p.namespace == e.Object.Namespace && p.name == e.Object.Name {
				p.noSpace = append(p.noSpace, f)
				return nil
			}
			continue
		}
		r := t.taskRun(p.namespace, p.taskRun)
		if r == nil || p.namespace != e.Object.Namespace || p.overSeq != 0 || p.startedSeq == 0 {
			continue
		}
		if f.data.Task == "" || f.data.Task == r.task || f.data.Task == r.taskRef {
			p.noSpace = append(p.noSpace, f)
			return nil
		}
	}
	return nil
}

// clip shortens evidence that would fill pages; what it keeps is verbatim.
func clip(s string) string {
	const most = 4000
	s = strings.TrimSpace(s)
	if len(s) <= most {
		return s
	}
	return s[:most] + "..."
}

package timeline

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/wellknown"
)

// multiAttach is the attach/detach controller's complaint that a volume is on
// another node: reportMultiAttachError in
// pkg/controller/volume/attachdetach/reconciler of Kubernetes, whose wording
// was "Multi-Attach error for volume" before it became "Waiting for detach".
var multiAttach = regexp.MustCompile(`^(Multi-Attach error|Waiting for detach) for volume "([^"]*)"`)

// write takes in a write that was accepted, to what an object was before, which made it
// what it is.
func (t *Timeline) write(e history.Entry, before, o *history.Object) {
	switch e.Object.Kind {
	case "PipelineRun":
		r := t.Run(e.Object.Namespace, e.Object.Name)
		if r != nil && e.Verb == history.VerbDelete {
			r.Gone = &e
			return
		}
		if r == nil || r.Gone != nil && !o.Deleted {
			r = &Run{Namespace: e.Object.Namespace, Name: e.Object.Name, Created: e.T}
			t.Runs = append(t.Runs, r)
			t.index.runs[name{r.Namespace, r.Name}] = r
			t.went(e, r.Namespace+"/"+r.Name)
		}
		status, reason, message := Succeeded(o)
		switch {
		case r.Status != "":
			r.Later = later(r.Later, e, r.Status, r.Reason, o)
		case status != "":
			r.Reason, r.Message = reason, message
			if Final(status) != "" {
				r.Status, r.DoneT, r.DoneSeq = Final(status), e.T, e.Seq
			}
		}
	case "TaskRun":
		t.taskRunMadeAgain(e, before)
		t.asked(e, before, o)
		t.taskRunWritten(e, o)
	case "Pod":
		t.podWritten(e, before, o)
	case "StatefulSet", "PersistentVolumeClaim", "PersistentVolume", "VolumeAttachment":
		if before == nil || before.Deleted {
			t.went(e, "")
		}
	case "Event":
		if e.Verb != history.VerbDelete {
			t.eventWritten(e, o)
		}
	}
}

// went notes that something of a run went on.
func (t *Timeline) went(e history.Entry, run string) {
	latest := e.T
	if had := t.index.progress[run]; len(had) > 0 {
		latest = max(latest, had[len(had)-1].t)
	}
	t.index.progress[run] = append(t.index.progress[run], progress{seq: e.Seq, t: latest})
}

func (t *Timeline) taskRunWritten(e history.Entry, o *history.Object) {
	r := t.TaskRun(e.Object.Namespace, e.Object.Name)
	if r != nil && e.Verb == history.VerbDelete {
		r.Gone = true
		return
	}
	if r == nil || r.Gone && !o.Deleted && t.anew(r) {
		m := MetaOf(o)
		r = &TaskRun{
			Namespace: e.Object.Namespace, Name: e.Object.Name,
			Task: m.Labels[wellknown.PipelineTaskLabel], TaskRef: o.Text("spec", "taskRef", "name"),
			PipelineRun: m.OwnedBy("PipelineRun", wellknown.PipelineRunLabel),
			Created:     e.T, CreatedSeq: e.Seq, Attempts: []float64{e.T},
		}
		if r.Task == "" {
			r.Task = r.Name
		}
		t.TaskRuns = append(t.TaskRuns, r)
		t.index.taskRuns[name{r.Namespace, r.Name}] = r
		t.index.ofTask[r.Task] = append(t.index.ofTask[r.Task], r)
		if run := t.Run(r.Namespace, r.PipelineRun); run != nil {
			run.TaskRuns = append(run.TaskRuns, r)
		}
		t.went(e, r.Namespace+"/"+r.PipelineRun)
	}
	status, reason, message := Succeeded(o)
	if status != "" && r.Status == "" {
		r.Reason, r.Message = reason, message
	}
	if r.Status == "" && Final(status) != "" {
		r.Status, r.DoneT, r.DoneSeq = Final(status), e.T, e.Seq
		t.went(e, r.Namespace+"/"+r.PipelineRun)
	}
	if r.DoneSeq != 0 {
		r.Later = later(r.Later, e, r.Status, r.Reason, o)
	}
	switch {
	case r.DoneSeq != 0 && Final(status) == "" && status != "":
		if r.Again == 0 {
			r.Again = e.T
		}
		r.Then = fmt.Sprintf("%s: %s", reason, message)
	case r.Again != 0:
		r.Then = fmt.Sprintf("%s at %.0f s", reason, e.T)
	}
	if r.CancelSeq == 0 && o.Text("spec", "status") != "" {
		r.CancelSeq = e.Seq
	}
	if retries, _ := o.Field("status", "retriesStatus").([]any); len(retries) >= len(r.Attempts) {
		r.Attempts = append(r.Attempts, e.T)
		t.went(e, r.Namespace+"/"+r.PipelineRun)
	}
}

// later adds a write of a run that had ended with a status and a reason to the changes of
// these, if it is one.
func later(all []Later, e history.Entry, status, reason string, o *history.Object) []Later {
	if n := len(all); n > 0 {
		status, reason = all[n-1].Status, all[n-1].Reason
	}
	is, why, message := Succeeded(o)
	if Final(is) == status && why == reason {
		return all
	}
	return append(all, Later{Seq: e.Seq, T: e.T, By: e.Actor, Status: Final(is), Reason: why, Message: message})
}

// anew says whether a TaskRun that comes under the name of one that is gone belongs
// to another run. Within one run it is a task that is run again.
func (t *Timeline) anew(r *TaskRun) bool {
	run := t.Run(r.Namespace, r.PipelineRun)
	return run != nil && !slices.Contains(run.TaskRuns, r)
}

func (t *Timeline) podWritten(e history.Entry, before, o *history.Object) {
	p := t.Pod(e.Object.Namespace, e.Object.Name, e.Seq)
	if e.Verb == history.VerbDelete {
		if p != nil && p.GoneSeq == 0 {
			p.GoneSeq = e.Seq
			if p.StopSeq == 0 {
				p.StopSeq = e.Seq
			}
		}
		return
	}
	if o.Deleted {
		return
	}
	if p == nil || before == nil || before.Deleted {
		m := MetaOf(o)
		p = &Pod{
			Namespace: e.Object.Namespace, Name: e.Object.Name,
			TaskRun:     m.OwnedBy("TaskRun", wellknown.TaskRunLabel),
			PipelineRun: m.OwnedBy("PipelineRun", wellknown.PipelineRunLabel),
			Created:     e.T, CreatedSeq: e.Seq,
		}
		if m.Labels[wellknown.ComponentLabel] == wellknown.AffinityAssistant {
			p.Assistant = m.Labels[wellknown.InstanceLabel]
		}
		if r := t.TaskRun(p.Namespace, p.TaskRun); r != nil {
			r.Pods = append(r.Pods, p)
			p.PipelineRun, p.Attempt = r.PipelineRun, len(r.Attempts)
		}
		t.Pods = append(t.Pods, p)
		t.index.pod(p, m, o)
		t.went(e, p.Namespace+"/"+p.PipelineRun)
	}
	if bytes.Contains(e.Patch, []byte("labels")) {
		t.index.label(p, MetaOf(o)) // the API server adds some when it is bound
	}
	if node := o.Text("spec", "nodeName"); node != "" && p.Node == "" {
		p.Node, p.BoundT, p.BoundSeq = node, e.T, e.Seq
		t.index.podsOn[node] = append(t.index.podsOn[node], p)
		t.went(e, p.Namespace+"/"+p.PipelineRun)
	}
	if p.StopSeq == 0 && o.Text("metadata", "deletionTimestamp") != "" {
		p.StopSeq = e.Seq
	}
	if status, _, message := Condition(o, "PodScheduled"); status == "False" && p.Node == "" &&
		(len(p.Unschedulable) == 0 || p.Unschedulable[len(p.Unschedulable)-1].Data.Message != message) {
		// A pod that the scheduler refused before the plugin could say why.
		p.Unschedulable = append(p.Unschedulable, Fact[history.Unschedulable]{Seq: e.Seq, T: e.T, Data: history.Unschedulable{Message: message}})
	}
	phase := o.Text("status", "phase")
	if p.StartedSeq == 0 && (ran(o) || phase == string(corev1.PodRunning)) {
		p.StartedSeq = e.Seq
		t.went(e, p.Namespace+"/"+p.PipelineRun)
	}
	if p.OverSeq == 0 && (phase == string(corev1.PodSucceeded) || phase == string(corev1.PodFailed)) {
		p.OverSeq = e.Seq
		t.index.ended(p)
		t.went(e, p.Namespace+"/"+p.PipelineRun)
	}
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

func (t *Timeline) eventWritten(e history.Entry, o *history.Object) {
	ev := eventOf(o)
	ev.Seq, ev.T = e.Seq, e.T
	ref := ev.About()
	t.index.events[ref] = append(t.index.events[ref], len(t.Events))
	t.Events = append(t.Events, ev)
	if ev.Kind == "Pod" && ev.Reason == "FailedAttachVolume" {
		if m := multiAttach.FindStringSubmatch(ev.Message); m != nil {
			if p := t.Pod(ev.Namespace, ev.Name, e.Seq); p != nil {
				p.Holds = append(p.Holds, Hold{Seq: e.Seq, T: e.T, Message: ev.Message, Volume: m[2]})
			}
		}
	}
}

func (t *Timeline) refusal(e history.Entry) {
	n := name{e.Object.Namespace, e.Object.Name}
	t.index.refused[n] = append(t.index.refused[n], len(t.Refused))
	t.Refused = append(t.Refused, e)
	if e.Verb != history.VerbCreate {
		return
	}
	m := MetaIn(e)
	if e.Object.Kind == "Pod" || e.Object.Kind == "pods" {
		if r := t.TaskRun(e.Object.Namespace, m.OwnedBy("TaskRun", wellknown.TaskRunLabel)); r != nil {
			r.Refused = append(r.Refused, e)
			return
		}
	}
	if r := t.Run(e.Object.Namespace, m.OwnedBy("PipelineRun", wellknown.PipelineRunLabel)); r != nil {
		r.Refused = append(r.Refused, e)
	}
}

// decoded unmarshals a fact of one type.
func decoded[F any](e history.Entry) (Fact[F], error) {
	f := Fact[F]{Seq: e.Seq, T: e.T}
	return f, e.Decode(&f.Data)
}

// add appends a fact to a list.
func add[F any](list *[]Fact[F], e history.Entry) error {
	f, err := decoded[F](e)
	if err == nil {
		*list = append(*list, f)
	}
	return err
}

func addFile(of map[string][]Fact[history.File], e history.Entry) error {
	f, err := decoded[history.File](e)
	if err == nil {
		of[f.Data.Claim] = append(of[f.Data.Claim], f)
	}
	return err
}

func (t *Timeline) fact(e history.Entry) error {
	switch e.Fact {
	case history.FactStalled:
		return add(&t.Stalls, e)
	case history.FactTektonStarted:
		return add(&t.Starts, e)
	case history.FactTektonExited:
		return add(&t.Exits, e)
	case history.FactLeaseHeld:
		return add(&t.Held, e)
	case history.FactLeaseTaken:
		return add(&t.Taken, e)
	case history.FactOverlap:
		if r := t.TaskRun(e.Object.Namespace, e.Object.Name); r != nil {
			f, err := decoded[history.Overlap](e)
			r.Overlap = &f
			return err
		}
	case history.FactIntervention:
		return add(&t.Interventions, e)
	case history.FactFaultMet:
		return add(&t.Met, e)
	case history.FactSchedulerAway:
		return beginSpell(&t.SchedulerAway, e)
	case history.FactSchedulerBack:
		return endSpell(t.SchedulerAway, e, history.SchedulerAway.Key)
	case history.FactAPIFails:
		return beginSpell(&t.APIFaults, e)
	case history.FactAPIBack:
		return endSpell(t.APIFaults, e, history.APIFault.Key)
	case history.FactRegistryFails:
		return beginSpell(&t.Registries, e)
	case history.FactRegistryBack:
		return endSpell(t.Registries, e, func(r history.Registry) string { return r.Images })
	case history.FactClockShifted:
		return beginSpell(&t.Clocks, e)
	case history.FactClockRight:
		return endSpell(t.Clocks, e, func(history.ClockShift) string { return e.Object.Name })
	case history.FactScaledDown:
		return add(&t.ScaledDown, e)
	case history.FactMemoryTaken:
		return beginSpell(&t.Memories, e)
	case history.FactMemoryBack:
		return endSpell(t.Memories, e, func(m history.MemoryTaken) string { return m.Node })
	case history.FactRuntimeFails:
		return beginSpell(&t.Runtimes, e)
	case history.FactRuntimeBack:
		return endSpell(t.Runtimes, e, history.Runtime.Name)
	case history.FactNodeShutdown:
		return beginSpell(&t.Shutdowns, e)
	case history.FactWebhookFails:
		return beginSpell(&t.Webhooks, e)
	case history.FactWebhookBack:
		return endSpell(t.Webhooks, e, func(w history.Webhook) string { return w.Name })
	case history.FactStorageFails:
		return beginSpell(&t.StorageFaults, e)
	case history.FactStorageBack:
		return endSpell(t.StorageFaults, e, history.StorageFault.Key)
	case history.FactVolumeFailed:
		return add(&t.VolumeFailures, e)
	case history.FactNodeSilent:
		return beginSpell(&t.Silences, e)
	case history.FactNodeBack:
		t.shutdownOver(e)
		return endSpell(t.Silences, e, func(s history.NodeSilent) string { return s.Node })
	case history.FactBusy:
		t.busyWith(e.Object)
	case history.FactInert:
		f, err := decoded[history.Inert](e)
		t.Inert = append(t.Inert, e.Object.String()+": "+f.Data.Reason)
		return err
	case history.FactFinished:
		f, err := decoded[history.Finished](e)
		t.Finished = &f
		return err
	case history.FactProvisioned:
		t.went(e, "")
	case history.FactAttached:
		t.went(e, "")
		return add(&t.Attached, e)
	case history.FactDetached:
		t.went(e, "")
		return add(&t.Detached, e)
	case history.FactNoSpace:
		return t.outOfSpace(e)
	}
	if e.Object.Kind != "Pod" {
		return nil
	}
	p := t.Pod(e.Object.Namespace, e.Object.Name, e.Seq)
	if p == nil {
		return nil
	}
	switch e.Fact {
	case history.FactUnschedulable:
		// The fact says more than the condition with the same message.
		if n := len(p.Unschedulable); n > 0 && p.Unschedulable[n-1].Data.Nodes == nil {
			p.Unschedulable = p.Unschedulable[:n-1]
		}
		return add(&p.Unschedulable, e)
	case history.FactPodRefused:
		return add(&p.Refusals, e)
	case history.FactNotMade:
		return add(&p.NotMade, e)
	case history.FactPullFailed:
		f, err := decoded[history.PullFailed](e)
		p.Unpulled = append(p.Unpulled, Unpulled{Failed: f})
		return err
	case history.FactFileDenied:
		return add(&p.Denied, e)
	case history.FactMemory:
		f, err := decoded[history.Memory](e)
		p.Memory = &f
		return err
	case history.FactDisk:
		f, err := decoded[history.Disk](e)
		p.Disk = &f
		t.index.disks[f.Data.Node] = append(t.index.disks[f.Data.Node], disk{p, p.Disk})
		return err
	case history.FactResultMadeUp:
		return t.resultMadeUp(e, p)
	}
	t.went(e, p.Namespace+"/"+p.PipelineRun)
	switch e.Fact {
	case history.FactVolumesAttached:
		f, err := decoded[history.Volume](e)
		p.AttachSeconds = &f.Data.Seconds
		return err
	case history.FactVolumesReady:
		f, err := decoded[history.VolumesReady](e)
		p.Volumes, p.VolumesT, p.VolumesSeq = &f.Data, e.T, e.Seq
		return err
	case history.FactImagePulled:
		f, err := decoded[history.ImagePull](e)
		p.PullSeconds += f.Data.Seconds
		if p.PulledSeq == 0 {
			p.PulledSeq = e.Seq
		}
		for i := range p.Unpulled {
			if u := &p.Unpulled[i]; u.Failed.Data.Image == f.Data.Image && u.CameSeq == 0 {
				u.CameSeq = e.Seq
			}
		}
		return err
	case history.FactContainersBusy:
		p.BusyT, p.BusySeq = e.T, e.Seq
		if p.StartedSeq == 0 {
			p.StartedSeq = e.Seq
		}
	case history.FactContainer:
		return add(&p.Containers, e)
	case history.FactFileWritten:
		return addFile(t.index.written, e)
	case history.FactFileDeleted:
		return addFile(t.index.deleted, e)
	}
	return nil
}

// busyWith notes a run that a reconciler does not leave alone; TaskRuns by the names
// of their tasks, which tell more than those that are made up.
func (t *Timeline) busyWith(o history.Ref) {
	what := o.String()
	if r := t.TaskRun(o.Namespace, o.Name); r != nil && o.Kind == "TaskRun" {
		what = "TaskRun of task " + r.Task
	}
	if !t.index.busy[what] {
		t.index.busy[what] = true
		t.Busy = append(t.Busy, what)
	}
}

// outOfSpace gives a write that did not fit to the pod that did it: the fact is
// about the claim and names the task.
func (t *Timeline) outOfSpace(e history.Entry) error {
	f, err := decoded[history.Space](e)
	if err != nil {
		return err
	}
	if e.Object.Kind == "Pod" {
		if p := t.Pod(e.Object.Namespace, e.Object.Name, e.Seq); p != nil {
			p.NoSpace = append(p.NoSpace, f)
		}
		return nil
	}
	for _, p := range slices.Backward(t.index.unended[e.Object.Namespace]) {
		r := t.TaskRun(p.Namespace, p.TaskRun)
		if r == nil || p.StartedSeq == 0 {
			continue
		}
		if f.Data.Task == "" || f.Data.Task == r.Task || f.Data.Task == r.TaskRef {
			p.NoSpace = append(p.NoSpace, f)
			return nil
		}
	}
	return nil
}

// resultMadeUp notes a result of a pod's task that the kubelet made up.
func (t *Timeline) resultMadeUp(e history.Entry, p *Pod) error {
	f, err := decoded[history.MadeUp](e)
	if err != nil {
		return err
	}
	if r := t.TaskRun(p.Namespace, p.TaskRun); r != nil && f.Data.Step == "" {
		t.MadeUp = append(t.MadeUp, MadeUp{Run: r.Namespace + "/" + r.PipelineRun, Task: r.Task, Result: f.Data.Result})
	}
	return nil
}

// asked notes who asked for an object's deletion first, so long as it is there.
func (t *Timeline) asked(e history.Entry, before, o *history.Object) {
	ref := history.Ref{Kind: e.Object.Kind, Namespace: e.Object.Namespace, Name: e.Object.Name}
	stamped := o.Text("metadata", "deletionTimestamp") != ""
	if before != nil && !before.Deleted && (before.Text("metadata", "deletionTimestamp") != "" || !stamped && e.Verb != history.VerbDelete) {
		return
	}
	delete(t.index.deletions, ref)
	if stamped || e.Verb == history.VerbDelete {
		t.index.deletions[ref] = deletion{t: e.T, by: e.Actor}
	}
}

// taskRunMadeAgain notes a TaskRun that was deleted and is made again.
func (t *Timeline) taskRunMadeAgain(e history.Entry, before *history.Object) {
	if e.Verb != history.VerbCreate || before == nil || !before.Deleted {
		return
	}
	r := t.TaskRun(e.Object.Namespace, e.Object.Name)
	if r == nil || t.anew(r) {
		return
	}
	gone := deletion{t: before.DeletedAt, by: before.DeletedBy}
	if first, ok := t.index.deletions[history.Ref{Kind: "TaskRun", Namespace: r.Namespace, Name: r.Name}]; ok {
		gone = first
	}
	status, _, _ := Succeeded(before)
	again := Remade{Seq: e.Seq, T: e.T, TaskRun: r, DeletedT: gone.t, DeletedBy: gone.by, Had: Final(status)}
	t.Remade = append(t.Remade, again)
	r.Remade = append(r.Remade, again)
}

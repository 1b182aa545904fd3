package timeline

import (
	"fmt"
	"strings"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/wellknown"
)

// Run is what a history says of one PipelineRun.
type Run struct {
	Namespace, Name string
	Created         float64
	// Status is that of the condition Succeeded: "True", "False" or "". It is that of its
	// first end, as are Reason and Message.
	Status, Reason, Message string
	// DoneT and DoneSeq are when it was done and with which entry; 0 if it was not.
	DoneT   float64
	DoneSeq int
	// Later are the changes of that condition after that end.
	Later []Later
	// Gone is the end of the object; nil while it is there.
	Gone     *history.Entry
	TaskRuns []*TaskRun
	// Refused are writes of the run's own machinery that the API server
	// refused: claims, StatefulSets, TaskRuns.
	Refused []history.Entry
}

// Object names the run as links do.
func (r *Run) Object() string { return "PipelineRun " + r.Namespace + "/" + r.Name }

// TaskRun is what a history says of one TaskRun.
type TaskRun struct {
	Namespace, Name string
	// Task is the pipeline task that it runs, TaskRef the Task that this refers to,
	// PipelineRun the name of its run; empty for a TaskRun of its own.
	Task, TaskRef, PipelineRun string
	Created                    float64
	CreatedSeq                 int
	// Status is that of the condition Succeeded: "True", "False" or "".
	Status, Reason, Message string
	// DoneT and DoneSeq are when it was done and with which entry; 0 if it was not.
	DoneT   float64
	DoneSeq int
	// CancelSeq is the entry that asked for its cancellation.
	CancelSeq int
	// Overlap is the order in which the news of its end and of its pod's came; Again
	// is when it came to life again after its end, 0 if it did not, and Then is what
	// became of it.
	Overlap *Fact[history.Overlap]
	Again   float64
	Then    string
	// Later are the changes of its condition Succeeded after its end.
	Later []Later
	// Gone says that the object is no longer there.
	Gone bool
	// Attempts are the moments at which an attempt began, the first at Created.
	Attempts []float64
	Pods     []*Pod
	// Refused are its pods that the API server refused.
	Refused []history.Entry
	// Remade are the times that it was made again.
	Remade []Remade
}

// Later is a change of the condition Succeeded of a run that had ended.
type Later struct {
	Seq int
	T   float64
	// By is who wrote it.
	By string
	// Status is "True", "False", or empty while the run is alive again.
	Status, Reason, Message string
}

// Object names the TaskRun as links do.
func (r *TaskRun) Object() string { return "TaskRun " + r.Namespace + "/" + r.Name }

// Of is the TaskRun's PipelineRun, NAMESPACE/NAME; empty if it has none.
func (r *TaskRun) Of() string {
	if r.PipelineRun == "" {
		return ""
	}
	return r.Namespace + "/" + r.PipelineRun
}

// Remade is a TaskRun that was made again after it was deleted.
type Remade struct {
	// Seq and T are the entry with which it was made again, and when.
	Seq     int
	T       float64
	TaskRun *TaskRun
	// DeletedT and DeletedBy are when and by whom its deletion was asked for.
	DeletedT  float64
	DeletedBy string
	// Had is the status that it had reached, "True" or "False"; empty if it had not
	// ended.
	Had string
}

// Pod is what a history says of one pod; a pod made again under the same name
// is another.
type Pod struct {
	Namespace, Name string
	// TaskRun and PipelineRun are whose it is; Assistant is the affinity assistant's
	// StatefulSet if it is that one's.
	TaskRun, PipelineRun, Assistant string
	// Attempt is its TaskRun's try that it was made for, from 1; 0 without a TaskRun.
	Attempt    int
	Created    float64
	CreatedSeq int
	// Node is where it was bound to, at BoundT with entry BoundSeq.
	Node     string
	BoundT   float64
	BoundSeq int
	// StartedSeq is the entry with which its containers began to run, OverSeq
	// the one with which it ended, StopSeq the one that asked for its deletion,
	// GoneSeq the one with which it was gone.
	StartedSeq, OverSeq, StopSeq, GoneSeq int

	// Unschedulable are the scheduler's refusals.
	Unschedulable []Fact[history.Unschedulable]
	// AttachSeconds is how long it waited until its volumes were attached; nil if they
	// were not.
	AttachSeconds *float64
	// Volumes is how they became ready, at VolumesT with entry VolumesSeq.
	Volumes    *history.VolumesReady
	VolumesT   float64
	VolumesSeq int
	// PulledSeq is the entry with which its first image was there, PullSeconds how long
	// all of them took.
	PulledSeq   int
	PullSeconds float64
	// BusyT and BusySeq are when its steps began their work.
	BusyT      float64
	BusySeq    int
	Containers []Fact[history.Container]
	// Denied are files that it may not use, NoSpace writes that did not fit on a
	// volume, Disk what it met on its node's disk, Refusals the kubelet's, Holds the
	// Multi-Attach errors.
	Denied  []Fact[history.File]
	NoSpace []Fact[history.Space]
	Disk    *Fact[history.Disk]
	// Memory is what its node's memory was taken by when it was evicted for that.
	Memory   *Fact[history.Memory]
	Refusals []Fact[history.Refusal]
	// NotMade are its sandbox and containers that the runtime did not make at first.
	NotMade []Fact[history.NotMade]
	// Unpulled are images of its that did not come at first.
	Unpulled []Unpulled
	Holds    []Hold

	// labels are those that it ever had, "key=value".
	labels map[string]bool
}

// Object names the pod as links do.
func (p *Pod) Object() string { return "Pod " + p.Namespace + "/" + p.Name }

// IsAssistant says whether it is an affinity assistant's pod.
func (p *Pod) IsAssistant() bool {
	return p.Assistant != "" || strings.HasPrefix(p.Name, wellknown.AffinityAssistant+"-")
}

// LastUnschedulable is the scheduler's last refusal before an entry.
func (p *Pod) LastUnschedulable(before int) *Fact[history.Unschedulable] {
	return last(p.Unschedulable, before, func(f *Fact[history.Unschedulable]) int { return f.Seq })
}

// Title names a pod with the task it belongs to.
func (t *Timeline) Title(p *Pod) string {
	switch r := t.TaskRun(p.Namespace, p.TaskRun); {
	case r != nil:
		return fmt.Sprintf("%s of task %s", p.Object(), r.Task)
	case p.Assistant != "":
		return p.Object() + " (affinity assistant)"
	}
	return p.Object()
}

// Fact is a fact's fields with where it stands in the history.
type Fact[F any] struct {
	Seq  int
	T    float64
	Data F
}

// Hold is a Multi-Attach error of a pod.
type Hold struct {
	Seq     int
	T       float64
	Message string
	// Volume is the PersistentVolume that is somewhere else.
	Volume string
}

// Event is one occurrence of a Kubernetes Event, or one more of the same.
type Event struct {
	Seq int
	T   float64
	// Kind, Namespace and Name are of the object that it is about.
	Kind, Namespace, Name string
	Type, Reason, Message string
	// Component is whose it is.
	Component string
}

// About is the object that the Event is about.
func (e Event) About() history.Ref {
	return history.Ref{Kind: e.Kind, Namespace: e.Namespace, Name: e.Name}
}

// MadeUp is a task's result whose value nobody gave.
type MadeUp struct {
	// Run is NAMESPACE/NAME of the PipelineRun.
	Run, Task, Result string
}

// Unpulled is an image of a pod that did not come when it was asked for.
type Unpulled struct {
	Failed Fact[history.PullFailed]
	// CameSeq is the entry with which it came in the end, 0 if it did not.
	CameSeq int
}

package timeline

import (
	"cmp"
	"fmt"
	"slices"

	"simctl.dev/simctl/sim/history"
)

// Timeline is a history that was read. What it gives must not be changed.
type Timeline struct {
	// Runs, TaskRuns and Pods are in the order in which they were made.
	Runs     []*Run
	TaskRuns []*TaskRun
	Pods     []*Pod
	// Events, Refused and Logs are the occurrences of Events, the writes that the API
	// server refused and the lines that controllers logged.
	Events  []Event
	Refused []history.Entry
	Logs    []history.Entry
	Stalls  []Fact[history.Stalled]
	// Starts and Exits are of Tekton's controllers.
	Starts, Exits []Fact[history.Tekton]
	// Held and Taken are the beginning and the end of waits for leases.
	Held, Taken []Fact[history.Lease]
	// Interventions are what the scenario did in the middle of the runs.
	Interventions []Fact[history.Intervention]
	// Met are whom faults have met that lasted, in the order of their ends.
	Met []Fact[history.FaultMet]
	// Shutdowns are the times in which a machine was about to go off, or off.
	Shutdowns []Spell[history.NodeShutdown]
	// Silences are the times in which nothing was heard of a node.
	Silences []Spell[history.NodeSilent]
	// Runtimes are the times in which container runtimes did not do what they were asked for.
	Runtimes []Spell[history.Runtime]
	// Clocks are the times in which the clock of Tekton's controller was wrong.
	Clocks []Spell[history.ClockShift]
	// ScaledDown are the nodes that the cluster autoscaler took away.
	ScaledDown []Fact[history.ScaledDown]
	// Memories are the times in which the memory of a node was taken outside of pods.
	Memories []Spell[history.MemoryTaken]
	// Registries are the times in which images did not come.
	Registries []Spell[history.Registry]
	// Webhooks are the times in which Tekton's webhook could not be asked.
	Webhooks []Spell[history.Webhook]
	// StorageFaults are the times in which CSI drivers failed at an operation or were slow at
	// it, VolumeFailures what came of it and of drivers' limits, in order.
	StorageFaults  []Spell[history.StorageFault]
	VolumeFailures []Fact[history.VolumeFailed]
	// SchedulerAway are the times in which the scheduler did nothing.
	SchedulerAway []Spell[history.SchedulerAway]
	// APIFaults are the times in which the API server did not answer as it should.
	APIFaults []Spell[history.APIFault]
	// Inert are the manifests that had no effect, with the reason; Busy the runs that a
	// reconciler does not leave alone.
	Inert, Busy []string
	// MadeUp are results that no model gives, Remade the TaskRuns that were made again.
	MadeUp []MadeUp
	Remade []Remade
	// Attached and Detached are of volumes, in order.
	Attached, Detached []Fact[history.Volume]
	// Finished is the end of the cell; nil if the history has none.
	Finished *Fact[history.Finished]

	entries []history.Entry
	state   *history.State
	index   index
}

// name is an object's, within its kind.
type name struct{ namespace, name string }

// index is where things are found.
type index struct {
	runs     map[name]*Run
	taskRuns map[name]*TaskRun
	ofTask   map[string][]*TaskRun
	pods     map[name][]*Pod
	// podsOfRun, podsOn and podsOfClaim are pods by their PipelineRun, their node and
	// the claims that they mount, podsLabelled by namespace and "key=value".
	podsOfRun, podsOfClaim, podsLabelled map[name][]*Pod
	podsOn                               map[string][]*Pod
	// podsIn are a namespace's pods, unended those that have not ended.
	podsIn, unended map[string][]*Pod
	// events, refused and logs are places in the lists of that name, by the object.
	events        map[history.Ref][]int
	refused, logs map[name][]int
	// written and deleted are files by their claim, disks what pods met on a node's.
	written, deleted map[string][]Fact[history.File]
	disks            map[string][]disk
	// deletions are who asked for the deletion of a TaskRun that is there or was last.
	deletions map[history.Ref]deletion
	// progress is when something went on, by "namespace/run"; under "" stands what
	// cannot be told apart by run, as volumes.
	progress map[string][]progress
	busy     map[string]bool

	objects
}

func newIndex() index {
	return index{
		runs: map[name]*Run{}, taskRuns: map[name]*TaskRun{}, ofTask: map[string][]*TaskRun{}, pods: map[name][]*Pod{},
		podsOfRun: map[name][]*Pod{}, podsOfClaim: map[name][]*Pod{}, podsLabelled: map[name][]*Pod{},
		podsOn: map[string][]*Pod{}, podsIn: map[string][]*Pod{}, unended: map[string][]*Pod{},
		events: map[history.Ref][]int{}, refused: map[name][]int{}, logs: map[name][]int{},
		written: map[string][]Fact[history.File]{}, deleted: map[string][]Fact[history.File]{}, disks: map[string][]disk{},
		deletions: map[history.Ref]deletion{}, progress: map[string][]progress{}, busy: map[string]bool{},
		objects: newObjects(),
	}
}

// deletion is who asked for an object's deletion, and when.
type deletion struct {
	t  float64
	by string
}

// disk is a pod that met something on its node's disk.
type disk struct {
	pod  *Pod
	fact *Fact[history.Disk]
}

// progress is the latest time at which something had gone on by an entry.
type progress struct {
	seq int
	t   float64
}

// New returns the timeline of a history without entries.
func New() *Timeline { return &Timeline{state: history.NewState(), index: newIndex()} }

// Read reads a history. The error says that its entries cannot be folded.
func Read(entries []history.Entry) (*Timeline, error) {
	t := New()
	t.entries = slices.Clip(entries)
	for i := range entries {
		if err := t.read(i); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// Add reads the entries that follow those that were read.
func (t *Timeline) Add(entries ...history.Entry) error {
	n := len(t.entries)
	t.entries = append(t.entries, entries...)
	for i := n; i < len(t.entries); i++ {
		if err := t.read(i); err != nil {
			t.entries = t.entries[:i]
			return err
		}
	}
	return nil
}

// read reads the entry at a place.
func (t *Timeline) read(i int) error {
	e := &t.entries[i]
	before := t.state.Get(e.Object)
	if err := t.state.Apply(*e); err != nil {
		return fmt.Errorf("folding the history: %w", err)
	}
	switch e.Kind {
	case history.KindObject:
		now := t.state.Get(e.Object)
		t.index.write(i, *e, now)
		t.write(*e, before, now)
	case history.KindRefused:
		t.refusal(*e)
	case history.KindLog:
		n := name{e.Object.Namespace, e.Object.Name}
		t.index.logs[n] = append(t.index.logs[n], len(t.Logs))
		t.Logs = append(t.Logs, *e)
	case history.KindFact:
		return t.fact(*e)
	}
	return nil
}

// Entries returns what was read.
func (t *Timeline) Entries() []history.Entry { return t.entries }

// End is the number after that of the last entry.
func (t *Timeline) End() int {
	if len(t.entries) == 0 {
		return 1
	}
	return t.entries[len(t.entries)-1].Seq + 1
}

// T is the virtual time of the last entry.
func (t *Timeline) T() float64 { return t.state.T() }

// place is how many entries come before one of a number.
func (t *Timeline) place(seq int) int {
	i, _ := slices.BinarySearchFunc(t.entries, seq, func(e history.Entry, seq int) int { return cmp.Compare(e.Seq, seq) })
	return i
}

// Entry returns the entry of a number; false if there is none.
func (t *Timeline) Entry(seq int) (history.Entry, bool) {
	if i := t.place(seq); i < len(t.entries) && t.entries[i].Seq == seq {
		return t.entries[i], true
	}
	return history.Entry{}, false
}

// Run is the latest PipelineRun of a name; nil without one. One that is made after
// another was deleted is a run of its own.
func (t *Timeline) Run(namespace, run string) *Run { return t.index.runs[name{namespace, run}] }

// TaskRun is the latest TaskRun of a name; nil without one.
func (t *Timeline) TaskRun(namespace, taskRun string) *TaskRun {
	return t.index.taskRuns[name{namespace, taskRun}]
}

// Pod is the pod that had a name last before an entry; nil without one.
func (t *Timeline) Pod(namespace, pod string, before int) *Pod {
	for _, p := range slices.Backward(t.index.pods[name{namespace, pod}]) {
		if p.CreatedSeq < before {
			return p
		}
	}
	return nil
}

// PodsOf are all pods of a PipelineRun, its assistants' too, in the order in which they
// were made.
func (t *Timeline) PodsOf(r *Run) []*Pod { return t.index.podsOfRun[name{r.Namespace, r.Name}] }

// LastEvent is the last Event before an entry that is about an object and that
// pick takes; nil without one.
func (t *Timeline) LastEvent(kind, namespace, object string, before int, pick func(Event) bool) *Event {
	for _, i := range slices.Backward(t.index.events[history.Ref{Kind: kind, Namespace: namespace, Name: object}]) {
		if e := &t.Events[i]; e.Seq < before && pick(*e) {
			return e
		}
	}
	return nil
}

// EventsAbout are the Events about an object, in order.
func (t *Timeline) EventsAbout(kind, namespace, object string) []Event {
	var out []Event
	for _, i := range t.index.events[history.Ref{Kind: kind, Namespace: namespace, Name: object}] {
		out = append(out, t.Events[i])
	}
	return out
}

// LogsAbout are the lines about what has a name, of whatever kind, in order.
func (t *Timeline) LogsAbout(namespace, object string) []history.Entry {
	return chosen(t.Logs, t.index.logs[name{namespace, object}])
}

// RefusedOf are the refused writes of what has a name, of whatever kind, in order.
func (t *Timeline) RefusedOf(namespace, object string) []history.Entry {
	return chosen(t.Refused, t.index.refused[name{namespace, object}])
}

func chosen(list []history.Entry, places []int) []history.Entry {
	out := make([]history.Entry, len(places))
	for i, at := range places {
		out[i] = list[at]
	}
	return out
}

// FilesWritten are the files that were written to a claim, in order.
func (t *Timeline) FilesWritten(claim string) []Fact[history.File] { return t.index.written[claim] }

// FilesDeleted are the files that were deleted from a claim, in order.
func (t *Timeline) FilesDeleted(claim string) []Fact[history.File] { return t.index.deleted[claim] }

// LastOnDisk is the pod that met something on a node's disk last before an entry, see its
// Disk; nil without one.
func (t *Timeline) LastOnDisk(node string, before int) *Pod {
	for _, d := range slices.Backward(t.index.disks[node]) {
		if d.fact.Seq < before && d.pod.Disk == d.fact {
			return d.pod
		}
	}
	return nil
}

// LastProgress is when a run went on last before an entry.
func (t *Timeline) LastProgress(run *Run, before int) float64 {
	at := run.Created
	for _, of := range []string{"", run.Namespace + "/" + run.Name} {
		if p := last(t.index.progress[of], before, func(p *progress) int { return p.seq }); p != nil {
			at = max(at, p.t)
		}
	}
	return at
}

// StalledBefore finds the first stall after one entry and before another; an end of 0 is
// the end of the history. A cell that ended with nothing left had stalled too.
func (t *Timeline) StalledBefore(end, after int) (seq int, ok bool) {
	if end == 0 {
		end = t.End()
	}
	i, _ := slices.BinarySearchFunc(t.Stalls, after+1, func(f Fact[history.Stalled], seq int) int { return cmp.Compare(f.Seq, seq) })
	if i < len(t.Stalls) && t.Stalls[i].Seq < end {
		return t.Stalls[i].Seq, true
	}
	if f := t.Finished; f != nil && !f.Data.Done && f.Seq > after && f.Seq < end && f.Data.Reason != "limit" {
		return f.Seq, true
	}
	return 0, false
}

// last is the last of a list in the order of entries that comes before an entry; nil
// without one.
func last[E any](list []E, before int, seq func(*E) int) *E {
	i, _ := slices.BinarySearchFunc(list, before, func(e E, before int) int { return cmp.Compare(seq(&e), before) })
	if i == 0 {
		return nil
	}
	return &list[i-1]
}

// pod takes in a pod that was made.
func (x *index) pod(p *Pod, m Meta, o *history.Object) {
	add := func(to map[name][]*Pod, k string) {
		n := name{p.Namespace, k}
		to[n] = append(to[n], p)
	}
	add(x.pods, p.Name)
	add(x.podsOfRun, p.PipelineRun)
	for _, claim := range ClaimsOf(o) {
		add(x.podsOfClaim, claim)
	}
	x.label(p, m)
	x.podsIn[p.Namespace] = append(x.podsIn[p.Namespace], p)
	x.unended[p.Namespace] = append(x.unended[p.Namespace], p)
}

// label takes in a pod's labels, those that are new to it.
func (x *index) label(p *Pod, m Meta) {
	for k, v := range m.Labels {
		if label := k + "=" + v; !p.labels[label] {
			if p.labels == nil {
				p.labels = map[string]bool{}
			}
			p.labels[label] = true
			n := name{p.Namespace, label}
			x.podsLabelled[n] = append(x.podsLabelled[n], p)
		}
	}
}

// ended takes in that a pod has ended.
func (x *index) ended(p *Pod) {
	all := x.unended[p.Namespace]
	if i := slices.Index(all, p); i >= 0 {
		x.unended[p.Namespace] = slices.Delete(all, i, i+1)
	}
}

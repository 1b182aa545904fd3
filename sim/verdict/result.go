package verdict

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/timeline"
)

// Link is one link of a causal chain, from the symptom to the root.
type Link struct {
	// Rule is the ID of the rule that the link is an instance of ([Rules]); empty in
	// results of before there were rules.
	Rule string `json:"rule,omitempty"`
	// What is one sentence.
	What string `json:"what"`
	// Object is what it is about ("Pod ns/name").
	Object string `json:"object"`
	// Evidence is verbatim: an event, a condition, a log line, a field.
	Evidence string `json:"evidence"`
	// Behind are the links that stand folded behind this one: those of a circle, each
	// about what the one before waits for.
	Behind []Link `json:"behind,omitempty"`
}

// Root returns the link that decides, the last of the chain; the zero Link where no
// cause was recorded.
func (f *Finding) Root() Link {
	if n := len(f.Cause); n > 0 {
		return f.Cause[n-1]
	}
	return Link{}
}

// Key returns what the root of the finding is told apart by: its rule and its object,
// with the circle in which the runs wait if there is one. It does not change when a
// sentence is written anew, nor with the names that controllers make up. A link of
// before there were rules goes by its sentence.
func (f *Finding) Key() string {
	key := ""
	for _, l := range f.Cause {
		if strings.HasPrefix(l.Rule, circlePrefix) {
			key += l.Rule + "\n"
		}
	}
	root := f.Root()
	return key + cmp.Or(root.Rule, Canonical(root.What)) + "\n" + Canonical(root.Object)
}

// circlePrefix begins the IDs of circles.
const circlePrefix = "circle/"

// Stays says in one line how the links behind this one hold each other; empty if there
// are none.
func (l Link) Stays() string {
	if len(l.Behind) == 0 {
		return ""
	}
	var names []string
	for _, b := range l.Behind {
		if n := len(names); n == 0 || names[n-1] != b.Object {
			names = append(names, b.Object)
		}
	}
	return "and so it stays: " + strings.Join(append(names, names[0]), " -> ")
}

// same says whether two links say the same of one object.
func (l Link) same(o Link) bool {
	return l.Rule == o.Rule && l.What == o.What && l.Object == o.Object && l.Evidence == o.Evidence
}

// unsaid returns the links that are not among those before them: two things may come of one,
// which is said where it stands first.
func unsaid(before, links []Link) []Link {
	return slices.DeleteFunc(links, func(l Link) bool { return slices.ContainsFunc(before, l.same) })
}

// symptom says whether the link is what is seen first of an object that waits.
func (l Link) symptom() bool {
	return slices.Contains([]string{podPending.ID, podOnNode.ID, podNotYet.ID, multiAttachError.ID, volumeUsed.ID}, l.Rule)
}

// Finding is what Judge finds in one history.
type Finding struct {
	Outcome Outcome `json:"outcome"`
	// Recovered says, of an outcome that need not be fatal (multi-attach),
	// that the run still finished its work.
	Recovered bool `json:"recovered"`
	// MakespanSeconds is virtual, from the first PipelineRun's creation to the
	// last one's completion; nil unless the runs did their work.
	MakespanSeconds *float64 `json:"makespanSeconds"`
	// BlockedSinceSeconds is virtual, from the cell's start; nil unless the run
	// stopped for good.
	BlockedSinceSeconds *float64 `json:"blockedSinceSeconds"`
	Cause               []Link   `json:"cause"`
	// AsOf is the number of the history's entry up to which the objects were looked at
	// for the cause: what came after it, a time-out for instance, takes things apart. It
	// is the last entry's where nothing does; 0 in results of before it was kept.
	AsOf   int    `json:"asOf,omitempty"`
	Timing Timing `json:"timing"`
	// Interventions are what the scenario did in the middle of the runs, in the
	// order in which it did it; those that it did not come to last.
	Interventions []Intervention `json:"interventions,omitempty"`
	// Inert are the manifests that had no effect, each with the reason.
	Inert []string `json:"inert,omitempty"`
	// Busy are the runs with which a reconciler of Tekton was busy without end: it
	// followed its own writes.
	Busy []string `json:"busy,omitempty"`
	// Conduct is what was refused, not run, done twice and left behind.
	Conduct Conduct `json:"conduct,omitzero"`
	// NeverEnd are the PipelineRuns that never end; Cause says why.
	NeverEnd []string `json:"neverEnd,omitempty"`
	// Bound is the bound at which the cell was ended while things went on, in words.
	Bound string `json:"bound,omitempty"`
}

// Intervention is something that the scenario did in the middle of the runs.
type Intervention struct {
	// T is when, in virtual seconds since the cell began.
	T float64 `json:"t"`
	history.Intervention
	// Met says whom a fault that lasted has met; nil of what is done and over at once.
	Met *Met `json:"met,omitempty"`
}

// Met is whom a fault has met.
type Met struct {
	// Count is how many, Whom the first of them by name.
	Count int      `json:"count"`
	Whom  []string `json:"whom,omitempty"`
	// EndedT is when the fault was over; nil if the cell was before.
	EndedT *float64 `json:"endedT,omitempty"`
}

// Timing is where the virtual time went.
type Timing struct {
	Tasks []TaskTiming `json:"tasks"`
	// Nodes are the nodes that TaskRun pods ran on, sorted.
	Nodes    []string `json:"nodes"`
	Attaches int      `json:"attaches"`
	Detaches int      `json:"detaches"`
	// AttachSeconds, MountSeconds, OwnershipSeconds and PullSeconds are summed
	// over the TaskRun pods.
	AttachSeconds    float64 `json:"attachSeconds"`
	MountSeconds     float64 `json:"mountSeconds"`
	OwnershipSeconds float64 `json:"ownershipSeconds"`
	PullSeconds      float64 `json:"pullSeconds"`
}

// SeveralRuns says that the tasks are of more than one PipelineRun, so that a task's
// name alone does not tell whose it is.
func (t Timing) SeveralRuns() bool {
	return slices.ContainsFunc(t.Tasks, func(x TaskTiming) bool { return x.PipelineRun != t.Tasks[0].PipelineRun })
}

// Title names one of the tasks, with its run where there are several.
func (t Timing) Title(task TaskTiming) string {
	if task.PipelineRun == "" || !t.SeveralRuns() {
		return task.Task
	}
	return task.PipelineRun + ": " + task.Task
}

// TaskTiming is the life of one attempt of a TaskRun in virtual seconds. A phase
// that was not reached is nil.
type TaskTiming struct {
	// Task is the pipeline task's name, TaskRun the object's, PipelineRun its run's
	// name; empty for a TaskRun of its own.
	Task        string `json:"task"`
	TaskRun     string `json:"taskRun"`
	PipelineRun string `json:"pipelineRun,omitempty"`
	Pod         string `json:"pod,omitempty"`
	Node        string `json:"node,omitempty"`
	// Start is when the TaskRun was made, or the attempt before given up, counted
	// from the cell's start; the phases are lengths: Queued from there to the pod's creation, Scheduled
	// to its binding, Attached until its volumes were attached, Mounted until
	// they were mounted and owned, Pulled until all images were there, Running
	// until the last step ended.
	Start     float64  `json:"start"`
	Queued    *float64 `json:"queued"`
	Scheduled *float64 `json:"scheduled"`
	Attached  *float64 `json:"attached"`
	Mounted   *float64 `json:"mounted"`
	Pulled    *float64 `json:"pulled"`
	Running   *float64 `json:"running"`
}

// Length returns how long a phase took; nil if it was not reached, or has no length.
func (t TaskTiming) Length(p timeline.Phase) *float64 {
	switch p {
	case timeline.Queued:
		return t.Queued
	case timeline.Scheduled:
		return t.Scheduled
	case timeline.Attached:
		return t.Attached
	case timeline.Mounted:
		return t.Mounted
	case timeline.Pulled:
		return t.Pulled
	case timeline.Running:
		return t.Running
	}
	return nil
}

// Cell is one cell's entry in a RunResult.
type Cell struct {
	// ID is that of the cell's folder; empty in results of before it was kept.
	ID       string            `json:"id,omitempty"`
	Scenario string            `json:"scenario"`
	Values   map[string]string `json:"values"`
	// Axes are the axis names in the scenario's order.
	Axes   []string `json:"axes"`
	Repeat int      `json:"repeat"`
	Finding
	// Expected says in words what is expected ("a|b" for alternatives); empty if
	// nothing is.
	Expected string `json:"expected"`
	// Judgement says whether that is what came out.
	Judgement Judgement `json:"asExpected"`
	// MadeUp are the objects that stand for ones that the manifests do not have, each
	// with who refers to it.
	MadeUp []string `json:"madeUp,omitempty"`
	// WallSeconds is real time.
	WallSeconds float64 `json:"wallSeconds"`
	// History is the cell's history file, relative to the run's folder.
	History string `json:"history,omitempty"`
	// Error says why simctl could not run the cell (outcome error).
	Error string `json:"error,omitempty"`
}

// RunResult is the result of `simctl run`.
type RunResult struct {
	APIVersion string      `json:"apiVersion"`
	Kind       string      `json:"kind"`
	ID         string      `json:"id"`
	Started    time.Time   `json:"started"`
	Simctl     string      `json:"simctl"`
	Kubernetes string      `json:"kubernetes"`
	Command    []string    `json:"command"`
	Seed       int64       `json:"seed,omitempty"`
	Cells      []Cell      `json:"cells"`
	Statistics []Statistic `json:"statistics"`
	// WallSeconds is real time for the whole run.
	WallSeconds float64 `json:"wallSeconds"`
	// Interrupted says that not every cell was run.
	Interrupted bool `json:"interrupted,omitempty"`
}

// Statistic describes one measure over the repeats of one combination of values.
type Statistic struct {
	Scenario string            `json:"scenario"`
	Values   map[string]string `json:"values"`
	// Measure is "makespanSeconds", "attachSeconds", ...; all virtual seconds.
	Measure string  `json:"measure"`
	N       int     `json:"n"`
	Min     float64 `json:"min"`
	P50     float64 `json:"p50"`
	P95     float64 `json:"p95"`
	Max     float64 `json:"max"`
	Mean    float64 `json:"mean"`
	// MeanLow and MeanHigh bound the mean's 95% confidence interval; nil for
	// fewer than two values.
	MeanLow  *float64 `json:"meanLow"`
	MeanHigh *float64 `json:"meanHigh"`
}

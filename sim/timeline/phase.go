package timeline

import (
	"cmp"
	"slices"
	"strings"

	"simctl.dev/simctl/sim/history"
)

// Phase is a part of a task's way, by the word for it once it is over: a pod that is
// scheduled has been bound to a node. A queued task has its TaskRun, a running one has
// begun its first step.
type Phase string

// The phases of a task.
const (
	Queued    Phase = "queued"
	Scheduled Phase = "scheduled"
	Attached  Phase = "attached"
	Mounted   Phase = "mounted"
	Pulled    Phase = "pulled"
	Running   Phase = "running"
	Done      Phase = "done"
)

// Phases returns the phases of a task in their order.
func Phases() []Phase {
	return []Phase{Queued, Scheduled, Attached, Mounted, Pulled, Running, Done}
}

// Reached says whether a run of a pipeline's task has come to a phase.
func (t *Timeline) Reached(task string, phase Phase) bool {
	return slices.ContainsFunc(t.index.ofTask[task], func(r *TaskRun) bool {
		switch phase {
		case Queued:
			return true
		case Done:
			return r.Status != ""
		}
		return slices.ContainsFunc(r.Pods, func(p *Pod) bool { return t.podReached(p, phase) })
	})
}

// RunDone says whether a PipelineRun that is there has ended which has a name, as itself or
// as its generateName.
func (t *Timeline) RunDone(as string) bool {
	return slices.ContainsFunc(t.Runs, func(r *Run) bool {
		if r.Gone != nil || r.Status == "" {
			return false
		}
		o := t.Now().Get("PipelineRun", r.Namespace, r.Name)
		return r.Name == as || o != nil && o.Text("metadata", "generateName") == as
	})
}

// AllDone says whether there are runs and all that are there have ended, those of tasks
// too.
func (t *Timeline) AllDone() bool {
	return len(t.Runs) > 0 &&
		!slices.ContainsFunc(t.Runs, func(r *Run) bool { return r.Gone == nil && r.Status == "" }) &&
		!slices.ContainsFunc(t.TaskRuns, func(r *TaskRun) bool { return !r.Gone && r.Status == "" })
}

func (t *Timeline) podReached(p *Pod, phase Phase) bool {
	switch phase {
	case Scheduled:
		return p.BoundSeq != 0
	case Attached:
		return p.AttachSeconds != nil || t.attached(p)
	case Mounted:
		return p.VolumesSeq != 0
	case Pulled:
		return p.PulledSeq != 0
	case Running:
		return p.BusySeq != 0
	}
	return false
}

// attached says whether a pod's claims are all attached to its node, as far as their
// drivers attach: before the kubelet says so of all of them.
func (t *Timeline) attached(p *Pod) bool {
	v := t.Now()
	pod := v.Get("Pod", p.Namespace, p.Name)
	if p.Node == "" || pod == nil {
		return false
	}
	for _, name := range ClaimsOf(pod) {
		claim := v.Live("PersistentVolumeClaim", p.Namespace, name)
		if claim == nil {
			return false
		}
		volume := v.Live("PersistentVolume", "", claim.Text("spec", "volumeName"))
		if volume == nil {
			return false
		}
		driver := v.Live("CSIDriver", "", volume.Text("spec", "csi", "driver"))
		if driver != nil && driver.Field("spec", "attachRequired") == false {
			continue
		}
		if !slices.ContainsFunc(v.Attachments(volume.Ref.Name), func(a *history.Object) bool {
			return a.Text("spec", "nodeName") == p.Node && a.Field("status", "attached") == true
		}) {
			return false
		}
	}
	return true
}

// NodeOfTask is the node that the latest pod of a pipeline's task was bound to which had
// one; of several TaskRuns of the task the last by name counts. Empty without one.
func (t *Timeline) NodeOfTask(task string) string {
	node := ""
	var last *TaskRun
	for _, r := range t.index.ofTask[task] {
		if last != nil && cmp.Or(strings.Compare(r.Namespace, last.Namespace), strings.Compare(r.Name, last.Name)) < 0 {
			continue
		}
		for _, p := range r.Pods {
			if p.Node != "" {
				node, last = p.Node, r
			}
		}
	}
	return node
}

// PodOfTask is the pod of a pipeline's task that was made last, whether it is still there
// or not: of the TaskRuns that whose takes, and of one attempt, from 1, unless that is 0.
// Nil without one.
func (t *Timeline) PodOfTask(task string, attempt int, whose func(*TaskRun) bool) *Pod {
	var last *Pod
	for _, r := range t.index.ofTask[task] {
		if !whose(r) {
			continue
		}
		for _, p := range r.Pods {
			if (attempt == 0 || p.Attempt == attempt) && (last == nil || p.CreatedSeq > last.CreatedSeq) {
				last = p
			}
		}
	}
	return last
}

// IsNamed says whether a PipelineRun has a name, as itself or as its generateName, or is
// made for a run that has it: a pipeline within a pipeline has a run of its own.
func (t *Timeline) IsNamed(namespace, run, as string) bool {
	v, seen := t.Now(), map[string]bool{}
	for run != "" && !seen[run] {
		seen[run] = true
		o := v.Get("PipelineRun", namespace, run)
		if run == as || o != nil && o.Text("metadata", "generateName") == as {
			return true
		}
		if o == nil {
			return false
		}
		run = MetaOf(o).OwnedBy("PipelineRun", "")
	}
	return false
}

package verdict

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"simctl.dev/simctl/sim/timeline"
	"simctl.dev/simctl/sim/wellknown"
)

// timeOutWords are how Tekton says which time-out ended a run or a TaskRun: the whole,
// or its tasks or finally tasks (pkg/reconciler/pipelinerun/timeout.go, pkg/apis/pipeline/v1).
var timeOutWords = regexp.MustCompile(`(?:due to (tasks|finally) )?failed to finish within "([^"]+)"`)

// runTimes is what a PipelineRun says of time, in both versions of the API.
type runTimes struct {
	Spec struct {
		Timeout  string `json:"timeout"`
		Timeouts *struct {
			Pipeline string `json:"pipeline"`
			Tasks    string `json:"tasks"`
			Finally  string `json:"finally"`
		} `json:"timeouts"`
		TaskRunSpecs []struct {
			PipelineTaskName string `json:"pipelineTaskName"`
			Timeout          string `json:"timeout"`
		} `json:"taskRunSpecs"`
	} `json:"spec"`
	Status struct {
		PipelineSpec struct {
			Tasks   []timedTask `json:"tasks"`
			Finally []timedTask `json:"finally"`
		} `json:"pipelineSpec"`
		SkippedTasks []skippedTask `json:"skippedTasks"`
	} `json:"status"`
}

type skippedTask struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

type timedTask struct {
	Name    string `json:"name"`
	Timeout string `json:"timeout"`
}

// finally says whether a task is one of the pipeline's finally tasks.
func (r *runTimes) finally(task string) bool {
	return slices.ContainsFunc(r.Status.PipelineSpec.Finally, func(t timedTask) bool { return t.Name == task })
}

// others are the tasks that have no TaskRun and were not skipped for a reason of their
// own: custom tasks, and what had not begun.
func (r *runTimes) others(run *timeline.Run) []string {
	var out []string
	for _, t := range r.Status.PipelineSpec.Tasks {
		has := slices.ContainsFunc(run.TaskRuns, func(tr *timeline.TaskRun) bool { return tr.Task == t.Name })
		skipped := slices.ContainsFunc(r.Status.SkippedTasks, func(s skippedTask) bool { return s.Name == t.Name && !OfTheEnd(s.Reason) })
		if !has && !skipped {
			out = append(out, t.Name)
		}
	}
	return out
}

// hands says whether a run may have handed a time down: that of its tasks or finally tasks is,
// from 1.11 on; that of the whole is not.
func (r *runTimes) hands(took string) bool {
	t := r.Spec.Timeouts
	if t == nil {
		return false
	}
	want, err := time.ParseDuration(took)
	return err == nil && slices.ContainsFunc([]string{t.Tasks, t.Finally}, func(part string) bool {
		d, err := time.ParseDuration(part)
		return err == nil && d == want
	})
}

// task is the time that a pipeline gives one of its tasks; empty if it gives none.
func (r *runTimes) task(name string) string {
	for _, t := range slices.Concat(r.Status.PipelineSpec.Tasks, r.Status.PipelineSpec.Finally) {
		if t.Name == name {
			return t.Timeout
		}
	}
	return ""
}

// timeOut says which time-out ended a TaskRun: its own, or that of its run; nil if none
// did.
func (t *judging) timeOut(run *timeline.Run, r *timeline.TaskRun) []Link {
	switch {
	case t.boundMet() != "":
		return nil
	case r.Reason == "TaskRunTimeout":
		return t.taskTimeOut(run, r)
	}
	return t.runTimeOut(run)
}

// taskTimeOut says which time-out ended a TaskRun and who set it: its task in the
// pipeline, the run, or nobody, so that it is Tekton's default.
func (t *judging) taskTimeOut(run *timeline.Run, r *timeline.TaskRun) []Link {
	m := timeOutWords.FindStringSubmatch(r.Message)
	o := t.Now().Get("TaskRun", r.Namespace, r.Name)
	if m == nil || o == nil {
		return nil
	}
	took := m[2]
	times := t.times(run)
	own := o.Text("spec", "timeout")
	counted := fmt.Sprintf("; counted from the TaskRun's start at %.0f s", r.Created)
	if times != nil {
		evidence := "TaskRun spec.timeout: " + own + counted
		for _, s := range times.Spec.TaskRunSpecs {
			if s.PipelineTaskName == r.Task && s.Timeout != "" {
				return []Link{timeTaskSpecs.link(run.Object(), evidence, run.Object(), r.Task, s.Timeout)}
			}
		}
		if v := times.task(r.Task); v != "" {
			return []Link{timeTask.link(r.Object(), evidence, r.Task, v)}
		}
	}
	// What the controller leaves open its webhook sets.
	if configured, minutes := t.defaultTimeout(); own == "" || times != nil && own == minutes.String() && !times.hands(own) {
		evidence := "TaskRun spec.timeout: " + cmp.Or(own, "none")
		if times != nil {
			evidence += "; PipelineRun spec.timeouts: " + t.timeoutsOf(run)
		}
		return []Link{timeDefault.link(r.Object(), evidence+"; config-defaults default-timeout-minutes: "+configured+counted, r.Task, took)}
	}
	evidence := "TaskRun spec.timeout: " + own + counted
	if times != nil && (times.Spec.Timeouts != nil || times.Spec.Timeout != "") {
		return []Link{timeHandedDown.link(run.Object(), evidence+"; PipelineRun spec.timeouts: "+t.timeoutsOf(run), r.Task, took, run.Object())}
	}
	return []Link{timeUp.link(r.Object(), evidence)}
}

// defaultTimeout is the time that Tekton gives a run or TaskRun that has none, and how it
// is configured.
func (t *judging) defaultTimeout() (configured string, d time.Duration) {
	const minutes = 60 // DefaultTimeoutMinutes in upstream's pkg/apis/config
	configured, d = fmt.Sprintf("not set: %d", minutes), minutes*time.Minute
	for _, c := range t.Now().Named("ConfigMap", wellknown.ConfigDefaults) {
		v := c.Text("data", "default-timeout-minutes")
		if n, err := strconv.Atoi(v); err == nil {
			configured, d = v, time.Duration(n)*time.Minute
		}
	}
	return configured, d
}

// times reads what a run says of time; nil if the history does not show the run.
func (t *judging) times(run *timeline.Run) *runTimes {
	o := t.Now().Get("PipelineRun", run.Namespace, run.Name)
	if o == nil {
		return nil
	}
	out := &runTimes{}
	if o.Decode(out) != nil {
		return nil
	}
	return out
}

// timeoutsOf is a run's own field about time, as it stands there.
func (t *judging) timeoutsOf(run *timeline.Run) string {
	o := t.Now().Get("PipelineRun", run.Namespace, run.Name)
	switch {
	case o == nil:
		return "none"
	case o.Field("spec", "timeouts") != nil:
		return o.JSON("spec", "timeouts")
	case o.Text("spec", "timeout") != "":
		return o.Text("spec", "timeout")
	}
	return "none"
}

// runTimeOut says which time-out ended a run, from when it counted, what its parts
// took, and, of one that counts the tasks alone, whether they had ended before.
func (t *judging) runTimeOut(run *timeline.Run) []Link {
	m := timeOutWords.FindStringSubmatch(run.Message)
	times := t.times(run)
	if m == nil || times == nil {
		return nil
	}
	what, took := m[1], m[2]
	var parts []string
	var ended float64
	all := true
	for _, r := range run.TaskRuns {
		if times.finally(r.Task) {
			parts = append(parts, fmt.Sprintf("finally task %s began at %.0f s", r.Task, r.Created))
			continue
		}
		if r.Status == "" || timedOut(r.Reason, r.Message) {
			parts = append(parts, fmt.Sprintf("task %s from %.0f s on", r.Task, r.Created))
			all = false
			continue
		}
		all = all && r.Status == "True"
		ended = max(ended, r.DoneT)
		parts = append(parts, fmt.Sprintf("task %s from %.0f s to %.0f s", r.Task, r.Created, r.DoneT))
	}
	for _, name := range times.others(run) {
		parts = append(parts, fmt.Sprintf("task %s without a TaskRun", name))
		all = false
	}
	evidence := fmt.Sprintf("spec.timeouts: %s; counted from the run's start at %.0f s, up at %.0f s", t.timeoutsOf(run), run.Created, run.DoneT)
	if len(parts) > 0 {
		evidence += "; " + strings.Join(parts, ", ")
	}
	value := took
	if times.set(what) == "" {
		// A part that nobody set is what the other one leaves of the whole.
		switch what {
		case "tasks":
			value += ", timeouts.pipeline less timeouts.finally"
		case "finally":
			value += ", timeouts.pipeline less timeouts.tasks"
		default:
			value += ", by default"
		}
	}
	switch {
	case what == "tasks" && all && len(run.TaskRuns) > 0:
		return []Link{timeCountsFinally.link(run.Object(), evidence, run.Object(), inWords(ended-run.Created), value)}
	case what != "":
		return []Link{timePart.link(run.Object(), evidence, what, run.Object(), value)}
	}
	return []Link{timePipeline.link(run.Object(), evidence, run.Object(), value)}
}

// set is the value that the run's author gave a part of the time; empty if none.
func (r *runTimes) set(what string) string {
	switch {
	case r.Spec.Timeouts == nil:
		return r.Spec.Timeout
	case what == "tasks":
		return r.Spec.Timeouts.Tasks
	case what == "finally":
		return r.Spec.Timeouts.Finally
	}
	return r.Spec.Timeouts.Pipeline
}

// inWords shows a length of virtual time as Go does.
func inWords(s float64) string {
	return time.Duration(s * float64(time.Second)).Round(time.Second).String()
}

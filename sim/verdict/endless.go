package verdict

import (
	"fmt"
	"strings"

	"simctl.dev/simctl/sim/history"
)

// boundMet is the bound at which the cell was ended while things went on; empty if it
// was not.
func (t *timeline) boundMet() string {
	if t.finished == nil {
		return ""
	}
	return t.finished.data.Bound
}

// unended says that a PipelineRun was there to the end of the cell and had not ended.
func (t *timeline) unended(run *pipelineRun) bool {
	return t.finished != nil && !t.finished.data.Done && run.status == "" && t.lastState.Live("PipelineRun", run.namespace, run.name) != nil
}

// endless are the PipelineRuns that never end: nothing was left that could happen, not
// even a time-out, or nothing but what happens again and again to no effect.
func (t *timeline) endless() []string {
	if t.boundMet() != "" {
		return nil
	}
	var out []string
	for _, run := range t.runs {
		if t.unended(run) {
			out = append(out, run.object())
		}
	}
	return out
}

// neverEnded says why a run never ended: a write without which Tekton cannot go on is
// refused each time, or the cell met a bound.
func (t *timeline) neverEnded(run *pipelineRun) []Link {
	if !t.unended(run) {
		return nil
	}
	var links []Link
	if e := t.unwritten(run); e != nil {
		links = append(links, runNeverWritten.link(e.Object.String(), clip(e.Message), run.object(), e.Object))
		if o := t.lastState.Get(e.Object); o != nil && strings.Contains(e.Message, "too large") {
			links = append(links, runTooLarge.link(e.Object.String(), fmt.Sprintf("spec: %d kB", (len(o.JSON("spec"))+999)/1000)))
		}
	}
	if b := t.boundMet(); b != "" {
		links = append(links, runBound.link(run.object(), fmt.Sprintf("at %.0f s, after %d entries", t.finished.t, t.finished.seq), run.object(), b))
	}
	return links
}

// unwritten returns the last refusal of what Tekton's controller wrote of a run, or of
// one of its TaskRuns, unless the same object was written after it. A conflict is no
// refusal: the next try reads what is there.
func (t *timeline) unwritten(run *pipelineRun) *history.Entry {
	mine := func(ref history.Ref) bool {
		if ref.Kind == "TaskRun" {
			for _, r := range run.taskRuns {
				if ref.Namespace == r.namespace && ref.Name == r.name {
					return true
				}
			}
		}
		return ref.Kind == "PipelineRun" && ref.Namespace == run.namespace && ref.Name == run.name
	}
	written := map[history.Ref]bool{}
	for i := len(t.entries) - 1; i >= 0; i-- {
		e := &t.entries[i]
		if !strings.HasPrefix(e.Actor, "tekton") || !mine(e.Object) || written[e.Object] {
			continue
		}
		switch {
		case e.Kind == history.KindObject:
			written[e.Object] = true
		case e.Kind == history.KindRefused && e.Verb == history.VerbUpdate && e.Code != history.CodeConflict && e.Code != history.CodeNotFound:
			return e
		}
	}
	return nil
}

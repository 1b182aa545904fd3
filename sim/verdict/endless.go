package verdict

import (
	"fmt"
	"slices"
	"strings"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/timeline"
)

// boundMet is the bound at which the cell was ended while things went on; empty if it
// was not.
func (t *judging) boundMet() string {
	if t.Finished == nil {
		return ""
	}
	return t.Finished.Data.Bound
}

// unended says that a PipelineRun was there to the end of the cell and had not ended.
func (t *judging) unended(run *timeline.Run) bool {
	return t.Finished != nil && !t.Finished.Data.Done && run.Status == "" && t.Now().Live("PipelineRun", run.Namespace, run.Name) != nil
}

// endless are the PipelineRuns that never end: nothing was left that could happen, not
// even a time-out, or nothing but what happens again and again to no effect.
func (t *judging) endless() []string {
	if t.boundMet() != "" {
		return nil
	}
	var out []string
	for _, run := range t.Runs {
		if t.unended(run) {
			out = append(out, run.Object())
		}
	}
	return out
}

// neverEnded says why a run never ended: a write without which Tekton cannot go on is
// refused each time, or the cell met a bound.
func (t *judging) neverEnded(run *timeline.Run) []Link {
	if !t.unended(run) {
		return nil
	}
	var links []Link
	if e := t.unwritten(run); e != nil {
		links = append(links, runNeverWritten.link(e.Object.String(), clip(e.Message), run.Object(), e.Object))
		if o := t.Now().Get(e.Object.Kind, e.Object.Namespace, e.Object.Name); o != nil && strings.Contains(e.Message, "too large") {
			links = append(links, runTooLarge.link(e.Object.String(), fmt.Sprintf("spec: %d kB", (len(o.JSON("spec"))+999)/1000)))
		}
		links = append(links, t.webhookAway(*e)...)
		links = append(links, refusesOwn(*e)...)
	}
	if b := t.boundMet(); b != "" {
		links = append(links, runBound.link(run.Object(), fmt.Sprintf("at %.0f s, after %d entries", t.Finished.T, t.Finished.Seq), run.Object(), b))
	}
	return links
}

// couldNotEnd are the reasons of a PipelineRun that Tekton means to end, and cannot, since a
// write to one of its TaskRuns fails (pkg/apis/pipeline/v1/pipelinerun_types.go).
var couldNotEnd = []string{"PipelineRunCouldntCancel", "PipelineRunCouldntTimeOut"}

// notEnded judges a run that was to end, by a hand or because its time was up, and never
// does, as a write to end its TaskRuns is refused each time. What became of the TaskRuns
// that it did end follows from that.
func (t *judging) notEnded(run *timeline.Run) (ruling, bool) {
	if !t.unended(run) || !slices.Contains(couldNotEnd, run.Reason) || t.unwritten(run) == nil {
		return ruling{}, false
	}
	r := ruling{outcome: Failed, cause: []Link{t.runLink(run)}, asOf: t.Now().AsOf()}
	ref := history.Ref{Kind: "PipelineRun", Namespace: run.Namespace, Name: run.Name}
	if e := t.LastChange(ref, t.Finished.Seq, "spec", "status"); e != nil {
		r.cause = append(r.cause, runCancelled.link(run.Object(), fmt.Sprintf("%s, at %.0f s", e.Patch, e.T), run.Object(), e.Actor))
	} else if times := t.times(run); times != nil {
		took := times.set("")
		if took == "" {
			_, d := t.defaultTimeout()
			took = d.String() + " by default"
		}
		r.cause = append(r.cause, timePipeline.link(run.Object(), fmt.Sprintf("spec.timeouts: %s; counted from the run's start at %.0f s", t.timeoutsOf(run), run.Created), run.Object(), took))
	}
	r.cause = append(r.cause, t.neverEnded(run)...)
	if before, stalled := t.StalledBefore(run.DoneSeq, 0); stalled {
		since := t.LastProgress(run, before)
		r.blockedSince = &since
	}
	return r, true
}

// unwritten returns the last refusal of what Tekton's controller wrote of a run, or of
// one of its TaskRuns, unless the same object was written after it. A conflict is no
// refusal: the next try reads what is there.
func (t *judging) unwritten(run *timeline.Run) *history.Entry {
	tekton := func(actor string) bool { return strings.HasPrefix(actor, "tekton") }
	var found *history.Entry
	of := []history.Ref{{Kind: "PipelineRun", Namespace: run.Namespace, Name: run.Name}}
	for _, r := range run.TaskRuns {
		of = append(of, history.Ref{Kind: "TaskRun", Namespace: r.Namespace, Name: r.Name})
	}
	for _, ref := range of {
		written := t.LastWriteBy(ref, tekton)
		for _, e := range slices.Backward(t.RefusedOf(ref.Namespace, ref.Name)) {
			if written != nil && e.Seq < written.Seq {
				break
			}
			if e.Object.Kind != ref.Kind || !tekton(e.Actor) || e.Verb != history.VerbUpdate || e.Code == history.CodeConflict || e.Code == history.CodeNotFound {
				continue
			}
			// Within a moment it is chance which is tried last.
			if found == nil || e.T > found.T {
				found = &e
			}
			break
		}
	}
	return found
}

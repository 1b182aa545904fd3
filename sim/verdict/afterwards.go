package verdict

import (
	"fmt"
	"strings"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/timeline"
	"simctl.dev/simctl/sim/wellknown"
)

// changedRun says that a run, or one of its TaskRuns, changed after the run's end; nil if
// none did.
func (t *judging) changedRun(run *timeline.Run) *ruling {
	object, was, all := run.Object(), ending(run.Status, run.Reason), run.Later
	if len(all) == 0 {
		for _, r := range run.TaskRuns {
			// One whose controller had overtaken its own write is told of by the failure.
			if late := afterRun(run, r); len(late) > 0 && r.Overlap == nil {
				object, was, all = r.Object(), ending(r.Status, r.Reason), late
				break
			}
		}
	}
	if len(all) == 0 {
		return nil
	}
	first, last := all[0], all[len(all)-1]
	evidence := []string{fmt.Sprintf("ended at %s: %s", inWords(run.DoneT), was)}
	for _, l := range all {
		evidence = append(evidence, fmt.Sprintf("%s, by %s: %s: %s", inWords(l.T), l.By, ending(l.Status, l.Reason), l.Message))
	}
	r := &ruling{outcome: ChangedAfterEnd, asOf: t.Before(last.Seq + 1).AsOf()}
	r.cause = append(r.cause, runChanged.link(object, clip(strings.Join(evidence, "\n")), object, was, first.By, ending(last.Status, last.Reason)))
	if strings.HasPrefix(first.By, "tekton-pipelines") {
		r.cause = append(r.cause, t.takenUp(run.DoneSeq, first.Seq)...)
	}
	return r
}

// ending is how a run ended, by its condition Succeeded.
func ending(status, reason string) string {
	switch status {
	case "True":
		return reason + ", which is a success"
	case "False":
		return reason + ", which is a failure"
	}
	return reason + ", which is no end"
}

// afterRun are the changes of a TaskRun after the end of its run.
func afterRun(run *timeline.Run, r *timeline.TaskRun) []timeline.Later {
	if run.DoneSeq == 0 {
		return nil
	}
	for i, l := range r.Later {
		if l.Seq > run.DoneSeq {
			return r.Later[i:]
		}
	}
	return nil
}

// takenUp says why Tekton's controller began anew between two entries; nil if it did not.
func (t *judging) takenUp(after, before int) []Link {
	start := -1
	for i, s := range t.Starts {
		if s.Seq > after && s.Seq < before {
			start = i
		}
	}
	if start < 0 {
		return nil
	}
	at := fmt.Sprintf("%s at %s", history.FactTektonStarted, inWords(t.Starts[start].T))
	for _, v := range t.Interventions {
		if v.Data.Missed || v.Data.Failure != "" || v.Seq <= after || v.Seq >= before {
			continue
		}
		switch {
		case v.Data.Release != "":
			return []Link{releaseTakesUp.link(objectController, at+"; intervention: "+v.Data.What, v.Data.Release, v.Data.FormerRelease)}
		case v.Data.Controller != "":
			at += "; intervention: " + v.Data.What
		}
	}
	return []Link{controllerTakesUp.link(objectController, at)}
}

// changed lists the runs that changed after their end, and the TaskRuns that did so after
// their run's.
func (t *judging) changed() []Changed {
	var out []Changed
	add := func(run *timeline.Run, object, was string, all []timeline.Later) {
		if len(all) == 0 {
			return
		}
		last := all[len(all)-1]
		out = append(out, Changed{PipelineRun: run.Namespace + "/" + run.Name, Object: object, T: all[0].T, By: all[0].By,
			Was: was, Is: last.Reason, Alive: last.Status == ""})
	}
	for _, run := range t.Runs {
		add(run, run.Object(), run.Reason, run.Later)
		for _, r := range run.TaskRuns {
			add(run, r.Object(), r.Reason, afterRun(run, r))
		}
	}
	return out
}

// undeletable lists the runs whose deletion was asked for and that are still there, since
// nobody takes their finalizers off.
func undeletable(s *timeline.View) []Left {
	var out []Left
	for _, kind := range []string{"PipelineRun", "TaskRun"} {
		for _, o := range s.List(kind) {
			list := o.JSON("metadata", "finalizers")
			if o.Text("metadata", "deletionTimestamp") == "" || list == "" {
				continue
			}
			run := o.Ref.Name
			if kind == "TaskRun" {
				run = timeline.MetaOf(o).OwnedBy("PipelineRun", wellknown.PipelineRunLabel)
			}
			out = append(out, Left{PipelineRun: o.Ref.Namespace + "/" + run, Object: o.Ref.String(),
				What: fmt.Sprintf("its deletion was asked for by %s, and nobody takes its finalizers off: %s", o.CondemnedBy, list)})
		}
	}
	return out
}

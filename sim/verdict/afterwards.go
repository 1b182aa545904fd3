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
	if strings.HasPrefix(first.By, wellknown.TektonNamespace) {
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
	began := t.Starts[start].T
	at := fmt.Sprintf("%s at %s", history.FactTektonStarted, inWords(began))
	var by *timeline.Fact[history.Intervention]
	for i := range t.Interventions {
		// It is told when it is done, by which the new controller may have begun.
		if v := &t.Interventions[i]; !v.Data.Missed && v.Data.Failure == "" && v.Seq > after && v.T <= began && (v.Data.Release != "" || v.Data.Controller != "") {
			by = v
		}
	}
	switch {
	case by == nil:
		return []Link{controllerTakesUp.link(objectController, at)}
	case by.Data.Release != "":
		return []Link{releaseTakesUp.link(objectController, at+"; intervention: "+by.Data.What, by.Data.Release, by.Data.FormerRelease)}
	}
	return []Link{controllerTakesUp.link(objectController, at+"; intervention: "+by.Data.What)}
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
	for _, o := range s.List("PersistentVolumeClaim") {
		if p := keptByEnded(o, s); p != nil && p.PipelineRun != "" {
			out = append(out, Left{PipelineRun: p.Namespace + "/" + p.PipelineRun, Object: o.Ref.String(),
				What: fmt.Sprintf("its deletion was asked for by %s, and it stays as long as %s does, which has ended", o.CondemnedBy, p.Object())})
		}
	}
	return out
}

// keptByEnded is a pod that has ended, is there to stay, and keeps a claim whose deletion
// was asked for (pvc-protection-controller); nil if there is none, or the claim is free to
// go by and by.
func keptByEnded(claim *history.Object, s *timeline.View) *timeline.Pod {
	if claim.Deleted || claim.Text("metadata", "deletionTimestamp") == "" {
		return nil
	}
	for _, p := range s.PodsOfClaim(claim.Ref.Namespace, claim.Ref.Name) {
		if o := s.Live("Pod", p.Namespace, p.Name); p.OverSeq != 0 && o != nil && !going(o, s) {
			return p
		}
	}
	return nil
}

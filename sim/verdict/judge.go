package verdict

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/internal/resolver"
	"simctl.dev/simctl/sim/timeline"
	"simctl.dev/simctl/sim/wellknown"
)

// ErrNoRun says that a history shows no PipelineRun, nor why there is none.
var ErrNoRun = errors.New("the history shows no PipelineRun")

// Judge says what became of the PipelineRuns of one cell, with the chain of
// causes and where the time went; docs/outcomes.md has the rules. It depends on
// the entries alone. An error means that the entries cannot be folded or show no
// run ([ErrNoRun]), not that a run failed.
func Judge(entries []history.Entry) (Finding, error) {
	t, err := timeline.Read(entries)
	if err != nil {
		return Finding{}, fmt.Errorf("reading the history: %w", err)
	}
	return JudgeTimeline(t)
}

// judging is a history that is being judged.
type judging struct{ *timeline.Timeline }

// JudgeTimeline is [Judge] of a history that was read before.
func JudgeTimeline(of *timeline.Timeline) (Finding, error) {
	t := &judging{of}
	f := Finding{Cause: []Link{}, Timing: timing(t), Inert: t.Inert, Busy: t.Busy, NeverEnd: t.endless(), Bound: t.boundMet()}
	for _, i := range t.Interventions {
		f.Interventions = append(f.Interventions, Intervention{T: i.T, Intervention: i.Data, Met: t.met(i.Data.Index)})
	}
	rulings := t.rulings()
	f.Conduct = t.conduct()
	if len(rulings) == 0 {
		return Finding{}, ErrNoRun
	}
	worst := rulings[0]
	for _, r := range rulings[1:] {
		if r.outcome.rank() < worst.outcome.rank() {
			worst = r
		}
	}
	f.Outcome, f.AsOf = worst.outcome, cmp.Or(worst.asOf, t.Now().AsOf())
	if worst.cause != nil {
		f.Cause = t.absentRoot(worst.cause, f.AsOf)
		brief(f.Cause)
	}
	f.BlockedSinceSeconds = worst.blockedSince
	if first, last, ok := t.span(); ok {
		makespan := last - first
		f.MakespanSeconds = &makespan
		f.Recovered = f.Outcome != Success
	}
	f.Conduct.Survived = survived(&f)
	return f, nil
}

// span is from the first PipelineRun's creation to the last one's completion;
// false unless all of them succeeded.
func (t *judging) span() (first, last float64, ok bool) {
	for _, r := range t.Runs {
		if r.Status != "True" || len(r.Later) > 0 && r.Later[len(r.Later)-1].Status != "True" {
			return 0, 0, false
		}
		last = max(last, r.DoneT)
	}
	if len(t.Runs) == 0 {
		return 0, 0, false
	}
	return t.Runs[0].Created, last, true
}

// ruling is what became of a part of a cell.
type ruling struct {
	outcome      Outcome
	cause        []Link
	blockedSince *float64
	// asOf is the entry up to which the objects were looked at; 0 is the last one.
	asOf int
	// stalled says that nothing could happen any more then.
	stalled bool
}

func (t *judging) rulings() []ruling {
	var out []ruling
	if r, ok := t.invalidConfig(); ok {
		out = append(out, r)
	}
	if r, ok := t.refusedManifest(); ok {
		out = append(out, r)
	}
	for _, run := range t.Runs {
		r := t.judgeRun(run)
		if changed := t.changedRun(run); changed != nil {
			r = *changed
		}
		out = append(out, r)
	}
	return out
}

// objectController is Tekton's controller, as links name it.
const objectController = "Deployment tekton-pipelines-controller"

// configWords are what Tekton says of a configuration it does not take: the
// store of knative.dev/pkg/configmap, the flags' own parser
// (pkg/apis/config/feature_flags.go) and, in 0.50, the reconciler that meets a
// behaviour it does not have.
var configWords = regexp.MustCompile(`Error (?:initializing|updating) \S+ config|failed parsing feature flags config|invalid value for feature flag|is incompatible with disable-affinity-assistant|affinity assistant behavior:? \S+ is not implemented`)

// RefusedConfig returns the words with which an entry says that Tekton's
// configuration was refused: by the API server, or by the controller, which keeps
// the old one or does not start. Empty if the entry says nothing like it.
func RefusedConfig(e history.Entry) string {
	switch {
	case e.Kind == history.KindRefused && tektonConfig(e.Object) && (e.Code == 400 || e.Code == 422 || e.Code == 403),
		e.Kind == history.KindLog && configWords.MatchString(e.Message):
		return e.Message
	case e.Kind == history.KindFact && e.Fact == history.FactTektonExited:
		var exit history.Tekton
		if e.Decode(&exit) == nil && configWords.MatchString(exit.Message) {
			return exit.Message
		}
	}
	return ""
}

// tektonConfig says whether an object is Tekton's configuration: any of the ConfigMaps
// in upstream's config folder, or what OpenShift's operator makes them of.
func tektonConfig(o history.Ref) bool {
	return o.Kind == "TektonConfig" || o.Kind == "ConfigMap" && (o.Name == wellknown.FeatureFlags || strings.HasPrefix(o.Name, "config-"))
}

// invalidConfig looks for a configuration that Tekton refuses.
func (t *judging) invalidConfig() (ruling, bool) {
	object, evidence, rule := "", "", configRefusedOnWrite
	for _, e := range t.Refused {
		if RefusedConfig(e) != "" {
			object, evidence = e.Object.String(), e.Message
			break
		}
	}
	if evidence == "" {
		for _, e := range t.Logs {
			if RefusedConfig(e) != "" {
				object, evidence, rule = objectController, e.Message, configNotTaken
				break
			}
		}
	}
	for _, x := range t.Exits {
		if configWords.MatchString(x.Data.Message) {
			object, evidence, rule = objectController, x.Data.Message, configStopsController
		}
	}
	if evidence == "" {
		return ruling{}, false
	}
	r := ruling{outcome: InvalidConfig}
	for _, run := range t.Runs {
		if run.Status == "" {
			state := "it has no status"
			if run.Reason != "" {
				state = run.Reason + ": " + run.Message
			}
			r.cause = append(r.cause, runNotWorkedOn.link(run.Object(), state, run.Object()))
			since := t.LastProgress(run, t.End())
			r.blockedSince = &since
			break
		}
	}
	r.cause = append(r.cause, rule.link(object, clip(evidence)))
	// What was refused when it was written is in no ConfigMap.
	if f := t.Now().FeatureFlags(); f != nil && rule != configRefusedOnWrite {
		r.cause = append(r.cause, configFlags.link(f.Ref.String(), flagText(f)))
	}
	return r, true
}

// refusedManifest looks for a part of the workload that the API server refused.
func (t *judging) refusedManifest() (ruling, bool) {
	for _, e := range t.Refused {
		if strings.HasPrefix(e.Actor, "tekton") {
			continue
		}
		switch e.Object.Kind {
		case "PipelineRun", "Pipeline", "Task", "StepAction", "pipelineruns", "pipelines", "tasks", "stepactions":
		default:
			continue
		}
		l := manifestRefused.link(e.Object.String(), clip(e.Message), e.Object.String())
		outcome := InvalidPipeline
		if denied(e) {
			outcome = AdmissionDenied
		}
		cause := append([]Link{l}, refusalCause(t.Now(), e.Object.Namespace, e.Message, nil)...)
		return ruling{outcome: outcome, cause: append(cause, clusterTasks(e)...)}, true
	}
	return ruling{}, false
}

// invalidRun are the reasons with which Tekton ends a PipelineRun that cannot be
// run as it is written (pkg/apis/pipeline/v1/pipelinerun_types.go; the older
// names too).
var invalidRun = []string{
	"CouldntGetPipeline", "CouldntGetTask", "InvalidPipelineResourceBindings", "InvalidWorkspaceBindings",
	"InvalidTaskRunSpecs", "InvalidTaskRunSpec", "InvalidServiceAccountMappings", "ParameterTypeMismatch",
	"ObjectParameterMissKeys", "ParamArrayIndexingInvalid", "ParameterMissing", "PipelineValidationFailed",
	"PipelineInvalidGraph", "InvalidMatrixParameterTypes", "InvalidTaskResultReference",
	"InvalidPipelineResultReference", "RequiredWorkspaceMarkedOptional", "ResourceVerificationFailed",
	"CELEvaluationFailed", "InvalidParamValue", "CreateRunFailed",
}

// invalidTask are the reasons of a TaskRun that cannot be run as it is written.
var invalidTask = []string{
	"TaskRunValidationFailed", "TaskValidationFailed", "TaskRunResolutionFailed", "InvalidParamValue",
	"CouldntGetTask", "PodCreationFailed", "ResourceVerificationFailed",
}

// cancelledRun are the reasons of a PipelineRun that somebody has cancelled.
var cancelledRun = []string{
	"Cancelled", "CancelledRunningFinally", "StoppedRunningFinally", "PipelineRunCancelled", "PipelineRunStopped",
}

// pendingRun is the spec.status of a PipelineRun that is not to begin yet.
const pendingRun = "PipelineRunPending"

// noAssistant and noClaim are the reasons of a PipelineRun whose assistant or
// claim the API server did not take.
const (
	noAssistant = "ReasonCouldntCreateOrUpdateAffinityAssistantStatefulSet"
	oldNoSet    = "CouldntCreateOrUpdateAffinityAssistantStatefulSet"
	noClaim     = "CouldntCreateWorkspacePVC"
)

// timedOut says that a PipelineRun or TaskRun was ended by a time-out.
func timedOut(reason, message string) bool {
	switch reason {
	case "PipelineRunTimeout", "TaskRunTimeout", "PipelineRunTimeoutRunningFinally", "TaskRunCancelled":
		return true
	}
	return strings.Contains(message, "has timed out") || strings.Contains(message, "failed to finish within")
}

// judgeRun says what became of one PipelineRun.
func (t *judging) judgeRun(run *timeline.Run) ruling {
	if run.Status == "True" {
		if held, asOf := t.heldOnce(run); held != nil {
			return ruling{outcome: MultiAttach, cause: held, asOf: asOf}
		}
		return ruling{outcome: Success}
	}
	if l, seq := t.stoppedLink(); l != nil && run.Status == "" {
		// Whatever its pods do: nobody is left to work on the run.
		r := ruling{outcome: Failed, cause: []Link{t.runLink(run), *l}}
		before, _ := t.stallOrEnd(t.End(), seq)
		since := t.LastProgress(run, before)
		r.blockedSince, r.asOf = &since, t.Before(before).AsOf()
		return r
	}
	if _, stalled := t.StalledBefore(run.DoneSeq, 0); !stalled && slices.Contains(cancelledRun, run.Reason) && run.Status == "False" {
		cause := []Link{t.runLink(run)}
		ref := history.Ref{Kind: "PipelineRun", Namespace: run.Namespace, Name: run.Name}
		if e := t.LastChange(ref, run.DoneSeq, "spec", "status"); e != nil {
			cause = append(cause, runCancelled.link(run.Object(), fmt.Sprintf("%s, at %.0f s", e.Patch, e.T), run.Object(), e.Actor))
		}
		return ruling{outcome: Failed, cause: cause}
	}
	if l := t.deletedRun(run); l != nil {
		return ruling{outcome: Failed, cause: []Link{*l}}
	}
	if r, ok := t.notEnded(run); ok {
		return r
	}
	var all []ruling
	switch {
	case !slices.Contains(invalidRun, run.Reason) || run.Status != "False":
	case policyWords.MatchString(run.Message):
		// What the run makes is as it should be, and admission does not want it.
		one := t.runItself(run)
		if one.outcome != AdmissionDenied { // The write that was refused was not seen.
			one.outcome, one.cause = AdmissionDenied, append(one.cause, refusalCause(t.Before(run.DoneSeq), run.Namespace, run.Message, nil)...)
		}
		all = append(all, one)
	case t.apiFault(run.Message, run.DoneSeq) != nil:
		// It could be run as it is written.
		all = append(all, ruling{outcome: Failed, cause: append([]Link{t.runLink(run)}, t.apiFault(run.Message, run.DoneSeq)...)})
	default:
		all = append(all, ruling{outcome: InvalidPipeline, cause: append([]Link{t.runLink(run)}, append(t.unreadLog(run), t.resultsLost(run)...)...)})
	}
	for _, r := range run.TaskRuns {
		if r.Status == "True" || r.Reason == "FailureIgnored" {
			continue
		}
		if one, ok := t.judgeTaskRun(run, r); ok {
			// It follows from the failure, and is no root of it.
			one.cause = slices.Insert(one.cause, min(1, len(one.cause)), revived(r)...)
			all = append(all, one)
		}
	}
	if len(all) == 0 {
		all = append(all, t.runItself(run))
	}
	best := all[0]
	for _, r := range all[1:] {
		if r.outcome.rank() < best.outcome.rank() {
			best = r
		}
	}
	best.cause = append(best.cause, t.neverEnded(run)...)
	// Time was lost by it, and nothing else: a task that fails by itself, finds no place,
	// or stands still for what will never come, would have done so without.
	if best.outcome == Timeout && !best.stalled {
		if held, asOf := t.heldOnce(run); held != nil {
			best.outcome, best.cause, best.asOf = MultiAttach, append(best.cause, unsaid(best.cause, held)...), asOf
		}
	}
	if best.outcome == Timeout {
		best.cause = append(best.cause, t.leaseLinks(run)...)
	}
	return best
}

// revived says that a TaskRun came to life again after its end.
func revived(t *timeline.TaskRun) []Link {
	if t.Again == 0 || t.Overlap == nil || !t.Overlap.Data.Stale {
		return nil
	}
	return []Link{taskRevived.link(t.Object(), clip(fmt.Sprintf("ended at %.0f s, alive again at %.0f s; then %s", t.DoneT, t.Again, t.Then)), t.Object(), t.Task)}
}

// leaseLinks says that nobody worked on a run for as long as the lease of a
// controller that was killed held: of the reconcilers that waited, the last.
func (t *judging) leaseLinks(run *timeline.Run) []Link {
	before := func(list []timeline.Fact[history.Lease], seq int, who string) (last *timeline.Fact[history.Lease]) {
		for i := range list {
			if l := &list[i]; l.Seq < seq && (who == "" || l.Data.Controller == who) {
				last = l
			}
		}
		return last
	}
	end := cmp.Or(run.DoneSeq, t.End())
	held, until := before(t.Held, end, ""), ""
	if taken := before(t.Taken, end, ""); taken != nil {
		held = before(t.Held, taken.Seq, taken.Data.Controller)
		until = fmt.Sprintf("; the reconciler %s has it at %.0f s", taken.Data.Controller, taken.T)
	}
	if held == nil {
		return nil
	}
	return []Link{leaseHeld.link(objectController, fmt.Sprintf("at %.0f s it finds a lease that holds for %.0f s%s", held.T, held.Data.Seconds, until))}
}

// deletedRun says that a PipelineRun was deleted before it ended and before
// nothing could happen any more; nil if it was not.
func (t *judging) deletedRun(run *timeline.Run) *Link {
	if run.Gone == nil || run.Status != "" || slices.ContainsFunc(t.Stalls, func(s timeline.Fact[history.Stalled]) bool { return s.T < run.Gone.T }) {
		return nil
	}
	l := runDeleted.link(run.Object(), fmt.Sprintf("deleted by %s, at %.0f s", run.Gone.Actor, run.Gone.T), run.Object())
	return &l
}

// unreadLog says that Tekton may not read the log of its results sidecar, so that
// results do not come which a task has left.
func (t *judging) unreadLog(run *timeline.Run) []Link {
	var lines []history.Entry
	for _, r := range run.TaskRuns {
		for _, e := range t.LogsAbout(r.Namespace, r.Name) {
			if strings.Contains(e.Message, `cannot get resource "pods/log"`) {
				lines = append(lines, e)
			}
		}
	}
	if len(lines) == 0 {
		return nil
	}
	first := slices.MinFunc(lines, func(a, b history.Entry) int { return cmp.Compare(a.Seq, b.Seq) })
	return []Link{logUnread.link(first.Object.String(), clip(first.Message))}
}

// stoppedLink says that Tekton's controller was stopped by an intervention, or
// did not come up after one, and was not started again, and with which entry; nil
// if it was not.
func (t *judging) stoppedLink() (*Link, int) {
	var last *timeline.Fact[history.Intervention]
	for i := range t.Interventions {
		v := &t.Interventions[i]
		stop := v.Data.Controller == "stop" && v.Data.Failure == ""
		start := v.Data.Failure != "" && (v.Data.Controller == "start" || v.Data.Controller == "restart" || v.Data.Release != "")
		if !v.Data.Missed && (stop || start && len(t.Exits) > 0) {
			last = v
		}
	}
	if last == nil || t.startedAfter(last.Seq) {
		return nil, 0
	}
	l := controllerStopped.link(objectController, fmt.Sprintf("%s, at %.0f s", last.Data.What, last.T))
	if last.Data.Failure != "" {
		l = controllerNotUp.link(objectController, clip(last.Data.Failure))
	}
	return &l, last.Seq
}

// startedAfter says whether one of Tekton's controllers started after an entry.
func (t *judging) startedAfter(seq int) bool {
	return slices.ContainsFunc(t.Starts, func(s timeline.Fact[history.Tekton]) bool { return s.Seq > seq })
}

func (t *judging) runLink(run *timeline.Run) Link {
	rule, evidence := runUnfinished, clip(run.Reason+": "+run.Message)
	if run.Status == "False" {
		rule = runFailed
	}
	if run.Reason == "" {
		evidence = "it has no status"
	}
	return rule.link(run.Object(), evidence, run.Object())
}

func taskLink(r *timeline.TaskRun) Link {
	rule, evidence := taskUnfinished, clip(r.Reason+": "+r.Message)
	if r.Status == "False" {
		rule = taskFailed
	}
	if r.Reason == "" {
		evidence = "it has no status"
	}
	return rule.link(r.Object(), evidence, r.Object(), r.Task)
}

// runItself judges a PipelineRun none of whose TaskRuns says why it did not
// finish.
func (t *judging) runItself(run *timeline.Run) ruling {
	r := ruling{outcome: Failed, cause: []Link{t.runLink(run)}}
	if run.Status == "" || timedOut(run.Reason, run.Message) {
		r.outcome = Timeout
	}
	s := t.Now()
	if run.DoneSeq != 0 {
		s = t.Before(run.DoneSeq)
	}
	r.asOf = s.AsOf()
	if len(run.Refused) > 0 {
		e := run.Refused[len(run.Refused)-1]
		rule := runRefusedWrite
		if e.Object.Kind == "StatefulSet" {
			rule = assistantSetRefused
		}
		r.cause = append(r.cause, rule.link(e.Object.String(), clip(e.Message), e.Object.String()))
		r.cause = append(r.cause, refusalCause(s, run.Namespace, e.Message, nil)...)
		r.cause = append(r.cause, t.apiFault(e.Message, e.Seq)...)
		switch {
		case run.Reason == noAssistant || run.Reason == oldNoSet || run.Reason == noClaim:
			if denied(e) {
				r.outcome = AdmissionDenied
			}
		case r.outcome == Failed && policyWords.MatchString(e.Message):
			r.outcome = AdmissionDenied
		case r.outcome == Timeout && (e.Object.Kind == "PersistentVolumeClaim" || e.Object.Kind == "StatefulSet"):
			r.outcome = Deadlock
		case r.outcome == Timeout && denied(e):
			r.outcome = AdmissionDenied
		}
	}
	if r.outcome == Timeout {
		r.cause = append(r.cause, t.runTimeOut(run)...)
		if n := len(run.Refused); n > 0 {
			r.cause = append(r.cause, t.webhookAway(run.Refused[n-1])...)
		}
		if f := t.Finished; f != nil && f.Data.Busy != "" && run.Status == "" {
			r.cause = append(r.cause, runBusy.link(run.Object(), clip("work queue: "+f.Data.Busy)))
		}
		r.cause = append(r.cause, t.unresolved(s, "PipelineRun", run.Namespace, run.Name)...)
		r.cause = append(r.cause, untaken(s, run)...)
		if o := s.Live("PipelineRun", run.Namespace, run.Name); o != nil && o.Text("spec", "status") == pendingRun {
			r.cause = append(r.cause, runPending.link(run.Object(), "spec.status: "+o.JSON("spec", "status"), run.Object()))
		}
	}
	if r.outcome != Failed && r.outcome != AdmissionDenied || run.Status == "" {
		if before, stalled := t.StalledBefore(run.DoneSeq, 0); stalled {
			since := t.LastProgress(run, before)
			r.blockedSince = &since
		}
	}
	if n := len(t.Exits); n > 0 && run.Status == "" {
		if last := t.Exits[n-1]; !t.startedAfter(last.Seq) {
			// Nobody was left to work on the run: not a matter of time.
			r.outcome = Failed
			r.cause = append(r.cause, controllerEnded.link(objectController, clip(compact(last.Data)), last.Data.ExitCode))
		}
	}
	return r
}

// admittedLate says that the API server refused a TaskRun's pod for a while before it
// took it, and why.
func (t *judging) admittedLate(r *timeline.TaskRun, p *timeline.Pod) []Link {
	var refused []history.Entry
	for _, e := range r.Refused {
		if e.Code == history.CodeForbidden && e.Seq < p.CreatedSeq {
			refused = append(refused, e)
		}
	}
	if len(refused) == 0 {
		return nil
	}
	first, last := refused[0], refused[len(refused)-1]
	links := []Link{taskPodRefusedFirst.link(r.Object(), clip(last.Message), r.Task, p.Created, first.T)}
	return append(links, refusalCause(t.Before(last.Seq), r.Namespace, last.Message, refusedPod(last))...)
}

// unresolved returns what a run or TaskRun was still to get from a resolver, if it
// was, and why it did not come, as far as anybody says.
func (t *judging) unresolved(s *timeline.View, kind, namespace, name string) []Link {
	for _, o := range s.OwnedBy("ResolutionRequest", history.Ref{Kind: kind, Namespace: namespace, Name: name}) {
		if status, _, _ := timeline.Succeeded(o); status == "True" {
			continue
		}
		request := o.Ref.String()
		links := []Link{taskUnanswered.link(request, clip("spec.params: "+o.JSON("spec", "params")), request, o.Text("metadata", "labels", resolver.Label))}
		for _, e := range t.RefusedOf(o.Ref.Namespace, o.Ref.Name) {
			if e.Actor == resolver.Actor {
				links = append(links, taskAnswerRefused.link(request, clip(e.Message)))
				break
			}
		}
		for _, e := range slices.Backward(t.LogsAbout(o.Ref.Namespace, o.Ref.Name)) {
			if e.Actor == resolver.Actor && e.Object.Kind == o.Ref.Kind {
				// Whatever became of the answer, it could only say this.
				return append(links[1:], taskNothingFor.link(request, clip(e.Message), request))
			}
		}
		return links
	}
	return nil
}

// untaken returns a custom task's run that nobody ever gave a status.
func untaken(s *timeline.View, run *timeline.Run) []Link {
	for _, kind := range []string{"CustomRun", "Run"} {
		for _, o := range s.OwnedBy(kind, history.Ref{Kind: "PipelineRun", Namespace: run.Namespace, Name: run.Name}) {
			if o.Field("status", "conditions") != nil {
				continue
			}
			return []Link{customUntaken.link(o.Ref.String(), clip("spec.customRef: "+o.JSON("spec", "customRef")), o.Ref)}
		}
	}
	return nil
}

// judgeTaskRun says what became of a TaskRun that did not succeed; false when
// that is no more than a consequence of its run's end.
func (t *judging) judgeTaskRun(run *timeline.Run, r *timeline.TaskRun) (ruling, bool) {
	var p *timeline.Pod
	for _, one := range r.Pods {
		// That of a TaskRun that came to life again is not the one that failed it.
		if r.Again == 0 || one.CreatedSeq < r.DoneSeq {
			p = one
		}
	}
	if r.Status == "" || timedOut(r.Reason, r.Message) {
		return t.judgeWaiting(run, r, p)
	}
	cause := []Link{taskLink(r)}
	if links := t.apiFault(r.Message, r.DoneSeq); links != nil {
		return ruling{outcome: Failed, cause: append(cause, links...)}, true
	}
	if len(r.Refused) > 0 && p == nil {
		e := r.Refused[len(r.Refused)-1]
		s := t.Before(r.DoneSeq)
		outcome := AdmissionDenied
		if !denied(e) {
			outcome = InvalidPipeline
		}
		if !strings.Contains(r.Message, e.Message) {
			cause = append(cause, taskPodRefused.link(r.Object(), clip(e.Message), r.Task))
		}
		return ruling{outcome: outcome, cause: append(cause, refusalCause(s, r.Namespace, e.Message, refusedPod(e))...), asOf: s.AsOf()}, true
	}
	if r.Reason == "PodAdmissionFailed" {
		s := t.Before(r.DoneSeq)
		return ruling{outcome: AdmissionDenied, cause: append(cause, refusalCause(s, r.Namespace, r.Message, podOf(s, r))...), asOf: s.AsOf()}, true
	}
	if p != nil {
		if outcome, links := t.failedPod(r, p); outcome != "" {
			return ruling{outcome: outcome, cause: append(cause, links...)}, true
		}
	}
	// Tekton gives this reason too for a pod of which a container is not made.
	unmade := p != nil && t.notMade(p, r.DoneSeq) != nil
	if slices.Contains(invalidTask, r.Reason) && (p == nil || p.StartedSeq == 0) && !unmade {
		return ruling{outcome: InvalidPipeline, cause: append(cause, t.tooManyClaims(r)...), asOf: t.Before(r.DoneSeq).AsOf()}, true
	}
	return ruling{outcome: Failed, cause: append(append(cause, t.retriesUsed(r)...), t.failure(p)...)}, true
}

// podOf is as much of a TaskRun's pod as its own spec decides: for a pod whose
// refused request the history does not show.
func podOf(s *timeline.View, r *timeline.TaskRun) *corev1.Pod {
	type spec struct {
		Spec struct {
			ServiceAccountName string `json:"serviceAccountName"`
			PodTemplate        struct {
				SecurityContext *corev1.PodSecurityContext `json:"securityContext"`
			} `json:"podTemplate"`
		} `json:"spec"`
	}
	t, ok := timeline.Decode[spec](s, "TaskRun", r.Namespace, r.Name)
	if !ok {
		return nil
	}
	pod := &corev1.Pod{}
	pod.Spec.ServiceAccountName = t.Spec.ServiceAccountName
	pod.Spec.SecurityContext = t.Spec.PodTemplate.SecurityContext
	return pod
}

// tooManyClaims names what is behind the refusal of a TaskRun with two claims:
// ValidateOnlyOnePVCIsUsed in pkg/workspace of Tekton, which applies while there
// is an assistant for each workspace.
func (t *judging) tooManyClaims(r *timeline.TaskRun) []Link {
	if !strings.Contains(r.Message, "more than one PersistentVolumeClaim is bound") {
		return nil
	}
	s := t.Before(r.DoneSeq)
	var links []Link
	if o := s.Live("TaskRun", r.Namespace, r.Name); o != nil {
		links = append(links, taskManyClaims.link(r.Object(), "spec.workspaces: "+o.JSON("spec", "workspaces"), r.Task))
	}
	if f := s.FeatureFlags(); f != nil {
		links = append(links, flagsPerWorkspace.link(f.Ref.String(), flagText(f)))
	}
	return links
}

// failure says how a pod failed, from its containers and the kubelet.
func (t *judging) failure(p *timeline.Pod) []Link {
	if p == nil {
		return nil
	}
	if links := t.lostNode(p); links != nil {
		return links
	}
	if c := firstFailure(p); c != nil {
		rule, name := containerExit, c.Data.Name
		if c.Data.Step != "" {
			rule, name = stepExit, c.Data.Step
		}
		evidence := strings.TrimSuffix(strings.TrimSpace(c.Data.Reason+": "+c.Data.Message), ":")
		links := append([]Link{rule.link(p.Object(), evidence, name, t.Title(p), c.Data.ExitCode)}, t.oomKilled(p, c)...)
		links = append(links, t.stopped(p)...)
		links = append(links, t.endedForShutdown(p)...)
		if c.Data.Reason == history.ContainerUnknown {
			links = append(links, unsaid(links, t.silent(p.Node, c.Seq))...)
		}
		return append(links, t.takenAway(p, c)...)
	}
	if links := t.notMade(p, t.End()); links != nil {
		return links
	}
	if links := t.unpulled(p, t.End()); links != nil && p.StartedSeq == 0 {
		return links
	}
	if links := t.endedForShutdown(p); links != nil {
		return links
	}
	if len(p.Refusals) > 0 {
		f := p.Refusals[0]
		links := []Link{kubeletRefuses.link(p.Object(), strings.TrimSpace(f.Data.Reason+": "+f.Data.Message), f.Data.Node, t.Title(p))}
		if f.Data.Reason == nodeShutdownRefuses {
			links = append(links, t.shutDown(f.Data.Node, f.Seq)...)
		}
		if strings.Contains(f.Data.Message, string(corev1.NodeMemoryPressure)) {
			links = append(links, t.memoryTaken(f.Data.Node, f.Seq)...)
		}
		return links
	}
	e := t.LastEvent("Pod", p.Namespace, p.Name, t.End(), func(e timeline.Event) bool {
		return e.Type == corev1.EventTypeWarning && e.Reason != "FailedScheduling"
	})
	if e != nil {
		return []Link{podWarning.link(p.Object(), clip(e.Message), t.Title(p), e.Reason)}
	}
	return nil
}

// nodeShutdownRefuses is why a kubelet takes no pods any more whose machine goes off
// (pkg/kubelet/nodeshutdown).
const nodeShutdownRefuses = "NodeShutdown"

// firstFailure is the step that failed first, else the first other container.
func firstFailure(p *timeline.Pod) *timeline.Fact[history.Container] {
	var found *timeline.Fact[history.Container]
	for i := range p.Containers {
		c := &p.Containers[i]
		if c.Data.ExitCode != 0 && (found == nil || found.Data.Step == "" && c.Data.Step != "") {
			found = c
		}
	}
	return found
}

// judgeWaiting says what a TaskRun waited for that did not finish, or was ended
// by a time-out or with its run.
func (t *judging) judgeWaiting(run *timeline.Run, r *timeline.TaskRun, p *timeline.Pod) (ruling, bool) {
	// The world is looked at before anything took the waiting apart.
	since := r.CreatedSeq
	if p != nil {
		since = p.CreatedSeq
	}
	before := t.End()
	for _, seq := range []int{r.CancelSeq, r.DoneSeq, run.DoneSeq} {
		if seq > since {
			before = min(before, seq)
		}
	}
	if p != nil && p.StopSeq != 0 {
		before = min(before, p.StopSeq)
	}
	before, stalled := t.stallOrEnd(before, since)

	if p != nil && past(p.StartedSeq, before) {
		out := t.ranOut(run, r, p, before)
		out.asOf = t.Before(before).AsOf()
		return out, true
	}
	x := newExplainer(t, run, r, before, stalled)
	out := ruling{outcome: Timeout, asOf: x.s.AsOf(), stalled: stalled}
	if found, ok := x.explain(); ok {
		out.outcome, out.cause = found.outcome, found.links
		if found.outcome == Timeout {
			out.cause = append([]Link{taskLink(r)}, found.links...)
		}
		if found.outcome == MultiAttach && p != nil {
			if spec, ok := timeline.Decode[corev1.Pod](x.s, "Pod", p.Namespace, p.Name); ok {
				out.cause = append(out.cause, x.spread(p, spec)...)
			}
		}
	} else {
		out.cause = []Link{taskLink(r)}
		if p != nil {
			out.cause = append(append(out.cause, x.symptom(p)), t.timeOut(run, r)...)
			out.cause = append(out.cause, x.full(p)...)
			if links := t.shortOfDisk(x.s, r, p); links != nil {
				out.outcome, out.cause = NoSpace, append(out.cause, links...)
			}
		} else {
			out.cause = append(out.cause, t.timeOut(run, r)...)
			out.cause = append(out.cause, t.unresolved(x.s, "TaskRun", r.Namespace, r.Name)...)
		}
		if run.Status != "" && !timedOut(run.Reason, run.Message) && !timedOut(r.Reason, "") {
			return ruling{}, false
		}
	}
	out.cause = append(out.cause, t.preempted(r, before)...)
	out.cause = append(out.cause, t.unasked(run, r, before)...)
	if out.outcome == Timeout {
		out.cause = append(out.cause, t.clockAhead(before)...)
	}
	at := t.ownProgress(r, before)
	if stalled {
		at = t.LastProgress(run, before)
	}
	if stalled || out.outcome != Timeout {
		out.blockedSince = &at
	}
	return out, true
}

// stallOrEnd moves the moment of looking to the first stall before it.
func (t *judging) stallOrEnd(before, since int) (int, bool) {
	if seq, ok := t.StalledBefore(before, since); ok {
		return seq, true
	}
	return before, false
}

// ownProgress is when a TaskRun itself went on last before an entry.
func (t *judging) ownProgress(r *timeline.TaskRun, before int) float64 {
	at := r.Created
	for _, p := range r.Pods {
		if past(p.CreatedSeq, before) {
			at = max(at, p.Created)
		}
		if past(p.BoundSeq, before) {
			at = max(at, p.BoundT)
		}
	}
	return at
}

// ranOut judges a TaskRun whose steps ran until a time-out, as of an entry.
func (t *judging) ranOut(run *timeline.Run, r *timeline.TaskRun, p *timeline.Pod, before int) ruling {
	if outcome, links := t.failedPod(r, p); outcome != "" {
		return ruling{outcome: outcome, cause: append([]Link{taskLink(r)}, links...)}
	}
	running := stepsRunning
	if past(p.OverSeq, before) {
		running = endUnwritten
	}
	cause := []Link{t.runLink(run), taskLink(r), running.link(p.Object(), "on node "+p.Node, t.Title(p))}
	if lost := t.onSilentNode(p, before); lost != nil {
		// More time would not help.
		return ruling{outcome: Timeout, cause: append(append(cause[:2], t.timeOut(run, r)...), lost...), stalled: true}
	}
	cause = append(cause, t.begunAgain(r)...)
	cause = append(cause, t.admittedLate(r, p)...)
	cause = append(cause, t.timeOut(run, r)...)
	cause = append(cause, t.unasked(run, r, before)...)
	// More time would not help there.
	cause = append(cause, t.stepsWait(p)...)
	cause = append(cause, t.clockAhead(before)...)
	return ruling{outcome: Timeout, cause: cause}
}

// begunAgain says how often a TaskRun lost a pod whose steps ran, and with it what
// they had done, and to whom.
func (t *judging) begunAgain(r *timeline.TaskRun) []Link {
	var last *timeline.Pod
	times := 0
	for _, p := range r.Pods[:len(r.Pods)-1] {
		if p.StartedSeq != 0 && p.StopSeq != 0 && p.OverSeq == 0 {
			last = p
			times++
		}
	}
	if last == nil {
		return nil
	}
	stop, _ := t.Entry(last.StopSeq)
	l := taskBegunAgain.link(last.Object(), fmt.Sprintf("deleted by %s, the last time at %.0f s", stop.Actor, stop.T), again(times), last.Object(), stop.Actor)
	s := t.Before(last.StopSeq)
	node, spec := s.Live("Node", "", last.Node), s.Live("Pod", last.Namespace, last.Name)
	e := t.LastEvent("Pod", last.Namespace, last.Name, last.StopSeq, func(e timeline.Event) bool { return e.Reason == "TaintManagerEviction" })
	if e != nil && node != nil && spec != nil {
		l = taskBegunAgainTaint.link(last.Object(), fmt.Sprintf("%s: %s, the last time at %.0f s; %s spec.taints: %s; the pod's tolerations: %s",
			e.Reason, e.Message, stop.T, node.Ref, node.JSON("spec", "taints"), spec.JSON("spec", "tolerations")), again(times), last.Node, last.Object())
	}
	return append([]Link{l}, t.nodeRemoved(last.Node, last.StopSeq)...)
}

func again(times int) string {
	if times == 1 {
		return "once more"
	}
	return fmt.Sprintf("%d times more", times)
}

// heldOnce returns the chain of a Multi-Attach error that one of a run's pods met
// and got over, and the entry as of which it was looked at; nil when there was none.
func (t *judging) heldOnce(run *timeline.Run) (links []Link, asOf int) {
	for _, p := range t.PodsOf(run) {
		if len(p.Holds) == 0 {
			continue
		}
		h := &p.Holds[0]
		x := newExplainer(t, run, t.TaskRun(p.Namespace, p.TaskRun), h.Seq+1, false)
		spec, ok := timeline.Decode[corev1.Pod](x.s, "Pod", p.Namespace, p.Name)
		if !ok {
			continue
		}
		id, _ := x.node(p.Object())
		x.heldBy(id, p, spec, h)
		found, _ := x.resolve(id) // The error itself is a link.
		links = append(found.links, x.spread(p, spec)...)
		if p.VolumesSeq > h.Seq && p.Assistant == "" {
			links[0] = multiAttachOver.link(links[0].Object, links[0].Evidence, t.Title(p), h.Volume, p.Node)
		}
		return links, x.s.AsOf()
	}
	return nil, 0
}

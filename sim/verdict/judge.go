package verdict

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/internal/resolver"
	"simctl.dev/simctl/sim/wellknown"
)

// ErrNoRun says that a history shows no PipelineRun, nor why there is none.
var ErrNoRun = errors.New("the history shows no PipelineRun")

// Judge says what became of the PipelineRuns of one cell, with the chain of
// causes and where the time went; docs/outcomes.md has the rules. It depends on
// the entries alone. An error means that the entries cannot be folded or show no
// run ([ErrNoRun]), not that a run failed.
func Judge(entries []history.Entry) (Finding, error) {
	t, err := readTimeline(entries)
	if err != nil {
		return Finding{}, fmt.Errorf("reading the history: %w", err)
	}
	f := Finding{Cause: []Link{}, Timing: timing(t), Inert: t.inert, Busy: t.busy, NeverEnd: t.endless(), Bound: t.boundMet()}
	for _, i := range t.interventions {
		f.Interventions = append(f.Interventions, Intervention{T: i.t, Intervention: i.data})
	}
	rulings, err := t.rulings()
	if err != nil {
		return Finding{}, err
	}
	if f.Conduct, err = t.conduct(); err != nil {
		return Finding{}, fmt.Errorf("reading the history: %w", err)
	}
	if len(rulings) == 0 {
		return Finding{}, ErrNoRun
	}
	worst := rulings[0]
	for _, r := range rulings[1:] {
		if r.outcome.rank() < worst.outcome.rank() {
			worst = r
		}
	}
	f.Outcome = worst.outcome
	if worst.cause != nil {
		f.Cause = t.refusedRoot(worst.cause)
	}
	f.BlockedSinceSeconds = worst.blockedSince
	if first, last, ok := t.span(); ok {
		makespan := last - first
		f.MakespanSeconds = &makespan
		f.Recovered = f.Outcome != Success
	}
	return f, nil
}

// span is from the first PipelineRun's creation to the last one's completion;
// false unless all of them succeeded.
func (t *timeline) span() (first, last float64, ok bool) {
	for i, r := range t.runs {
		if r.status != "True" {
			return 0, 0, false
		}
		if i == 0 || r.created < first {
			first = r.created
		}
		last = max(last, r.doneT)
	}
	return first, last, len(t.runs) > 0
}

// ruling is what became of a part of a cell.
type ruling struct {
	outcome      Outcome
	cause        []Link
	blockedSince *float64
}

func (t *timeline) rulings() ([]ruling, error) {
	var out []ruling
	if r, ok := t.invalidConfig(); ok {
		out = append(out, r)
	}
	if r, ok := t.refusedManifest(); ok {
		out = append(out, r)
	}
	for _, run := range t.runs {
		r, err := t.judgeRun(run)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
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
func (t *timeline) invalidConfig() (ruling, bool) {
	object, evidence, rule := "", "", configRefusedOnWrite
	for _, e := range t.refused {
		if RefusedConfig(e) != "" {
			object, evidence = e.Object.String(), e.Message
			break
		}
	}
	if evidence == "" {
		for _, e := range t.logs {
			if RefusedConfig(e) != "" {
				object, evidence, rule = objectController, e.Message, configNotTaken
				break
			}
		}
	}
	for _, x := range t.exits {
		if configWords.MatchString(x.data.Message) {
			object, evidence, rule = objectController, x.data.Message, configStopsController
		}
	}
	if evidence == "" {
		return ruling{}, false
	}
	r := ruling{outcome: InvalidConfig}
	for _, run := range t.runs {
		if run.status == "" {
			state := "it has no status"
			if run.reason != "" {
				state = run.reason + ": " + run.message
			}
			r.cause = append(r.cause, runNotWorkedOn.link(run.object(), state, run.object()))
			since := t.lastProgress(run, t.end())
			r.blockedSince = &since
			break
		}
	}
	r.cause = append(r.cause, rule.link(object, clip(evidence)))
	// What was refused when it was written is in no ConfigMap.
	if f := flags(t.lastState); f != nil && rule != configRefusedOnWrite {
		r.cause = append(r.cause, configFlags.link(f.Ref.String(), flagText(f)))
	}
	return r, true
}

// refusedManifest looks for a part of the workload that the API server refused.
func (t *timeline) refusedManifest() (ruling, bool) {
	for _, e := range t.refused {
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
		cause := append([]Link{l}, refusalCause(t.lastState, e.Object.Namespace, e.Message, nil)...)
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
func (t *timeline) judgeRun(run *pipelineRun) (ruling, error) {
	if run.status == "True" {
		held, err := t.heldOnce(run)
		if err != nil || held != nil {
			return ruling{outcome: MultiAttach, cause: held}, err
		}
		return ruling{outcome: Success}, nil
	}
	if l, seq := t.stoppedLink(); l != nil && run.status == "" {
		// Whatever its pods do: nobody is left to work on the run.
		r := ruling{outcome: Failed, cause: []Link{t.runLink(run), *l}}
		before, _ := t.stallOrEnd(t.end(), seq)
		since := t.lastProgress(run, before)
		r.blockedSince = &since
		return r, nil
	}
	if _, stalled := t.stalledBefore(run.doneSeq, 0); !stalled && slices.Contains(cancelledRun, run.reason) && run.status == "False" {
		cause := []Link{t.runLink(run)}
		ref := history.Ref{Kind: "PipelineRun", Namespace: run.namespace, Name: run.name}
		if e := t.lastPatch(ref, run.doneSeq, "spec", "status"); e != nil {
			cause = append(cause, runCancelled.link(run.object(), fmt.Sprintf("%s, at %.0f s", e.Patch, e.T), run.object(), e.Actor))
		}
		return ruling{outcome: Failed, cause: cause}, nil
	}
	if l := t.deletedRun(run); l != nil {
		return ruling{outcome: Failed, cause: []Link{*l}}, nil
	}
	var all []ruling
	switch {
	case !slices.Contains(invalidRun, run.reason) || run.status != "False":
	case len(run.refused) > 0 && policyWords.MatchString(run.message):
		// What the run makes is as it should be, and admission does not want it.
		all = append(all, t.runItself(run))
	default:
		all = append(all, ruling{outcome: InvalidPipeline, cause: append([]Link{t.runLink(run)}, append(t.unreadLog(run), t.resultsLost(run)...)...)})
	}
	for _, r := range run.taskRuns {
		if r.status == "True" || r.reason == "FailureIgnored" {
			continue
		}
		one, ok, err := t.judgeTaskRun(run, r)
		if err != nil {
			return ruling{}, err
		}
		if ok {
			// It follows from the failure, and is no root of it.
			one.cause = slices.Insert(one.cause, min(1, len(one.cause)), r.revived()...)
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
	// Time was lost by it, and nothing else: a task that fails by itself, or finds no
	// place, would have done so without.
	if best.outcome == Timeout {
		held, err := t.heldOnce(run)
		if err != nil {
			return ruling{}, err
		}
		if held != nil {
			// Both may come of one thing, which is said where it stands first.
			said := slices.Clone(best.cause)
			held = slices.DeleteFunc(held, func(l Link) bool { return slices.ContainsFunc(said, l.same) })
			best.outcome, best.cause = MultiAttach, append(best.cause, held...)
		}
	}
	if best.outcome == Timeout {
		best.cause = append(best.cause, t.leaseLinks(run)...)
	}
	return best, nil
}

// revived says that a TaskRun came to life again after its end.
func (t *taskRun) revived() []Link {
	if t.again == 0 || t.overlap == nil || !t.overlap.data.Stale {
		return nil
	}
	return []Link{taskRevived.link(t.object(), clip(fmt.Sprintf("ended at %.0f s, alive again at %.0f s; then %s", t.doneT, t.again, t.then)), t.object(), t.task)}
}

// leaseLinks says that nobody worked on a run for as long as the lease of a
// controller that was killed held: of the reconcilers that waited, the last.
func (t *timeline) leaseLinks(run *pipelineRun) []Link {
	before := func(list []fact[history.Lease], seq int, who string) (last *fact[history.Lease]) {
		for i := range list {
			if l := &list[i]; (seq == 0 || l.seq < seq) && (who == "" || l.data.Controller == who) {
				last = l
			}
		}
		return last
	}
	held, until := before(t.held, run.doneSeq, ""), ""
	if taken := before(t.taken, run.doneSeq, ""); taken != nil {
		held = before(t.held, taken.seq, taken.data.Controller)
		until = fmt.Sprintf("; the reconciler %s has it at %.0f s", taken.data.Controller, taken.t)
	}
	if held == nil {
		return nil
	}
	return []Link{leaseHeld.link(objectController, fmt.Sprintf("at %.0f s it finds a lease that holds for %.0f s%s", held.t, held.data.Seconds, until))}
}

// deletedRun says that a PipelineRun was deleted before it ended and before
// nothing could happen any more; nil if it was not.
func (t *timeline) deletedRun(run *pipelineRun) *Link {
	if run.gone == nil || run.status != "" || slices.ContainsFunc(t.stalls, func(s fact[history.Stalled]) bool { return s.t < run.gone.T }) {
		return nil
	}
	l := runDeleted.link(run.object(), fmt.Sprintf("deleted by %s, at %.0f s", run.gone.Actor, run.gone.T), run.object())
	return &l
}

// unreadLog says that Tekton may not read the log of its results sidecar, so that
// results do not come which a task has left.
func (t *timeline) unreadLog(run *pipelineRun) []Link {
	for _, e := range t.logs {
		if r := t.taskRun(e.Object.Namespace, e.Object.Name); r == nil || !slices.Contains(run.taskRuns, r) || !strings.Contains(e.Message, `cannot get resource "pods/log"`) {
			continue
		}
		return []Link{logUnread.link(e.Object.String(), clip(e.Message))}
	}
	return nil
}

// stoppedLink says that Tekton's controller was stopped by an intervention, or
// did not come up after one, and was not started again, and with which entry; nil
// if it was not.
func (t *timeline) stoppedLink() (*Link, int) {
	var last *fact[history.Intervention]
	for i := range t.interventions {
		v := &t.interventions[i]
		stop := v.data.Controller == "stop" && v.data.Failure == ""
		start := v.data.Failure != "" && (v.data.Controller == "start" || v.data.Controller == "restart" || v.data.Release != "")
		if !v.data.Missed && (stop || start && len(t.exits) > 0) {
			last = v
		}
	}
	if last == nil || len(t.starts) > 0 && t.starts[len(t.starts)-1].seq > last.seq {
		return nil, 0
	}
	l := controllerStopped.link(objectController, fmt.Sprintf("%s, at %.0f s", last.data.What, last.t))
	if last.data.Failure != "" {
		l = controllerNotUp.link(objectController, clip(last.data.Failure))
	}
	return &l, last.seq
}

func (t *timeline) runLink(run *pipelineRun) Link {
	rule, evidence := runUnfinished, clip(run.reason+": "+run.message)
	if run.status == "False" {
		rule = runFailed
	}
	if run.reason == "" {
		evidence = "it has no status"
	}
	return rule.link(run.object(), evidence, run.object())
}

func taskLink(r *taskRun) Link {
	rule, evidence := taskUnfinished, clip(r.reason+": "+r.message)
	if r.status == "False" {
		rule = taskFailed
	}
	if r.reason == "" {
		evidence = "it has no status"
	}
	return rule.link(r.object(), evidence, r.object(), r.task)
}

// runItself judges a PipelineRun none of whose TaskRuns says why it did not
// finish.
func (t *timeline) runItself(run *pipelineRun) ruling {
	r := ruling{outcome: Failed, cause: []Link{t.runLink(run)}}
	if run.status == "" || timedOut(run.reason, run.message) {
		r.outcome = Timeout
	}
	s, err := t.state(max(run.doneSeq, 1))
	if run.doneSeq == 0 || err != nil {
		s = t.lastState
	}
	if len(run.refused) > 0 {
		e := run.refused[len(run.refused)-1]
		rule := runRefusedWrite
		if e.Object.Kind == "StatefulSet" {
			rule = assistantSetRefused
		}
		r.cause = append(r.cause, rule.link(e.Object.String(), clip(e.Message), e.Object.String()))
		r.cause = append(r.cause, refusalCause(s, run.namespace, e.Message, nil)...)
		switch {
		case run.reason == noAssistant || run.reason == oldNoSet || run.reason == noClaim:
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
		if f := t.finished; f != nil && f.data.Busy != "" && run.status == "" {
			r.cause = append(r.cause, runBusy.link(run.object(), clip("work queue: "+f.data.Busy)))
		}
		r.cause = append(r.cause, t.unresolved(s, "PipelineRun", run.namespace, run.name)...)
		r.cause = append(r.cause, untaken(s, run)...)
		if o := s.Live("PipelineRun", run.namespace, run.name); o != nil && o.Text("spec", "status") == pendingRun {
			r.cause = append(r.cause, runPending.link(run.object(), "spec.status: "+o.JSON("spec", "status"), run.object()))
		}
	}
	if r.outcome != Failed && r.outcome != AdmissionDenied || run.status == "" {
		if before, stalled := t.stalledBefore(run.doneSeq, 0); stalled {
			since := t.lastProgress(run, before)
			r.blockedSince = &since
		}
	}
	if n := len(t.exits); n > 0 && run.status == "" {
		if last := t.exits[n-1]; len(t.starts) == 0 || t.starts[len(t.starts)-1].seq < last.seq {
			// Nobody was left to work on the run: not a matter of time.
			r.outcome = Failed
			r.cause = append(r.cause, controllerEnded.link(objectController, clip(compact(last.data)), last.data.ExitCode))
		}
	}
	return r
}

// admittedLate says that the API server refused a TaskRun's pod for a while before it
// took it, and why.
func (t *timeline) admittedLate(r *taskRun, p *pod) []Link {
	var refused []history.Entry
	for _, e := range r.refused {
		if e.Code == history.CodeForbidden && e.Seq < p.createdSeq {
			refused = append(refused, e)
		}
	}
	if len(refused) == 0 {
		return nil
	}
	first, last := refused[0], refused[len(refused)-1]
	links := []Link{taskPodRefusedFirst.link(r.object(), clip(last.Message), r.task, p.created, first.T)}
	if s, err := t.state(last.Seq); err == nil {
		links = append(links, refusalCause(s, r.namespace, last.Message, refusedPod(last))...)
	}
	return links
}

// unresolved returns what a run or TaskRun was still to get from a resolver, if it
// was, and why it did not come, as far as anybody says.
func (t *timeline) unresolved(s *history.State, kind, namespace, name string) []Link {
	for _, o := range s.All("ResolutionRequest") {
		if status, _, _ := succeeded(o); status == "True" || !belongs(o, kind, namespace, name) {
			continue
		}
		request := o.Ref.String()
		links := []Link{taskUnanswered.link(request, clip("spec.params: "+o.JSON("spec", "params")), request, o.Text("metadata", "labels", resolver.Label))}
		for _, e := range t.refused {
			if e.Actor == resolver.Actor && e.Object.Name == o.Ref.Name {
				links = append(links, taskAnswerRefused.link(request, clip(e.Message)))
				break
			}
		}
		for _, e := range slices.Backward(t.logs) {
			if e.Actor == resolver.Actor && e.Object.Kind == o.Ref.Kind && e.Object.Name == o.Ref.Name {
				// Whatever became of the answer, it could only say this.
				return append(links[1:], taskNothingFor.link(request, clip(e.Message), request))
			}
		}
		return links
	}
	return nil
}

// untaken returns a custom task's run that nobody ever gave a status.
func untaken(s *history.State, run *pipelineRun) []Link {
	for _, kind := range []string{"CustomRun", "Run"} {
		for _, o := range s.All(kind) {
			if status, _, _ := succeeded(o); status != "" || o.Field("status", "conditions") != nil || !belongs(o, "PipelineRun", run.namespace, run.name) {
				continue
			}
			return []Link{customUntaken.link(o.Ref.String(), clip("spec.customRef: "+o.JSON("spec", "customRef")), o.Ref)}
		}
	}
	return nil
}

// belongs says whether an object has a certain owner.
func belongs(o *history.Object, kind, namespace, name string) bool {
	var m meta
	return o.Ref.Namespace == namespace && o.Decode(&m) == nil && m.ownedBy(kind, "") == name
}

// stalledBefore finds the first stall after one entry and before another; an
// end of 0 is the end of the history. A cell that ended with nothing left had
// stalled too.
func (t *timeline) stalledBefore(end, after int) (seq int, ok bool) {
	if end == 0 {
		end = t.end()
	}
	for _, s := range t.stalls {
		if s.seq > after && s.seq < end {
			return s.seq, true
		}
	}
	if f := t.finished; f != nil && !f.data.Done && f.seq > after && f.seq < end && f.data.Reason != "limit" {
		return f.seq, true
	}
	return 0, false
}

// judgeTaskRun says what became of a TaskRun that did not succeed; false when
// that is no more than a consequence of its run's end.
func (t *timeline) judgeTaskRun(run *pipelineRun, r *taskRun) (ruling, bool, error) {
	var p *pod
	for _, one := range r.pods {
		// That of a TaskRun that came to life again is not the one that failed it.
		if r.again == 0 || one.createdSeq < r.doneSeq {
			p = one
		}
	}
	if r.status == "" || timedOut(r.reason, r.message) {
		return t.judgeWaiting(run, r, p)
	}
	cause := []Link{taskLink(r)}
	if len(r.refused) > 0 && p == nil {
		e := r.refused[len(r.refused)-1]
		s, err := t.state(r.doneSeq)
		if err != nil {
			return ruling{}, false, err
		}
		outcome := AdmissionDenied
		if !denied(e) {
			outcome = InvalidPipeline
		}
		if !strings.Contains(r.message, e.Message) {
			cause = append(cause, taskPodRefused.link(r.object(), clip(e.Message), r.task))
		}
		return ruling{outcome: outcome, cause: append(cause, refusalCause(s, r.namespace, e.Message, refusedPod(e))...)}, true, nil
	}
	if r.reason == "PodAdmissionFailed" {
		s, err := t.state(r.doneSeq)
		if err != nil {
			return ruling{}, false, err
		}
		return ruling{outcome: AdmissionDenied, cause: append(cause, refusalCause(s, r.namespace, r.message, podOf(s, r))...)}, true, nil
	}
	if p != nil {
		if outcome, links, err := t.failedPod(r, p); err != nil || outcome != "" {
			return ruling{outcome: outcome, cause: append(cause, links...)}, true, err
		}
	}
	if slices.Contains(invalidTask, r.reason) && (p == nil || p.startedSeq == 0) {
		return ruling{outcome: InvalidPipeline, cause: append(cause, t.tooManyClaims(r)...)}, true, nil
	}
	return ruling{outcome: Failed, cause: append(append(cause, t.retriesUsed(r)...), t.failure(p)...)}, true, nil
}

// podOf is as much of a TaskRun's pod as its own spec decides: for a pod whose
// refused request the history does not show.
func podOf(s *history.State, r *taskRun) *corev1.Pod {
	type spec struct {
		Spec struct {
			ServiceAccountName string `json:"serviceAccountName"`
			PodTemplate        struct {
				SecurityContext *corev1.PodSecurityContext `json:"securityContext"`
			} `json:"podTemplate"`
		} `json:"spec"`
	}
	t, ok := decode[spec](s, "TaskRun", r.namespace, r.name)
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
func (t *timeline) tooManyClaims(r *taskRun) []Link {
	if !strings.Contains(r.message, "more than one PersistentVolumeClaim is bound") {
		return nil
	}
	s, err := t.state(r.doneSeq)
	if err != nil {
		return nil
	}
	var links []Link
	if o := s.Live("TaskRun", r.namespace, r.name); o != nil {
		links = append(links, taskManyClaims.link(r.object(), "spec.workspaces: "+o.JSON("spec", "workspaces"), r.task))
	}
	if f := flags(s); f != nil {
		links = append(links, flagsPerWorkspace.link(f.Ref.String(), flagText(f)))
	}
	return links
}

// failure says how a pod failed, from its containers and the kubelet.
func (t *timeline) failure(p *pod) []Link {
	if p == nil {
		return nil
	}
	if links := t.lostNode(p); links != nil {
		return links
	}
	if c := firstFailure(p); c != nil {
		rule, name := containerExit, c.data.Name
		if c.data.Step != "" {
			rule, name = stepExit, c.data.Step
		}
		evidence := strings.TrimSuffix(strings.TrimSpace(c.data.Reason+": "+c.data.Message), ":")
		links := append([]Link{rule.link(p.object(), evidence, name, p.title(t), c.data.ExitCode)}, t.stopped(p)...)
		return append(links, t.takenAway(p, c)...)
	}
	for _, f := range p.refusals {
		return []Link{kubeletRefuses.link(p.object(), strings.TrimSpace(f.data.Reason+": "+f.data.Message), f.data.Node, p.title(t))}
	}
	e := t.lastEvent("Pod", p.namespace, p.name, t.end(), func(e event) bool {
		return e.typ == corev1.EventTypeWarning && e.reason != "FailedScheduling"
	})
	if e != nil {
		return []Link{podWarning.link(p.object(), clip(e.message), p.title(t), e.reason)}
	}
	return nil
}

// firstFailure is the step that failed first, else the first other container.
func firstFailure(p *pod) *container {
	var found *container
	for i := range p.containers {
		c := &p.containers[i]
		if c.data.ExitCode != 0 && (found == nil || found.data.Step == "" && c.data.Step != "") {
			found = c
		}
	}
	return found
}

// judgeWaiting says what a TaskRun waited for that did not finish, or was ended
// by a time-out or with its run.
func (t *timeline) judgeWaiting(run *pipelineRun, r *taskRun, p *pod) (ruling, bool, error) {
	// The world is looked at before anything took the waiting apart.
	since := r.createdSeq
	if p != nil {
		since = p.createdSeq
	}
	before := t.end()
	for _, seq := range []int{r.cancelSeq, r.doneSeq, run.doneSeq} {
		if seq > since {
			before = min(before, seq)
		}
	}
	if p != nil && p.stopSeq != 0 {
		before = min(before, p.stopSeq)
	}
	before, stalled := t.stallOrEnd(before, since)

	if p != nil && p.startedSeq != 0 && p.startedSeq < before {
		return t.ranOut(run, r, p)
	}
	x, err := newExplainer(t, run, r, before, stalled)
	if err != nil {
		return ruling{}, false, err
	}
	out := ruling{outcome: Timeout}
	if found, ok := x.explain(); ok {
		out.outcome, out.cause = found.outcome, found.links
		if found.outcome == Timeout {
			out.cause = append([]Link{taskLink(r)}, found.links...)
		}
		if found.outcome == MultiAttach && p != nil {
			if spec, ok := decode[corev1.Pod](x.s, "Pod", p.namespace, p.name); ok {
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
			out.cause = append(out.cause, t.unresolved(x.s, "TaskRun", r.namespace, r.name)...)
		}
		if run.status != "" && !timedOut(run.reason, run.message) && !timedOut(r.reason, "") {
			return ruling{}, false, nil
		}
	}
	out.cause = append(out.cause, t.preempted(r, before)...)
	at := t.ownProgress(r, before)
	if stalled {
		at = t.lastProgress(run, before)
	}
	if stalled || out.outcome != Timeout {
		out.blockedSince = &at
	}
	return out, true, nil
}

// stallOrEnd moves the moment of looking to the first stall before it.
func (t *timeline) stallOrEnd(before, since int) (int, bool) {
	if seq, ok := t.stalledBefore(before, since); ok {
		return seq, true
	}
	return before, false
}

// ownProgress is when a TaskRun itself went on last before an entry.
func (t *timeline) ownProgress(r *taskRun, before int) float64 {
	at := r.created
	for _, p := range r.pods {
		if p.createdSeq < before {
			at = max(at, p.created)
		}
		if p.boundSeq != 0 && p.boundSeq < before {
			at = max(at, p.boundT)
		}
	}
	return at
}

// ranOut judges a TaskRun whose steps ran until a time-out.
func (t *timeline) ranOut(run *pipelineRun, r *taskRun, p *pod) (ruling, bool, error) {
	if outcome, links, err := t.failedPod(r, p); err != nil || outcome != "" {
		return ruling{outcome: outcome, cause: append([]Link{taskLink(r)}, links...)}, true, err
	}
	cause := []Link{t.runLink(run), taskLink(r), stepsRunning.link(p.object(), "on node "+p.node, p.title(t))}
	cause = append(cause, t.begunAgain(r)...)
	cause = append(cause, t.admittedLate(r, p)...)
	cause = append(cause, t.timeOut(run, r)...)
	// More time would not help there.
	cause = append(cause, t.stepsWait(p)...)
	return ruling{outcome: Timeout, cause: cause}, true, nil
}

// begunAgain says how often a TaskRun lost a pod whose steps ran, and with it what
// they had done, and to whom.
func (t *timeline) begunAgain(r *taskRun) []Link {
	var last *pod
	times := 0
	for _, p := range r.pods[:len(r.pods)-1] {
		if p.startedSeq != 0 && p.stopSeq != 0 && p.overSeq == 0 {
			last = p
			times++
		}
	}
	if last == nil {
		return nil
	}
	stop, _ := t.entry(last.stopSeq)
	l := taskBegunAgain.link(last.object(), fmt.Sprintf("deleted by %s, the last time at %.0f s", stop.Actor, stop.T), again(times), last.object(), stop.Actor)
	if s, err := t.state(last.stopSeq); err == nil {
		node, spec := s.Live("Node", "", last.node), s.Live("Pod", last.namespace, last.name)
		e := t.lastEvent("Pod", last.namespace, last.name, last.stopSeq, func(e event) bool { return e.reason == "TaintManagerEviction" })
		if e != nil && node != nil && spec != nil {
			l = taskBegunAgainTaint.link(last.object(), fmt.Sprintf("%s: %s, the last time at %.0f s; %s spec.taints: %s; the pod's tolerations: %s",
				e.reason, e.message, stop.T, node.Ref, node.JSON("spec", "taints"), spec.JSON("spec", "tolerations")), again(times), last.node, last.object())
		}
	}
	return append([]Link{l}, t.nodeRemoved(last.node, last.stopSeq)...)
}

func again(times int) string {
	if times == 1 {
		return "once more"
	}
	return fmt.Sprintf("%d times more", times)
}

// heldOnce returns the chain of a Multi-Attach error that one of a run's pods met
// and got over; nil when there was none.
func (t *timeline) heldOnce(run *pipelineRun) ([]Link, error) {
	for _, p := range t.pods {
		if p.namespace != run.namespace || p.pipelineRun != run.name || len(p.holds) == 0 {
			continue
		}
		h := &p.holds[0]
		x, err := newExplainer(t, run, t.taskRun(p.namespace, p.taskRun), h.seq+1, false)
		if err != nil {
			return nil, err
		}
		spec, ok := decode[corev1.Pod](x.s, "Pod", p.namespace, p.name)
		if !ok {
			continue
		}
		id, _ := x.node(p.object())
		x.heldBy(id, p, spec, h)
		found, _ := x.resolve(id)
		links := append(found.links, x.spread(p, spec)...)
		if p.volumesSeq > h.seq && p.assistant == "" && len(found.links) > 0 {
			links[0] = multiAttachOver.link(links[0].Object, links[0].Evidence, p.title(t), multiAttach.FindStringSubmatch(h.message)[2], p.node)
		}
		return links, nil
	}
	return nil, nil
}

package verdict

import "slices"

// Outcome is what became of a cell's PipelineRuns.
type Outcome string

// The outcomes; docs/outcomes.md defines each.
const (
	Success          Outcome = "success"
	Deadlock         Outcome = "deadlock"
	MultiAttach      Outcome = "multi-attach"
	Unschedulable    Outcome = "unschedulable"
	AdmissionDenied  Outcome = "admission-denied"
	PermissionDenied Outcome = "permission-denied"
	NoSpace          Outcome = "no-space"
	InvalidConfig    Outcome = "invalid-config"
	InvalidPipeline  Outcome = "invalid-pipeline"
	Timeout          Outcome = "timeout"
	Failed           Outcome = "failed"
	ChangedAfterEnd  Outcome = "changed-after-end"
	// Error is not an outcome of the pipeline: simctl could not run the cell.
	Error Outcome = "error"
)

// Severity ranks what became of a cell by what it means for who waits for the run.
type Severity int

// The severities, the least first.
const (
	// Done: the runs did their work.
	Done Severity = iota
	// Delayed: the runs did their work, with trouble on the way.
	Delayed
	// Ended: the runs did not do their work, and say so at once.
	Ended
	// Waiting: the runs did not do their work, and nothing says so before a time-out.
	Waiting
)

// OutcomeInfo is what is known of an outcome beforehand.
type OutcomeInfo struct {
	Outcome Outcome
	// Letter stands for the outcome where there is room for no more, and where colours
	// are not seen.
	Letter string
	// Severity is that of an outcome from which the runs did not recover.
	Severity Severity
	// Warning says that the outcome as such is no error: the runs may have done their work.
	Warning bool
	// Lasting says that neither a longer time-out nor a new start makes it another
	// outcome.
	Lasting bool
	// Meaning is the line of it in docs/outcomes.md, Markdown.
	Meaning string
	// Short says in one clause what happened, Help what to look at.
	Short, Help string
}

// outcomes is the table that every list of outcomes is made from. Its order is the order
// of precedence, the worst first: of several the first is the cell's.
//
//nolint:gochecknoglobals // a table that nothing changes
var outcomes = []OutcomeInfo{
	{Outcome: InvalidConfig, Letter: "C", Severity: Ended, Lasting: true,
		Meaning: "Tekton refuses its feature flags",
		Short:   "Tekton refuses its feature flags",
		Help:    "The controller goes on with the flags it had, and does not start again with these. Look at the ConfigMap feature-flags, or at TektonConfig, for the value named in the cause."},
	{Outcome: ChangedAfterEnd, Letter: "E", Severity: Ended, Lasting: true,
		Meaning: "a run that had ended is not what it was at its end any more",
		Short:   "A run changed after its end",
		Help:    "Whoever reads the run now reads another end than those who waited for it. Look at what was done to the cluster after it: a controller that starts takes up runs that have ended, too."},
	{Outcome: InvalidPipeline, Letter: "I", Severity: Ended, Lasting: true,
		Meaning: "Tekton or the API server refuses the Pipeline, its Tasks or the PipelineRun as they are written",
		Short:   "Tekton refuses the pipeline or the run",
		Help:    "No TaskRun is made. The condition of the PipelineRun says what is wrong with it."},
	{Outcome: NoSpace, Letter: "N", Severity: Ended, Lasting: true,
		Meaning: "a task writes more than its claim, or its node's own disk, has room for",
		Short:   "A task writes more than its claim, or its node's own disk, has room for",
		Help:    "Make the claim larger, or let tasks delete what no later task reads; have the task write to the claim, or ask for ephemeral-storage, where the node's disk is too small."},
	{Outcome: PermissionDenied, Letter: "P", Severity: Ended, Lasting: true,
		Meaning: "a task may not read or write a path on its volume",
		Short:   "A task may not read or write a path on its volume",
		Help:    "Compare the uid and the groups of the task that wrote the path with those of the task that needs it: fsGroup, runAsUser and the SCC decide them."},
	{Outcome: AdmissionDenied, Letter: "A", Severity: Ended, Lasting: true,
		Meaning: "the API server's admission refuses a TaskRun's pod",
		Short:   "The API server's admission refuses a task's pod",
		Help:    "The refusal in the cause names what refused it: an SCC, PodSecurity, a quota. Change the pod's security context, or what its ServiceAccount may use."},
	{Outcome: Deadlock, Letter: "D", Severity: Waiting, Lasting: true,
		Meaning: "a pod waits for something that only the run's own machinery could supply, and it will never come",
		Short:   "A pod waits for something that will never come",
		Help:    "Only the run's own machinery could supply what the pod waits for. Time-outs end the run and starting it again does not help: mend the root of the chain."},
	{Outcome: MultiAttach, Letter: "M", Severity: Waiting, Lasting: true, Warning: true,
		Meaning: "a pod was held by a Multi-Attach error; `recovered` says whether the runs did their work all the same",
		Short:   "A pod was held while its volume was attached to another node",
		Help:    "Keep the run's pods on one node, or use a volume that several nodes may attach."},
	{Outcome: Unschedulable, Letter: "U", Severity: Waiting, Lasting: true,
		Meaning: "no node of this cluster can take a pod as it is declared",
		Short:   "No node of the cluster can take a pod as it is declared",
		Help:    "The scheduler's reasons, node by node, are in the evidence: taints, affinity, zones, capacity."},
	{Outcome: Timeout, Letter: "T", Severity: Waiting,
		Meaning: "a time-out ended a run that none of the above stopped",
		Short:   "A time-out ended the run while it made progress",
		Help:    "Raise the time-out, or look for what takes the time."},
	{Outcome: Failed, Letter: "F", Severity: Ended,
		Meaning: "a task failed in any other way",
		Short:   "A task failed",
		Help:    "The cause names the step and its exit code."},
	{Outcome: Success, Letter: "S", Severity: Done, Warning: true,
		Meaning: "every PipelineRun has the condition Succeeded = True, and no pod was held by a Multi-Attach error",
		Short:   "The runs did their work where the scenario expects that they do not",
		Help:    "What used to go wrong no longer does: see whether the expectation is out of date."},
	{Outcome: Error, Letter: "!", Severity: Ended, Lasting: true,
		Meaning: "none of these: simctl could not run the cell, and says why",
		Short:   "simctl could not run the cell",
		Help:    "The cell says nothing about the pipeline. Mend what the message names and go on by simctl run --resume."},
}

// Outcomes returns all outcomes that a scenario may expect, in order of precedence.
func Outcomes() []Outcome {
	var out []Outcome
	for _, o := range AllOutcomes() {
		if o.Outcome != Error {
			out = append(out, o.Outcome)
		}
	}
	return out
}

// AllOutcomes returns what is known of every outcome, in order of precedence; Error is
// the last.
func AllOutcomes() []OutcomeInfo { return slices.Clone(outcomes) }

// Info returns what is known of the outcome. Of a word that is no outcome, as a result of
// another simctl may have, only the word is known, and that the runs did not do their work.
func (o Outcome) Info() OutcomeInfo {
	if i := o.rank(); i < len(outcomes) {
		return outcomes[i]
	}
	return OutcomeInfo{Outcome: o, Letter: "?", Severity: Ended}
}

// Severity ranks the outcome, recovered from or not.
func (o Outcome) Severity(recovered bool) Severity {
	s := o.Info().Severity
	if recovered && s > Delayed {
		return Delayed
	}
	return s
}

// rank is an outcome's place in the order of precedence.
func (o Outcome) rank() int {
	i := slices.IndexFunc(outcomes, func(x OutcomeInfo) bool { return x.Outcome == o })
	if i < 0 {
		return len(outcomes)
	}
	return i
}

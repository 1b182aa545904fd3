package evidence

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"sort"
	"strings"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"

	"simctl.dev/simctl/sim/verdict"
)

// outcomeHelp says of an outcome what it means and what to look at.
type outcomeHelp struct {
	outcome     verdict.Outcome
	short, help string
}

// outcomeHelps are the help of the SARIF rules. docs/outcomes.md defines the outcomes.
var outcomeHelps = []outcomeHelp{
	{verdict.InvalidConfig, "Tekton refuses its feature flags", "The controller goes on with the flags it had, and does not start again with these. Look at the ConfigMap feature-flags, or at TektonConfig, for the value named in the cause."},
	{verdict.InvalidPipeline, "Tekton refuses the pipeline or the run", "No TaskRun is made. The condition of the PipelineRun says what is wrong with it."},
	{verdict.NoSpace, "A task writes more than its claim, or its node's own disk, has room for", "Make the claim larger, or let tasks delete what no later task reads; have the task write to the claim, or ask for ephemeral-storage, where the node's disk is too small."},
	{verdict.PermissionDenied, "A task may not read or write a path on its volume", "Compare the uid and the groups of the task that wrote the path with those of the task that needs it: fsGroup, runAsUser and the SCC decide them."},
	{verdict.AdmissionDenied, "The API server's admission refuses a task's pod", "The refusal in the cause names what refused it: an SCC, PodSecurity, a quota. Change the pod's security context, or what its ServiceAccount may use."},
	{verdict.Deadlock, "A pod waits for something that will never come", "Only the run's own machinery could supply what the pod waits for. Time-outs end the run and starting it again does not help: mend the root of the chain."},
	{verdict.MultiAttach, "A pod was held while its volume was attached to another node", "Keep the run's pods on one node, or use a volume that several nodes may attach."},
	{verdict.Unschedulable, "No node of the cluster can take a pod as it is declared", "The scheduler's reasons, node by node, are in the evidence: taints, affinity, zones, capacity."},
	{verdict.Timeout, "A time-out ended the run while it made progress", "Raise the time-out, or look for what takes the time."},
	{verdict.Failed, "A task failed", "The cause names the step and its exit code."},
	{verdict.Success, "The runs did their work where the scenario expects that they do not", "What used to go wrong no longer does: see whether the expectation is out of date."},
	{verdict.Error, "simctl could not run the cell", "The cell says nothing about the pipeline. Mend what the message names and go on by simctl run --resume."},
}

// SARIF writes what deviates from the expectations as SARIF 2.1.0, one result for
// each cell; a run in which nothing does has no results. Fingerprints do not
// change with names that controllers make up, nor with the run.
func SARIF(w io.Writer, in Input) error {
	run := sarif.NewRunWithInformationURI("simctl", "https://simctl.dev/simctl")
	if v := in.Result.Simctl; v != "" {
		run.Tool.Driver.WithVersion(v)
	}
	outcomes := map[verdict.Outcome]outcomeHelp{}
	for _, r := range outcomeHelps {
		outcomes[r.outcome] = r
		level := "error"
		if r.outcome == verdict.MultiAttach || r.outcome == verdict.Success {
			level = "warning"
		}
		run.AddRule(ruleID(r.outcome)).
			WithName(ruleName(string(r.outcome))).
			WithShortDescription(sarif.NewMultiformatMessageString().WithText(r.short)).
			WithFullDescription(sarif.NewMultiformatMessageString().WithText(r.short + ".")).
			WithHelp(sarif.NewMultiformatMessageString().WithText(r.help).WithMarkdown(md(r.help))).
			WithDefaultConfiguration(sarif.NewReportingConfiguration().WithLevel(level))
	}
	known := map[string]bool{}
	for _, c := range in.Result.Cells {
		if !c.Fails() {
			continue
		}
		id := ruleOf(c)
		if rule, ok := verdict.RuleOf(c.Root().Rule); ok && !known[id] {
			known[id] = true
			help := rule.Meaning + " " + outcomes[c.Outcome].help
			run.AddRule(id).
				WithName(ruleName(strings.ReplaceAll(rule.ID, "/", "-"))).
				WithShortDescription(sarif.NewMultiformatMessageString().WithText(outcomes[c.Outcome].short + ": " + rule.ID)).
				WithFullDescription(sarif.NewMultiformatMessageString().WithText(rule.Meaning)).
				WithHelp(sarif.NewMultiformatMessageString().WithText(help).WithMarkdown(md(help)))
		}
		run.AddResult(deviation(in, c, run.GetRuleIndex(id)))
	}
	report := sarif.NewReport().AddRun(run)
	if err := report.PrettyWrite(w); err != nil {
		return fmt.Errorf("writing the result as SARIF: %w", err)
	}
	return nil
}

func ruleID(o verdict.Outcome) string { return "simctl/" + string(o) }

// ruleOf is the ID of the SARIF rule of a cell: that of the rule at its root, or of its
// outcome where no rule is known.
func ruleOf(c verdict.Cell) string {
	if rule, ok := verdict.RuleOf(c.Root().Rule); ok {
		return "simctl/" + rule.ID
	}
	return ruleID(c.Outcome)
}

// ruleName is an outcome's or rule's name in Pascal case, as SARIF wants it.
func ruleName(name string) string {
	var b strings.Builder
	for _, word := range strings.Split(name, "-") {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}

func deviation(in Input, c verdict.Cell, rule int) *sarif.Result {
	var text string
	if c.Outcome == verdict.Error {
		text = fmt.Sprintf("%s %s: simctl could not run the cell: %s", c.Scenario, cellName(c), c.Error)
	} else {
		text = fmt.Sprintf("%s %s: %s, %s", c.Scenario, cellName(c), outcomeOf(c), expectation(c))
		if len(c.Cause) > 0 {
			text += ": " + c.Root().What + ".\n\n" + chainText(c.Cause)
		}
		text += besides(c)
	}
	level := "error"
	if c.MakespanSeconds != nil {
		level = "warning"
	}
	id := idOf(c)
	where := sarif.NewLocation().AddLogicalLocation(sarif.NewLogicalLocation().WithName(cellName(c)).WithFullyQualifiedName(id))
	if spec := in.Specs[id]; spec != nil && spec.File != "" {
		u := url.URL{Path: filepath.ToSlash(spec.File)}
		if filepath.IsAbs(spec.File) {
			u.Scheme = "file"
		}
		where.WithPhysicalLocation(sarif.NewPhysicalLocation().
			WithArtifactLocation(sarif.NewArtifactLocation().WithURI(u.String())).
			WithRegion(sarif.NewRegion().WithStartLine(1)))
	}
	return sarif.NewRuleResult(ruleOf(c)).WithRuleIndex(rule).WithLevel(level).
		WithMessage(sarif.NewTextMessage(text)).AddLocation(where).
		WithPartialFingerprints(fingerprints(c))
}

// fingerprints say what a result is the same by: the cell, and the cell with its
// outcome and root.
func fingerprints(c verdict.Cell) map[string]string {
	names := make([]string, 0, len(c.Values))
	for name := range c.Values {
		names = append(names, name)
	}
	sort.Strings(names)
	cell := fmt.Sprintf("%q", c.Scenario)
	for _, name := range names {
		cell += fmt.Sprintf(" %q=%q", name, c.Values[name])
	}
	cell += fmt.Sprintf(" %d", c.Repeat)
	root := c.Key()
	if c.Outcome == verdict.Error {
		root = verdict.Canonical(c.Error)
	}
	return map[string]string{
		"cell/v1":     digest(cell),
		"cellRoot/v2": digest(cell + "\n" + string(c.Outcome) + "\n" + root),
	}
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:16])
}

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

	"simctl.dev/simctl/reports"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/verdict"
)

// SARIF writes what deviates from the expectations as SARIF 2.1.0, one result for
// each cell; a run in which nothing does has no results. Fingerprints do not
// change with names that controllers make up, nor with the run.
func SARIF(w io.Writer, in Input) error {
	run := sarif.NewRunWithInformationURI("simctl", "https://simctl.dev/simctl")
	if v := in.Result.Simctl; v != "" {
		run.Tool.Driver.WithVersion(v)
	}
	for _, o := range verdict.AllOutcomes() {
		level := "error"
		if o.Warning {
			level = "warning"
		}
		run.AddRule(ruleID(o.Outcome)).
			WithName(ruleName(string(o.Outcome))).
			WithShortDescription(sarif.NewMultiformatMessageString().WithText(o.Short)).
			WithFullDescription(sarif.NewMultiformatMessageString().WithText(o.Short + ".")).
			WithHelp(sarif.NewMultiformatMessageString().WithText(o.Help).WithMarkdown(md(o.Help))).
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
			help := rule.Meaning + " " + c.Outcome.Info().Help
			run.AddRule(id).
				WithName(ruleName(strings.ReplaceAll(rule.ID, "/", "-"))).
				WithShortDescription(sarif.NewMultiformatMessageString().WithText(c.Outcome.Info().Short + ": " + rule.ID)).
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
		text = fmt.Sprintf("%s %s: %s, %s", c.Scenario, cellName(c), outcomeOf(c), reports.Expectation(c))
		if len(c.Cause) > 0 {
			text += ": " + c.Root().What + ".\n\n" + chainText(c.Cause)
		}
		text += besides(c)
	}
	level := "error"
	if c.MakespanSeconds != nil {
		level = "warning"
	}
	id := scenario.IDOf(c)
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

package evidence

import (
	"encoding/json"
	"fmt"
	"io"

	"simctl.dev/simctl/reports"
	"simctl.dev/simctl/sim/verdict"
)

// The JSON document of a report; docs/report.md describes it.
type (
	document struct {
		APIVersion   string           `json:"apiVersion"`
		Kind         string           `json:"kind"`
		Title        string           `json:"title"`
		Run          string           `json:"run"`
		Verdict      string           `json:"verdict"`
		Severity     string           `json:"severity"`
		SeverityWhy  string           `json:"severityWhy"`
		Act          string           `json:"act"`
		Cells        []documentCell   `json:"cells"`
		Causes       []documentRoot   `json:"causes"`
		Changes      []documentMend   `json:"changes"`
		Alternatives []documentMend   `json:"alternatives"`
		Conduct      []documentRemark `json:"conduct"`
		Message      string           `json:"message"`
		Command      string           `json:"command"`
		Simulated    []string         `json:"simulated"`
	}
	documentCell struct {
		ID                  string            `json:"id"`
		Scenario            string            `json:"scenario"`
		Values              map[string]string `json:"values"`
		Repeat              int               `json:"repeat"`
		Outcome             verdict.Outcome   `json:"outcome"`
		Expected            string            `json:"expected"`
		Judgement           verdict.Judgement `json:"asExpected"`
		Cause               int               `json:"cause,omitempty"`
		MakespanSeconds     *float64          `json:"makespanSeconds"`
		BlockedSinceSeconds *float64          `json:"blockedSinceSeconds"`
	}
	documentRemark struct {
		What  string   `json:"what"`
		Cells []string `json:"cells"`
	}
	documentRoot struct {
		Number   int               `json:"number"`
		Outcome  verdict.Outcome   `json:"outcome"`
		Fatal    bool              `json:"fatal"`
		Chain    []verdict.Link    `json:"chain"`
		Cells    []string          `json:"cells"`
		RuledOut []documentRuleOut `json:"ruledOut"`
	}
	documentRuleOut struct {
		Axis  string `json:"axis"`
		From  string `json:"from"`
		To    string `json:"to"`
		What  string `json:"what"`
		Base  string `json:"base"`
		Proof string `json:"proof"`
	}
	documentMend struct {
		Cause    int             `json:"cause"`
		Moves    []Move          `json:"moves"`
		What     string          `json:"what"`
		Scope    string          `json:"scope"`
		Base     string          `json:"base"`
		Proof    string          `json:"proof"`
		Proofs   int             `json:"proofs"`
		Worse    []string        `json:"worse"`
		Patches  []documentPatch `json:"patches"`
		Risk     string          `json:"risk"`
		Impact   string          `json:"impact"`
		Rollback string          `json:"rollback"`
		Takes    string          `json:"takes"`
		Verify   []documentStep  `json:"verify"`
	}
	documentPatch struct {
		Title   string `json:"title"`
		Command string `json:"command,omitempty"`
		Undo    string `json:"undo,omitempty"`
		Before  string `json:"before"`
		After   string `json:"after"`
	}
	documentStep struct {
		Command string `json:"command"`
		Expect  string `json:"expect"`
	}
)

// ReportKind is the kind of a report's JSON document.
const ReportKind = "EvidenceReport"

// JSON writes what the report says as one JSON document: what the page shows, but
// for pictures and the sections of cells.
func (r *Report) JSON(w io.Writer) error {
	d := document{
		APIVersion: reports.APIVersion, Kind: ReportKind, Title: r.Title, Run: r.Summary.Run, Verdict: r.Summary.Verdict,
		Severity: r.Summary.Severity, SeverityWhy: r.Summary.Why, Act: r.Summary.Act,
		Cells: []documentCell{}, Causes: []documentRoot{}, Conduct: []documentRemark{}, Changes: mends(r.Changes), Alternatives: mends(r.Alternatives),
		Message: r.Message, Command: r.Reproduce.Command, Simulated: r.Simulated,
	}
	for _, s := range r.Scenarios {
		for _, c := range s.Cells {
			x := documentCell{ID: c.ID, Scenario: s.Name, Values: c.Result.Values, Repeat: c.Result.Repeat, Outcome: c.Result.Outcome,
				Expected: c.Result.Expected, Judgement: c.Result.Judgement,
				MakespanSeconds: c.Result.MakespanSeconds, BlockedSinceSeconds: c.Result.BlockedSinceSeconds}
			if c.Cause != nil {
				x.Cause = c.Cause.Number
			}
			d.Cells = append(d.Cells, x)
		}
	}
	for _, m := range r.Remarks {
		x := documentRemark{What: m.Text}
		for _, cell := range m.Cells {
			x.Cells = append(x.Cells, cell.ID)
		}
		d.Conduct = append(d.Conduct, x)
	}
	for _, c := range r.Causes {
		x := documentRoot{Number: c.Number, Outcome: c.Outcome, Fatal: c.Fatal, Chain: append([]verdict.Link{}, c.Chain...), RuledOut: []documentRuleOut{}}
		for _, cell := range c.Cells {
			x.Cells = append(x.Cells, cell.ID)
		}
		for _, o := range c.RuledOut {
			x.RuledOut = append(x.RuledOut, documentRuleOut{o.Axis, o.From, o.To, o.What, o.Base.ID, o.Proof.ID})
		}
		d.Causes = append(d.Causes, x)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	// Commands stay as one types them.
	e.SetEscapeHTML(false)
	if err := e.Encode(d); err != nil {
		return fmt.Errorf("writing the report as JSON: %w", err)
	}
	return nil
}

func mends(changes []*Change) []documentMend {
	out := []documentMend{}
	for _, c := range changes {
		x := documentMend{Cause: c.Cause.Number, Moves: c.Moves, What: c.What, Scope: c.Scope,
			Base: c.Base.ID, Proof: c.Proof.ID, Proofs: len(c.Proofs), Worse: []string{}, Patches: []documentPatch{},
			Risk: c.Risk, Impact: c.Impact, Rollback: c.Rollback, Takes: c.Takes, Verify: []documentStep{}}
		for _, w := range c.Worse {
			x.Worse = append(x.Worse, w.After.ID)
		}
		for _, p := range c.Patches {
			x.Patches = append(x.Patches, documentPatch{p.Title, p.Command, p.Undo, p.Before, p.After})
		}
		for _, s := range c.Verify {
			x.Verify = append(x.Verify, documentStep(s))
		}
		out = append(out, x)
	}
	return out
}

package impact

import (
	"fmt"

	"simctl.dev/simctl/sim/verdict"
)

// APIVersion and Kind of a review.
const (
	APIVersion = "simctl.dev/v1alpha1"
	Kind       = "UpgradeReview"
)

// Review is what changes along a path of releases, or between two runs.
type Review struct {
	APIVersion string    `json:"apiVersion"`
	Kind       string    `json:"kind"`
	Path       []Release `json:"path"`
	Steps      []Step    `json:"steps"`
	// Rows are all cells on each release of the path.
	Rows []Row `json:"rows,omitempty"`
	// LeftOut are values of axes that were not played.
	LeftOut []LeftOut `json:"leftOut,omitempty"`
	// Incomplete says what is not known of a review that was ended before its time, a
	// sentence each.
	Incomplete []string `json:"incomplete,omitempty"`
	// Run is the folder of the run that holds every cell's history.
	Run string `json:"run,omitempty"`
}

// Regressions counts the changes for the worse.
func (r Review) Regressions() int {
	n := 0
	for _, s := range r.Steps {
		for _, c := range s.Changes {
			if c.Regression {
				n++
			}
		}
		for _, t := range s.Timing {
			if t.Significant && t.Effect > 0 {
				n++
			}
		}
		for _, m := range s.MidRun {
			n += m.Lost()
		}
		if s.AfterRun != nil {
			n += len(s.AfterRun.Changes)
		}
	}
	return n
}

// Step is one bump.
type Step struct {
	From Release `json:"from"`
	To   Release `json:"to"`
	// Changes are of outcomes and of conduct, worst first; Flags of feature flags that the
	// scenarios set; Timing of what was compared.
	Changes []Change       `json:"changes"`
	Flags   []FlagChange   `json:"flags"`
	Timing  []TimingChange `json:"timing"`
	// Busy are the runs with which Tekton's controller is busy without end after the
	// step and was not before, Rested the other way round.
	Busy   []string `json:"busy,omitempty"`
	Rested []string `json:"rested,omitempty"`
	// Unchanged is how many cells, repeats apart, end as they did; Missing names
	// cells that only one side has.
	Unchanged int      `json:"unchanged"`
	Missing   []string `json:"missing,omitempty"`
	// Still are unchanged cells that do not do their work on either side.
	Still int `json:"still"`
	// MidRun says what becomes of runs that are under way when the bump comes;
	// nil if that was not asked.
	MidRun []MidRun `json:"midRun,omitempty"`
	// AfterRun says what becomes of runs that have ended when the bump comes; nil if that
	// was not asked.
	AfterRun *AfterRun `json:"afterRun,omitempty"`
}

// Compared is how many cells, repeats apart, were set against each other.
func (s Step) Compared() int { return s.Unchanged + len(s.Changes) }

// MidRun is a cell that was played with the bump at each phase of each task.
type MidRun struct {
	Scenario string            `json:"scenario"`
	Values   map[string]string `json:"values"`
	Axes     []string          `json:"axes"`
	Places   []Place           `json:"places"`
}

// Place is a moment for the bump and what became of the run.
type Place struct {
	Task  string `json:"task"`
	Phase string `json:"phase"`
	Ended Ended  `json:"ended"`
	// Lost says that the run's work was not done.
	Lost  bool           `json:"lost"`
	Chain []verdict.Link `json:"chain,omitempty"`
}

// At returns what became of the runs that the bump hit at a moment.
func At(task, phase string, runs []Run) Place {
	g := group(runs)
	p := Place{Task: task, Phase: phase, Ended: g.ended()}
	if p.Lost = severity(p.Ended) > 1; p.Lost {
		p.Chain = g.worst().Cell.Cause
	}
	return p
}

// Lost counts the places at which a run is lost.
func (m MidRun) Lost() int {
	n := 0
	for _, p := range m.Places {
		n += btoi(p.Lost)
	}
	return n
}

// Change is a cell whose outcome or conduct is another one.
type Change struct {
	Scenario string            `json:"scenario"`
	Values   map[string]string `json:"values"`
	Axes     []string          `json:"axes"`
	From     Ended             `json:"from"`
	To       Ended             `json:"to"`
	// Regression says that it is for the worse.
	Regression bool `json:"regression"`
	// Conduct is what was refused, not run, done twice or left behind on one side only.
	Conduct []Difference `json:"conduct,omitempty"`
	// Reasons are differences between the two histories that bear on it.
	Reasons []Reason `json:"reasons"`
	// Chain is the causal chain of the side that is worse off; empty where the outcome is
	// the same.
	Chain []verdict.Link `json:"chain"`
	// Remedies are the candidates that were run, those that mend it first, then
	// by cost. Nil if none was tried.
	Remedies []Remedy `json:"remedies,omitempty"`
}

// Ended is how a cell's repeats ended on one side.
type Ended struct {
	// Outcome is the worst one of the repeats.
	Outcome   verdict.Outcome `json:"outcome"`
	Recovered bool            `json:"recovered,omitempty"`
	Repeats   int             `json:"repeats"`
	// MakespanSeconds is the median of the repeats that did their work.
	MakespanSeconds *float64 `json:"makespanSeconds,omitempty"`
	// History is that of a repeat with the outcome.
	History string `json:"history,omitempty"`
}

// Reason is a difference that the two sides' histories prove.
type Reason struct {
	// Rule is the one of the chains that it rests on (docs/rules.md); empty for what is
	// compared of co-scheduling.
	Rule string `json:"rule,omitempty"`
	// What is one sentence.
	What string `json:"what"`
	// Before and After are the evidence on either side, verbatim.
	Before string `json:"before"`
	After  string `json:"after"`
}

// FlagChange is a feature flag that a scenario sets and that means something else
// after the bump.
type FlagChange struct {
	Flag  string `json:"flag"`
	Value string `json:"value"`
	// What is one sentence, Evidence where it is from.
	What     string `json:"what"`
	Evidence string `json:"evidence"`
	// Cells is how many cells, repeats apart, set it.
	Cells int `json:"cells"`
}

// TimingChange compares one measure of one cell.
type TimingChange struct {
	Scenario string            `json:"scenario"`
	Values   map[string]string `json:"values"`
	Axes     []string          `json:"axes"`
	Measure  string            `json:"measure"`
	// FromMedian and ToMedian are virtual seconds, N the repeats on each side.
	FromMedian float64 `json:"fromMedian"`
	ToMedian   float64 `json:"toMedian"`
	FromN      int     `json:"fromN"`
	ToN        int     `json:"toN"`
	// P is the probability of such a difference by chance (Mann and Whitney's
	// test, corrected by Holm's method for the number of tests in the step),
	// Effect is Cliff's delta. P is nil where the repeats are too few to test.
	P           *float64 `json:"p"`
	Effect      float64  `json:"effect"`
	Significant bool     `json:"significant"`
}

// Remedy is a candidate that was run.
type Remedy struct {
	Candidate
	// Ended is how the cell with it ended; Mends says whether its work is done.
	Ended Ended `json:"ended"`
	Mends bool  `json:"mends"`
}

// Cost orders remedies: what is cheap to do comes first.
type Cost int

// The costs.
const (
	CostFlag    Cost = iota + 1 // a key of a ConfigMap, for every pipeline of the cluster
	CostRun                     // a field of the PipelineRun
	CostGrant                   // a right for a ServiceAccount
	CostStorage                 // another kind of volume, and its data moved
	CostRelease                 // another release
)

var costs = map[Cost]string{
	CostFlag: "feature flag", CostRun: "PipelineRun", CostGrant: "SCC grant",
	CostStorage: "storage", CostRelease: "release",
}

// String names what has to be changed.
func (c Cost) String() string { return costs[c] }

// MarshalText returns the name.
func (c Cost) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads a name.
func (c *Cost) UnmarshalText(text []byte) error {
	for cost, name := range costs {
		if name == string(text) {
			*c = cost
			return nil
		}
	}
	return fmt.Errorf("%q is nothing that a remedy changes", text)
}

package evidence

import (
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/verdict"
)

// Input is what a report is made of.
type Input struct {
	Result verdict.RunResult
	// Files are the scenarios and manifests that were read.
	Files []scenario.Input
	// Specs has what a cell consisted of, by the cell's ID; a cell may be missing.
	Specs map[string]*scenario.Cell
	// History returns a cell's history by the cell's ID. It may be nil, and return
	// nothing for a cell of which none was kept.
	History func(id string) ([]history.Entry, error)
	// Detailed says which cells get a section of their own; nil leaves the choice
	// to the report: every cell of a small run, else those that are not as
	// expected and one for each cause and each change.
	Detailed func(verdict.Cell) bool
	// Example leaves out what differs from run to run of the same: when, how long
	// it took, and the run's ID. Names that were made up become numbers.
	Example bool
}

// Report is a run's report.
type Report struct {
	Title     string
	Summary   Summary
	Scenarios []*Scenario
	Causes    []*Cause
	Changes   []*Change
	// Alternatives are changes with which the runs end, at a price.
	Alternatives []*Change
	// Remarks are what the outcomes do not tell: what was refused, not run, done again
	// and left behind.
	Remarks   []Remark
	Message   string
	Reproduce Reproduce
	Simulated []string
	// Omitted is how many cells have no section of their own.
	Omitted int
}

// Remark is a sentence of one or more cells' conduct.
type Remark struct {
	Text  string
	Cells []*Cell
}

// Summary is what somebody reads who has a minute.
type Summary struct {
	// Run says what was run, on what.
	Run string
	// Verdict is two sentences.
	Verdict string
	// Severity is a word, Why its reason.
	Severity, Why string
	// Act says who has to do something.
	Act string
}

// Scenario is the cells of one scenario.
type Scenario struct {
	Name, Description string
	// Axes are those with more than one value.
	Axes  []Axis
	Fixed string
	Cells []*Cell
}

// Axis is an axis of the matrix with its values in order.
type Axis struct {
	Name   string
	Values []string
}

// Cell is a cell of the matrix.
type Cell struct {
	ID string
	// Anchor is where its section or its row is.
	Anchor string
	// Label names it by the axes that vary.
	Label   string
	Values  []string
	Tekton  string
	Result  verdict.Cell
	Badge   Badge
	Time    string
	Stopped string
	Cause   *Cause
	// Detail is nil for a cell that has no section of its own.
	Detail *Detail

	index int
	spec  *scenario.Cell
}

// Badge shows an outcome by a symbol and words, and a class for its colour.
type Badge struct{ Symbol, Text, Expected, Class string }

// Cause is a root that one or more cells have.
type Cause struct {
	Number  int
	Outcome verdict.Outcome
	// Root is the last link of the chain.
	Root  verdict.Link
	Chain []verdict.Link
	// Fatal says that the runs did not do their work.
	Fatal bool
	Cells []*Cell
	// RuledOut are changes that make no difference.
	RuledOut []RuledOut
}

// RuledOut is something that was changed and made no difference.
type RuledOut struct {
	// Move is what was changed, What what it consists of.
	Move
	What string
	// Base is the cell without, Proof the cell with it.
	Base, Proof *Cell
}

// String names what was changed by axis and values, and what that means where it says more.
func (r RuledOut) String() string {
	if move := r.Move.String(); r.What != move {
		return move + " (" + r.What + ")"
	}
	return r.What
}

// Change is what makes a difference, proved by cells: one thing where one is enough,
// otherwise several together.
type Change struct {
	Cause *Cause
	Moves []Move
	// What is to be done, Scope by whom.
	What, Scope string
	// Base is the cell without, Proof a cell with it; Proofs are all pairs that
	// show it.
	Base, Proof *Cell
	Proofs      []Pair
	// Same are pairs with the same cause in which it made no difference, Worse
	// those in which the cell without it came out better.
	Same, Worse []Pair
	Patches     []Patch
	Risk        string
	Impact      string
	Rollback    string
	Takes       string
	Verify      []Step
}

// Move is from one value of an axis to another.
type Move struct {
	Axis string `json:"axis"`
	From string `json:"from"`
	To   string `json:"to"`
	// at is the axis' index in the scenario.
	at int
}

// Pair is two cells that differ by one change alone.
type Pair struct{ Before, After *Cell }

// Patch is what to change on an object.
type Patch struct {
	// Title names the object. Command applies it, Undo takes it back; they are
	// empty where a file has to be edited.
	Title, Command, Undo  string
	Before, After, Format string

	// apply is nil where there is nothing to apply.
	apply *toApply
}

// Step is a command with what it prints when all is well.
type Step struct{ Command, Expect string }

// Detail is a cell's section.
type Detail struct {
	TimeLine TimeLine
	Refusals []Refusal
	Exhibits []Exhibit
	// Missing says what the run did not keep.
	Missing string
}

// Refusal is the scheduler's answer for a pod, node by node.
type Refusal struct {
	Pod, Message string
	T            float64
	Nodes        []history.NodeRefusal
}

// Exhibit is verbatim evidence.
type Exhibit struct {
	Title string
	// Command shows it on a live cluster.
	Command string
	Text    string
}

// Reproduce is what it takes to do it again.
type Reproduce struct {
	Command    string
	Simctl     string
	Kubernetes string
	Tekton     []string
	Seed       string
	ID         string
	Started    string
	Files      []scenario.Input
}

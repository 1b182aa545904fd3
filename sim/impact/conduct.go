package impact

import (
	"fmt"
	"slices"

	"simctl.dev/simctl/sim/verdict"
)

// Effect is what a difference is for the user.
type Effect string

// The effects.
const (
	Worse  Effect = "worse"
	Better Effect = "better"
	// Other is neither.
	Other Effect = "other"
)

// Difference is something that the two sides of a cell do otherwise, whatever the
// outcome.
type Difference struct {
	Effect Effect `json:"effect"`
	Reason
}

// deed is one thing that a cell's conduct tells, under a key that is the same on every
// release.
type deed struct {
	key string
	// gone and come are what is said when it is on the side before only, or on the side
	// after only, absent how the side without it is.
	gone, come, absent string
	// bad says that it is better without.
	bad bool
	// said is the evidence.
	said string
}

// deeds lists what a cell's conduct tells, and whether its runs end.
func deeds(cell verdict.Cell) []deed {
	c := cell.Conduct
	var out []deed
	add := func(key string, d deed) {
		d.key = verdict.Canonical(key)
		if !slices.ContainsFunc(out, func(o deed) bool { return o.key == d.key }) {
			out = append(out, d)
		}
	}
	for _, run := range cell.NeverEnd {
		add("never ends "+run, deed{come: run + " never ends", gone: run + " ends", absent: "it ended", bad: true, said: "nothing that could still happen would end it"})
	}
	if cell.Bound != "" {
		add("bound "+cell.Bound, deed{come: "the cell meets its bound of " + cell.Bound, gone: "the cell no longer meets its bound of " + cell.Bound, absent: "it came to its end", bad: true,
			said: "things went on when it was ended"})
	}
	for _, r := range c.Refused {
		add("refused "+r.Object, deed{come: r.Object + " is refused", gone: r.Object + " is no longer refused", absent: "it was taken", bad: true, said: r.Message})
	}
	for _, n := range c.NotRun {
		if !n.Finally && verdict.OfTheEnd(n.Reason) {
			// That is the outcome once more; of a finally task it is news, since it is
			// there for that.
			continue
		}
		task := "task " + n.Task
		if n.Finally {
			task = "finally " + task
		}
		add("not run "+n.PipelineRun+" "+n.Task, deed{come: task + " no longer runs", gone: task + " runs", absent: "it ran", bad: true, said: n.String()})
	}
	for _, m := range c.MadeAgain {
		add("again "+m.PipelineRun+" "+m.Task, deed{come: "task " + m.Task + " is begun a second time", gone: "task " + m.Task + " is no longer begun a second time", absent: "it was begun once", bad: true, said: m.String()})
	}
	for _, x := range c.Changed {
		add("changed "+x.Object, deed{come: x.Object + " changes after its end", gone: x.Object + " no longer changes after its end", absent: "it stayed as it had ended", bad: true, said: x.String()})
	}
	for _, l := range c.Left {
		add("left "+l.PipelineRun+" "+l.Object, deed{come: l.Object + " is left behind", gone: l.Object + " is no longer left behind", absent: "it is not there", bad: true, said: l.String()})
	}
	for _, r := range c.Retried {
		add(fmt.Sprintf("retried %s %s %d", r.PipelineRun, r.Task, r.Used), deed{come: fmt.Sprintf("task %s uses %d retries", r.Task, r.Used),
			gone: fmt.Sprintf("task %s no longer uses %d retries", r.Task, r.Used), absent: "it did not", said: r.String()})
	}
	for _, l := range c.Claims {
		if l.Kept {
			add(fmt.Sprintf("kept %s %s %t", l.PipelineRun, l.Object, l.Owned), deed{come: l.Object + " is kept", gone: l.Object + " is no longer kept", absent: "it is deleted, or was not made", said: l.String()})
		}
	}
	return out
}

// deeds are those of all repeats.
func (g group) deeds() []deed {
	var out []deed
	for _, r := range g {
		for _, d := range deeds(r.Cell) {
			if !slices.ContainsFunc(out, func(o deed) bool { return o.key == d.key }) {
				out = append(out, d)
			}
		}
	}
	return out
}

// silent says that a repeat's result does not tell of conduct.
func (g group) silent() bool {
	return slices.ContainsFunc(g, func(r Run) bool { return r.Silent })
}

// differences lists what only one side does. The words with which the releases say the
// same do not count.
func differences(x, y group) []Difference {
	if x.silent() || y.silent() {
		return nil
	}
	a, b := x.deeds(), y.deeds()
	var out []Difference
	for _, d := range b {
		if !slices.ContainsFunc(a, func(o deed) bool { return o.key == d.key }) {
			out = append(out, Difference{Effect: effect(d.bad, Worse), Reason: Reason{What: d.come, Before: d.absent, After: d.said}})
		}
	}
	for _, d := range a {
		if !slices.ContainsFunc(b, func(o deed) bool { return o.key == d.key }) {
			out = append(out, Difference{Effect: effect(d.bad, Better), Reason: Reason{What: d.gone, Before: d.said, After: d.absent}})
		}
	}
	return out
}

func effect(counts bool, e Effect) Effect {
	if counts {
		return e
	}
	return Other
}

// conductOf says whether a cell's conduct is worse or better on the new side; what is
// worse decides.
func conductOf(all []Difference) Effect {
	has := func(e Effect) bool {
		return slices.ContainsFunc(all, func(d Difference) bool { return d.Effect == e })
	}
	switch {
	case has(Worse):
		return Worse
	case has(Better):
		return Better
	}
	return Other
}

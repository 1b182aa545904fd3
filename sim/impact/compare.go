package impact

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"simctl.dev/simctl/sim/releases"
	"simctl.dev/simctl/sim/verdict"
	"simctl.dev/simctl/sim/wellknown"
)

// significance is the level below which a difference in timing is reported.
const significance = 0.05

// group is the repeats of one cell on one side.
type group []Run

func groups(runs []Run) (map[string]group, []string) {
	byKey := map[string]group{}
	var order []string
	for _, r := range runs {
		k := r.key()
		if byKey[k] == nil {
			order = append(order, k)
		}
		byKey[k] = append(byKey[k], r)
	}
	return byKey, order
}

// ReleaseOf returns the release of a version, with its name in OpenShift Pipelines.
func ReleaseOf(version string) Release {
	for _, r := range releases.Known() {
		if r.Version == version {
			return Release{Version: version, OpenShiftPipelines: r.OpenShiftPipelines}
		}
	}
	return Release{Version: version}
}

// Compare says what changes from one side to the other. Cells are matched by
// scenario and values, the release aside.
func Compare(from, to []Run, before, after Release) Step {
	sides := withoutRelease(from, to)
	from, to = sides[0], sides[1]
	s := Step{From: before, To: after, Changes: []Change{}, Flags: []FlagChange{}, Timing: []TimingChange{}}
	a, order := groups(from)
	b, second := groups(to)
	for _, k := range second {
		if a[k] == nil {
			s.Missing = append(s.Missing, name(b[k][0].Cell)+": only on "+after.Version)
		}
	}
	flags := map[string]*FlagChange{}
	for _, k := range order {
		x, y := a[k], b[k]
		if y == nil {
			s.Missing = append(s.Missing, name(x[0].Cell)+": only on "+before.Version)
			continue
		}
		for _, f := range flagChanges(x[0].Flags, before, after, x, y) {
			id := f.Flag + "\x00" + f.Value + "\x00" + f.What
			if flags[id] == nil {
				flags[id] = &f
			}
			flags[id].Cells++
		}
		s.Timing = append(s.Timing, timing(x, y)...)
		s.Busy = more(s.Busy, x.busy(), y.busy())
		s.Rested = more(s.Rested, y.busy(), x.busy())
		ex, ey := x.ended(), y.ended()
		conduct := differences(x, y)
		if ex.Outcome == ey.Outcome && ex.Recovered == ey.Recovered && len(conduct) == 0 {
			s.Unchanged++
			if severity(ey) > 1 {
				s.Still++
			}
			continue
		}
		s.Changes = append(s.Changes, change(x, y, before, after, conduct))
	}
	for _, id := range slices.Sorted(maps.Keys(flags)) {
		s.Flags = append(s.Flags, *flags[id])
	}
	s.Timing = tested(s.Timing)
	slices.SortStableFunc(s.Changes, func(a, b Change) int {
		return cmp.Or(
			-cmp.Compare(severity(a.To)-severity(a.From), severity(b.To)-severity(b.From)),
			cmp.Compare(a.Scenario, b.Scenario))
	})
	return s
}

// name is how a cell is called in a message.
func name(c verdict.Cell) string {
	parts := []string{c.Scenario}
	for _, a := range c.Axes {
		if a != tektonAxis {
			parts = append(parts, a+"="+c.Values[a])
		}
	}
	return strings.Join(parts, " ")
}

// severity ranks what became of a cell: up to 1 the work was done ([verdict.Delayed]).
func severity(e Ended) int { return int(e.Outcome.Severity(e.Recovered)) }

func (g group) ended() Ended {
	out := Ended{Repeats: len(g)}
	var spans []float64
	for i, r := range g {
		e := ended(r.Cell)
		if i == 0 || severity(e) > severity(out) {
			out.Outcome, out.Recovered, out.History = e.Outcome, e.Recovered, r.Cell.History
		}
		if r.Cell.MakespanSeconds != nil {
			spans = append(spans, *r.Cell.MakespanSeconds)
		}
	}
	if len(spans) > 0 {
		m := median(spans)
		out.MakespanSeconds = &m
	}
	return out
}

// busy are the runs with which Tekton's controller was busy in one of the repeats.
func (g group) busy() []string {
	var out []string
	for _, r := range g {
		out = more(out, nil, r.Cell.Busy)
	}
	return out
}

// more adds to list what the second of two lists has and neither the first nor list.
func more(list, a, b []string) []string {
	for _, s := range b {
		if !slices.Contains(a, s) && !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return list
}

// worst is a repeat with the group's outcome.
func (g group) worst() Run {
	e := g.ended()
	for _, r := range g {
		if r.Cell.Outcome == e.Outcome && r.Cell.Recovered == e.Recovered {
			return r
		}
	}
	return g[0]
}

func change(x, y group, before, after Release, conduct []Difference) Change {
	ex, ey := x.ended(), y.ended()
	c := Change{
		Scenario: x[0].Cell.Scenario, Values: otherValues(x[0].Cell.Values), Axes: axes(x[0].Cell),
		From: ex, To: ey, Conduct: conduct,
	}
	c.Regression = c.Effect() == Worse
	if c.sameEnd() {
		// What brought about the end is no news.
		c.Reasons, c.Chain = []Reason{}, []verdict.Link{}
		if a, b := x.worst(), y.worst(); a.Observed != nil && b.Observed != nil {
			c.Reasons = append(c.Reasons, assistants(a, b, before, after)...)
		}
		return c
	}
	bad := y.worst()
	if severity(ey) < severity(ex) {
		bad = x.worst()
	}
	c.Chain = bad.Cell.Cause
	c.Reasons = reasons(x.worst(), y.worst(), before, after)
	return c
}

func axes(c verdict.Cell) []string {
	return slices.DeleteFunc(slices.Clone(c.Axes), func(a string) bool { return a == tektonAxis })
}

func otherValues(values map[string]string) map[string]string {
	out := maps.Clone(values)
	delete(out, tektonAxis)
	return out
}

// reasons lists what the two histories prove to be different: of co-scheduling, and what
// is known of the releases between that the chains rest on. Where that is nothing, it is
// how the chains end, by their rules. Where these tell nothing either, it is the first
// thing that happened on one side only.
func reasons(x, y Run, before, after Release) []Reason {
	var out []Reason
	if x.Observed != nil && y.Observed != nil {
		out = append(out, assistants(x, y, before, after)...)
	}
	out = append(out, noted(x, y, before, after)...)
	if len(out) > 0 {
		return out
	}
	a, b := x.Cell.Root(), y.Cell.Root()
	if a.Rule == b.Rule && x.Observed != nil && y.Observed != nil {
		if r, ok := divergence(x.Observed.events, y.Observed.events); ok {
			out = append(out, r)
		}
	}
	rule := b.Rule
	if severity(ended(y.Cell)) < severity(ended(x.Cell)) {
		rule = a.Rule
	}
	return append(out, Reason{Rule: rule, What: "the causal chains end differently", Before: root(x.Cell), After: root(y.Cell)})
}

func ended(c verdict.Cell) Ended { return Ended{Outcome: c.Outcome, Recovered: c.Recovered} }

// root is the last link of a cell's chain, as evidence.
func root(c verdict.Cell) string {
	if len(c.Cause) == 0 {
		return string(c.Outcome)
	}
	l := c.Root()
	return strings.TrimSpace(l.What + ": " + l.Evidence)
}

// assistants compares what became of the affinity assistants.
func assistants(x, y Run, before, after Release) []Reason {
	a, b := x.Observed, y.Observed
	var out []Reason
	// The same words may come with another prefix: what counts is whether.
	if (a.Refused == "") != (b.Refused == "") {
		r := Reason{What: "Tekton " + after.Version + " refuses the feature flags", Before: cmp.Or(a.Refused, "accepted"), After: cmp.Or(b.Refused, "accepted")}
		if b.Refused == "" {
			r.What = "Tekton " + after.Version + " accepts the feature flags"
		}
		out = append(out, r)
	}
	switch {
	case len(a.Assistants) == 0 && len(b.Assistants) > 0:
		out = append(out, Reason{
			What:   appears(x, before, after),
			Before: "no StatefulSet of an affinity assistant",
			After:  "StatefulSet " + b.Assistants[0].Name,
		})
	case len(a.Assistants) > 0 && len(b.Assistants) == 0:
		out = append(out, Reason{
			What:   "Tekton " + after.Version + " makes no affinity assistant, " + before.Version + " made one",
			Before: "StatefulSet " + a.Assistants[0].Name,
			After:  "no StatefulSet of an affinity assistant",
		})
	case len(a.Assistants) > 0:
		p, q := a.Assistants[0], b.Assistants[0]
		if p.SecurityContext != q.SecurityContext {
			what := "the assistant's pod has another securityContext"
			if crosses(before, after, "0.63.0") {
				what = "since 0.63 the assistant's pod gets podTemplate.securityContext"
			}
			out = append(out, Reason{What: what, Before: cmp.Or(p.SecurityContext, "no securityContext"), After: cmp.Or(q.SecurityContext, "no securityContext")})
		}
		if p.ServiceAccount != q.ServiceAccount {
			what := "the assistant's pod runs under another ServiceAccount"
			if crosses(before, after, "1.9.0") {
				what = "since 1.9 the assistant's pod runs under the run's ServiceAccount"
			}
			out = append(out, Reason{What: what, Before: "serviceAccountName " + p.ServiceAccount, After: "serviceAccountName " + q.ServiceAccount})
		}
	}
	if f, g := failure(a), failure(b); f != g {
		r := Reason{What: "the assistant's pod is refused", Before: cmp.Or(f, "its pod was made"), After: cmp.Or(g, "its pod was made")}
		switch {
		case f == "" && len(a.Assistants) == 0:
			r.Before = "no assistant"
		case g == "":
			r.What = "the assistant's pod is no longer refused"
			if len(b.Assistants) == 0 {
				r.After = "no assistant"
			}
		}
		out = append(out, r)
	}
	return out
}

func failure(o *Observed) string {
	for _, a := range o.Assistants {
		if a.Failed != "" {
			return a.Failed
		}
	}
	return ""
}

// appears says why there is an assistant where there was none.
func appears(x Run, before, after Release) string {
	if x.Flags[disableAssistant] == "true" && crosses(before, after, "1.0.0") {
		return disableAssistant + " is no longer read since 1.0: the assistant is on"
	}
	return "Tekton " + after.Version + " makes an affinity assistant, " + before.Version + " made none"
}

const disableAssistant = "disable-affinity-assistant"

// crosses says whether a bump passes the release in which something changed.
func crosses(before, after Release, version string) bool {
	return compareVersions(before.Version, version) < 0 && compareVersions(after.Version, version) >= 0
}

// measures are what is compared of cells that did their work on both sides.
var measures = []struct {
	name string
	of   func(verdict.Cell) float64
}{
	{"makespanSeconds", func(c verdict.Cell) float64 { return *c.MakespanSeconds }},
	{"attachSeconds", func(c verdict.Cell) float64 { return c.Timing.AttachSeconds }},
}

// timing compares the repeats that did their work.
func timing(x, y group) []TimingChange {
	var out []TimingChange
	for _, m := range measures {
		values := func(g group) (v []float64) {
			for _, r := range g {
				if r.Cell.MakespanSeconds != nil {
					v = append(v, m.of(r.Cell))
				}
			}
			return v
		}
		a, b := values(x), values(y)
		if len(a) == 0 || len(b) == 0 || median(a) == median(b) && len(a) < minRepeats {
			continue
		}
		t := TimingChange{
			Scenario: x[0].Cell.Scenario, Values: otherValues(x[0].Cell.Values), Axes: axes(x[0].Cell),
			Measure: m.name, FromMedian: median(a), ToMedian: median(b), FromN: len(a), ToN: len(b),
		}
		p, delta := rankTest(a, b)
		t.Effect = delta
		if len(a) >= minRepeats && len(b) >= minRepeats {
			t.P = &p
		}
		out = append(out, t)
	}
	return out
}

// tested corrects the probabilities for their number and keeps what differs.
func tested(all []TimingChange) []TimingChange {
	var p []float64
	var at []int
	for i, t := range all {
		if t.P != nil {
			p, at = append(p, *t.P), append(at, i)
		}
	}
	for k, v := range holm(p) {
		all[at[k]].P = &v
		all[at[k]].Significant = v < significance
	}
	out := []TimingChange{}
	for _, t := range all {
		if t.FromMedian != t.ToMedian || t.Significant {
			out = append(out, t)
		}
	}
	slices.SortStableFunc(out, func(a, b TimingChange) int {
		return cmp.Or(-cmp.Compare(btoi(a.Significant), btoi(b.Significant)), -cmp.Compare(a.ToMedian-a.FromMedian, b.ToMedian-b.FromMedian))
	})
	return out
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// flagChanges says what the bump does to the flags that a cell sets.
func flagChanges(flags map[string]string, before, after Release, from, to group) []FlagChange {
	var out []FlagChange
	for _, f := range slices.Sorted(maps.Keys(flags)) {
		if flags[f] == absent {
			continue
		}
		c := FlagChange{Flag: f, Value: flags[f]}
		switch was, is := knows(before.Version, f), knows(after.Version, f); {
		case was && !is:
			c.What = fmt.Sprintf("%s is dead: Tekton %s no longer reads it", f, after.Version)
			c.Evidence = "pkg/apis/config of " + after.Version + " does not name it"
		case !was && is:
			c.What = fmt.Sprintf("%s begins to count: Tekton %s does not read it", f, before.Version)
			c.Evidence = "pkg/apis/config of " + before.Version + " does not name it"
		default:
			continue
		}
		out = append(out, c)
	}
	if r := to.worst(); r.Cell.Outcome == verdict.InvalidConfig && from.ended().Outcome != verdict.InvalidConfig {
		c := FlagChange{Flag: wellknown.FeatureFlags, What: "Tekton " + after.Version + " refuses the flags", Evidence: root(r.Cell)}
		if r.Observed != nil && r.Observed.Refused != "" {
			c.Evidence = r.Observed.Refused
		}
		out = append(out, c)
	}
	return out
}

// absent is the scenario's word for a flag whose key is left out.
const absent = "absent"

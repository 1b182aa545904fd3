package recording

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The kinds of differences.
const (
	DifferentEvent     = "event"     // an event of one side only
	DifferentHolder    = "holder"    // who has the volume, in FailedAttachVolume
	DifferentCondition = "condition" // a condition of a pod or run of one side only, or another order of them
	DifferentMilestone = "milestone" // a milestone of one side only
	DifferentOrder     = "order"     // two milestones the other way round, or at once
	DifferentDuration  = "duration"  // a duration that is by design
	DifferentNodes     = "nodes"     // two pods together on one side only
	DifferentField     = "field"     // a field of an object's last state
	DifferentClock     = "clock"     // a time of a last state that is not virtual
)

// Difference is one thing that is not the same in two recordings.
type Difference struct {
	// Kind is one of those above.
	Kind string
	// Text says what it is, in words that do not change from time to time.
	Text string
}

// Which side has what the other one has not.
const (
	onlyReal      = "only in the recording"
	onlySimulated = "only in simctl"
)

// slack is the time, in seconds, within which the order of what happens to
// different objects is chance.
const slack = 0.5

// Compare tells in what a simulated case differs from a real one. Each difference
// is told once, by kind and text.
func Compare(recorded, simulated *Recording) []Difference {
	c := &comparison{real: normalize(recorded), simulated: normalize(simulated)}
	c.sets(DifferentEvent, c.real.events, c.simulated.events)
	c.sets(DifferentHolder, c.real.holders, c.simulated.holders)
	c.conditions()
	c.milestones()
	c.nodes()
	c.fields()
	slices.SortFunc(c.found, func(a, b Difference) int {
		return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Text, b.Text))
	})
	return slices.Compact(c.found)
}

// Both returns the differences that are in both lists.
func Both(a, b []Difference) []Difference {
	var out []Difference
	for _, d := range a {
		if slices.Contains(b, d) {
			out = append(out, d)
		}
	}
	return out
}

type comparison struct {
	real, simulated *normal
	found           []Difference
}

func (c *comparison) differ(kind, format string, args ...any) {
	c.found = append(c.found, Difference{kind, fmt.Sprintf(format, args...)})
}

// sets reports what only one of two sets has.
func (c *comparison) sets(kind string, recorded, simulated map[string]bool) {
	for what := range recorded {
		if !simulated[what] {
			c.differ(kind, "%s: %s", what, onlyReal)
		}
	}
	for what := range simulated {
		if !recorded[what] {
			c.differ(kind, "%s: %s", what, onlySimulated)
		}
	}
}

// conditions compares, for each object and type of condition, what it was one
// after the other.
func (c *comparison) conditions() {
	for _, of := range unionOf(c.real.conditions, c.simulated.conditions) {
		recorded, simulated := c.real.conditions[of], c.simulated.conditions[of]
		missing, extra := minus(recorded, simulated), minus(simulated, recorded)
		for _, x := range missing {
			c.differ(DifferentCondition, "%s %s: %s", of, x, onlyReal)
		}
		for _, x := range extra {
			c.differ(DifferentCondition, "%s %s: %s", of, x, onlySimulated)
		}
		if len(missing) == 0 && len(extra) == 0 && !slices.Equal(recorded, simulated) {
			c.differ(DifferentCondition, "%s: %s, in simctl %s", of, strings.Join(recorded, ", "), strings.Join(simulated, ", "))
		}
	}
}

// minus returns what a has more often than b.
func minus(a, b []string) []string {
	left := map[string]int{}
	for _, x := range b {
		left[x]++
	}
	var out []string
	for _, x := range a {
		if left[x]--; left[x] < 0 {
			out = append(out, x)
		}
	}
	return out
}

func unionOf[V any](a, b map[string]V) []string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return slices.Sorted(maps.Keys(all))
}

// momentsOf returns the moments that one of two recordings has, sorted.
func momentsOf(a, b map[moment]float64) []moment {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return slices.SortedFunc(maps.Keys(all), func(x, y moment) int { return strings.Compare(x.String(), y.String()) })
}

// milestones compares which there are, their order, and the durations that are by
// design.
func (c *comparison) milestones() {
	recorded, simulated := c.real.milestones, c.simulated.milestones
	var both []moment
	for _, m := range momentsOf(recorded, simulated) {
		_, r := recorded[m]
		_, s := simulated[m]
		switch {
		case !s:
			c.differ(DifferentMilestone, "%s: %s", m, onlyReal)
		case !r:
			c.differ(DifferentMilestone, "%s: %s", m, onlySimulated)
		default:
			both = append(both, m)
		}
	}
	slices.SortStableFunc(both, func(a, b moment) int { return cmp.Compare(recorded[a], recorded[b]) })
	for i, later := range both {
		// Of those that should be before it, the nearest one says enough.
		for _, sooner := range slices.Backward(both[:i]) {
			apart := simulated[later] - simulated[sooner]
			if recorded[later]-recorded[sooner] <= slack || apart > 0 || apart == 0 && !c.real.timed[later] || c.unordered(sooner, later) {
				continue
			}
			how := "at once"
			if apart < 0 {
				how = "the other way round"
			}
			c.differ(DifferentOrder, "%s, then %s: %s in simctl", sooner, later, how)
			break
		}
	}
	c.durations(both)
}

// unordered says whether chance orders two milestones: those of two PipelineRuns, or
// of two pods of one Task, that have each a life of their own, and what the PreBind
// conflict delays.
func (c *comparison) unordered(a, b moment) bool {
	if c.real.conflicts[a.of] || c.real.conflicts[b.of] {
		return true
	}
	x, y := c.real.work[a.of], c.real.work[b.of]
	return x.pipelineRun != "" && y.pipelineRun != "" && x.pipelineRun != y.pipelineRun ||
		x.task != "" && x.task == y.task && x.taskRun != y.taskRun
}

// durations compares those that are by design.
func (c *comparison) durations(both []moment) {
	for _, from := range both {
		for _, d := range byDesign {
			to := moment{from.of, d.to}
			if from.what != d.from || !slices.Contains(both, to) || !strings.HasPrefix(from.of, d.kind+" ") {
				continue
			}
			recorded, simulated := c.real.milestones[to]-c.real.milestones[from], c.simulated.milestones[to]-c.simulated.milestones[from]
			if diff := recorded - simulated; diff > d.within || diff < -d.within {
				c.differ(DifferentDuration, "%s to %s: not as long in simctl", from, d.to)
			}
		}
	}
}

// nodes compares which pods are together.
func (c *comparison) nodes() {
	pods := unionOf(c.real.nodes, c.simulated.nodes)
	for i, a := range pods {
		for _, b := range pods[i+1:] {
			ra, rb, sa, sb := c.real.nodes[a], c.real.nodes[b], c.simulated.nodes[a], c.simulated.nodes[b]
			if ra == "" || rb == "" || sa == "" || sb == "" || (ra == rb) == (sa == sb) {
				continue
			}
			how := "other nodes in the recording, one in simctl"
			if ra == rb {
				how = "one node in the recording, others in simctl"
			}
			c.differ(DifferentNodes, "%s and %s: %s", a, b, how)
		}
	}
}

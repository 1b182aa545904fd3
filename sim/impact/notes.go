package impact

import (
	"slices"

	"simctl.dev/simctl/sim/verdict"
)

// note is what a release of Tekton changed, by the rules whose chains rest on it: a line
// as a release note has it.
type note struct {
	// version is the first release that has it.
	version string
	// rules are those of the chains that rest on it, before the bump or after.
	rules []string
	text  string
}

// notes are what is known of Tekton's releases beyond co-scheduling, which is compared
// by what both sides show of it.
var notes = []note{
	{"1.0.0", []string{"manifest/cluster-task"}, "since 1.0 there are no ClusterTasks: a reference to one is taken for a custom task's and refused"},
	{"1.2.0", []string{"timeout/tasks-count-finally"}, "since 1.2 timeouts.tasks goes on counting while the finally tasks run"},
	{"1.9.0", []string{"controller/log-not-read"}, "since 1.9 a result of more than 4096 bytes in a sidecar's log ends the reading with an error, and the task counts as succeeded without its results"},
	{"1.11.0", []string{"timeout/default"}, "since 1.11 timeouts.tasks of a run is handed down to its TaskRuns where it is longer than the default"},
	{"1.15.0", []string{"controller/log-not-read"}, "since 1.15 a result of more than 4096 bytes in a sidecar's log is read"},
}

// noted returns what is known of a bump that the chains of either side rest on.
func noted(x, y Run, before, after Release) []Reason {
	rules := ruleIDs(append(slices.Clone(x.Cell.Cause), y.Cell.Cause...))
	var out []Reason
	for _, n := range notes {
		if !crosses(before, after, n.version) {
			continue
		}
		for _, id := range n.rules {
			if slices.Contains(rules, id) {
				out = append(out, Reason{Rule: id, What: n.text, Before: root(x.Cell), After: root(y.Cell)})
				break
			}
		}
	}
	return out
}

// ruleIDs are the rules of a chain, those behind its links too.
func ruleIDs(chain []verdict.Link) []string {
	var out []string
	for _, l := range chain {
		out = append(out, l.Rule)
		out = append(out, ruleIDs(l.Behind)...)
	}
	return out
}

package impact

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/verdict"
)

// Candidate is a change that may mend a cell.
type Candidate struct {
	// Name is one word or two, What a sentence about what is changed.
	Name string `json:"name"`
	What string `json:"what"`
	// Kind is what kind of change it is; empty for one that is made for the cell.
	Kind verdict.Remedy `json:"kind,omitempty"`
	Cost Cost           `json:"cost"`
	// Value is the change, as a value of a scenario's axis; its Name is the
	// candidate's.
	Value scenario.Value `json:"change"`
}

// Candidates lists the changes that simctl knows to try on a cell of this spec,
// the cheapest first. Later are newer releases that may be gone to.
func Candidates(spec scenario.Scenario, later []string) []Candidate {
	out := []Candidate{
		{Kind: verdict.ChangeScheduling, Cost: CostFlag, What: "co-scheduling off for the whole cluster",
			Value: scenario.Value{Name: "coschedule-disabled", Flags: map[string]string{"coschedule": "disabled"}}},
		{Kind: verdict.ChangeScheduling, Cost: CostFlag, What: "disable-affinity-assistant set to false",
			Value: scenario.Value{Name: "assistant-flag-false", Flags: map[string]string{disableAssistant: "false"}}},
		{Kind: verdict.ChangeScheduling, Cost: CostFlag, What: "one assistant for each PipelineRun in place of one for each workspace",
			Value: scenario.Value{Name: "coschedule-pipelineruns", Flags: map[string]string{"coschedule": "pipelineruns", disableAssistant: "true"}}},
		{Kind: verdict.ChangeSecurity, Cost: CostRun, What: "no fsGroup in the PipelineRun's podTemplate",
			Value: scenario.Value{Name: "fsgroup-left-out", SecurityContext: raw("fsGroup", "null")}},
	}
	if t := tolerateAll(spec.Cluster.NodePools); len(t) > 0 {
		out = append(out, Candidate{Kind: verdict.ChangePodTemplate, Cost: CostRun, What: "tolerations for the node pools' taints in the PipelineRun's podTemplate",
			Value: scenario.Value{Name: "taints-tolerated", Tolerations: t}})
	}
	perWorkspace := Candidate{Kind: verdict.ChangeScheduling, Cost: CostFlag, What: "one assistant for each workspace",
		Value: scenario.Value{Name: "coschedule-workspaces", Flags: map[string]string{"coschedule": "workspaces"}}}
	if knows(scenario.NormalizeVersion(spec.Tekton.Version), disableAssistant) {
		perWorkspace = Candidate{Kind: verdict.ChangeScheduling, Cost: CostFlag, What: "the assistant off, by the key that releases up to 0.70 read",
			Value: scenario.Value{Name: "assistant-disabled", Flags: map[string]string{disableAssistant: "true", "coschedule": "workspaces"}}}
	}
	out = slices.Insert(out, 1, perWorkspace)
	if o := spec.Cluster.OpenShift; o.Enabled {
		if first := firstOf(o.SupplementalGroups, o.UIDRange); first != "" {
			out = append(out, Candidate{Kind: verdict.ChangeSecurity, Cost: CostRun, What: "the fsGroup that the namespace's range begins with, " + first,
				Value: scenario.Value{Name: "fsgroup-in-range", SecurityContext: raw("fsGroup", first)}})
		}
		for _, scc := range []string{"anyuid"} {
			out = append(out, Candidate{Kind: verdict.ChangeSecurity, Cost: CostGrant, What: "the ServiceAccount default, under which the assistant runs, may use " + scc,
				Value: scenario.Value{Name: scc + "-for-default", Patch: grant(o.Grants, scc, "default")}})
		}
	}
	out = append(out, Candidate{Kind: verdict.ChangeClaim, Cost: CostStorage, What: "a claim of access mode ReadWriteMany",
		Value: scenario.Value{Name: "rwx", AccessMode: "RWX"}})
	for _, v := range later {
		out = append(out, Candidate{Kind: verdict.ChangeRelease, Cost: CostRelease, What: "Tekton " + ReleaseOf(v).String(),
			Value: scenario.Value{Name: "tekton-" + v, Version: v}})
	}
	for i := range out {
		out[i].Name = out[i].Value.Name
	}
	return out
}

// tolerateAll returns tolerations for the taints that keep pods off the nodes; those of
// control planes are there to stay.
func tolerateAll(pools []scenario.NodePool) []scenario.Toleration {
	var out []scenario.Toleration
	for _, p := range pools {
		for _, t := range p.Taints {
			if t.Effect == "PreferNoSchedule" || strings.HasPrefix(t.Key, "node-role.kubernetes.io/") {
				continue
			}
			want := scenario.Toleration{Key: t.Key, Operator: "Exists", Effect: t.Effect}
			if !slices.Contains(out, want) {
				out = append(out, want)
			}
		}
	}
	return out
}

// ChangesNothing says that two cells of a scenario run the same: also where a
// field was taken out of manifests that do not have it, which leaves what would
// hold it behind, empty.
func ChangesNothing(a, b scenario.Cell) bool {
	a.Objects, b.Objects = withoutEmpty(a.Objects), withoutEmpty(b.Objects)
	return a.Fingerprint() == b.Fingerprint()
}

// withoutEmpty takes mappings that hold nothing out of objects. What is no object
// stays.
func withoutEmpty(objects []json.RawMessage) []json.RawMessage {
	var prune func(v any) any
	prune = func(v any) any {
		switch v := v.(type) {
		case map[string]any:
			for k, e := range v {
				e = prune(e)
				if m, ok := e.(map[string]any); ok && len(m) == 0 {
					delete(v, k)
				}
			}
		case []any:
			for _, e := range v {
				prune(e)
			}
		}
		return v
	}
	out := make([]json.RawMessage, len(objects))
	for i, o := range objects {
		out[i] = o
		if all := decodeAll(objects[i : i+1]); len(all) == 1 {
			if pruned, err := json.Marshal(prune(all[0])); err == nil {
				out[i] = pruned
			}
		}
	}
	return out
}

func raw(key, value string) map[string]json.RawMessage {
	return map[string]json.RawMessage{key: json.RawMessage(value)}
}

// firstOf returns the first number of the first range that is set.
func firstOf(ranges ...string) string {
	for _, r := range ranges {
		if first, _, ok := strings.Cut(r, "/"); ok {
			return first
		}
		if first, _, ok := strings.Cut(r, "-"); ok {
			return first
		}
	}
	return ""
}

// grant is a merge patch that adds a grant; a merge patch replaces lists whole.
func grant(have []scenario.SCCGrant, scc, account string) json.RawMessage {
	grants := append(slices.Clone(have), scenario.SCCGrant{SCC: scc, ServiceAccount: account})
	patch, _ := json.Marshal(map[string]any{"cluster": map[string]any{"openshift": map[string]any{"grants": grants}}}) //nolint:errchkjson // strings
	return patch
}

// Tried puts what came of candidates into a change: those that mend it first,
// then by cost, then the faster one.
func (c *Change) Tried(tried []Candidate, runs [][]Run) {
	c.Remedies = []Remedy{}
	for i, t := range tried {
		e := group(runs[i]).ended()
		c.Remedies = append(c.Remedies, Remedy{Candidate: t, Ended: e, Mends: severity(e) <= 1})
	}
	slices.SortStableFunc(c.Remedies, func(a, b Remedy) int {
		switch {
		case a.Mends != b.Mends:
			return btoi(b.Mends) - btoi(a.Mends)
		case severity(a.Ended) != severity(b.Ended):
			return severity(a.Ended) - severity(b.Ended)
		default:
			return int(a.Cost) - int(b.Cost)
		}
	})
}

// Broken says whether a cell's work is not done on the new side though it was on
// the old one: what remedies are for.
func (c Change) Broken() bool { return severity(c.To) > severity(c.From) && severity(c.To) > 1 }

// sameEnd says that the outcome is the same: only the conduct differs.
func (c Change) sameEnd() bool {
	return c.From.Outcome == c.To.Outcome && c.From.Recovered == c.To.Recovered
}

// Effect is what a change is for the user: the outcome decides, and of those that are
// as bad the conduct.
func (c Change) Effect() Effect {
	switch before, after := severity(c.From), severity(c.To); {
	case after > before:
		return Worse
	case after < before:
		return Better
	case c.sameEnd():
		return conductOf(c.Conduct)
	}
	return Other
}

// AllReasons are all differences, those of conduct last.
func (c Change) AllReasons() []Reason {
	out := slices.Clone(c.Reasons)
	for _, d := range c.Conduct {
		out = append(out, d.Reason)
	}
	return out
}

// String returns a sentence for a heading.
func (c Change) String() string {
	if c.sameEnd() {
		return c.To.Text() + " as before, and not the same was done"
	}
	return fmt.Sprintf("%s → %s", c.From.Text(), c.To.Text())
}

// Text names an ending: the outcome, and whether the work was done all the same.
func (e Ended) Text() string {
	if e.Recovered {
		return string(e.Outcome) + " (finished)"
	}
	return string(e.Outcome)
}

// Improvement says that a cell ends better than before.
func (c Change) Improvement() bool { return c.Effect() == Better }

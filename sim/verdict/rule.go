package verdict

import (
	"fmt"
	"strings"
)

// Rule is one thing that a chain of causes may say. Its ID stays what it is when its
// sentence is written anew: causes are grouped by it, and what others keep of a result
// (SARIF's fingerprints, a baseline) goes by it.
type Rule struct {
	// ID is "kind/reason", with the kind in short: "pod/claim-missing".
	ID string
	// Kind is the kind of object that the link is about.
	Kind string
	// Sentence is what the link says, with verbs of package fmt for names.
	Sentence string
	// Meaning is a paragraph for whoever meets the rule: when it is said, and what
	// upstream's code does there.
	Meaning string
	// Remedies are the changes that are worth trying where this is the root.
	Remedies []Remedy
}

// Remedy is a kind of change that may mend a cause.
type Remedy string

// The kinds of change.
const (
	ChangeTimeout     Remedy = "time-out"
	ChangePodTemplate Remedy = "pod template"
	ChangeScheduling  Remedy = "co-scheduling flags"
	ChangeFlag        Remedy = "feature flag"
	ChangePriority    Remedy = "priority class"
	ChangeQuota       Remedy = "quota"
	ChangeFinalizer   Remedy = "finalizer"
	ChangeClaim       Remedy = "claim"
	ChangeNodes       Remedy = "nodes"
	ChangeSecurity    Remedy = "security context or SCC"
	ChangeManifest    Remedy = "manifest"
	ChangeRelease     Remedy = "release"
	ChangeRetries     Remedy = "retries"
)

// table collects the rules in the order in which they are declared.
type table struct{ rules []*Rule }

// add puts a rule into the table.
func (t *table) add(r Rule) *Rule {
	t.rules = append(t.rules, &r)
	return &r
}

// Rules returns all rules in the order of the table, which is the order of reasons:
// of several that hold of one object the first is said.
func Rules() []Rule {
	out := make([]Rule, 0, len(rules.rules))
	for _, r := range rules.rules {
		out = append(out, *r)
	}
	return out
}

// RuleOf returns the rule of an ID; false if there is none, as for a link that an older
// simctl wrote.
func RuleOf(id string) (Rule, bool) {
	for _, r := range rules.rules {
		if r.ID == id {
			return *r, true
		}
	}
	return Rule{}, false
}

// link says the rule of an object, with what proves it; args are the sentence's.
func (r *Rule) link(object, evidence string, args ...any) Link {
	return Link{Rule: r.ID, What: fmt.Sprintf(r.Sentence, args...), Object: object, Evidence: evidence}
}

// clip shortens evidence that would fill pages; what it keeps is verbatim.
func clip(s string) string {
	const most = 4000
	s = strings.TrimSpace(s)
	if len(s) <= most {
		return s
	}
	return s[:most] + "..."
}

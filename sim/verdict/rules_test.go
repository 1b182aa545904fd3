package verdict

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// rulesPage is docs/rules.md, made from the table.
func rulesPage() string {
	var b strings.Builder
	b.WriteString(`# Rules

What a chain of causes says are instances of these rules. Each link in a result has the
` + "`rule`" + ` that it is an instance of; reports, SARIF, JUnit and reviews group and compare
causes by it. An ID stays when its sentence is written anew. The order is that of reasons:
of several that hold of one object the first is said. A circle is named by the rule of the
edge that closes it, with its links folded behind it.

This page is printed from the table in sim/verdict/rules.go
(` + "`go test ./sim/verdict -run TestRulesPage -update`" + `);
` + "`simctl help rules circle-assistant-node`" + ` prints one of them.
`)
	for _, r := range Rules() {
		fmt.Fprintf(&b, "\n## %s\n\n> %s\n\n%s", r.ID, verbs.ReplaceAllString(r.Sentence, "…"), r.Meaning)
		if r.Kind != "any" {
			fmt.Fprintf(&b, " About: %s.", r.Kind)
		}
		if len(r.Remedies) > 0 {
			var names []string
			for _, m := range r.Remedies {
				names = append(names, string(m))
			}
			fmt.Fprintf(&b, " Worth trying: %s.", strings.Join(names, ", "))
		}
		b.WriteString("\n")
	}
	return b.String()
}

// verbs are those of package fmt in a sentence.
var verbs = regexp.MustCompile(`%(\.0)?[sdf]`)

func TestRulesPage(t *testing.T) {
	file := filepath.Join("..", "..", "docs", "rules.md")
	want := rulesPage()
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the table says; run with -update", file)
	}
}

// Every rule has an ID of its own, of the form kind/reason, and a paragraph.
func TestRules(t *testing.T) {
	id := regexp.MustCompile(`^[a-z]+/[a-z][a-z-]*$`)
	seen := map[string]bool{}
	for _, r := range Rules() {
		if !id.MatchString(r.ID) {
			t.Errorf("the ID %q is not kind/reason", r.ID)
		}
		if seen[r.ID] {
			t.Errorf("two rules are called %s", r.ID)
		}
		seen[r.ID] = true
		if r.Kind == "" || r.Sentence == "" || len(r.Meaning) < 20 || !strings.HasSuffix(r.Meaning, ".") {
			t.Errorf("%s lacks a kind, a sentence or a paragraph: %+v", r.ID, r)
		}
	}
	if _, ok := RuleOf("no/such"); ok {
		t.Error("there is a rule that nobody declared")
	}
}

// A reason for which a pod waits stands in the table where it is looked for.
func TestPodReasonsAreInTheOrderOfTheTable(t *testing.T) {
	at := map[string]int{}
	for i, r := range Rules() {
		at[r.ID] = i
	}
	for _, list := range [][]reason{unplacedReasons(), unstartedReasons()} {
		for i := 1; i < len(list); i++ {
			if a, b := list[i-1].rule.ID, list[i].rule.ID; at[a] >= at[b] {
				t.Errorf("%s is looked for before %s, and stands after it", a, b)
			}
		}
	}
}

package verdict

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Every constant of the type Outcome has its row, and every row says all there is to say.
func TestOutcomeTable(t *testing.T) {
	declared := map[Outcome]bool{}
	file, err := parser.ParseFile(token.NewFileSet(), "outcome.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if kind, ok := v.Type.(*ast.Ident); !ok || kind.Name != "Outcome" {
			return true
		}
		word, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		declared[Outcome(word)] = true
		return true
	})
	letters := map[string]Outcome{}
	for _, o := range AllOutcomes() {
		if !declared[o.Outcome] {
			t.Errorf("%s has two rows or no constant", o.Outcome)
		}
		delete(declared, o.Outcome)
		if other, ok := letters[o.Letter]; ok || len(o.Letter) != 1 {
			t.Errorf("%s and %q have the letter %q", o.Outcome, other, o.Letter)
		}
		letters[o.Letter] = o.Outcome
		if o.Meaning == "" || o.Short == "" || strings.HasSuffix(o.Short, ".") || !strings.HasSuffix(o.Help, ".") {
			t.Errorf("the row of %s is not whole: %+v", o.Outcome, o)
		}
	}
	for o := range declared {
		t.Errorf("%s has no row in the table", o)
	}
}

// The order of the table decides between outcomes, and what is recovered from is a delay.
func TestOutcomeOrder(t *testing.T) {
	all := AllOutcomes()
	for i := 1; i < len(all); i++ {
		if all[i-1].Outcome.rank() >= all[i].Outcome.rank() {
			t.Errorf("%s does not go before %s", all[i-1].Outcome, all[i].Outcome)
		}
	}
	unknown := Outcome("of-another-simctl")
	for _, tt := range []struct {
		outcome   Outcome
		recovered bool
		want      Severity
	}{
		{Success, false, Done}, {Success, true, Done},
		{MultiAttach, true, Delayed}, {InvalidConfig, true, Delayed}, {MultiAttach, false, Waiting},
		{Failed, false, Ended}, {Error, false, Ended}, {unknown, false, Ended},
	} {
		if got := tt.outcome.Severity(tt.recovered); got != tt.want {
			t.Errorf("%s (recovered: %t) has severity %d, want %d", tt.outcome, tt.recovered, got, tt.want)
		}
	}
	if info := unknown.Info(); info.Outcome != unknown || info.Letter != "?" {
		t.Errorf("of an unknown outcome is known %+v", info)
	}
}

// TestOutcomesPage holds the table in docs/outcomes.md against the one here, and demands
// a section for each outcome.
func TestOutcomesPage(t *testing.T) {
	name := filepath.Join("..", "..", "docs", "outcomes.md")
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	const head = "| outcome | letter | it means |\n|---|---|---|\n"
	before, after, found := strings.Cut(string(raw), head)
	if !found {
		t.Fatalf("%s is without the table", name)
	}
	have, after, _ := strings.Cut(after, "\n\n")
	want := ""
	for _, o := range AllOutcomes() {
		want += fmt.Sprintf("| `%s` | %s | %s |\n", o.Outcome, o.Letter, o.Meaning)
	}
	if *update {
		if err := os.WriteFile(name, []byte(before+head+want+"\n"+after), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if have+"\n" != want {
		t.Errorf("the table in %s is not the one of the code (-update writes it):\n%s", name, have)
	}
	_, sections, _ := strings.Cut(after, "\n## Each outcome\n")
	for _, o := range Outcomes() {
		told := o == Success // the line in the table is all there is to say
		for _, line := range strings.Split(sections, "\n") {
			told = told || strings.HasPrefix(line, "### ") && strings.Contains(line+" ", " "+string(o)+" ")
		}
		if !told {
			t.Errorf("%s has no section on %s", name, o)
		}
	}
}

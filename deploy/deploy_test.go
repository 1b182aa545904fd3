// Package deploy_test checks what simctl's users put into their CI. That the Task does its
// work is seen in simctl itself: sim/testdata/review-task.yaml.
package deploy_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"sigs.k8s.io/yaml"
)

func read(t *testing.T, name string, into any) {
	t.Helper()
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict(raw, into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// shell has sh read scripts without running them.
func shell(t *testing.T, name, script string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "sh", "-n", file).CombinedOutput(); err != nil {
		t.Errorf("%s: %s", name, out)
	}
}

// The Task is one that Tekton's webhook takes, and its scripts are ones that a shell reads.
func TestTask(t *testing.T) {
	var task v1.Task
	read(t, "tekton/task.yaml", &task)
	ctx := context.Background()
	task.SetDefaults(ctx)
	if err := task.Validate(ctx); err != nil {
		t.Error(err)
	}
	for _, s := range task.Spec.Steps {
		shell(t, s.Name, s.Script)
	}
}

// action are the fields of a composite action's metadata that GitHub documents and that are
// used here.
type action struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Inputs      map[string]struct {
		Description, Default string
		Required             bool
	} `json:"inputs"`
	Outputs map[string]struct{ Description, Value string } `json:"outputs"`
	Runs    struct {
		Using string `json:"using"`
		Steps []struct {
			ID    string            `json:"id"`
			Uses  string            `json:"uses"`
			With  map[string]any    `json:"with"`
			Shell string            `json:"shell"`
			Env   map[string]string `json:"env"`
			Run   string            `json:"run"`
		} `json:"steps"`
	} `json:"runs"`
}

var expression = regexp.MustCompile(`\$\{\{ inputs\.(\w+) \}\}`)

// The action has the fields that GitHub knows, uses the inputs that it declares, and every
// script is one that a shell reads.
func TestAction(t *testing.T) {
	var a action
	read(t, "github/action.yml", &a)
	if a.Name == "" || a.Description == "" || a.Runs.Using != "composite" {
		t.Errorf("the action is %+v", a)
	}
	raw, err := os.ReadFile("github/action.yml")
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, m := range expression.FindAllStringSubmatch(string(raw), -1) {
		used[m[1]] = true
		if _, ok := a.Inputs[m[1]]; !ok {
			t.Errorf("input %s is not declared", m[1])
		}
	}
	for name := range a.Inputs {
		if !used[name] {
			t.Errorf("input %s is not used", name)
		}
	}
	for i, s := range a.Runs.Steps {
		switch {
		case (s.Uses == "") == (s.Run == ""):
			t.Errorf("step %d has to use an action or run a script", i)
		case s.Run != "" && s.Shell == "":
			t.Errorf("step %d has no shell", i)
		case strings.Contains(s.Run, "${{"):
			t.Errorf("step %d puts an expression into a script: what an input says would be run", i)
		case s.Run != "":
			shell(t, s.ID, s.Run)
		}
	}
}

// The GitLab template is a hidden job with scripts that a shell reads.
func TestGitLab(t *testing.T) {
	var jobs map[string]struct {
		Image       string            `json:"image"`
		Variables   map[string]string `json:"variables"`
		Cache       map[string]any    `json:"cache"`
		Script      []string          `json:"script"`
		AfterScript []string          `json:"after_script"`
		Artifacts   map[string]any    `json:"artifacts"`
	}
	read(t, "gitlab/simctl.gitlab-ci.yml", &jobs)
	if len(jobs) == 0 {
		t.Fatal("there is no job")
	}
	for name, job := range jobs {
		if !strings.HasPrefix(name, ".") || len(job.Script) == 0 {
			t.Errorf("%s is no hidden job with a script", name)
		}
		shell(t, name, strings.Join(append(job.Script, job.AfterScript...), "\n"))
	}
}

package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCompletion(t *testing.T) {
	place(t)
	for _, c := range []struct {
		name    string
		args    []string
		want    []string
		without string
	}{
		{"axes", []string{"run", "scenarios/demo.yaml", "--set", ""}, []string{"coschedule=", "accessMode=", ":6"}, "tekton="},
		{"values", []string{"run", "scenarios/demo.yaml", "--set", "accessMode="}, []string{"accessMode=RWO\n", "accessMode=RWX\n"}, "coschedule"},
		{"further values", []string{"validate", "scenarios/", "--set", "accessMode=RWO,"}, []string{"accessMode=RWO,RWX\n"}, "RWO,RWO"},
		{"the scenario is broken", []string{"run", "nope.yaml", "--set", ""}, []string{":4"}, "="},
		{"releases", []string{"run", "scenarios/", "--tekton", "1.15.0,"}, []string{"1.15.0,1.3.1\t"}, "1.15.0,1.15.0"},
		{"a release to go to", []string{"upgrade", "scenarios/", "--to", "1.3"}, []string{"1.3.1\tosp-1.20\n", ":4"}, "1.15.0"},
		{"by the names of OpenShift Pipelines", []string{"upgrade", "scenarios/", "--path", "osp-1.19,osp-1.2"}, []string{"osp-1.19,osp-1.20\tTekton 1.3.1\n", ":6"}, "osp-1.19\t"},
		{"formats of a result", []string{"run", "scenarios/", "-o", ""}, []string{"table\n", "wide\n", "json\n", "yaml\n"}, "markdown"},
		{"formats of a review", []string{"compare", "-o", ""}, []string{"markdown\n"}, "wide"},
		{"formats of a report", []string{"report", "--format", ""}, []string{"html\n", "sarif\n"}, "table"},
		{"faults", []string{"faults", "node-dead", "node-"}, []string{"node-cut-off\t", ":4"}, "node-dead\t"},
		{"formats of faults", []string{"faults", "-o", ""}, []string{"markdown\n", "name\n"}, "wide"},
		{"topics", []string{"help", ""}, []string{"outcomes\t", "run\t"}, "nope"},
		{"sections of a topic", []string{"help", "scenario", ""}, []string{"axes\t"}, "outcomes\t"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := simctl(t, &fakeEngine{}, append([]string{"__complete"}, c.args...)...)
			got.want(t, StatusOK)
			for _, w := range c.want {
				if !strings.Contains(got.stdout, w) {
					t.Errorf("no %q is offered:\n%s", w, got.stdout)
				}
			}
			if strings.Contains(got.stdout, c.without) {
				t.Errorf("%q is offered:\n%s", c.without, got.stdout)
			}
		})
	}
}

// A variable that looks like a setting and is none is told of, and of each other nothing.
func TestMisspeltVariable(t *testing.T) {
	place(t)
	t.Setenv("SIMCTL_PARALLELL", "2")
	t.Setenv("SIMCTL_CACHE", "x")
	t.Setenv("SIMCTL_CHECK_HISTORIES", "true")
	got := simctl(t, &fakeEngine{}, "run", "scenarios/demo.yaml")
	got.want(t, StatusOK, `simctl: SIMCTL_PARALLELL is no setting; did you mean "SIMCTL_PARALLEL"?`, "simctl: SIMCTL_CACHE is no setting")
	if strings.Contains(got.stderr, "SIMCTL_CHECK_HISTORIES") {
		t.Errorf("a setting of run is not known:\n%s", got.stderr)
	}
}

func TestQuiet(t *testing.T) {
	place(t)
	got := simctl(t, &fakeEngine{}, "run", "scenarios/demo.yaml", "--quiet")
	got.want(t, StatusOK)
	if got.stderr != "" || !strings.Contains(got.stdout, "4 cells") {
		t.Errorf("quiet is not quiet, or has no result:\n%s\n%s", got.stdout, got.stderr)
	}
	t.Setenv("SIMCTL_QUIET", "true")
	got = simctl(t, &fakeEngine{}, "run", "nope.yaml")
	got.want(t, StatusError, "simctl: nope.yaml")
	got = simctl(t, &fakeEngine{}, "run", "scenarios/demo.yaml", "-v")
	got.want(t, StatusError, "quiet and verbose are both set")
	// That a configuration cannot be read is said once.
	if err := os.WriteFile(filepath.Join(".", defaultConfig), []byte("quiet: ["), 0o600); err != nil {
		t.Fatal(err)
	}
	got = simctl(t, &fakeEngine{}, "run", "scenarios/demo.yaml")
	got.want(t, StatusError)
	if n := strings.Count(got.stderr, "reading the configuration"); n != 1 {
		t.Errorf("said %d times:\n%s", n, got.stderr)
	}
}

// TestVersionFlag: what many programs have as a flag is one here as well, though no help
// lists it.
func TestVersionFlag(t *testing.T) {
	place(t)
	flag, verb := simctl(t, &fakeEngine{}, "--version"), simctl(t, &fakeEngine{}, "version")
	if flag.status != StatusOK || flag.stdout != verb.stdout {
		t.Errorf("--version says %q, and version %q", flag.stdout, verb.stdout)
	}
	if help := simctl(t, &fakeEngine{}, "run", "--help"); strings.Contains(help.stdout, "--version") {
		t.Errorf("the help of a verb has --version:\n%s", help.stdout)
	}
}

package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"simctl.dev/simctl/sim/runstore"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/verdict"
)

// fakeEngine gives every cell the outcome that outcome says, one after another.
type fakeEngine struct {
	outcome func(scenario.Cell) verdict.Cell
	// after ends a run with err once so many cells are done; 0 is never.
	after int
	err   error
	// cancel is called when after cells are done.
	cancel func()

	// foreseen is what Foresee says of every cell.
	foreseen []*scenario.Problem

	mu   sync.Mutex
	ran  []string
	last RunOptions
}

func (f *fakeEngine) Foresee(*scenario.Cell) ([]*scenario.Problem, error) { return f.foreseen, nil }

func (f *fakeEngine) Run(ctx context.Context, cells []scenario.Cell, o RunOptions) ([]verdict.Cell, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last = o
	var out []verdict.Cell
	o.Progress(Event{Kind: EventBuild, Release: "1.3.1", Message: "ready"})
	o.Progress(Event{Kind: EventControlPlane, Message: "starting the control plane"})
	for i := range cells {
		if ctx.Err() != nil {
			return out, ctx.Err()
		}
		c := cells[i]
		o.Progress(Event{Kind: EventCellStarted, Cell: &c})
		r := success(c)
		if f.outcome != nil {
			r = f.outcome(c)
		}
		r.Scenario, r.Values, r.Axes, r.Repeat, r.WallSeconds = c.Scenario, c.Values, c.Axes, c.Repeat, 0.5
		c.Expected.Judge(&r)
		f.ran = append(f.ran, c.ID())
		out = append(out, r)
		o.Progress(Event{Kind: EventCellDone, Cell: &c, Result: &r})
		if f.after > 0 && len(out) == f.after {
			if f.cancel != nil {
				f.cancel()
				continue
			}
			return out, f.err
		}
		if o.FailFast && r.Fails() {
			return out, nil
		}
	}
	return out, nil
}

func (f *fakeEngine) Releases(string) ([]Release, error) {
	return []Release{
		{Version: "1.3.1", OpenShiftPipelines: "1.20"},
		{Version: "1.6.0", Built: true},
		{Version: "1.15.0", BuiltIn: true, OpenShiftPipelines: "1.24"},
	}, nil
}

func (f *fakeEngine) Pack(_ context.Context, _ string, releases []string, w io.Writer, progress func(string)) error {
	progress("packing")
	if f.err != nil {
		return f.err
	}
	_, err := fmt.Fprintf(w, "pack of %v", releases)
	return err
}

func (f *fakeEngine) Unpack(_ context.Context, _ string, r io.Reader, progress func(string)) error {
	raw, err := io.ReadAll(r)
	progress("unpacked " + string(raw))
	return err
}

func success(scenario.Cell) verdict.Cell {
	makespan := 62.5
	return verdict.Cell{Finding: verdict.Finding{Outcome: verdict.Success, MakespanSeconds: &makespan}}
}

func deadlock(scenario.Cell) verdict.Cell {
	since := 12.5
	return verdict.Cell{Finding: verdict.Finding{Outcome: verdict.Deadlock, BlockedSinceSeconds: &since,
		Busy:  []string{"TaskRun of task build"},
		Cause: []verdict.Link{{What: "The pod waits for itself.", Object: "Pod default/hello-greet-pod", Evidence: "0/2 nodes are available"}}}}
}

// place copies the test scenarios to a new working folder and goes there.
func place(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "scenarios"), os.DirFS(filepath.Join("testdata", "scenarios"))); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	t.Setenv("NO_COLOR", "")
}

type outcome struct {
	status         int
	stdout, stderr string
}

// simctl runs a command line on a fake engine and a clock that stands still.
func simctl(t *testing.T, e *fakeEngine, args ...string) outcome {
	t.Helper()
	return simctlContext(t.Context(), e, args...)
}

var calls int

func simctlContext(ctx context.Context, e *fakeEngine, args ...string) outcome {
	var stdout, stderr bytes.Buffer
	calls++
	a := &App{
		Engine: e, Stdout: &stdout, Stderr: &stderr,
		Versions: Versions{Simctl: "v0.1.0", Kubernetes: "v1.37.2", Tekton: "1.15.0", Go: "go1.26"},
		Now:      func() time.Time { return time.Date(2025, 10, 27, 10, 15, 0, 0, time.UTC) },
		Random:   bytes.NewReader([]byte{byte(calls >> 8), byte(calls)}),
		Terminal: func(io.Writer) (int, bool) { return 0, false },
	}
	status := a.Main(ctx, args)
	return outcome{status, stdout.String(), stderr.String()}
}

func (o outcome) want(t *testing.T, status int, stderr ...string) {
	t.Helper()
	if o.status != status {
		t.Errorf("exit status %d, want %d\nstdout:\n%s\nstderr:\n%s", o.status, status, o.stdout, o.stderr)
	}
	for _, s := range stderr {
		if !strings.Contains(o.stderr, s) {
			t.Errorf("standard error has no %q:\n%s", s, o.stderr)
		}
	}
}

// result reads what a run kept.
func result(t *testing.T, dir string) verdict.RunResult {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "result.json"))
	if err != nil {
		t.Fatal(err)
	}
	var r verdict.RunResult
	if err := json.Unmarshal(raw, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

var latestDir = filepath.Join(".simctl", "runs", "latest")

func TestExitStatus(t *testing.T) {
	broken := func(c scenario.Cell) verdict.Cell {
		r := success(c)
		if c.Values["accessMode"] == "RWX" {
			r.Outcome, r.Error, r.MakespanSeconds = verdict.Error, "the controller died:\n no space left on device", nil
		}
		return r
	}
	for _, c := range []struct {
		name    string
		engine  *fakeEngine
		args    []string
		status  int
		stdout  string
		stderr  []string
		without string
	}{
		{name: "as expected", engine: &fakeEngine{}, args: []string{"run", "scenarios/"},
			stdout: "6 cells: 4 as expected, 2 of which nothing is expected",
			stderr: []string{"[1/6] demo coschedule=workspaces accessMode=RWO: success", "kept in .simctl/runs/20251027-101500-"}, without: "simctl:"},
		{name: "an outcome deviates", engine: &fakeEngine{outcome: deadlock}, args: []string{"run", "scenarios/demo.yaml"}, status: StatusDeviates,
			stdout: "0 as expected, 4 not as expected", stderr: []string{"deadlock, expected success or multi-attach"}, without: "simctl:"},
		{name: "nothing is expected", engine: &fakeEngine{outcome: deadlock}, args: []string{"run", "scenarios/other.yaml"}, status: StatusDeviates,
			stdout: "Why cells of which nothing is expected did not succeed\n\n[1] deadlock"},
		{name: "nothing is expected and all went well", engine: &fakeEngine{}, args: []string{"run", "scenarios/other.yaml"},
			stdout: "2 cells: 2 of which nothing is expected"},
		{name: "fail fast where nothing is expected", engine: &fakeEngine{outcome: deadlock}, args: []string{"run", "scenarios/other.yaml", "--fail-fast"}, status: StatusDeviates,
			stdout: "1 cell: 1 of which nothing is expected (1 did not do their work)"},
		{name: "cells could not be run", engine: &fakeEngine{outcome: broken}, args: []string{"run", "scenarios/demo.yaml"}, status: StatusError,
			stdout: "2 that simctl could not run", stderr: []string{"simctl: 2 cells could not be run: the controller died: no space left on device\n"}},
		{name: "the engine fails", engine: &fakeEngine{after: 1, err: errors.New("etcd: port 2379 is taken")}, args: []string{"run", "scenarios/demo.yaml"}, status: StatusError,
			stdout: "1 as expected", stderr: []string{"simctl: etcd: port 2379 is taken\n", "1 of 4 cells finished: once that is mended, go on with: simctl run --resume=2025"}},
		{name: "fail fast", engine: &fakeEngine{outcome: deadlock}, args: []string{"run", "scenarios/", "--fail-fast"}, status: StatusDeviates,
			stdout: "1 cell: 0 as expected, 1 not as expected"},
		{name: "JSON alone on standard output", engine: &fakeEngine{}, args: []string{"run", "scenarios/demo.yaml", "-o", "json"}, stdout: "{\n  \"apiVersion\": \"simctl.dev/v1alpha1\",\n  \"kind\": \"RunResult\""},
	} {
		t.Run(c.name, func(t *testing.T) {
			place(t)
			got := simctl(t, c.engine, c.args...)
			got.want(t, c.status, c.stderr...)
			if !strings.Contains(got.stdout, c.stdout) {
				t.Errorf("standard output has no %q:\n%s", c.stdout, got.stdout)
			}
			if c.without != "" && strings.Contains(got.stderr, c.without) {
				t.Errorf("standard error has %q:\n%s", c.without, got.stderr)
			}
		})
	}
}

func TestResult(t *testing.T) {
	place(t)
	simctl(t, &fakeEngine{}, "run", "scenarios/", "--seed", "7", "--parallel=3", "-o", "json").want(t, StatusOK)
	r := result(t, latestDir)
	if len(r.Cells) != 6 || r.Interrupted || r.Seed != 7 || r.Kubernetes != "v1.37.2" {
		t.Errorf("result = %+v", r)
	}
	if want := []string{"simctl", "run", "scenarios/", "--seed", "7", "--parallel=3", "-o", "json"}; !slices.Equal(r.Command, want) {
		t.Errorf("command = %q", r.Command)
	}
	if len(r.Statistics) == 0 {
		t.Error("a run with repeats has no statistics")
	}
	for _, c := range r.Cells {
		if c.Values["tekton"] == "" {
			t.Errorf("a cell without its Tekton release: %v", c.Values)
		}
	}
}

func TestBadInput(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		// files are written before.
		files map[string]string
		want  string
	}{
		{name: "no path", args: []string{"run"}, want: "which scenarios? Name files or folders, as in: simctl run scenarios/"},
		{name: "no path to validate", args: []string{"validate"}, want: "as in: simctl validate scenarios/"},
		{name: "no such path", args: []string{"run", "scenario/"}, want: "no such file or folder"},
		{name: "no scenario there", args: []string{"run", "scenarios/manifests"}, want: "no scenario in this folder"},
		{name: "unknown verb", args: []string{"runn"}, want: `unknown command "runn" of simctl; did you mean "run"?`},
		{name: "unknown verb of a group", args: []string{"tekton", "lsit"}, want: `unknown command "lsit" of simctl tekton; did you mean "list"?`},
		{name: "unknown topic", args: []string{"help", "nope"}, want: `unknown command "nope" of simctl; valid: `},
		{name: "unknown section", args: []string{"help", "scenario", "axis"}, want: `did you mean "axes"?`},
		{name: "unknown section of a topic", args: []string{"scenario", "axis"}, want: `unknown command "axis" of simctl scenario; did you mean "axes"?`},
		{name: "unknown shell", args: []string{"completion", "nope"}, want: `unknown command "nope" of simctl completion; valid: bash`},
		{name: "a version of a verb", args: []string{"run", "--version", "scenarios"}, want: "--version is no flag of simctl run: see simctl version"},
		{name: "no such run to resume", args: []string{"run", "--resume", "./nope"}, want: "./nope is no run: name its ID or its folder"},
		{name: "an argument where there is none", args: []string{"version", "now"}, want: `"now": simctl version takes no arguments`},
		{name: "no run to show", args: []string{"show"}, want: "which run? Name one, as in: simctl show latest"},
		{name: "no run to report", args: []string{"report"}, want: "as in: simctl report latest --output report.html"},
		{name: "no cell to explain", args: []string{"explain", "latest"}, want: "which run, and which of its cells? Name both"},
		{name: "one run to compare", args: []string{"compare", "latest"}, want: "which runs? Name the one before and the one after"},
		{name: "too many runs", args: []string{"show", "latest", "other"}, want: `"other" is one argument too many: see simctl show --help`},
		{name: "unknown flag", args: []string{"run", "--sett", "a=b", "scenarios"}, want: "unknown flag: --sett: see simctl run --help"},
		{name: "unknown format", args: []string{"run", "scenarios", "-o", "xml"}, want: "use one of table, wide, json, yaml"},
		{name: "set without a value", args: []string{"run", "scenarios", "--set", "coschedule"}, want: "write axis=value"},
		{name: "set of an unknown axis", args: []string{"run", "scenarios", "--set", "coshedule=disabled"}, want: `"coschedule"`},
		{name: "set of an unknown value", args: []string{"run", "scenarios/demo.yaml", "--set", "coschedule=workspace"}, want: "workspaces"},
		{name: "no number", args: []string{"run", "scenarios", "--parallel", "many"}, want: `invalid argument "many"`},
		{name: "negative", args: []string{"run", "scenarios", "--parallel=-1"}, want: "parallel is -1 and must be 0 or more"},
		{name: "malformed YAML", args: []string{"run", "scenarios"}, want: "scenarios/bad.yaml:3: not YAML",
			files: map[string]string{"scenarios/bad.yaml": "apiVersion: simctl.dev/v1alpha1\nkind: Scenario\nmetadata: {name: bad}\naxes: [{name: x\n"}},
		{name: "unknown field", args: []string{"validate", "scenarios"}, want: "scenarios/bad.yaml:4",
			files: map[string]string{"scenarios/bad.yaml": "apiVersion: simctl.dev/v1alpha1\nkind: Scenario\nmetadata: {name: bad}\nclustr: {}\n"}},
		{name: "two of a name", args: []string{"validate", "scenarios"}, want: "in scenarios/demo.yaml already",
			files: map[string]string{"scenarios/demo2.yaml": "\x00demo.yaml"}},
		{name: "malformed configuration", args: []string{"run", "scenarios"}, want: "reading the configuration: .simctl.yaml",
			files: map[string]string{".simctl.yaml": "parallel: [\n"}},
		{name: "unknown setting", args: []string{"run", "scenarios"}, want: `unknown setting "planes": use one of`,
			files: map[string]string{".simctl.yaml": "planes: 2\n"}},
		{name: "no number in the configuration", args: []string{"run", "scenarios"}, want: `parallel is "two" and must be a whole number`,
			files: map[string]string{".simctl.yaml": "parallel: two\n"}},
		{name: "no such configuration", args: []string{"run", "scenarios", "--config", "none.yaml"}, want: "none.yaml"},
		{name: "out is somebody else's", args: []string{"run", "scenarios", "--out", "scenarios"}, want: "give an empty or a new folder"},
		{name: "nothing to resume", args: []string{"run", "--resume"}, want: "there is no run in .simctl/runs to go on with"},
		{name: "no such run", args: []string{"run", "--resume=20250101-000000-0000"}, want: "there is no run in .simctl/runs/20250101-000000-0000"},
		{name: "no release to pack", args: []string{"pack"}, want: "as in: simctl pack 1.3.1"},
		{name: "no releases to pack", args: []string{"pack", "latest", "1.3.1", "newest"}, want: `"latest" names no release, "newest" names no release`},
		{name: "no pack", args: []string{"unpack"}, want: "which pack? Name its file, as in: simctl unpack simctl-pack.tar.gz"},
		{name: "no such pack", args: []string{"unpack", "none"}, want: "reading the pack: open none: no such file or directory"},
		{name: "no release to build", args: []string{"tekton", "build"}, want: "simctl tekton build 1.3.1"},
		{name: "no such release", args: []string{"tekton", "build", "9.9.9", "1.3.1"}, want: "there is no Tekton 9.9.9"},
	} {
		t.Run(c.name, func(t *testing.T) {
			place(t)
			for name, content := range c.files {
				if from, ok := strings.CutPrefix(content, "\x00"); ok {
					raw, err := os.ReadFile(filepath.Join("scenarios", from))
					if err != nil {
						t.Fatal(err)
					}
					content = string(raw)
				}
				if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			e := &fakeEngine{}
			got := simctl(t, e, c.args...)
			got.want(t, StatusError, c.want)
			if len(e.ran) > 0 {
				t.Error("cells were run")
			}
			if strings.Contains(c.args[0], "run") && got.stdout != "" {
				t.Errorf("standard output: %s", got.stdout)
			}
			for _, line := range strings.Split(strings.TrimSpace(got.stderr), "\n") {
				if c.args[0] != "tekton" && !strings.HasPrefix(line, "simctl: ") {
					t.Errorf("line without simctl's name: %q", line)
				}
			}
			if c.name != "out is somebody else's" {
				if _, err := os.Stat(".simctl"); err == nil {
					t.Error("bad input left a run behind")
				}
			}
		})
	}
}

// flag over environment over file over default.
func TestPrecedence(t *testing.T) {
	for _, c := range []struct {
		file, env, flag string
		want            int
	}{
		{want: 0},
		{file: "2", want: 2},
		{file: "2", env: "3", want: 3},
		{env: "3", want: 3},
		{file: "2", env: "3", flag: "4", want: 4},
		{file: "2", flag: "4", want: 4},
		{env: "3", flag: "0", want: 0},
	} {
		t.Run(fmt.Sprintf("file=%s env=%s flag=%s", c.file, c.env, c.flag), func(t *testing.T) {
			place(t)
			if c.file != "" {
				if err := os.WriteFile(".simctl.yaml", []byte("parallel: "+c.file+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if c.env != "" {
				t.Setenv("SIMCTL_PARALLEL", c.env)
			}
			args := []string{"run", "scenarios/other.yaml"}
			if c.flag != "" {
				args = append(args, "--parallel", c.flag)
			}
			e := &fakeEngine{}
			simctl(t, e, args...).want(t, StatusOK)
			if e.last.Parallel != c.want {
				t.Errorf("parallel = %d, want %d", e.last.Parallel, c.want)
			}
		})
	}
}

// Every setting of a run can come from each place, lists as well.
func TestSettings(t *testing.T) {
	check := func(t *testing.T, args ...string) {
		t.Helper()
		e := &fakeEngine{}
		got := simctl(t, e, append([]string{"run", "scenarios/demo.yaml"}, args...)...)
		got.want(t, StatusOK)
		if !strings.HasPrefix(got.stdout, "apiVersion: simctl.dev/v1alpha1\n") {
			t.Errorf("no YAML on standard output:\n%s", got.stdout)
		}
		if !e.last.FailFast || !e.last.CheckHistories || e.last.CacheDir != "cache" {
			t.Errorf("options = %+v", e.last)
		}
		r := result(t, "kept")
		// Two releases, one co-scheduling mode, two access modes, two repeats.
		if len(r.Cells) != 8 || r.Seed != 5 {
			t.Errorf("%d cells, seed %d", len(r.Cells), r.Seed)
		}
		for _, c := range r.Cells {
			if c.Values["coschedule"] != "disabled" || !slices.Contains([]string{"1.3.1", "1.6.0"}, c.Values["tekton"]) {
				t.Errorf("values = %v", c.Values)
			}
		}
	}
	t.Run("flags", func(t *testing.T) {
		place(t)
		check(t, "--output=yaml", "--out=kept", "--cache-dir=cache", "--fail-fast", "--check-histories", "--seed=5", "--repeats=2",
			"--tekton=1.3.1,1.6.0", "--set=coschedule=disabled", "--set=accessMode=RWO,RWX")
	})
	t.Run("environment", func(t *testing.T) {
		place(t)
		for k, v := range map[string]string{"OUTPUT": "yaml", "OUT": "kept", "CACHE_DIR": "cache", "FAIL_FAST": "true", "CHECK_HISTORIES": "true", "SEED": "5",
			"REPEATS": "2", "TEKTON": "1.3.1,1.6.0", "SET": "coschedule=disabled,accessMode=RWO,RWX"} {
			t.Setenv("SIMCTL_"+k, v)
		}
		check(t)
	})
	t.Run("file", func(t *testing.T) {
		place(t)
		file := "output: yaml\nout: kept\ncache-dir: cache\nfail-fast: true\ncheck-histories: true\nseed: 5\nrepeats: 2\ntekton: [1.3.1, 1.6.0]\n" +
			"set: [coschedule=disabled, \"accessMode=RWO,RWX\"]\n"
		if err := os.WriteFile("my.yaml", []byte(file), 0o644); err != nil {
			t.Fatal(err)
		}
		check(t, "--config", "my.yaml")
	})
}

func TestResume(t *testing.T) {
	place(t)
	ctx, cancel := context.WithCancel(t.Context())
	first := &fakeEngine{after: 2, cancel: cancel}
	got := simctlContext(ctx, first, "run", "scenarios/demo.yaml", "--repeats", "2")
	got.want(t, StatusError, "simctl: interrupted after 2 of 8 cells: go on with: simctl run --resume=")
	if len(first.ran) != 2 || !strings.Contains(got.stdout, "2 cells: 2 as expected") {
		t.Errorf("ran %v and said:\n%s", first.ran, got.stdout)
	}
	if r := result(t, latestDir); !r.Interrupted || len(r.Cells) != 2 {
		t.Errorf("interrupted = %t with %d cells", r.Interrupted, len(r.Cells))
	}
	id, err := os.Readlink(latestDir)
	if err != nil {
		t.Fatal(err)
	}

	// A later run is not the one that is named.
	simctl(t, &fakeEngine{}, "run", "scenarios/other.yaml").want(t, StatusOK)

	// An error is not a result: the cell is run again.
	second := &fakeEngine{after: 3, err: errors.New("the disk is full"), outcome: func(c scenario.Cell) verdict.Cell {
		r := success(c)
		r.Outcome, r.Error = verdict.Error, "no answer"
		return r
	}}
	simctl(t, second, "run", "--resume", id).want(t, StatusError, "2 of 8 cells finished before", "the disk is full", "3 cells could not be run: no answer")

	third := &fakeEngine{}
	got = simctl(t, third, "run", "--resume="+id)
	got.want(t, StatusOK, "2 of 8 cells finished before")
	if len(third.ran) != 6 || slices.Contains(third.ran, first.ran[0]) || !slices.Contains(third.ran, second.ran[0]) {
		t.Errorf("the third time ran %v", third.ran)
	}
	r := result(t, filepath.Join(".simctl", "runs", id))
	if r.Interrupted || len(r.Cells) != 8 || r.ID != id {
		t.Errorf("result %s, interrupted = %t, %d cells", r.ID, r.Interrupted, len(r.Cells))
	}
	for i, c := range r.Cells {
		if c.Repeat != i%2 || c.Outcome != verdict.Success {
			t.Errorf("cell %d is repeat %d with outcome %s", i, c.Repeat, c.Outcome)
		}
	}

	// Nothing is left: the engine is not started.
	fourth := &fakeEngine{}
	got = simctl(t, fourth, "run", "--resume", filepath.Join(".simctl", "runs", id)) // its folder
	got.want(t, StatusOK)
	if len(fourth.ran) > 0 || !strings.Contains(got.stdout, "8 cells: 8 as expected") {
		t.Errorf("the fourth time ran %v and said:\n%s", fourth.ran, got.stdout)
	}
}

// What has changed since is run again, and judged by what is expected now.
func TestResumeChanged(t *testing.T) {
	place(t)
	simctl(t, &fakeEngine{}, "run", "scenarios/demo.yaml", "--out", "kept").want(t, StatusOK)
	edit(t, "scenarios/demo.yaml", "outcome: success", "outcome: deadlock")

	e := &fakeEngine{}
	simctl(t, e, "run", "--resume", "--out", "kept").want(t, StatusDeviates, "scenarios/demo.yaml has changed since")
	if len(e.ran) != 0 {
		t.Errorf("an expectation that has changed ran %v", e.ran)
	}
	for _, c := range result(t, "kept").Cells {
		if want := c.Expected == "success|multi-attach"; (c.Judgement == verdict.AsExpected) != want {
			t.Errorf("%v: expected %q, %s", c.Values, c.Expected, c.Judgement)
		}
	}

	edit(t, "scenarios/demo.yaml", "count: 2", "count: 3")
	simctl(t, e, "run", "--resume", "--out", "kept").want(t, StatusDeviates)
	if len(e.ran) != 4 {
		t.Errorf("another cluster ran %v", e.ran)
	}

	// Options of the command line go over those the run began with.
	e = &fakeEngine{}
	simctl(t, e, "run", "--resume", "--out", "kept", "--repeats=2", "--set=coschedule=disabled", "--set", "accessMode=RWO").want(t, StatusOK)
	if len(e.ran) != 1 {
		t.Errorf("one repeat more ran %v", e.ran)
	}
}

func edit(t *testing.T, name, old, replacement string) {
	t.Helper()
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(raw), old) {
		t.Fatalf("%s has no %q", name, old)
	}
	if err := os.WriteFile(name, []byte(strings.Replace(string(raw), old, replacement, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
}

// A cell that cannot be kept stops the run.
func TestKeepFails(t *testing.T) {
	place(t)
	e := &fakeEngine{outcome: func(c scenario.Cell) verdict.Cell {
		r := success(c)
		r.WallSeconds = 0
		nan := 0.0
		nan /= nan
		r.MakespanSeconds = &nan // has no JSON
		return r
	}}
	simctl(t, e, "run", "scenarios/demo.yaml").want(t, StatusError, "simctl: keeping cell demo_")
	if len(e.ran) != 1 {
		t.Errorf("%d cells were run after one could not be kept", len(e.ran)-1)
	}
}

func TestValidate(t *testing.T) {
	place(t)
	got := simctl(t, &fakeEngine{}, "validate", "scenarios")
	got.want(t, StatusOK)
	want := "scenarios/demo.yaml: scenario demo: 4 cells\nscenarios/other.yaml: scenario other: 2 cells\n6 cells in all\nTekton 1.3.1: will be built, once: a build has taken about 1m30s here\nTekton 1.15.0: built in\n" +
		"how long it takes is not known: no run is kept in .simctl/runs\n"
	if got.stdout != want {
		t.Errorf("standard output:\n%s", got.stdout)
	}
	engine := &fakeEngine{}
	if dry := simctl(t, engine, "run", "--dry-run", "scenarios"); dry.stdout != want || len(engine.ran) > 0 {
		t.Errorf("a dry run ran %v and says\n%s%s", engine.ran, dry.stdout, dry.stderr)
	}
	if _, err := os.Stat(".simctl"); err == nil {
		t.Error("a dry run keeps something")
	}
	got = simctl(t, &fakeEngine{}, "validate", "scenarios/demo.yaml", "--tekton", "0.68.1")
	if !strings.Contains(got.stdout, " cells\nTekton 0.68.1: built\nhow long") {
		t.Errorf("with another release:\n%s%s", got.stdout, got.stderr)
	}
	got = simctl(t, &fakeEngine{}, "validate", "scenarios", "--set", "coschedule=disabled", "--repeats=1")
	if !strings.Contains(got.stdout, "demo: 2 cells") || !strings.Contains(got.stdout, "other: 1 cell\n") {
		t.Errorf("with settings:\n%s%s", got.stdout, got.stderr)
	}
}

// The latest run of the same scenario that came to its end says how long it takes; its
// builds do not count, nor the cells that ran side by side.
func TestEstimate(t *testing.T) {
	kept := func(id, scenario string, cells int, wall, each float64, interrupted bool) runstore.Kept {
		r := &verdict.RunResult{ID: id, WallSeconds: wall, Interrupted: interrupted}
		for range cells {
			r.Cells = append(r.Cells, verdict.Cell{Scenario: scenario, WallSeconds: each})
		}
		return runstore.Kept{Result: r}
	}
	cells := make([]scenario.Cell, 6)
	for i := range cells {
		cells[i].Scenario = "a"
	}
	for name, c := range map[string]struct {
		runs []runstore.Kept
		want string
	}{
		"none":             {nil, "how long it takes is not known: no run is kept in .simctl/runs"},
		"not at its end":   {[]runstore.Kept{{}, kept("1", "a", 3, 9, 3, true)}, "how long it takes is not known: no run is kept in .simctl/runs"},
		"the latest":       {[]runstore.Kept{kept("2", "a", 3, 9, 4, false), kept("1", "a", 3, 90, 40, false)}, "without builds about 18s, as run 2 was (3 cells in 9s)"},
		"of the same":      {[]runstore.Kept{kept("2", "b", 3, 9, 4, false), kept("1", "a", 2, 20, 12, false)}, "without builds about 1m0s, as run 1 was (2 cells in 20s)"},
		"of others":        {[]runstore.Kept{kept("2", "b", 3, 9, 4, false)}, "without builds about 18s, as run 2 of other scenarios was (3 cells in 9s)"},
		"with long builds": {[]runstore.Kept{kept("2", "a", 3, 900, 4, false)}, "without builds about 24s, as run 2 was (3 cells in 15m0s)"},
	} {
		if got := estimate(cells, c.runs); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// What is wrong and what is only missed are told at once, also of the files beside one that
// is refused.
func TestValidateAtOnce(t *testing.T) {
	place(t)
	const run = `apiVersion: tekton.dev/v1
kind: PipelineRun
metadata: {name: ci}
spec:
  pipelineSpec:
    tasks:
      - name: build
        taskSpec: {steps: [{name: run, image: ubi, env: [{name: T, valueFrom: {secretKeyRef: {name: gone, key: token}}}]}]}
---
apiVersion: tekton.dev/v1
kind: Task
metadata: {name: unused}
spec: {steps: [{name: run, image: ubi}]}
`
	const bad = `apiVersion: simctl.dev/v1alpha1
kind: Scenario
metadata: {name: NAME}
cluster: {nodePools: [{name: worker, count: 1}]}
tekton: {version: 1.15.0}
workload:
  manifests: [run.yaml]
  tasks:
    TASK: {duration: 1m}
    unused: {duration: 1m}
interventions: [{when: {task: build, phase: done}, cordon: worker-0}]
expect: [{outcome: OUTCOME}]
`
	for name, content := range map[string]string{
		"own/run.yaml":  run,
		"own/bad.yaml":  strings.NewReplacer("NAME", "bad", "TASK", "biuld", "OUTCOME", "sucess").Replace(bad),
		"own/good.yaml": strings.NewReplacer("NAME", "good", "TASK", "build", "OUTCOME", "failed").Replace(bad),
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	foresees := &fakeEngine{foreseen: []*scenario.Problem{{File: "own/run.yaml", Line: 5, Message: "refused"}}}
	got := simctl(t, foresees, "validate", "own")
	got.want(t, StatusError)
	for _, want := range []string{
		`own/bad.yaml:9:5: no pipeline task and no Task is named "biuld"; did you mean "build"?`,
		`own/bad.yaml:12:11: unknown outcome "sucess"; did you mean "success"?`,
		`own/run.yaml:8:95: warning: Secret "gone", which step run of task build of PipelineRun ci refers to, will not be found`,
		`own/run.yaml:5: warning: refused`,
		`own/bad.yaml:10:5: warning: no run has a task "unused": this model has no effect`,
		`own/good.yaml:10:5: warning: no run has a task "unused"`,
	} {
		if strings.Count(got.stderr, want) != 1 {
			t.Errorf("%q is not told once:\n%s", want, got.stderr)
		}
	}
	if dry := simctl(t, foresees, "run", "--dry-run", "own"); dry.status != StatusError || dry.stderr != got.stderr {
		t.Errorf("a dry run says\n%snot\n%s", dry.stderr, got.stderr)
	}
}

func TestVersionAndCompletion(t *testing.T) {
	t.Chdir(t.TempDir())
	got := simctl(t, &fakeEngine{}, "version")
	got.want(t, StatusOK)
	for _, v := range []string{"v0.1.0", "v1.37.2", "1.15.0", "go1.26"} {
		if !strings.Contains(got.stdout, v) {
			t.Errorf("version says nothing of %s:\n%s", v, got.stdout)
		}
	}
	got = simctl(t, &fakeEngine{}, "completion", "bash")
	got.want(t, StatusOK)
	if !strings.Contains(got.stdout, "__start_simctl") {
		t.Error("no completion for bash")
	}
}

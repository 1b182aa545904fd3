package cli

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/verdict"
)

// live runs a command line as if both outputs were terminals.
func live(ctx context.Context, e *fakeEngine, args ...string) outcome {
	var stdout, stderr bytes.Buffer
	a := &App{Engine: e, Stdout: &stdout, Stderr: &stderr, Terminal: func(io.Writer) (int, bool) { return 100, true }}
	status := a.Main(ctx, args)
	return outcome{status, stdout.String(), stderr.String()}
}

func TestLiveBar(t *testing.T) {
	place(t)
	t.Setenv("TERM", "xterm")
	got := live(t.Context(), &fakeEngine{outcome: func(c scenario.Cell) verdict.Cell {
		if c.Values["accessMode"] == "RWX" {
			return deadlock(c)
		}
		return success(c)
	}}, "run", "scenarios/demo.yaml")
	got.want(t, StatusDeviates, "(3/4", "[2/4] demo coschedule=workspaces accessMode=RWX: deadlock, expected success\n")
	if strings.Contains(got.stderr, "accessMode=RWO: success") {
		t.Errorf("a bar and a line for each cell:\n%q", got.stderr)
	}
	// The bar is gone before anything else is said.
	_, end, _ := strings.Cut(got.stderr, "(3/4")
	if !strings.Contains(end, "\x1b[2K\r") || strings.Contains(got.stderr[strings.LastIndex(got.stderr, "kept in"):], "\x1b") {
		t.Errorf("the bar is left on the screen:\n%q", got.stderr)
	}
	if !strings.Contains(got.stdout, "\x1b[31;1m✗ deadlock") {
		t.Errorf("no colours on a terminal:\n%s", got.stdout)
	}
}

func TestNoColor(t *testing.T) {
	for _, c := range []struct{ name, env, value, flag string }{
		{name: "flag", flag: "--no-color"},
		{name: "NO_COLOR", env: "NO_COLOR", value: "1"},
		{name: "dumb terminal", env: "TERM", value: "dumb"},
		{name: "own variable", env: "SIMCTL_NO_COLOR", value: "true"},
	} {
		t.Run(c.name, func(t *testing.T) {
			place(t)
			t.Setenv("TERM", "xterm")
			args := []string{"run", "scenarios/demo.yaml"}
			if c.env != "" {
				t.Setenv(c.env, c.value)
			} else {
				args = append(args, c.flag)
			}
			got := live(t.Context(), &fakeEngine{}, args...)
			got.want(t, StatusOK)
			if strings.Contains(got.stdout, "\x1b") {
				t.Errorf("colours:\n%q", got.stdout)
			}
		})
	}
}

// An interruption takes the bar away and says how to go on.
func TestLiveInterrupted(t *testing.T) {
	place(t)
	ctx, cancel := context.WithCancel(t.Context())
	got := live(ctx, &fakeEngine{after: 1, cancel: cancel}, "run", "scenarios/demo.yaml")
	got.want(t, StatusError, "simctl: interrupted after 1 of 4 cells: go on with: simctl run --resume=")
	i := strings.LastIndex(got.stderr, "\x1b[2K\r")
	if i < 0 || !strings.HasPrefix(got.stderr[i+len("\x1b[2K\r"):], "kept in ") {
		t.Errorf("the bar is left on the screen:\n%q", got.stderr)
	}
}

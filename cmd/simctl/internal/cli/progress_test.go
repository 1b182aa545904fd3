package cli

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
)

// live runs a command line as if both outputs were terminals.
func live(ctx context.Context, e *fakeEngine, args ...string) outcome {
	var stdout, stderr bytes.Buffer
	a := &App{Engine: e, Stdout: &stdout, Stderr: &stderr, Terminal: func(io.Writer) (int, bool) { return 100, true }}
	status := a.Main(ctx, args)
	return outcome{status, stdout.String(), stderr.String()}
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

package entrypoint

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1/types"
	upstream "github.com/tektoncd/pipeline/pkg/entrypoint"
	"github.com/tektoncd/pipeline/pkg/termination"
	"go.uber.org/zap"
	"k8s.io/apimachinery/pkg/selection"
)

// TestAsTekton: what is left of a turn is what Tekton's own entrypoint leaves of a program
// that does the same: the entries of the termination message, whether the post file ends
// in .err, and the exit code.
func TestAsTekton(t *testing.T) {
	long := strings.Repeat("0123456789", 500)
	for name, tc := range map[string]struct {
		args Args
		// program is what the step runs, turn the same as it is simulated.
		program func(ctx context.Context) error
		turn    func(a Args) Ending
		results map[string]string
		// skipped: the step before it has failed.
		skipped bool
	}{
		"success":           {program: exits(0), turn: ends(0)},
		"results":           {args: Args{Results: []string{"b", "a"}, StepResults: []string{"own"}}, program: exits(0), turn: ends(0, TaskResult("b", "1"), TaskResult("a", "2"), StepResult("own", "3")), results: map[string]string{"a": "2", "b": "1", "own": "3"}},
		"compressed":        {args: Args{Compress: true, Results: []string{"a"}}, program: exits(0), turn: ends(0, TaskResult("a", long)), results: map[string]string{"a": long}},
		"not smaller so":    {args: Args{Compress: true}, program: exits(0), turn: ends(0)},
		"failure":           {program: exits(3), turn: ends(3)},
		"stopAndFail":       {args: Args{OnError: "stopAndFail"}, program: exits(3), turn: ends(3)},
		"continue":          {args: Args{OnError: "continue"}, program: exits(3), turn: ends(3)},
		"killed":            {program: dies, turn: killed},
		"time-out":          {args: Args{Timeout: 10 * time.Millisecond}, program: waits, turn: takesLong},
		"continue too late": {args: Args{Timeout: 10 * time.Millisecond, OnError: "continue"}, program: waits, turn: takesLong},
		"too long":          {args: Args{Results: []string{"a"}}, program: exits(0), turn: ends(0, TaskResult("a", long)), results: map[string]string{"a": long}},
		"continue, killed":  {args: Args{OnError: "continue"}, program: dies, turn: killed},
		"within its time":   {args: Args{Timeout: time.Hour}, program: exits(0), turn: ends(0)},
		"cancelled":         {program: cancelled, turn: func(a Args) Ending { return a.Cancel(began) }},
		"when is false":     {args: Args{When: []When{{Input: "a", Operator: "in", Values: []string{"b"}}}}, program: exits(3), turn: func(a Args) Ending { return a.End(a.Turn(), began, nil) }},
		"when is true":      {args: Args{When: []When{{Input: "a", Operator: "notin", Values: []string{"b"}}}}, program: exits(3), turn: ends(3)},
		"after a failure":   {skipped: true, program: exits(0), turn: func(a Args) Ending { return a.Skip(began) }},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for name, value := range tc.results {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(value), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			post := &postFiles{}
			e := upstream.Entrypointer{
				Command: []string{"program"}, WaitFiles: []string{"before"}, PostFile: "post",
				TerminationPath: filepath.Join(dir, "termination"), StepMetadataDir: filepath.Join(dir, "step"), ResultsDirectory: dir,
				Waiter: waiter{skips: tc.skipped}, Runner: runner(tc.program), PostWriter: post,
				Results: tc.args.Results, StepResults: tc.args.StepResults, Timeout: &tc.args.Timeout, OnError: tc.args.OnError,
				CompressTerminationMessage: tc.args.Compress, ResultExtractionMethod: upstream.ResultExtractionMethodTerminationMessage,
			}
			for _, w := range tc.args.When {
				e.StepWhenExpressions = append(e.StepWhenExpressions, v1.WhenExpression{Input: w.Input, Operator: selection.Operator(w.Operator), Values: w.Values, CEL: w.CEL})
			}
			err := e.Go()
			raw, readErr := os.ReadFile(e.TerminationPath)
			if readErr != nil {
				t.Fatal(readErr)
			}
			want := fmt.Sprintf("exit %d, %s, next step skipped: %t", exitOf(err, tc.args.OnError), read(t, string(raw)), post.failed)
			left := tc.turn(tc.args)
			got := fmt.Sprintf("exit %d, %s, next step skipped: %t", left.Exit, read(t, left.Message), left.Failed)
			if got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			if compressed := strings.HasPrefix(string(raw), compressedPrefix); strings.HasPrefix(left.Message, compressedPrefix) != compressed {
				t.Errorf("compressed by Tekton: %t; here: %s", compressed, left.Message)
			}
		})
	}
}

var began = time.Date(2100, 1, 1, 0, 0, 10, 500_000_000, time.UTC)

// read reads a termination message as Tekton's controller does, dates apart.
func read(t *testing.T, message string) string {
	t.Helper()
	entries, err := termination.ParseMessage(zap.NewNop().Sugar(), message)
	if err != nil {
		t.Fatalf("%v in %q", err, message)
	}
	for i := range entries {
		if entries[i].Key == "StartedAt" {
			if _, err := time.Parse(startedAtFormat, entries[i].Value); err != nil {
				t.Error(err)
			}
			entries[i].Value = ""
		}
	}
	raw, err := json.Marshal(entries)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// exitOf is what the entrypoint's main makes of an error (cmd/entrypoint/main.go).
func exitOf(err error, onError string) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case upstream.IsContextCanceledError(err):
		return 9
	case errors.As(err, &exit):
		if onError == upstream.ContinueOnError {
			return 0
		}
		return exit.ExitCode() & 0xff
	}
	return 1
}

type runner func(ctx context.Context) error

func (r runner) Run(ctx context.Context, _ ...string) error { return r(ctx) }

// waiter waits for no file, or finds that the step before has failed.
type waiter struct{ skips bool }

func (w waiter) Wait(ctx context.Context, file string, _ bool, _ bool) error {
	switch {
	case file == upstream.DownwardMountCancelFile:
		<-ctx.Done()
		return upstream.ErrContextCanceled
	case w.skips:
		return upstream.ErrSkipPreviousStepFailed
	}
	return nil
}

// postFiles notes whether the post file ends in .err.
type postFiles struct{ failed bool }

func (p *postFiles) Write(file, _ string) {
	if file == "post.err" {
		p.failed = true
	}
}

func exits(code int) func(context.Context) error {
	return func(context.Context) error { return exec.Command("sh", "-c", fmt.Sprintf("exit %d", code)).Run() }
}

func dies(context.Context) error { return exec.Command("sh", "-c", "kill -9 $$").Run() }

func waits(ctx context.Context) error {
	<-ctx.Done()
	return upstream.ErrContextDeadlineExceeded
}

func cancelled(context.Context) error { return upstream.ErrContextCanceled }

func ends(code int32, results ...Result) func(Args) Ending {
	return func(a Args) Ending {
		t := a.Turn()
		if code != 0 {
			t.Fail(code, "")
		}
		return a.End(t, began, results)
	}
}

func killed(a Args) Ending {
	t := a.Turn()
	t.KillForMemory(137, true)
	return a.End(t, began, nil)
}

func takesLong(a Args) Ending {
	t := a.Turn()
	t.Duration = time.Hour
	a.Limit(&t)
	return a.End(t, began, nil)
}

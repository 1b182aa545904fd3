package cli

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/jedib0t/go-pretty/v6/text"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/verdict"
)

var updateLive = flag.Bool("update-live", false, "write the golden files of the live view")

// liveCells are cells of one scenario with two axes.
func liveCells(n int) []scenario.Cell {
	var out []scenario.Cell
	for i := range n {
		c := scenario.Cell{Scenario: "demo", Axes: []string{"coschedule", "nodes"}, Values: map[string]string{
			"coschedule": []string{"workspaces", "disabled"}[i%2], "nodes": fmt.Sprint(i/2 + 1), "tekton": "1.3.1"}}
		out = append(out, c)
	}
	return out
}

// TestLiveView has the view after some events at several sizes.
func TestLiveView(t *testing.T) {
	begin := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	at := func(d time.Duration) liveTick { return liveTick(begin.Add(d)) }
	started := func(c scenario.Cell) Event { return Event{Kind: EventCellStarted, Cell: &c} }
	done := func(c scenario.Cell, as string) Event {
		r := verdict.Cell{ID: c.ID(), Scenario: c.Scenario, Axes: c.Axes, Values: c.Values, Expected: "success", Judgement: verdict.AsExpected}
		r.Outcome = verdict.Outcome(as)
		if as != "success" {
			r.Judgement = verdict.NotAsExpected
		}
		return Event{Kind: EventCellDone, Cell: &c, Result: &r}
	}
	few, many := liveCells(6), liveCells(60)
	later := []any{at(0)}
	for i, c := range many[:30] {
		outcome := "success"
		if i%10 == 3 {
			outcome = "deadlock"
		}
		later = append(later, started(c), done(c, outcome))
	}
	later = append(later, at(time.Minute), started(many[30]), started(many[31]))
	builds := []any{
		at(0), Event{Kind: EventBuild, Release: "1.3.1", Message: "compiled 120 of 1900 packages, about 13m0s left"},
		Event{Kind: EventBuild, Release: "0.68.1", Message: "fetching its modules"},
		Event{Kind: EventBuild, Message: "OpenShift's SCC admission: building it, which is done once"},
		Event{Kind: EventBuilt, Release: "0.68.1"}, Event{Kind: EventControlPlane, Message: "starting the control plane"},
	}
	filling := []any{at(0), started(few[0]), done(few[0], "success"), started(few[1]), done(few[1], "deadlock"), at(10 * time.Second), started(few[2])}
	for _, c := range []struct {
		name          string
		cells         []scenario.Cell
		before        int
		messages      []any
		width, height int
		most          int
	}{
		{name: "builds", cells: few, messages: builds, width: 80, height: 24},
		{name: "filling", cells: few, messages: filling, width: 80, height: 24},
		{name: "narrow", cells: few, messages: append(builds[:4:4], filling...), width: 40, height: 24},
		{name: "narrow", cells: few, messages: append(builds[:4:4], filling...), width: 90, height: 24, most: 40},
		{name: "resumed", cells: few, before: 4, messages: []any{at(0), started(few[4]), at(4 * time.Second)}, width: 80, height: 24},
		{name: "many", cells: many, messages: later, width: 80, height: 12},
		{name: "low", cells: many, messages: later, width: 80, height: 4},
		{name: "closed", cells: few, messages: append(filling[:7:7], liveClose{}), width: 80, height: 24},
	} {
		t.Run(c.name, func(t *testing.T) {
			results := make([]*verdict.Cell, len(c.cells))
			for i := range c.before {
				results[i] = done(c.cells[i], "success").Result
			}
			v := newLiveView(c.cells, results)
			if v.String() != "" {
				t.Error("something is shown before the size is known")
			}
			v.most = c.most
			v = v.next(tea.WindowSizeMsg{Width: c.width, Height: c.height})
			for _, m := range c.messages {
				v = v.next(m)
			}
			got := v.String()
			for _, line := range strings.Split(got, "\n") {
				if w := text.StringWidthWithoutEscSequences(line); w > c.width {
					t.Errorf("a line of %d columns: %q", w, line)
				}
			}
			if n := strings.Count(got, "\n") + 1; n >= c.height {
				t.Errorf("%d lines on a terminal of %d", n, c.height)
			}
			golden := filepath.Join("testdata", "live", c.name+".txt")
			if *updateLive {
				if err := os.WriteFile(golden, []byte(got+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil || got+"\n" != string(want) {
				t.Errorf("%v; got:\n%s\nwant:\n%s", err, got, want)
			}
		})
	}
}

// onTerminal runs a command line whose standard error is a terminal, and returns what was
// written there, and whether the terminal's settings were as before while it ran and after.
func onTerminal(t *testing.T, ctx context.Context, e *fakeEngine, args ...string) (outcome, string) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminal can be had: %v", err)
	}
	defer func() { _ = master.Close() }()
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(int(tty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 30, Col: 90}); err != nil {
		t.Fatal(err)
	}
	before, err := term.GetState(int(tty.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	var seen bytes.Buffer
	var reading sync.WaitGroup
	reading.Go(func() { _, _ = io.Copy(&seen, master) })
	var stdout bytes.Buffer
	a := &App{Engine: e, Stdout: &stdout, Stderr: tty}
	status := a.Main(ctx, args)
	after, err := term.GetState(int(tty.Fd()))
	if err != nil || *after != *before {
		t.Errorf("the terminal's settings are not as they were: %v", err)
	}
	_ = tty.Close() // the reader gets an error then
	reading.Wait()
	return outcome{status, stdout.String(), ""}, seen.String()
}

// ended returns what a terminal was sent after the live view went, and fails if the cursor
// is hidden then.
func ended(t *testing.T, sent string) string {
	t.Helper()
	const hide, show = "\x1b[?25l", "\x1b[?25h"
	if !strings.Contains(sent, hide) {
		t.Errorf("no live view:\n%q", sent)
	}
	i := strings.LastIndex(sent, show)
	if i < strings.LastIndex(sent, hide) {
		t.Fatalf("the cursor stays hidden:\n%q", sent)
	}
	return sent[max(i, 0):]
}

// TestLiveTerminal: a terminal shows the matrix as it fills, and is as it was afterwards.
func TestLiveTerminal(t *testing.T) {
	place(t)
	t.Setenv("TERM", "xterm-256color")
	t.Setenv("CI", "")
	t.Setenv("NO_COLOR", "")
	t.Setenv("COLUMNS", "")
	got, sent := onTerminal(t, t.Context(), &fakeEngine{outcome: deadlock}, "run", "scenarios/demo.yaml")
	if got.status != StatusDeviates || !strings.Contains(got.stdout, "deadlock") {
		t.Errorf("%+v", got)
	}
	if after := ended(t, sent); !strings.Contains(after, "kept in ") || strings.Contains(after, "of 4 cells") {
		t.Errorf("the view is left on the screen, or what follows it is not there:\n%q", sent)
	}
}

// TestLiveInterrupted: an interruption takes the view away, and says how to go on.
func TestLiveInterrupted(t *testing.T) {
	place(t)
	t.Setenv("TERM", "xterm-256color")
	t.Setenv("CI", "")
	t.Setenv("NO_COLOR", "")
	t.Setenv("COLUMNS", "")
	ctx, cancel := context.WithCancel(t.Context())
	got, sent := onTerminal(t, ctx, &fakeEngine{after: 1, cancel: cancel}, "run", "scenarios/demo.yaml")
	if got.status != StatusError || !strings.Contains(got.stdout, "success") {
		t.Errorf("what is known is not printed: %+v", got)
	}
	if after := ended(t, sent); !strings.Contains(after, "interrupted after 1 of 4 cells: go on with: simctl run --resume=") {
		t.Errorf("not told how to go on:\n%q", sent)
	}
}

// TestPlainLines: what is no terminal, or one of few means, gets a line for each step.
func TestPlainLines(t *testing.T) {
	for _, c := range []struct{ name, variable, value, flag string }{
		{name: "a pipe"},
		{name: "NO_COLOR", variable: "NO_COLOR", value: "1"},
		{name: "a dumb terminal", variable: "TERM", value: "dumb"},
		{name: "CI", variable: "CI", value: "true"},
		{name: "the log as well", flag: "--verbose"},
	} {
		t.Run(c.name, func(t *testing.T) {
			place(t)
			t.Setenv("TERM", "xterm-256color")
			t.Setenv("CI", "")
			t.Setenv("NO_COLOR", "")
			args := []string{"run", "scenarios/demo.yaml"}
			if c.flag != "" {
				args = append(args, c.flag)
			}
			var sent string
			if c.name == "a pipe" {
				var stdout, stderr bytes.Buffer
				(&App{Engine: &fakeEngine{}, Stdout: &stdout, Stderr: &stderr}).Main(t.Context(), args)
				sent = stderr.String()
			} else {
				if c.variable != "" {
					t.Setenv(c.variable, c.value)
				}
				_, sent = onTerminal(t, t.Context(), &fakeEngine{}, args...)
			}
			if strings.Contains(sent, "\x1b") || !strings.Contains(sent, "[4/4] demo coschedule=") {
				t.Errorf("no plain lines:\n%q", sent)
			}
		})
	}
}

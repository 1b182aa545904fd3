package cli

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"
)

// TestWidth: on a terminal no table and no help has a line that is wider. Command lines,
// and what a document quotes, are whole, to be copied.
func TestWidth(t *testing.T) {
	place(t)
	if got := simctl(t, &fakeEngine{}, "run", "scenarios/demo.yaml"); got.status != StatusOK {
		t.Fatalf("%+v", got)
	}
	lines := [][]string{{"runs"}, {"tekton", "list"}, {"doctor", "scenarios/demo.yaml"}, {"show", "latest"}, {"show", "latest", "-o", "wide"},
		{"run", "scenarios/demo.yaml", "-o", "wide"}}
	var walk func(c *cobra.Command, path []string)
	walk = func(c *cobra.Command, path []string) {
		lines = append(lines, append([]string{"help"}, path...))
		for _, sub := range c.Commands() {
			walk(sub, append(path[:len(path):len(path)], sub.Name()))
		}
	}
	walk((&App{Engine: &fakeEngine{}, Terminal: func(io.Writer) (int, bool) { return 0, false }}).Command(), nil)
	for _, width := range []int{60, 80, 100, 140} {
		for _, args := range lines {
			var stdout, stderr bytes.Buffer
			a := &App{Engine: &fakeEngine{}, Stdout: &stdout, Stderr: &stderr, Terminal: func(io.Writer) (int, bool) { return width, true }}
			if status := a.Main(t.Context(), append(args, "--no-color")); status == StatusError && args[0] != "doctor" {
				t.Errorf("%s: %s", args, stderr.String())
			}
			for line := range strings.Lines(stdout.String()) {
				line = strings.TrimSuffix(line, "\n")
				copied := strings.HasPrefix(line, "    ") || strings.HasPrefix(strings.TrimSpace(line), "simctl ")
				if w := text.StringWidthWithoutEscSequences(line); w > width && (args[0] != "help" || !copied) {
					t.Errorf("%s at %d columns: %s", strings.Join(args, " "), width, fmt.Sprintf("%d: %s", w, line))
				}
			}
		}
	}
}

func TestFitLine(t *testing.T) {
	for _, c := range []struct {
		line  string
		width int
		want  string
	}{
		{"  -o, --output format   how it is printed", 0, "  -o, --output format   how it is printed"},
		{"  -o, --output format   how it is printed", 60, "  -o, --output format   how it is printed"},
		{"  -o, --output format   how it is printed", 34, "  -o, --output format\n        how it is printed"},
		{"  run         Run scenarios and more", 30, "  run         Run scenarios\n              and more"},
		{"- a list of words", 10, "- a list\n  of words"},
		{"  simctl run a/long/path.yaml", 10, "  simctl run a/long/path.yaml"},
	} {
		if got := fitLine(c.line, c.width); got != c.want {
			t.Errorf("%q at %d: %q, want %q", c.line, c.width, got, c.want)
		}
	}
}

func TestTableRow(t *testing.T) {
	for _, c := range []struct {
		line  string
		cells string
		ok    bool
	}{
		{"no row", "", false},
		{"|---|:-:|", "", true},
		{"| a | [b](#b) |", "a;b", true},
		{`| a \| b | c |`, "a | b;c", true},
	} {
		row, ok := tableRow(c.line)
		if got := strings.Join(row, ";"); got != c.cells || ok != c.ok {
			t.Errorf("%q: %q %v", c.line, got, ok)
		}
	}
}

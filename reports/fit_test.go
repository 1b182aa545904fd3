package reports

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"simctl.dev/simctl/sim/verdict"
)

// widths are those of terminals at which tables are tried.
var widths = []int{60, 80, 100, 140}

// tooWide returns the lines of text that a terminal of that width would break.
func tooWide(text string, width int) []string {
	var out []string
	for line := range strings.Lines(text) {
		if w := textWidth(strings.TrimSuffix(line, "\n")); w > width {
			out = append(out, fmt.Sprintf("%d: %s", w, line))
		}
	}
	return out
}

// wideResult has many axes, long names and characters of two columns, painted.
func wideResult() verdict.RunResult {
	var r verdict.RunResult
	seconds := 12.5
	for i, name := range []string{"build-and-push-the-container-image-of-the-service", "配置ファイルを読み込む名前空間の試験"} {
		for j := range 4 {
			c := verdict.Cell{Scenario: "a-scenario-with-a-name", Axes: []string{"pipelineWithALongAxisName", "coschedule", "accessMode", "securityContext"},
				Values: map[string]string{"pipelineWithALongAxisName": name, "coschedule": []string{"workspaces", "isolate-pipelinerun"}[j%2],
					"accessMode": []string{"ReadWriteOnce", "ReadWriteMany"}[j/2], "securityContext": "restricted-v2-with-fsgroup", "tekton": []string{"1.3.1", "1.15.0"}[i]},
				History: "cells/a-scenario-with-a-name-" + strings.Repeat("x", 50) + "/history.jsonl"}
			c.Outcome, c.Judgement, c.Expected = verdict.Success, verdict.AsExpected, "success"
			if j == 3 {
				c.Outcome, c.Judgement = verdict.Deadlock, verdict.NotAsExpected
				c.Cause = []verdict.Link{{What: "The volume is attached to another node, where a pod of the run is.", Object: "Pod a/b"}}
				c.BlockedSinceSeconds = &seconds
			} else {
				c.MakespanSeconds = &seconds
			}
			r.Cells = append(r.Cells, c)
		}
	}
	r.Statistics = verdict.Summarize(r.Cells)
	return r
}

// TestNoTableIsWiderThanTheTerminal holds all tables of results to the terminal's width.
func TestNoTableIsWiderThanTheTerminal(t *testing.T) {
	for _, width := range widths {
		for _, format := range []Format{Table, Wide} {
			for _, color := range []bool{false, true} {
				var out bytes.Buffer
				if err := Render(&out, format, wideResult(), Options{Width: width, Color: color}); err != nil {
					t.Fatal(err)
				}
				if lines := tooWide(out.String(), width); len(lines) > 0 {
					t.Errorf("%s at %d columns, colour %v: too wide:\n%s", format, width, color, strings.Join(lines, ""))
				}
			}
		}
		p := plain{style: style{limit: width}, width: width}
		table := p.table([]string{"cell", "measure", "before", "after", "sure"}, [][]string{
			{strings.Repeat("axis=value ", 9), "ownership", "1h2m3s", "2h3m4s", "yes"}, {strings.Repeat("配置", 20), "x", "y", "z", "no"}})
		if lines := tooWide(table, width); len(lines) > 0 {
			t.Errorf("a review's table at %d columns: too wide:\n%s", width, strings.Join(lines, ""))
		}
	}
}

// TestNoTerminalNoLimit: a pipe gets each row of a table on one line.
func TestNoTerminalNoLimit(t *testing.T) {
	r := wideResult()
	var out bytes.Buffer
	if err := Render(&out, Wide, r, Options{}); err != nil {
		t.Fatal(err)
	}
	for _, c := range r.Cells {
		if n := strings.Count(out.String(), c.History); n != len(r.Cells) {
			t.Fatalf("the whole of %q is there %d times", c.History, n)
		}
	}
}

func TestColumns(t *testing.T) {
	header := []string{"ID", "WHY"}
	rows := [][]string{{"20261128-120000-abcd", "the volume is attached to another node"}, {"b", "-"}}
	for _, c := range []struct {
		width int
		want  string
	}{
		{0, "ID                    WHY\n20261128-120000-abcd  the volume is attached to another node\nb                     -\n"},
		{60, "ID                    WHY\n20261128-120000-abcd  the volume is attached to another node\nb                     -\n"},
		{45, "ID                    WHY\n20261128-120000-abcd  the volume is attached\n                      to another node\nb                     -\n"},
		{15, "  ID:\n  20261128-\n  120000-abcd,\n  WHY: the\n  volume is\n  attached to\n  another node\nID: b\n"},
	} {
		got := Columns(header, rows, c.width)
		if got != c.want {
			t.Errorf("at %d:\n%s\nwant:\n%s", c.width, got, c.want)
		}
	}
}

func TestFit(t *testing.T) {
	for _, c := range []struct {
		name                   string
		natural, words, pieces []int
		room                   int
		want                   []int
		ok                     bool
	}{
		{"room for all", []int{5, 9}, []int{5, 9}, []int{5, 9}, 18, []int{5, 9}, true},
		{"the widest wraps", []int{5, 30, 10}, []int{5, 4, 10}, []int{5, 4, 10}, 42, []int{5, 21, 10}, true},
		{"no less than a word", []int{30, 20}, []int{25, 4}, []int{5, 4}, 42, []int{25, 13}, true},
		{"two are the widest", []int{30, 30}, []int{4, 4}, []int{4, 4}, 42, []int{19, 19}, true},
		{"pieces before letters", []int{30, 20}, []int{30, 20}, []int{10, 20}, 42, []int{18, 20}, true},
		{"words are broken", []int{30, 30}, []int{30, 30}, []int{30, 30}, 42, []int{19, 19}, true},
		{"too many", []int{30, 30, 30}, []int{30, 30, 30}, []int{30, 30, 30}, 20, nil, false},
	} {
		var least []int
		for _, p := range c.pieces {
			least = append(least, min(p, narrowest))
		}
		got, ok := fit(c.room, c.natural, c.words, c.pieces, least)
		if ok != c.ok || ok && !slices.Equal(got, c.want) {
			t.Errorf("%s: %v %v, want %v", c.name, got, ok, c.want)
		}
	}
}

func TestWrapCell(t *testing.T) {
	for _, c := range []struct {
		text  string
		width int
		want  string
	}{
		{"short", 10, "short"},
		{"one two three", 8, "one two\nthree"},
		{"a-name/that-is-long", 12, "a-name/that-\nis-long"},
		{"✓ success [3]", 9, "✓ success\n[3]"},
		{"word - word -", 7, "word\n- word\n-"},
		{"unbreakable", 4, "unbr\neaka\nble"},
		{"配置配置配", 5, "配置\n配置\n配"},
		{"\x1b[31mred words\x1b[0m after", 5, "\x1b[31mred\x1b[0m\n\x1b[31mwords\x1b[0m\nafter"},
	} {
		if got := wrapCell(c.text, c.width); got != c.want {
			t.Errorf("%q at %d: %q, want %q", c.text, c.width, got, c.want)
		}
	}
}

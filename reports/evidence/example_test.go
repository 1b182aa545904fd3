package evidence

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"simctl.dev/simctl/sim/runstore"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/verdict"
)

var from = flag.String("from", "", "with -update: the folder of a run of scenarios/incident.yaml, to replace the one in testdata")

// take makes the run in a folder the one in testdata.
func take(t *testing.T, run, dir string) {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	write := func(path string, v any) {
		t.Helper()
		raw, err := json.MarshalIndent(v, "", " ")
		check(err)
		check(os.MkdirAll(filepath.Dir(path), 0o755))
		check(os.WriteFile(path, append(raw, '\n'), 0o644))
	}
	info, err := runstore.ReadInfo(run)
	check(err)
	result, err := runstore.ReadResult(run)
	check(err)
	check(os.RemoveAll(dir))
	result.ID, result.Started, result.Simctl, result.WallSeconds = "example", time.Time{}, "", 0
	result.Command = append([]string{"simctl", "run"}, info.Paths...)
	write(filepath.Join(dir, "inputs.json"), info.Inputs)
	for i, c := range result.Cells {
		id := scenario.IDOf(c)
		result.Cells[i].WallSeconds = 0
		spec, err := runstore.ReadCell(run, id)
		check(err)
		write(filepath.Join(dir, id, "cell.json"), spec)
		raw, err := os.ReadFile(filepath.Join(run, "cells", id, "history.jsonl"))
		check(err)
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, err = z.Write(raw)
		check(err)
		check(z.Close())
		check(os.WriteFile(filepath.Join(dir, id, "history.jsonl.gz"), b.Bytes(), 0o644))
	}
	write(filepath.Join(dir, "result.json"), result)
}

// The run in testdata is one of scenarios/incident.yaml as it is now.
func TestExampleIsOfTheScenario(t *testing.T) {
	files, err := scenario.LoadAll([]string{filepath.Join("..", "..", "scenarios", "incident.yaml")})
	if err != nil {
		t.Fatal(err)
	}
	cells, err := scenario.Expand(files, scenario.Options{})
	if err != nil {
		t.Fatal(err)
	}
	in := load(t, "incident")
	for i, now := range files[0].Inputs() {
		if i >= len(in.Files) || filepath.Join("..", "..", in.Files[i].Path) != now.Path || in.Files[i].SHA256 != now.SHA256 {
			t.Errorf("the example was not made from %s as it is: make example", now.Path)
		}
	}
	if len(cells) != len(in.Result.Cells) {
		t.Fatalf("the scenario has %d cells, the example %d: make example", len(cells), len(in.Result.Cells))
	}
	for _, c := range cells {
		had := in.Specs[c.ID()]
		if had == nil {
			t.Errorf("the example has no cell %s: make example", c.ID())
			continue
		}
		if !reflect.DeepEqual(asMap(c.Spec), asMap(had.Spec)) || !reflect.DeepEqual(withoutSecrets(&c), withoutSecrets(had)) {
			t.Errorf("the example has another %s: make example", c.ID())
		}
	}
}

// withoutSecrets returns the objects of a cell, Secrets left out: of those no values are kept.
func withoutSecrets(c *scenario.Cell) map[string]map[string]any {
	out := objects(c)
	for k, o := range out {
		if o["kind"] == "Secret" {
			delete(out, k)
		}
	}
	return out
}

// The example in docs/ is the report of the run in testdata, as of now.
func TestExampleIsCurrent(t *testing.T) {
	if *from != "" {
		take(t, *from, filepath.Join("testdata", "incident"))
	}
	r := build(t, load(t, "incident"))
	var page bytes.Buffer
	if err := r.HTML(&page); err != nil {
		t.Fatal(err)
	}
	examples := filepath.Join("..", "..", "..", "docs", "examples")
	golden(t, filepath.Join(examples, "incident-report.html"), page.String())
	golden(t, filepath.Join(examples, "incident-report.md"), r.Markdown())
	for name, text := range map[string]string{"html": page.String(), "md": r.Markdown()} {
		// The year of the run, folders of the machine that it was made on.
		for _, private := range []string{"2026-", "/work/", "/tmp/", "/root/"} {
			if i := strings.Index(text, private); i >= 0 {
				t.Errorf("the %s example holds %q", name, text[max(0, i-60):min(len(text), i+60)])
			}
		}
	}
}

// A report that has more than fits says what it leaves out, and leaves out what matters
// least: that a cell is as expected.
func TestMarkdownOfManyCells(t *testing.T) {
	in := manyCells(500)
	for i := range in.Result.Cells {
		if i%50 == 0 {
			in.Result.Cells[i].Judgement, in.Result.Cells[i].Expected = verdict.NotAsExpected, "success"
		}
	}
	r := build(t, in)
	md := r.Markdown()
	if n := len(md); n > MarkdownLimit || n < MarkdownLimit*3/4 {
		t.Errorf("the report of %d cells has %d characters, want few less than %d", len(in.Result.Cells), n, MarkdownLimit)
	}
	left := regexp.MustCompile(`(?m)^> Left out here.* (\d+) rows of the matrix.*--output report\.html`).FindStringSubmatch(md)
	if left == nil {
		t.Fatalf("it is not said what is left out: %s", md[:2000])
	}
	expected, others := 0, 0
	for _, line := range strings.Split(md[:strings.Index(md, "## Root causes")], "\n") {
		switch {
		case strings.HasPrefix(line, "| ") && strings.Contains(line, "as expected"):
			expected++
		case strings.HasPrefix(line, "| ") && strings.Contains(line, "expected success"):
			others++
		}
	}
	if others != 10 {
		t.Errorf("%d of the 10 rows that are not as expected are there", others)
	}
	if n, err := strconv.Atoi(left[1]); err != nil || n+expected+others != 500 {
		t.Errorf("%d and %d rows are there, and %s are said to be left out: of 500", expected, others, left[1])
	}
	for i := range r.Causes {
		if !strings.Contains(md, fmt.Sprintf("<a id=\"cause-%d\">", i+1)) {
			t.Errorf("cause %d is left out: %s", i+1, r.Causes[i].Root.What)
		}
	}
	landed(t, md)
}

// landed holds that every link within a report leads to something in it.
func landed(t *testing.T, md string) {
	t.Helper()
	for _, m := range regexp.MustCompile(`\]\(#([^)\s]+)\)`).FindAllStringSubmatch(md, -1) {
		if !strings.Contains(md, `<a id="`+m[1]+`">`) {
			t.Errorf("the link to %s does not land", m[1])
		}
	}
}

// What fits is there whole, and nothing is said to be left out.
func TestMarkdownOfFewCells(t *testing.T) {
	r := build(t, manyCells(10))
	md := r.Markdown()
	if strings.Contains(md, "Left out here") || strings.Count(md, "<a id=\"cell-") != 10 {
		t.Errorf("%d cells have a section: %s", strings.Count(md, "<a id=\"cell-"), md[:1000])
	}
	landed(t, md)
}

package evidence

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"simctl.dev/simctl/sim/runstore"
	"simctl.dev/simctl/sim/scenario"
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

// Markdown of hundreds of changes stays readable.
func TestMarkdownOfManyCells(t *testing.T) {
	in := manyCells(500)
	r := build(t, in)
	md := r.Markdown()
	if len(md) > 1_500_000 {
		t.Errorf("the report of %d cells has %d bytes", len(in.Result.Cells), len(md))
	}
	rows := 0
	for _, line := range strings.Split(md[:strings.Index(md, "## Root causes")], "\n") {
		if strings.HasPrefix(line, "| ") {
			rows++
		}
	}
	// A row for each cell, a header for each scenario, and the three of the summary.
	if want := len(in.Result.Cells) + len(r.Scenarios) + 3; rows != want {
		t.Errorf("the matrix has %d rows, want %d", rows, want)
	}
}

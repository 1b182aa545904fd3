package evidence

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
)

// The example in docs/ is the report of the run in testdata, as of now.
func TestExampleIsCurrent(t *testing.T) {
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

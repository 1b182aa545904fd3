package reports

import (
	"encoding/json"
	"fmt"
	"io"

	"sigs.k8s.io/yaml"

	"simctl.dev/simctl/sim/verdict"
)

// APIVersion and Kind of a rendered result.
const (
	APIVersion = "simctl.dev/v1alpha1"
	Kind       = "RunResult"
)

// Format is a way to show a result.
type Format string

// The formats.
const (
	Table Format = "table"
	Wide  Format = "wide"
	JSON  Format = "json"
	YAML  Format = "yaml"
	Name  Format = "name" // the IDs of the cells
	CSV   Format = "csv"
)

// Formats are all formats, the default first.
var Formats = []Format{Table, Wide, JSON, YAML, Name, CSV}

// ParseFormat returns the format of that name, or an error that lists them.
func ParseFormat(name string) (Format, error) {
	return parse("output format", name, Formats)
}

// Options say how a table may look; the other formats take none of them.
type Options struct {
	// Width is the number of columns that tables stay within, and text where that is
	// possible. 0 is no terminal: text and the choice of columns take 120, and tables are
	// as wide as what is in them.
	Width int
	// Color allows ANSI colours.
	Color bool
	// Fold says whether a matrix shows only the axes that matter; empty is [FoldLarge].
	Fold Fold
	// Selected says that the result has some of a run's cells only ([Select]).
	Selected bool
}

const defaultWidth = 120

// look is the style that the options ask for, with the options that say how wide text is.
func (o Options) look() (style, Options) {
	s := style{color: o.Color, limit: max(o.Width, 0)}
	if o.Width <= 0 {
		o.Width = defaultWidth
	}
	return s, o
}

// Render writes r to w in format f. The error is w's, or says that the format
// is unknown.
func Render(w io.Writer, f Format, r verdict.RunResult, o Options) error {
	look, o := o.look()
	var out []byte
	switch f {
	case JSON:
		raw, err := json.MarshalIndent(Normalize(r), "", "  ")
		if err != nil {
			return fmt.Errorf("rendering the result as JSON: %w", err)
		}
		out = append(raw, '\n')
	case YAML:
		raw, err := yaml.Marshal(Normalize(r))
		if err != nil {
			return fmt.Errorf("rendering the result as YAML: %w", err)
		}
		out = raw
	case Name:
		out = []byte(renderNames(r.Cells))
	case CSV:
		text, err := renderCSV(r.Cells)
		if err != nil {
			return fmt.Errorf("rendering the result as CSV: %w", err)
		}
		out = []byte(text)
	case Wide:
		out = []byte(renderWide(r, look))
	case Table:
		out = []byte(renderTable(r, o, look))
	default:
		_, err := ParseFormat(string(f))
		return err
	}
	if _, err := w.Write(out); err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	return nil
}

// Normalize returns r with its version and kind set and with empty lists where
// lists are nil, so that readers of the JSON never meet a null list.
func Normalize(r verdict.RunResult) verdict.RunResult {
	r.APIVersion, r.Kind = APIVersion, Kind
	r.Command = nonNil(r.Command)
	r.Statistics = nonNil(r.Statistics)
	cells := make([]verdict.Cell, len(r.Cells))
	for i, c := range r.Cells {
		c.Axes = nonNil(c.Axes)
		c.Cause = nonNil(c.Cause)
		c.Timing.Tasks = nonNil(c.Timing.Tasks)
		c.Timing.Nodes = nonNil(c.Timing.Nodes)
		cells[i] = c
	}
	r.Cells = cells
	return r
}

func nonNil[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// Deviates says that a cell did not do what its scenario expects, or that
// simctl could not run it. A cell of which nothing is expected never deviates.
func Deviates(c verdict.Cell) bool {
	return c.Outcome == verdict.Error || c.Judgement == verdict.NotAsExpected
}

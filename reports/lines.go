package reports

import (
	"encoding/csv"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"simctl.dev/simctl/sim/impact"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/verdict"
)

// renderNames has the ID of each cell in a line.
func renderNames(cells []verdict.Cell) string {
	var b strings.Builder
	for _, c := range cells {
		b.WriteString(scenario.IDOf(c) + "\n")
	}
	return b.String()
}

// valuesPrefix stands before the name of an axis where it heads a column, so that no axis
// is taken for another column.
const valuesPrefix = "values."

// valueColumns are the axes of all scenarios, each once, the release first.
func valueColumns(axes func(yield func([]string) bool)) []string {
	out := []string{tektonKey}
	for of := range axes {
		for _, a := range of {
			if !slices.Contains(out, a) {
				out = append(out, a)
			}
		}
	}
	return out
}

// renderCSV has a row for each cell; docs/result.md names the columns. A value that a cell
// has not is empty.
func renderCSV(cells []verdict.Cell) (string, error) {
	axes := valueColumns(func(yield func([]string) bool) {
		for _, c := range cells {
			if !yield(c.Axes) {
				return
			}
		}
	})
	header := []string{"id", "scenario"}
	for _, a := range axes {
		header = append(header, valuesPrefix+a)
	}
	rows := [][]string{append(header, "repeat", "outcome", "recovered", "expected", "asExpected",
		"makespanSeconds", "blockedSinceSeconds", "rule", "cause", "history")}
	for _, c := range cells {
		row := []string{scenario.IDOf(c), c.Scenario}
		for _, a := range axes {
			row = append(row, c.Values[a])
		}
		asExpected := ""
		if c.Judgement != verdict.NothingExpected && c.Outcome != verdict.Error {
			asExpected = strconv.FormatBool(c.Judgement == verdict.AsExpected)
		}
		rows = append(rows, append(row, strconv.Itoa(c.Repeat), string(c.Outcome), strconv.FormatBool(c.Recovered), c.Expected, asExpected,
			number(c.MakespanSeconds), number(c.BlockedSinceSeconds), c.Root().Rule, root(c), c.History))
	}
	return writeCSV(rows)
}

// reviewCSV has a row for each change; docs/upgrade.md names the columns.
func reviewCSV(r impact.Review) (string, error) {
	axes := without(valueColumns(func(yield func([]string) bool) {
		for _, s := range r.Steps {
			for _, c := range s.Changes {
				if !yield(c.Axes) {
					return
				}
			}
		}
	}), []string{tektonKey})
	header := []string{"from", "to", "change", "scenario"}
	for _, a := range axes {
		header = append(header, valuesPrefix+a)
	}
	rows := [][]string{append(header, "before", "after", "rule", "cause", "mends")}
	for _, s := range r.Steps {
		for _, c := range s.Changes {
			row := []string{s.From.Version, s.To.Version, string(c.Effect()), c.Scenario}
			for _, a := range axes {
				row = append(row, c.Values[a])
			}
			var last verdict.Link
			if n := len(c.Chain); n > 0 {
				last = c.Chain[n-1]
			}
			var mends []string
			for _, m := range c.Remedies {
				if m.Mends {
					mends = append(mends, m.Name)
				}
			}
			rows = append(rows, append(row, c.From.Text(), c.To.Text(), last.Rule, strings.Join(strings.Fields(last.What), " "), strings.Join(mends, " ")))
		}
	}
	return writeCSV(rows)
}

func writeCSV(rows [][]string) (string, error) {
	var b strings.Builder
	w := csv.NewWriter(&b)
	if err := w.WriteAll(rows); err != nil {
		return "", fmt.Errorf("writing rows: %w", err)
	}
	return b.String(), nil
}

// number is empty if there is none.
func number(v *float64) string {
	if v == nil {
		return ""
	}
	return strconv.FormatFloat(*v, 'f', -1, 64)
}

package reports

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"

	"simctl.dev/simctl/sim/verdict"
)

// renderWide has one row for each cell, with everything that fits a row.
func renderWide(r verdict.RunResult, s style) string {
	var b strings.Builder
	for _, g := range layout(r.Cells) {
		axes := axisNames(g.cells)
		t := newTable(s, s.within(0))
		header := table.Row{"scenario"}
		for _, a := range axes {
			header = append(header, a)
		}
		isAxis := slices.Contains(axes, tektonKey)
		if !isAxis {
			header = append(header, tektonKey)
		}
		t.AppendHeader(append(header, "repeat", "outcome", "recovered", "expected", "as expected",
			"makespan", "stopped at", "nodes", "attaches", "detaches",
			"attaching", "mounting", "ownership", "pulling", "tasks", "wall", "history", "root cause", "refused, not run, done again, left behind"))
		for _, c := range g.cells {
			row := table.Row{c.Scenario}
			for _, a := range axes {
				row = append(row, c.Values[a])
			}
			if !isAxis {
				row = append(row, c.Values[tektonKey])
			}
			t.AppendRow(append(row, c.Repeat, paintOutcome(c, s), c.Recovered, orNone(c.Expected), asExpected(c),
				durationOrNone(c.MakespanSeconds), durationOrNone(c.BlockedSinceSeconds),
				orNone(strings.Join(c.Timing.Nodes, ",")), c.Timing.Attaches, c.Timing.Detaches,
				Duration(c.Timing.AttachSeconds), Duration(c.Timing.MountSeconds),
				Duration(c.Timing.OwnershipSeconds), Duration(c.Timing.PullSeconds),
				orNone(tasks(c.Timing)), Duration(c.WallSeconds), orNone(c.History), orNone(root(c)), orNone(conduct(c))))
		}
		b.WriteString(t.Render())
		b.WriteString("\n\n")
	}
	b.WriteString(s.hang(summary(r, s), 0) + "\n")
	return b.String()
}

func paintOutcome(c verdict.Cell, s style) string {
	switch {
	case Deviates(c):
		return s.bad(string(c.Outcome))
	case c.Outcome == verdict.Success:
		return s.good(string(c.Outcome))
	}
	return s.held(string(c.Outcome))
}

func asExpected(c verdict.Cell) string {
	if c.Judgement == verdict.NothingExpected && c.Outcome != verdict.Error {
		return c.Judgement.String()
	}
	return fmt.Sprint(!Deviates(c))
}

// tasks names every task with how long its steps ran.
func tasks(timing verdict.Timing) string {
	var parts []string
	for _, t := range timing.Tasks {
		parts = append(parts, timing.Title(t)+" "+durationOrNone(t.Running))
	}
	return strings.Join(parts, ", ")
}

// root is the last link of the chain, on one line.
func root(c verdict.Cell) string {
	if c.Error != "" {
		return strings.Join(strings.Fields(c.Error), " ")
	}
	if len(c.Cause) == 0 {
		return ""
	}
	return strings.Join(strings.Fields(c.Cause[len(c.Cause)-1].What), " ")
}

func orNone(s string) string {
	if s == "" {
		return markNone
	}
	return s
}

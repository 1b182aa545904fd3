package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"simctl.dev/simctl/reports"
	"simctl.dev/simctl/reports/evidence"
	"simctl.dev/simctl/sim/runstore"
	"simctl.dev/simctl/sim/timeline"
	"simctl.dev/simctl/sim/verdict"
)

func (a *App) explainCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "explain RUN CELL",
		Short: "Explain what became of a cell: the causal chain and the time line",
		Long: `Explain what became of a cell: the causal chain from the symptom to the root, each
link with its evidence, and what went on in virtual time.

` + runHelp + `
CELL is a cell's ID, the beginning of it, or axis=value pairs joined by commas, of
which scenario and repeat may be two. Where that are several, they are listed.`,
		Example:           "  simctl explain latest change=as-reported\n  simctl explain latest incident_tekton",
		Args:              wants(2, "which run, and which of its cells? Name both", "latest change=as-reported"),
		ValidArgsFunction: completeCells,
		RunE: func(_ *cobra.Command, args []string) error {
			r, err := openRun(args[0])
			if err != nil {
				return err
			}
			cells, err := r.selectCells(args[1])
			if err != nil {
				return err
			}
			if len(cells) == 1 {
				return r.explain(a.Stdout, cells[0])
			}
			width, _ := a.Terminal(a.Stdout)
			return r.list(a.Stdout, cells, args, width)
		},
	}
}

// list has a line for each of several cells: its ID, what became of it, and the root of
// why. A line is cut at width unless that is 0.
func (r *keptRun) list(w io.Writer, cells []int, args []string, width int) error {
	var rows [][]string
	for _, i := range cells {
		c := r.result.Cells[i]
		outcome := string(c.Outcome)
		if c.Recovered {
			outcome += " (finished)"
		}
		if reports.Deviates(c) && c.Outcome != verdict.Error {
			outcome += ", not as expected"
		}
		why := c.Error
		if root := c.Root(); root.What != "" {
			why = root.What
		}
		rows = append(rows, []string{r.ids[i], outcome, cmp.Or(oneLine(why), "-")})
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s are %s. Name one by its ID, the beginning of it or more values:\n  simctl explain %s %s\n\n",
		cellCount(len(cells)), args[1], args[0], r.ids[cells[0]])
	for line := range strings.Lines(reports.Columns([]string{"CELL", "OUTCOME", "WHY"}, rows, 0)) {
		line = strings.TrimSuffix(line, "\n")
		if width > 0 {
			line = shorten(line, width)
		}
		b.WriteString(line + "\n")
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("listing the cells: %w", err)
	}
	return nil
}

// explain writes all that is to be said of a cell.
func (r *keptRun) explain(w io.Writer, i int) error {
	c := r.result.Cells[i]
	var b strings.Builder
	fmt.Fprintf(&b, "Cell      %s\n", r.ids[i])
	for _, axis := range c.Axes {
		fmt.Fprintf(&b, "          %s = %s\n", axis, c.Values[axis])
	}
	fmt.Fprintf(&b, "Outcome   %s", c.Outcome)
	if c.Recovered {
		b.WriteString(" (the run still finished)")
	}
	switch {
	case c.Outcome == verdict.Error:
	case c.Judgement == verdict.NotAsExpected:
		fmt.Fprintf(&b, ", expected %s", strings.ReplaceAll(c.Expected, "|", " or "))
	default:
		fmt.Fprintf(&b, ", %s", c.Judgement)
	}
	b.WriteString("\n")
	if c.MakespanSeconds != nil {
		fmt.Fprintf(&b, "Makespan  %s\n", reports.Duration(*c.MakespanSeconds))
	}
	if c.BlockedSinceSeconds != nil {
		fmt.Fprintf(&b, "Stopped   at %s\n", reports.Duration(*c.BlockedSinceSeconds))
	}
	if len(c.Busy) > 0 {
		fmt.Fprintf(&b, "Busy      Tekton's controller follows its own writes without end: %s\n", strings.Join(c.Busy, ", "))
	}
	for _, said := range c.Conduct.Sentences() {
		fmt.Fprintf(&b, "Besides   %s\n", oneLine(said))
	}
	if len(c.NeverEnd) > 0 {
		fmt.Fprintf(&b, "Never ends %s\n", strings.Join(c.NeverEnd, ", "))
	}
	if c.Bound != "" {
		fmt.Fprintf(&b, "Bound     ended after %s, while things went on\n", c.Bound)
	}
	if c.Outcome == verdict.Error {
		fmt.Fprintf(&b, "\nsimctl could not run the cell: %s\n", c.Error)
	}
	if len(c.Cause) > 0 {
		b.WriteString("\nWhy\n")
	}
	for n, l := range c.Cause {
		fmt.Fprintf(&b, "\n%3d. %s\n", n+1, l.What)
		if l.Rule != "" {
			fmt.Fprintf(&b, "     rule %s\n", l.Rule)
		}
		if l.Object != "" && !strings.Contains(l.What, l.Object) {
			fmt.Fprintf(&b, "     %s\n", l.Object)
		}
		for _, line := range strings.Split(l.Evidence, "\n") {
			if line != "" {
				fmt.Fprintf(&b, "     | %s\n", line)
			}
		}
		if len(l.Behind) > 0 {
			b.WriteString("     and so it stays:\n")
		}
		for _, x := range l.Behind {
			fmt.Fprintf(&b, "     - %s\n", x.What)
		}
	}
	entries, err := runstore.ReadHistory(r.dir, r.ids[i])
	switch {
	case errors.Is(err, runstore.ErrNotKept):
		b.WriteString("\nThe run kept no history of this cell: the time line has its pods only.\n")
	case err != nil:
		return err
	}
	of, err := timeline.Read(entries)
	if err != nil {
		return err
	}
	b.WriteString("\nTime line (virtual time since the cell began)\n\n")
	b.WriteString(evidence.NewTimeLine(c, of).Text())
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("writing the explanation: %w", err)
	}
	return nil
}

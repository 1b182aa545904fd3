package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"simctl.dev/simctl/reports"
)

func (a *App) showCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show RUN",
		Short: "Show the result of a run again",
		Long: `Show the result of a run that is kept, as simctl run did, or some of its cells:
those that are failing (did not do their work), changed (do not end alike on all
releases; both sides are shown) or unexpected (not as the scenario expects).

` + runHelp,
		Example: `  simctl show latest
  simctl show latest --only failing
  simctl show 20261027 --only unexpected -o name
  simctl show latest -o jsonpath='{range .cells[*]}{.id}{"\t"}{.outcome}{"\n"}{end}'`,
		Args:              wants(1, "which run? Name one", "latest"),
		ValidArgsFunction: completeRuns,
		RunE:              a.show,
	}
	outputFlag(cmd, "result", resultFormats()...)
	foldFlag(cmd)
	choices := names(reports.Onlys)
	cmd.Flags().String("only", "", "show only the `cells` that are "+alternatives(choices))
	completeFlag(cmd, "only", cobra.FixedCompletions(choices, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (a *App) show(cmd *cobra.Command, args []string) error {
	c, err := newConfig(cmd)
	if err != nil {
		return err
	}
	out, err := parseResultOutput(c.string("output"))
	if err != nil {
		return err
	}
	fold, err := reports.ParseFold(c.string("fold"))
	if err != nil {
		return err
	}
	noColor, err := c.bool("no-color")
	if err != nil {
		return err
	}
	only := c.string("only")
	if only != "" {
		if _, err := reports.ParseOnly(only); err != nil {
			return err
		}
	}
	r, err := openRun(args[0])
	if err != nil {
		return err
	}
	result := r.result
	if only != "" {
		if result, err = reports.Select(result, reports.Only(only)); err != nil {
			return err
		}
		if len(result.Cells) == 0 {
			fmt.Fprintf(a.Stderr, "none of the run's %s is %s\n", cellCount(len(r.result.Cells)), only)
			if !out.document() {
				return nil
			}
		}
	}
	width, live := a.Terminal(a.Stdout)
	return out.render(a.Stdout, result, reports.Options{Width: width, Color: a.color(settings{noColor: noColor}, live), Fold: fold, Selected: only != ""})
}

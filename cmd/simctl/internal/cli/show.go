package cli

import (
	"github.com/spf13/cobra"

	"simctl.dev/simctl/reports"
)

func (a *App) showCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:               "show RUN",
		Short:             "Show the result of a run again",
		Long:              "Show the result of a run that is kept, as simctl run did.\n\n" + runHelp,
		Example:           "  simctl show latest\n  simctl show 20261027 -o json",
		Args:              wants(1, "which run? Name one", "latest"),
		ValidArgsFunction: completeRuns,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := newConfig(cmd)
			if err != nil {
				return err
			}
			format, err := reports.ParseFormat(formatName(c.string("output")))
			if err != nil {
				return err
			}
			noColor, err := c.bool("no-color")
			if err != nil {
				return err
			}
			r, err := openRun(args[0])
			if err != nil {
				return err
			}
			width, live := a.Terminal(a.Stdout)
			return reports.Render(a.Stdout, format, r.result,
				reports.Options{Width: width, Color: a.color(settings{noColor: noColor}, live)})
		},
	}
	outputFlag(cmd, "result", resultFormats()...)
	return cmd
}

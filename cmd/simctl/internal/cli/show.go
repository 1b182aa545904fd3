package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"simctl.dev/simctl/reports"
	"simctl.dev/simctl/sim/impact"
	"simctl.dev/simctl/sim/runstore"
)

func (a *App) showCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show RUN",
		Short: "Show the result of a run again",
		Long: `Show the result of a run that is kept, as simctl run did, or some of its cells:
those that are failing (did not do their work), changed (do not end alike on all
releases; both sides are shown) or unexpected (not as the scenario expects). With
--review it is what simctl upgrade found out.

` + runHelp,
		Example: `  simctl show latest
  simctl show latest --only failing
  simctl show 20261027 --only unexpected -o name
  simctl show latest --review -o html > review.html
  simctl show latest -o jsonpath='{range .cells[*]}{.id}{"\t"}{.outcome}{"\n"}{end}'`,
		Args:              wants(1, "which run? Name one", "latest"),
		ValidArgsFunction: completeRuns,
		RunE:              a.show,
	}
	outputFlag(cmd, "result", resultFormats()...)
	foldFlag(cmd)
	choices := names(reports.Onlys)
	cmd.Flags().Bool("review", false, "show the review that simctl upgrade made of it, in the formats that upgrade has")
	cmd.Flags().String("only", "", "show only the `cells` that are "+alternatives(choices))
	completeFlag(cmd, "only", cobra.FixedCompletions(choices, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (a *App) show(cmd *cobra.Command, args []string) error {
	c, err := newConfig(cmd)
	if err != nil {
		return err
	}
	if review, err := c.bool("review"); err != nil || review {
		return errors.Join(err, a.showKeptReview(c, args[0]))
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

// showKeptReview prints the review in a run's folder.
func (a *App) showKeptReview(c *config, name string) error {
	out, err := parseReviewOutput(c.string("output"))
	if err != nil {
		return err
	}
	for _, other := range []string{"only", "fold"} {
		if c.given(other) {
			return fmt.Errorf("--%s is for results: leave --review or it out", other)
		}
	}
	noColor, err := c.bool("no-color")
	if err != nil {
		return err
	}
	dir, err := runstore.Find(runsDir, name)
	if err != nil {
		return fmt.Errorf("%w: see simctl runs", err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, reviewFile))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no review of %s: simctl upgrade makes them, once two releases can be compared", name)
	}
	var r impact.Review
	if err == nil {
		err = json.Unmarshal(raw, &r)
	}
	if err != nil {
		return fmt.Errorf("reading the review of %s: %w", name, err)
	}
	width, live := a.Terminal(a.Stdout)
	return out.render(a.Stdout, r, reports.Options{Width: width, Color: a.color(settings{noColor: noColor}, live)})
}

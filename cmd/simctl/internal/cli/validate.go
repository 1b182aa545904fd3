package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"simctl.dev/simctl/sim/runstore"
	"simctl.dev/simctl/sim/scenario"
)

func (a *App) validateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "validate PATH...",
		Short: "Check scenario files, and say what a run of them would be",
		Long: `Load scenario files and the manifests they name, expand their axes, and say how
many cells each has, which releases are built first and how long it takes, by runs
and builds before. What the runs will not find - Secrets, ConfigMaps, their keys,
claims, storage classes, nodes that take their pods, on OpenShift an SCC that does - is a
warning, since a scenario may mean to show that; so is a task model for no task. No
control plane is started.`,
		Args: needPaths,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := newConfig(cmd)
			if err != nil {
				return err
			}
			o, err := c.expansion(runstore.Options{})
			if err != nil {
				return err
			}
			return a.validate(cmd.Context(), c.string("cache-dir"), args, o)
		},
	}
	cacheFlag(cmd.Flags())
	expansionFlags(cmd)
	return cmd
}

// validate checks scenarios and says what a run of them would be.
func (a *App) validate(ctx context.Context, cacheDir string, paths []string, o runstore.Options) error {
	in, err := expand(paths, o)
	if err != nil {
		// All is told at once, as far as it can be.
		cells := scenario.Partial(err)
		for _, f := range in.loaded() {
			more, _ := f.Cells(scenario.Options{})
			cells = append(cells, more...)
		}
		return errors.Join(a.warn(cells, scenario.Problems(err)), err)
	}
	if err := a.warn(in.cells, nil); err != nil {
		return err
	}
	return a.plan(ctx, cacheDir, in)
}

// warn tells what the cells' runs are likely to miss, a line each, but for what stands
// where something is told to be wrong.
func (a *App) warn(cells []scenario.Cell, wrong []*scenario.Problem) error {
	told := map[string]bool{}
	for _, p := range wrong {
		told[p.Place()] = true
	}
	var lines []string
	for i := range cells {
		if cells[i].Repeat > 0 {
			continue
		}
		refused, err := a.Engine.Foresee(&cells[i])
		if err != nil {
			return err
		}
		for _, p := range append(cells[i].Warnings(), refused...) {
			if told[p.Place()] {
				continue
			}
			line := fmt.Sprintf("%s: warning: %s", p.Place(), p.Message)
			if !slices.Contains(lines, line) {
				lines = append(lines, line)
				fmt.Fprintln(a.Stderr, line)
			}
		}
	}
	return nil
}

func needPaths(cmd *cobra.Command, args []string) error {
	return some("which scenarios? Name files or folders", "scenarios/")(cmd, args)
}

func cellCount(n int) string {
	if n == 1 {
		return "1 cell"
	}
	return fmt.Sprintf("%d cells", n)
}

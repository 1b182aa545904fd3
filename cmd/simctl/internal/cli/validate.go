package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"simctl.dev/simctl/sim/runstore"
)

func (a *App) validateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "validate PATH...",
		Short: "Check scenario files and count their cells",
		Long: `Load scenario files and the manifests they name, expand their axes, and say how
many cells each has. What the runs will not find - Secrets, ConfigMaps, their keys,
claims, storage classes, nodes that take their pods - is a warning, since a scenario
may mean to show that. No control plane is started.`,
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
			in, err := expand(args, o)
			if err != nil {
				return err
			}
			cells := map[string]int{}
			for _, c := range in.cells {
				cells[c.File]++
			}
			for _, f := range in.files {
				warned := map[string]bool{}
				for _, c := range in.cells {
					if c.File != f.Path || c.Repeat > 0 {
						continue
					}
					for _, w := range c.Warnings() {
						if !warned[w] {
							fmt.Fprintf(a.Stderr, "%s: warning: %s\n", f.Path, w)
						}
						warned[w] = true
					}
				}
				fmt.Fprintf(a.Stdout, "%s: scenario %s: %s\n", f.Path, f.Scenario.Metadata.Name, cellCount(cells[f.Path]))
			}
			if len(in.files) > 1 {
				fmt.Fprintf(a.Stdout, "%s in all\n", cellCount(len(in.cells)))
			}
			return nil
		},
	}
	expansionFlags(cmd)
	return cmd
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

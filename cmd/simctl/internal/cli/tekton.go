package cli

import (
	"errors"
	"fmt"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"
)

func (a *App) tektonCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tekton",
		Short: "List and build Tekton releases",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return cmd.Help()
		},
	}
	cmd.PersistentFlags().String("cache-dir", "", "folder of the builds of Tekton (default under the user cache directory)")
	cmd.AddCommand(a.tektonListCommand(), a.tektonBuildCommand())
	return cmd
}

func (a *App) tektonListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the Tekton releases that are known",
		Long: `List the Tekton releases that are known, and what of them is ready to run. Any
other exact version from 0.44.0 on can be named as well.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := newConfig(cmd)
			if err != nil {
				return err
			}
			releases, err := a.Engine.Releases(c.string("cache-dir"))
			if err != nil {
				return fmt.Errorf("listing the Tekton releases: %w", err)
			}
			t := table.NewWriter()
			st := table.StyleLight
			st.Options = table.Options{}
			st.Format.Header = text.FormatDefault
			st.Box.PaddingLeft, st.Box.PaddingRight = "", "  "
			t.SetStyle(st)
			t.SuppressTrailingSpaces()
			t.AppendHeader(table.Row{"TEKTON", "OPENSHIFT PIPELINES", "STATE"})
			for _, r := range releases {
				state := "to be built"
				switch {
				case r.BuiltIn:
					state = "built in"
				case r.Built:
					state = "built"
				}
				osp := r.OpenShiftPipelines
				if osp == "" {
					osp = "-"
				}
				t.AppendRow(table.Row{r.Version, osp, state})
			}
			_, err = fmt.Fprintln(a.Stdout, t.Render())
			return err
		},
	}
}

func (a *App) tektonBuildCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "build VERSION...",
		Short: "Build Tekton releases ahead of their use",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("which releases? Name at least one, as in: simctl tekton build 1.3.1")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := newConfig(cmd)
			if err != nil {
				return err
			}
			var errs []error
			for _, version := range args {
				path, err := a.Engine.Build(cmd.Context(), c.string("cache-dir"), version, func(line string) {
					fmt.Fprintf(a.Stderr, "tekton %s: %s\n", version, line)
				})
				if cmd.Context().Err() != nil {
					return fmt.Errorf("interrupted while building Tekton %s: run it again to go on", version)
				}
				if err != nil {
					// The other releases may still be built.
					errs = append(errs, err)
					continue
				}
				fmt.Fprintf(a.Stdout, "%s\t%s\n", version, path)
			}
			return errors.Join(errs...)
		},
	}
}

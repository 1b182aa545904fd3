package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (a *App) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Say which versions simctl consists of",
		Args:  noArgs,
		RunE:  func(*cobra.Command, []string) error { return a.printVersions() },
	}
}

func (a *App) printVersions() error {
	_, err := fmt.Fprintf(a.Stdout, "simctl      %s\nKubernetes  %s\nTekton      %s (built in)\nGo          %s\n",
		a.Versions.Simctl, a.Versions.Kubernetes, a.Versions.Tekton, a.Versions.Go)
	return err
}

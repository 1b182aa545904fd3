package cli

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

var (
	//go:embed templates/scenario.yaml
	scenarioTemplate string
	//go:embed templates/pipeline.yaml
	pipelineTemplate string
)

func (a *App) initCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "init [FILE | --from PATH...]",
		Short: "Write a scenario to start from, or one of your own manifests",
		Long: `Write a commented scenario to start from, and a small pipeline beside it. FILE is
scenario.yaml if it is not named.

With --from, make a scenario of manifests of yours: files, folders, kustomizations,
Helm charts with their own values, or - for standard input. A Pipeline without a run
gets one. What the runs refer to and the manifests do not have (Tasks, StepActions,
ServiceAccounts, Secrets, ConfigMaps, claims) is made up from what the references
use, in stubs.yaml, and marked. The cluster gets the nodes, classes and OpenShift
that the manifests demand. Manifests in files stay where they are; those of standard
input, and what a chart gives, are kept.

Nothing that is there is overwritten.`,
		Example: "  simctl init\n  simctl init scenarios/mine.yaml\n  simctl init --from tekton/ --param image-url=quay.io/me/app\n  kustomize build overlays/prod | simctl init --from -",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := newConfig(cmd)
			if err != nil {
				return err
			}
			if from := c.list("from"); len(from) > 0 {
				return a.initFrom(c, append(from, args...), cmd.InOrStdin())
			}
			if len(args) > 1 {
				return fmt.Errorf("init writes one scenario, and there are %d names; for manifests of yours write --from %s", len(args), strings.Join(args, " "))
			}
			file := "scenario.yaml"
			if len(args) > 0 {
				file = args[0]
			}
			return a.init(file)
		},
	}
	f := cmd.Flags()
	f.StringArray("from", nil, "make a scenario of the manifests at this `path`, - for standard input; further arguments are paths as well")
	f.StringArray("param", nil, "`name=value` of a parameter of a Pipeline without a run (repeatable; of an array, values with commas)")
	f.String("to", "", "`folder` to write with --from (default named after the pipeline)")
	return cmd
}

// init writes a scenario and its pipeline, or neither.
func (a *App) init(file string) error {
	ext := filepath.Ext(file)
	if ext != ".yaml" && ext != ".yml" {
		return fmt.Errorf("%s: a scenario's name ends with .yaml: write simctl init %s.yaml", file, file)
	}
	stem := strings.TrimSuffix(filepath.Base(file), ext)
	name := topicName(stem)
	if name == "" {
		return fmt.Errorf("%s: name the file for what it shows, in letters and digits", file)
	}
	pipeline := filepath.Join(filepath.Dir(file), stem+"-pipeline.yaml")
	for _, f := range []string{file, pipeline} {
		if _, err := os.Lstat(f); !errors.Is(err, fs.ErrNotExist) {
			if err != nil {
				return fmt.Errorf("looking for %s: %w", f, err)
			}
			return fmt.Errorf("%s is there already: remove it, or name another file: simctl init FILE", f)
		}
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		return fmt.Errorf("writing a scenario: %w", err)
	}
	scenario := strings.NewReplacer("NAME", name, "MANIFESTS", yamlWord(filepath.Base(pipeline)), "VERSION", strings.TrimPrefix(a.Versions.Tekton, "v"), "FILE", file).Replace(scenarioTemplate)
	for _, f := range []struct{ path, content string }{{pipeline, pipelineTemplate}, {file, scenario}} {
		out, err := os.OpenFile(f.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if err == nil {
			_, err = out.WriteString(f.content)
			err = errors.Join(err, out.Close())
		}
		if err != nil {
			return fmt.Errorf("writing a scenario: %w", err)
		}
		fmt.Fprintf(a.Stdout, "%s\n", f.path)
	}
	fmt.Fprintf(a.Stderr, "run it by: simctl run %s\n", file)
	return nil
}

// yamlWord quotes a file's name where YAML needs it.
func yamlWord(s string) string {
	if strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == "" && s[0] != '-' && s[0] != '.' {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}

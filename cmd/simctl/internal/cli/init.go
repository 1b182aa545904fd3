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
	return &cobra.Command{
		Use:   "init [FILE]",
		Short: "Write a scenario to start from",
		Long: `Write a commented scenario to start from, and a small pipeline beside it. FILE is
scenario.yaml if it is not named. Nothing that is there is overwritten.`,
		Example: "  simctl init\n  simctl init scenarios/mine.yaml",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			file := "scenario.yaml"
			if len(args) > 0 {
				file = args[0]
			}
			return a.init(file)
		},
	}
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

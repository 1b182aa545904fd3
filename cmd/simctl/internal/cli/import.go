package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"simctl.dev/simctl/sim/importer"
	"simctl.dev/simctl/sim/runstore"
)

func (a *App) importCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import (--kubeconfig FILE -n NAMESPACE | --from PATH...)",
		Short: "Make a scenario of a cluster, or of a dump of one",
		Long: `Make a scenario that stands for a namespace of a cluster: its nodes, storage
classes, volumes, Tekton release and flags, rights, quotas, Pipelines, Tasks and
the latest run of each Pipeline.

The cluster is only read, with get and list. Values of Secrets are not asked for.
What may not be read is said, and the rest goes on. A dump is a must-gather, or a
folder of what kubectl get -o yaml has written.`,
		Example: `  simctl import --kubeconfig ~/.kube/config -n private-ai-demo
  simctl import --from must-gather/ -n private-ai-demo --run modelcar-x7k2p
  kubectl get nodes,sc,csidriver,pv -o yaml > dump/cluster.yaml
  simctl import --from dump/`,
		RunE: a.importCluster,
	}
	f := cmd.Flags()
	f.String("kubeconfig", "", "kubeconfig `file` of the cluster to read")
	f.String("context", "", "`context` of the kubeconfig (default the current one)")
	f.StringP("namespace", "n", "", "`namespace` of the pipelines (default, of a dump, the one that has runs)")
	f.StringArray("from", nil, "read this dump instead: a `path`; further arguments are paths as well")
	f.StringArray("run", nil, "replay the PipelineRun of this `name` (repeatable; default the latest of each Pipeline)")
	f.String("to", "", "`folder` to write (default named after the namespace)")
	f.Int("page-size", 0, "objects asked for in one request (default 250)")
	cmd.MarkFlagsMutuallyExclusive("kubeconfig", "from")
	cmd.MarkFlagsMutuallyExclusive("context", "from")
	return cmd
}

func (a *App) importCluster(cmd *cobra.Command, args []string) error {
	c, err := newConfig(cmd)
	if err != nil {
		return err
	}
	page, err := c.count("page-size")
	if err != nil {
		return err
	}
	o := importer.Options{Namespace: c.string("namespace"), Runs: c.list("run")}
	var dump *importer.Dump
	from := c.list("from")
	switch {
	case len(from) > 0:
		from = append(from, args...)
		o.Source = strings.Join(from, ", ")
		dump, err = importer.ReadFiles(from)
	case len(args) > 0:
		return fmt.Errorf("is %s a dump? Write --from %s", args[0], args[0])
	case c.string("kubeconfig") == "" && os.Getenv(clientcmd.RecommendedConfigPathEnvVar) == "":
		return errors.New("which cluster? Name a kubeconfig by --kubeconfig FILE, or a dump by --from PATH")
	default:
		dump, o.Source, err = a.readCluster(cmd.Context(), c, o.Namespace, page)
	}
	if err != nil {
		return err
	}
	if o.StockSCCs, err = a.Engine.StockSCCs(); err != nil {
		return err
	}
	result, err := importer.Convert(dump, o)
	if err != nil {
		return err
	}
	to := c.string("to")
	if to == "" {
		to = result.Namespace
	}
	if err := writeNew(to, result.Files); err != nil {
		return err
	}
	for _, n := range result.Notes {
		fmt.Fprintf(a.Stderr, "- %s\n", n)
	}
	file := filepath.Join(to, "scenario.yaml")
	fmt.Fprintf(a.Stdout, "%s: %d objects read, %d files written\n", file, len(dump.Objects), len(result.Files))
	in, err := expand([]string{file}, runstore.Options{})
	if err != nil {
		return fmt.Errorf("the scenario is written, and is not complete yet:\n%w\nmend that and go on with: simctl validate %s", err, file)
	}
	fmt.Fprintf(a.Stderr, "it has %s; run %s by: simctl run %s\n", cellCount(len(in.cells)), pronoun(len(in.cells)), file)
	return nil
}

func pronoun(n int) string {
	if n == 1 {
		return "it"
	}
	return "them"
}

// readCluster reads the cluster of the kubeconfig, and says which it was.
func (a *App) readCluster(ctx context.Context, c *config, namespace string, page int) (*importer.Dump, string, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = c.string("kubeconfig")
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: c.string("context")})
	raw, err := loader.RawConfig()
	if err != nil {
		return nil, "", fmt.Errorf("reading the kubeconfig: %w", err)
	}
	name := c.string("context")
	if name == "" {
		name = raw.CurrentContext
	}
	if raw.Contexts[name] == nil {
		var names []string
		for n := range raw.Contexts {
			names = append(names, n)
		}
		slices.Sort(names)
		return nil, "", fmt.Errorf("the kubeconfig has no context %q; it has: %s", name, strings.Join(names, ", "))
	}
	if namespace == "" {
		return nil, "", fmt.Errorf("%w Name it by -n", importer.ErrNamespace)
	}
	var cfg *rest.Config
	if cfg, err = loader.ClientConfig(); err != nil {
		return nil, "", fmt.Errorf("reading the kubeconfig: %w", err)
	}
	cfg.UserAgent = "simctl/" + a.Versions.Simctl
	verbose, err := c.bool("verbose")
	if err != nil {
		return nil, "", err
	}
	dump, err := importer.Read(ctx, cfg, importer.ReadOptions{Namespace: namespace, Page: int64(page), Progress: func(kind string) {
		if verbose {
			fmt.Fprintf(a.Stderr, "reading %s\n", kind)
		}
	}})
	return dump, "context " + name, err
}

// writeNew writes files into a folder that is not there or is empty.
func writeNew(dir string, files map[string][]byte) error {
	switch entries, err := os.ReadDir(dir); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("looking into %s: %w", dir, err)
	case len(entries) > 0:
		return fmt.Errorf("%s is there and is not empty: remove it, or name another folder by --to", dir)
	}
	for _, name := range sortedNames(files) {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return fmt.Errorf("writing %s: %w", dir, err)
		}
		if err := os.WriteFile(path, files[name], 0o666); err != nil {
			return fmt.Errorf("writing %s: %w", dir, err)
		}
	}
	return nil
}

func sortedNames[V any](m map[string]V) []string {
	var names []string
	for n := range m {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

package cli

import (
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/spf13/cobra"
)

// packFile is where a pack is written unless --output says otherwise.
const packFile = "simctl-pack.tar.gz"

func (a *App) packCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "pack RELEASE...",
		Short: "Pack built releases for other machines",
		Long: `Build the releases that are named, and OpenShift's SCC admission, where this host has
not built them yet, and write them to one file. simctl unpack takes it on another
machine, where neither Go nor a network is needed then: the same simctl for the same
kind of processor. What the built-in release needs is always in it.`,
		Example: `  simctl pack 1.3.1 osp-1.19
  simctl pack osp-1.18 osp-1.20 --output bump.tar.gz`,
		Args:              releaseArgs,
		ValidArgsFunction: completeRelease,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := newConfig(cmd)
			if err != nil {
				return err
			}
			to, _ := cmd.Flags().GetString("output")
			err = writeWhole(to, func(w io.Writer) error {
				return a.Engine.Pack(cmd.Context(), c.string("cache-dir"), args, w, a.lines())
			})
			if err != nil {
				return err
			}
			st, err := os.Stat(to)
			if err != nil {
				return fmt.Errorf("writing the pack: %w", err)
			}
			fmt.Fprintf(a.Stdout, "%s\t%s\n", to, megabytes(st.Size()))
			return nil
		},
	}
	cmd.Flags().String("output", packFile, "`file` to write")
	cacheFlag(cmd.Flags())
	return cmd
}

func (a *App) unpackCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "unpack FILE",
		Short: "Take built releases from a pack",
		Long: `Take the builds of a file that simctl pack has written, or of standard input if FILE
is "-". Their checksums decide: nothing of a damaged pack is kept, and what another
simctl has built is left out and told.`,
		Example: "  simctl unpack " + packFile,
		Args:    wants(1, "which pack? Name its file", packFile),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := newConfig(cmd)
			if err != nil {
				return err
			}
			in := cmd.InOrStdin()
			if args[0] != "-" {
				f, err := os.Open(args[0])
				if err != nil {
					return fmt.Errorf("reading the pack: %w", err)
				}
				defer func() { _ = f.Close() }()
				in = f
			}
			return a.Engine.Unpack(cmd.Context(), c.string("cache-dir"), in, a.lines())
		},
	}
	cacheFlag(cmd.Flags())
	return cmd
}

// lines returns a function that writes lines of progress, from any goroutine.
func (a *App) lines() func(string) {
	var mu sync.Mutex
	return func(line string) {
		mu.Lock()
		defer mu.Unlock()
		_, _ = io.WriteString(a.Stderr, line+"\n")
	}
}

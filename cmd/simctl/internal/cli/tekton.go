package cli

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"simctl.dev/simctl/reports"
	"simctl.dev/simctl/sim/releases"
)

func (a *App) tektonCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tekton",
		Short: "List, build and remove Tekton releases",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return cmd.Help()
		},
	}
	cacheFlag(cmd.PersistentFlags())
	cmd.AddCommand(a.tektonListCommand(), a.tektonBuildCommand(), a.tektonPruneCommand())
	return cmd
}

func (a *App) tektonListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the Tekton releases that are known",
		Long: `List the Tekton releases that are known: those on which pipelines have been played
to their end and the co-scheduling flags been checked, and which of them are ready
to run. Any other exact version from 0.44.0 on can be named as well, and
every release by its OpenShift Pipelines name, as in osp-1.20.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := newConfig(cmd)
			if err != nil {
				return err
			}
			releases, err := a.Engine.Releases(c.string("cache-dir"))
			if err != nil {
				return fmt.Errorf("listing the Tekton releases: %w", err)
			}
			var rows [][]string
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
				rows = append(rows, []string{r.Version, osp, state})
			}
			width, _ := a.Terminal(a.Stdout)
			_, err = io.WriteString(a.Stdout, reports.Columns([]string{"TEKTON", "OPENSHIFT PIPELINES", "STATE"}, rows, width))
			return err
		},
	}
}

// releaseArgs is the check of a verb that builds the releases that it is given.
func releaseArgs(cmd *cobra.Command, args []string) error {
	if err := some("which releases? Name at least one", "1.3.1")(cmd, args); err != nil {
		return err
	}
	// One name that is none is told before the others are built for minutes.
	_, err := releases.ParseAll(args)
	return err
}

func (a *App) tektonBuildCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "build VERSION...",
		Short: "Build Tekton releases ahead of their use",
		Long: `Build Tekton releases ahead of their use: on a small host one after another,
on a large one some side by side. What is built is kept; a build that was damaged
since is made again.`,
		Args: releaseArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := newConfig(cmd)
			if err != nil {
				return err
			}
			width, _ := a.Terminal(a.Stderr)
			lines := newBuildLines(a.Stderr, width)
			var errs []error
			done := map[string]bool{}
			err = a.Engine.BuildAll(cmd.Context(), c.string("cache-dir"), args, lines.say, func(version, path string, err error) {
				done[version] = true
				if err != nil {
					// The other releases may still be built.
					errs = append(errs, err)
					lines.say(version, "failed")
					return
				}
				lines.above(func() { fmt.Fprintf(a.Stdout, "%s\t%s\n", version, path) })
			})
			if cmd.Context().Err() != nil {
				var left []string
				for _, v := range args {
					if !done[v] {
						left = append(left, v)
					}
				}
				return fmt.Errorf("interrupted while building Tekton %s: run it again to go on", strings.Join(left, ", "))
			}
			return errors.Join(append(errs, err)...)
		},
	}
}

func (a *App) tektonPruneCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "prune [VERSION...]",
		Short: "Remove builds of Tekton releases",
		Long: `Remove builds from the cache and say what was removed: the releases named, all of
them (--all), or those not used for a while (--older-than). What crashed builds
have left, damaged builds, and builds of another simctl, which this one cannot
use, are removed in any case. The build of OpenShift's admission is in the cache
as well, and goes with --all and --older-than.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := newConfig(cmd)
			if err != nil {
				return err
			}
			o := PruneOptions{Versions: args, All: c.v.GetBool("all")}
			if o.All && len(args) > 0 {
				return errors.New("name releases, or give --all, but not both")
			}
			if age := c.string("older-than"); age != "" {
				d, err := ageOf(age)
				if err != nil {
					return err
				}
				o.UnusedSince = a.Now().Add(-d)
			}
			removed, err := a.Engine.Prune(c.string("cache-dir"), o)
			var sum int64
			for _, r := range removed {
				if r.Busy {
					fmt.Fprintf(a.Stdout, "kept\t%s\t%s, but it is being built\n", r.Path, r.Why)
					continue
				}
				sum += r.Bytes
				fmt.Fprintf(a.Stdout, "removed\t%s\t%d bytes\t%s\n", r.Path, r.Bytes, r.Why)
			}
			fmt.Fprintf(a.Stdout, "%d bytes freed\n", sum)
			if err != nil {
				return fmt.Errorf("pruning the cache: %w", err)
			}
			return nil
		},
	}
	cmd.Flags().Bool("all", false, "remove every build")
	cmd.Flags().String("older-than", "", "remove builds not used for so long, as in 720h or 30d")
	return cmd
}

// ageOf reads a duration that may be in days.
func ageOf(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		var n float64
		n, err = strconv.ParseFloat(days, 64)
		d = time.Duration(n * float64(24*time.Hour))
	}
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("--older-than is %q: write how long, as in 720h or 30d", s)
	}
	return d, nil
}

// buildLines tells how far builds are, in one line for each. It is safe for
// concurrent use.
type buildLines struct {
	mu    sync.Mutex
	w     io.Writer
	width int // 0: no terminal, and what is said is appended
	order []string
	texts map[string]string
	drawn int
}

func newBuildLines(w io.Writer, width int) *buildLines {
	return &buildLines{w: w, width: width, texts: map[string]string{}}
}

// say gives a release's line another text.
func (b *buildLines) say(version, text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	text = "tekton " + version + ": " + text
	if b.width <= 0 {
		fmt.Fprintln(b.w, text)
		return
	}
	if _, ok := b.texts[version]; !ok {
		b.order = append(b.order, version)
	}
	b.texts[version] = text
	b.clear()
	b.draw()
}

// above has f print something that stays above the lines.
func (b *buildLines) above(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.clear()
	f()
	b.draw()
}

func (b *buildLines) clear() {
	if b.drawn > 0 {
		fmt.Fprintf(b.w, "\x1b[%dA\x1b[J", b.drawn) // up, and everything below away
	}
	b.drawn = 0
}

func (b *buildLines) draw() {
	if b.width <= 0 {
		return
	}
	for _, v := range b.order {
		// A line that the terminal breaks could not be cleared.
		fmt.Fprintln(b.w, shorten(b.texts[v], b.width-1))
	}
	b.drawn = len(b.order)
}

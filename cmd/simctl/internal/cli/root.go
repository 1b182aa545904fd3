package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// Exit statuses.
const (
	// StatusOK: everything came out as expected.
	StatusOK = 0
	// StatusDeviates: an outcome differs from what was expected or, where nothing
	// is expected, a run did not do its work.
	StatusDeviates = 1
	// StatusError: simctl could not do its work.
	StatusError = 2
)

// errDeviates makes the exit status [StatusDeviates]; the report has said why.
var errDeviates = errors.New("an outcome differs from what was expected")

// errReported makes the exit status [StatusError]; what is wrong was said.
var errReported = errors.New("reported")

// Versions are those of the parts simctl consists of.
type Versions struct {
	Simctl     string `json:"simctl"`
	Kubernetes string `json:"kubernetes"`
	Tekton     string `json:"tekton"`
	Go         string `json:"go"`
}

// App is the command line with what it works on.
type App struct {
	Engine         Engine
	Versions       Versions
	Stdout, Stderr io.Writer
	// Now is real time, Random makes run IDs; nil is the system's.
	Now    func() time.Time
	Random io.Reader
	// Terminal returns the width of w if it is a terminal; nil asks the system.
	Terminal func(w io.Writer) (width int, ok bool)

	// args is the command line of Main.
	args []string
	// complaints take errors; Stderr has notices as well, and --quiet is without.
	complaints io.Writer
}

// Main runs the command line args, without the program's name, and returns the
// exit status.
func (a *App) Main(ctx context.Context, args []string) int {
	if a.Now == nil {
		a.Now = time.Now
	}
	if a.Random == nil {
		a.Random = rand.Reader
	}
	if a.Terminal == nil {
		a.Terminal = terminal
	}
	a.args, a.complaints = args, a.Stderr
	root := a.Command()
	root.SetArgs(args)
	root.SetOut(a.Stdout)
	root.SetErr(a.Stderr)
	root.InitDefaultCompletionCmd() // which keeps the output that is set by now
	err := strangers(root, args)
	if err == nil {
		err = root.ExecuteContext(ctx)
	}
	switch {
	case err == nil:
		return StatusOK
	case errors.Is(err, errDeviates):
		return StatusDeviates
	case !errors.Is(err, errReported):
		a.complain(err)
	}
	return StatusError
}

// complain tells an error on standard error, one line for each of its own.
func (a *App) complain(err error) {
	for _, line := range strings.Split(strings.TrimSpace(err.Error()), "\n") {
		if strings.TrimSpace(line) != "" {
			fmt.Fprintf(a.complaints, "simctl: %s\n", line)
		}
	}
}

// Command returns the root of the commands, for completions and man pages. Main runs it.
func (a *App) Command() *cobra.Command {
	root := &cobra.Command{
		Use:   "simctl",
		Short: "Replay Tekton pipelines against a real control plane in virtual time",
		Long: `simctl replays Tekton PipelineRuns over every combination of Tekton release,
feature flags, node taints, volume access modes and security contexts that
scenario files name, and says what becomes of each and why.

Every flag can also be given as an environment variable (--fail-fast is
SIMCTL_FAIL_FAST) or in the file .simctl.yaml (fail-fast: true). A flag wins over
the environment, and that over the file.

Exit status: 0 as expected, 1 an outcome differs from what was expected or,
where nothing is expected, a run did not do its work, 2 simctl could not do
its work.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asked, err := cmd.Flags().GetBool("version"); err == nil && asked {
				return a.printVersions()
			}
			return cmd.Help()
		},
	}
	root.PersistentPreRunE = a.volume
	// Kubernetes' code has a flag of that name for all commands, which does nothing here.
	root.PersistentFlags().Bool("version", false, "say which versions simctl consists of, as simctl version does")
	if err := root.PersistentFlags().MarkHidden("version"); err != nil {
		panic(err) // it was defined before
	}
	root.PersistentFlags().Bool("no-color", false, "no colours (NO_COLOR is honoured as well)")
	root.PersistentFlags().BoolP("quiet", "q", false, "say nothing but the result and errors")
	root.PersistentFlags().BoolP("verbose", "v", false, "write simctl's log to standard error as well")
	root.PersistentFlags().String("config", "", "configuration file (default .simctl.yaml, if there is one)")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w: see %s --help", err, cmd.CommandPath())
	})
	root.SetHelpCommand(a.helpCommand())
	a.helpWithin(root)
	root.AddCommand(a.runCommand(), a.upgradeCommand(), a.compareCommand(), a.validateCommand(), a.faultsCommand(), a.tektonCommand(), a.versionCommand())
	root.AddCommand(a.importCommand(), a.initCommand(), a.doctorCommand(), a.packCommand(), a.unpackCommand())
	root.AddCommand(a.topicCommands()...)
	root.AddCommand(a.runsCommand(), a.showCommand(), a.explainCommand(), a.reportCommand())
	return root
}

// volume carries --quiet out for all verbs, and tells of settings that are none.
func (a *App) volume(cmd *cobra.Command, _ []string) error {
	if f := cmd.Flags().Lookup("version"); f != nil && f.Changed && cmd.HasParent() {
		return fmt.Errorf("--version is no flag of %s: see simctl version", cmd.CommandPath())
	}
	c, err := newConfig(cmd)
	if err != nil {
		return nil //nolint:nilerr // a verb that needs the configuration says so itself
	}
	quiet, err := c.bool("quiet")
	if err != nil {
		return err
	}
	verbose, err := c.bool("verbose")
	if err != nil {
		return err
	}
	if quiet && verbose {
		return errors.New("quiet and verbose are both set: leave one out")
	}
	if quiet {
		a.Stderr = io.Discard
	}
	for _, text := range misspelt(cmd.Root()) {
		fmt.Fprintf(a.Stderr, "simctl: %s\n", text)
	}
	return nil
}

// terminal asks the system for the width of w, over which the variable COLUMNS has its way.
func terminal(w io.Writer) (int, bool) {
	f, ok := w.(interface{ Fd() uintptr })
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0, false
	}
	if width := columns(); width > 0 {
		return width, true
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0, false
	}
	return width, true
}

// columns is the width that the user wants, 0 if that is not said.
func columns() int {
	width, err := strconv.Atoi(os.Getenv("COLUMNS"))
	if err != nil || width < 0 {
		return 0
	}
	return width
}

package cli

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"simctl.dev/simctl/sim/scenario"
)

// wants makes the check of a verb that takes n arguments: without one it asks for them,
// with an example.
func wants(n int, question, example string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < n:
			return asks(cmd, question, example)
		case len(args) > n:
			return fmt.Errorf("%q is one argument too many: see %s --help", args[n], cmd.CommandPath())
		}
		return nil
	}
}

// some makes the check of a verb that takes one argument or more.
func some(question, example string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return asks(cmd, question, example)
		}
		return nil
	}
}

// asks is the error of a verb to which an argument is missing.
func asks(cmd *cobra.Command, question, example string) error {
	return fmt.Errorf("%s, as in: %s %s", question, cmd.CommandPath(), example)
}

// noArgs is the check of a verb that takes no arguments; those of a command with verbs
// below it are taken for one of them that is misspelt.
func noArgs(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case cmd.HasAvailableSubCommands():
		return unknownCommand(cmd, args[0])
	}
	return fmt.Errorf("%q: %s takes no arguments: see %s --help", args[0], cmd.CommandPath(), cmd.CommandPath())
}

// unknownCommand says that a command has no such verb or topic below it, and which was
// meant.
func unknownCommand(cmd *cobra.Command, name string) error {
	var valid []string
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() || sub.IsAdditionalHelpTopicCommand() {
			valid = append(valid, sub.Name())
		}
	}
	slices.Sort(valid)
	return fmt.Errorf("unknown command %q of %s%s", name, cmd.CommandPath(), scenario.Suggest(name, valid))
}

// strangers refuses what stands after a command that only has others below it, or after a
// topic, and is none of them: cobra would print the help and call that a success.
func strangers(root *cobra.Command, args []string) error {
	cmd, rest, err := root.Find(args)
	if err != nil || cmd.Runnable() || len(rest) == 0 || strings.HasPrefix(rest[0], "-") {
		return nil //nolint:nilerr // cobra says so itself
	}
	return unknownCommand(cmd, rest[0])
}

// helpCommand is `simctl help`, which refuses what it knows nothing of.
func (a *App) helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND or TOPIC]",
		Short: "Say what a command does, or explain a topic",
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			at, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			var out []string
			for _, sub := range at.Commands() {
				if sub.IsAvailableCommand() || sub.IsAdditionalHelpTopicCommand() {
					out = append(out, cobra.CompletionWithDesc(sub.Name(), sub.Short))
				}
			}
			return out, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			at := cmd.Root()
			for _, name := range args {
				i := slices.IndexFunc(at.Commands(), func(c *cobra.Command) bool { return c.Name() == name || c.HasAlias(name) })
				if i < 0 {
					return unknownCommand(at, name)
				}
				at = at.Commands()[i]
			}
			at.InitDefaultHelpFlag()
			return at.Help()
		},
	}
}

// flagsOf returns the names of the flags of all verbs.
func flagsOf(root *cobra.Command) map[string]bool {
	names := map[string]bool{}
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		for _, set := range []*pflag.FlagSet{c.LocalFlags(), c.PersistentFlags()} {
			set.VisitAll(func(f *pflag.Flag) { names[f.Name] = true })
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(root)
	return names
}

// misspelt returns a sentence for each variable of the environment that looks like a
// setting and is none. Those that simctl sets for its own processes are no settings either,
// and no mistakes.
func misspelt(root *cobra.Command) []string {
	var valid []string
	for name := range flagsOf(root) {
		valid = append(valid, variable(name))
	}
	slices.Sort(valid)
	var out []string
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		if !strings.HasPrefix(name, envPrefix+"_") || slices.Contains(valid, name) || ownVariable(name) {
			continue
		}
		// All of them would fill a screen.
		near := scenario.Suggest(name, valid)
		if !strings.Contains(near, "did you mean") {
			near = ": see the flags of simctl's commands"
		}
		out = append(out, name+" is no setting"+near)
	}
	slices.Sort(out)
	return out
}

// ownVariable says whether a variable is one that simctl or its tests read themselves.
func ownVariable(name string) bool {
	return strings.HasPrefix(name, envPrefix+"_TEST_") || name == envPrefix+"_TEKTON_FD"
}

// variable returns the name of the variable in which a flag can be given.
func variable(flag string) string {
	return envPrefix + "_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

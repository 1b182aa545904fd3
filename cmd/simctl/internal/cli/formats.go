package cli

import (
	"github.com/spf13/cobra"

	"simctl.dev/simctl/reports"
)

// otherNames are names by which formats are known as well, with those that simctl gives
// them.
var otherNames = map[string]string{"md": "markdown", "yml": "yaml", "xml": "junit", "text": "table"}

// formatName returns simctl's name of a format.
func formatName(name string) string {
	if known, ok := otherNames[name]; ok {
		return known
	}
	return name
}

// outputFlag adds -o, which says in which of some formats something is printed.
func outputFlag(cmd *cobra.Command, of string, formats ...string) {
	cmd.Flags().StringP("output", "o", formats[0], "`format` of the "+of+": "+alternatives(formats))
	completeFlag(cmd, "output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
}

// resultFormats are those in which a run's result is printed.
func resultFormats() []string {
	var out []string
	for _, f := range reports.Formats {
		out = append(out, string(f))
	}
	return out
}

// reviewFormats are those in which a review is printed.
func reviewFormats() []string {
	var out []string
	for _, f := range reports.ReviewFormats {
		out = append(out, string(f))
	}
	return out
}

// alternatives joins words as a sentence does: "a, b or c".
func alternatives(words []string) string {
	text := ""
	for i, w := range words {
		switch {
		case i == 0:
		case i == len(words)-1:
			text += " or "
		default:
			text += ", "
		}
		text += w
	}
	return text
}

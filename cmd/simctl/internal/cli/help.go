package cli

import (
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"simctl.dev/simctl/docs"
)

// topicCommands are commands that do nothing: `simctl help outcomes` prints the
// document that the topic is, and `simctl help scenario axes` a section of it.
func (a *App) topicCommands() []*cobra.Command {
	return []*cobra.Command{
		a.topic("outcomes", "What the outcomes mean", docs.Outcomes),
		a.topic("rules", "What chains of causes say, rule by rule", docs.Rules),
		a.topic("scenario", "The format of scenario files", docs.Scenario),
		a.topic("importing", "What simctl import reads and writes", docs.Import),
	}
}

// topic makes the topic of a document, with those of its sections below it.
func (a *App) topic(name, short, document string) *cobra.Command {
	show := func(part string) func(*cobra.Command, []string) {
		return func(cmd *cobra.Command, _ []string) {
			noColor, _ := cmd.Flags().GetBool("no-color")
			_, live := a.Terminal(a.Stdout)
			printDocument(a.Stdout, part, a.color(settings{noColor: noColor}, live))
		}
	}
	cmd := &cobra.Command{Use: name, Short: short}
	cmd.SetHelpFunc(show(document))
	for _, s := range sectionsOf(document) {
		sub := &cobra.Command{Use: topicName(s.title), Short: "Section " + s.title}
		sub.SetHelpFunc(show(s.text))
		cmd.AddCommand(sub)
	}
	return cmd
}

// section is a section of a document, of the second level.
type section struct{ title, text string }

func sectionsOf(document string) []section {
	var out []section
	fenced := false
	for line := range strings.SplitAfterSeq(document, "\n") {
		if strings.HasPrefix(line, "```") {
			fenced = !fenced
		}
		if title, ok := strings.CutPrefix(line, "## "); ok && !fenced {
			out = append(out, section{title: strings.TrimSpace(title)})
		}
		if len(out) > 0 {
			out[len(out)-1].text += line
		}
	}
	return out
}

var notInNames = regexp.MustCompile(`[^a-z0-9]+`)

// topicName is a title as an argument: "include, exclude" is include-exclude.
func topicName(title string) string {
	return strings.Trim(notInNames.ReplaceAllString(strings.ToLower(title), "-"), "-")
}

var link = regexp.MustCompile(`\[([^\]]+)\]\([^)]+\)`)

// printDocument prints Markdown as it is, but for what is of no use in a
// terminal: where links lead, and the table of contents made of them.
func printDocument(w io.Writer, document string, color bool) {
	fenced := false
	for line := range strings.SplitSeq(strings.TrimRight(document, "\n"), "\n") {
		title := strings.TrimLeft(line, "#")
		switch {
		case strings.HasPrefix(line, "```"):
			fenced = !fenced
			continue
		case fenced:
			line = "    " + line
		case strings.HasPrefix(line, "#") && strings.HasPrefix(title, " "):
			line = title[1:]
			if color {
				line = text.Bold.Sprint(line)
			}
		case strings.HasPrefix(line, "- [") && strings.Contains(line, "](#"):
			continue
		default:
			line = link.ReplaceAllString(line, "$1")
		}
		fmt.Fprintln(w, line)
	}
}

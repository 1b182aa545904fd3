package cli

import (
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"simctl.dev/simctl/docs"
	"simctl.dev/simctl/reports"
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
			width, live := a.Terminal(a.Stdout)
			printDocument(a.Stdout, part, width, a.color(settings{noColor: noColor}, live))
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
// terminal: where links lead, the table of contents made of them, and, if the width is not 0,
// the bars of tables, which stay within it.
func printDocument(w io.Writer, document string, width int, color bool) {
	fenced := false
	var rows [][]string
	flush := func() {
		if len(rows) > 0 {
			fmt.Fprint(w, reports.Columns(rows[0], rows[1:], width))
			rows = nil
		}
	}
	defer flush()
	for line := range strings.SplitSeq(strings.TrimRight(document, "\n"), "\n") {
		title := strings.TrimLeft(line, "#")
		if row, ok := tableRow(line); ok && !fenced && width > 0 {
			if row != nil {
				rows = append(rows, row)
			}
			continue
		}
		flush()
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
			line = fitLine(link.ReplaceAllString(line, "$1"), width)
		}
		fmt.Fprintln(w, line)
	}
}

// tableRow takes a row of a Markdown table apart. That between the header and the others
// has no cells.
func tableRow(line string) ([]string, bool) {
	if !strings.HasPrefix(line, "|") {
		return nil, false
	}
	if strings.Trim(line, "|-: ") == "" {
		return nil, true
	}
	const bar = "\x00" // one that is text
	line = strings.Trim(strings.ReplaceAll(link.ReplaceAllString(line, "$1"), `\|`, bar), "| ")
	var row []string
	for cell := range strings.SplitSeq(line, "|") {
		row = append(row, strings.TrimSpace(strings.ReplaceAll(cell, bar, "|")))
	}
	return row, true
}

// hangs is what stands before the text of a line of help: a flag or a command with the
// space after it, or a list's mark.
var hangs = regexp.MustCompile(`^(?: *(?:-\w, |    )?--[\w-]+(?: \S+)?  +| *[-*] | +[\w-]+  +| *)`)

// fitLine breaks a line of help that is wider than width, unless that is 0. A command line
// is left whole, to be copied.
func fitLine(line string, width int) string {
	if width <= 0 || text.StringWidthWithoutEscSequences(line) <= width || strings.HasPrefix(strings.TrimSpace(line), "simctl ") {
		return line
	}
	indent := len(hangs.FindString(line))
	if indent > width/2 {
		// The text goes below what it is of.
		head := strings.TrimRight(line[:indent], " ")
		return head + "\n" + reports.Hang(strings.Repeat(" ", 8)+line[indent:], 8, width)
	}
	return reports.Hang(line, indent, width)
}

// helpWithin has a command's help stay within the terminal's width.
func (a *App) helpWithin(root *cobra.Command) {
	write := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		var b strings.Builder
		out := cmd.OutOrStdout()
		cmd.SetOut(&b)
		write(cmd, args)
		cmd.SetOut(nil) // as before: the root's
		if cmd == cmd.Root() {
			cmd.SetOut(out)
		}
		width, _ := a.Terminal(out)
		for line := range strings.Lines(b.String()) {
			fmt.Fprintln(out, fitLine(strings.TrimSuffix(line, "\n"), width))
		}
	})
}

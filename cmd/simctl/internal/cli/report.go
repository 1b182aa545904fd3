package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"simctl.dev/simctl/reports/evidence"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/runstore"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/verdict"
)

// reportFormats are those of `simctl report`, with the endings of file names by
// which they are known.
var reportFormats = []struct{ name, ending string }{
	{"html", ".html"}, {"markdown", ".md"}, {"json", ".json"}, {"junit", ".xml"}, {"sarif", ".sarif"},
}

func (a *App) reportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "report RUN",
		Short: "Write the evidence report of a run",
		Long: `Write the report of a run for somebody who was not there: what happened, why, what
was ruled out, what mends it and which cells prove that, and what to type.

` + runHelp + `

--format and --output may be given several times, in pairs, to write several
files at once. A file's ending says its format where --format does not (.html,
.md, .json, .xml for JUnit, .sarif); without --output the report goes to standard
output, as Markdown unless --format says otherwise. Markdown is kept below 65,536
characters, as a comment on GitHub takes, and says what it leaves out.

--patches writes each change that the report proposes into a folder: merge patches,
manifests and commands, each with the line that applies it at its head.`,
		Example: `  simctl report latest --output incident.html
  simctl report latest --format markdown >> "$GITHUB_STEP_SUMMARY"
  simctl report latest --format junit --output cells.xml --format sarif --output cells.sarif
  simctl report latest --patches changes/`,
		Args:              wants(1, "which run? Name one", "latest --output report.html"),
		ValidArgsFunction: completeRuns,
		RunE: func(cmd *cobra.Command, args []string) error {
			f := cmd.Flags()
			formats, _ := f.GetStringArray("format")
			outputs, _ := f.GetStringArray("output")
			selector, _ := f.GetString("cell")
			patches, _ := f.GetString("patches")
			if f.Changed("patches") && patches == "" {
				return errors.New("--patches: which folder?")
			}
			var targets []reportTarget
			if patches == "" || len(formats)+len(outputs) > 0 {
				var err error
				if targets, err = reportTargets(formats, outputs); err != nil {
					return err
				}
			}
			r, err := openRun(args[0])
			if err != nil {
				return err
			}
			return a.writeReports(r, selector, targets, patches)
		},
	}
	cmd.Flags().String("cell", "", "give only the cells of this `selector` a section: an ID, the beginning of one, or axis=value[,axis=value]")
	cmd.Flags().StringArray("format", nil, "`format`: html, markdown, json, junit or sarif (repeatable)")
	completeFlag(cmd, "format", cobra.FixedCompletions([]string{"html", "markdown", "json", "junit", "sarif"}, cobra.ShellCompDirectiveNoFileComp))
	cmd.Flags().StringArray("output", nil, "`file` to write (repeatable)")
	cmd.Flags().String("patches", "", "`folder` to write the proposed changes to, as files to apply")
	completeFlag(cmd, "patches", cobra.FixedCompletions(nil, cobra.ShellCompDirectiveFilterDirs))
	return cmd
}

// reportTarget is a report to write; an empty file is standard output.
type reportTarget struct{ format, file string }

// reportTargets pairs formats and files.
func reportTargets(formats, outputs []string) ([]reportTarget, error) {
	var names []string
	for _, f := range formats {
		names = append(names, formatName(f))
	}
	formats = names
	for _, f := range formats {
		if !slices.ContainsFunc(reportFormats, func(r struct{ name, ending string }) bool { return r.name == f }) {
			return nil, fmt.Errorf("unknown format %q: use one of html, markdown, json, junit, sarif", f)
		}
	}
	if len(formats) > 0 && len(outputs) > 0 && len(formats) != len(outputs) {
		return nil, fmt.Errorf("%d formats and %d files: give a --format for each --output, or none", len(formats), len(outputs))
	}
	if len(outputs) == 0 {
		switch len(formats) {
		case 0:
			return []reportTarget{{format: "markdown"}}, nil
		case 1:
			return []reportTarget{{format: formats[0]}}, nil
		}
		return nil, errors.New("several formats cannot go to standard output: give an --output for each")
	}
	var out []reportTarget
	for i, file := range outputs {
		t := reportTarget{file: file}
		if len(formats) > 0 {
			t.format = formats[i]
		}
		for _, f := range reportFormats {
			if t.format == "" && strings.HasSuffix(file, f.ending) {
				t.format = f.name
			}
		}
		if t.format == "" {
			return nil, fmt.Errorf("%s does not say its format: name it .html, .md, .json, .xml or .sarif, or give --format", file)
		}
		out = append(out, t)
	}
	return out, nil
}

// writeReports writes a run's reports, and the changes that they propose to a folder unless
// that is "".
func (a *App) writeReports(r *keptRun, selector string, targets []reportTarget, patches string) error {
	in, err := r.evidence(selector)
	if err != nil {
		return err
	}
	var report *evidence.Report
	for _, t := range targets {
		if report == nil && (t.format == "html" || t.format == "markdown" || t.format == "json") {
			if report, err = evidence.New(in); err != nil {
				return fmt.Errorf("making the report: %w", err)
			}
		}
		if err := a.writeReport(t, in, report); err != nil {
			return err
		}
	}
	if patches == "" {
		return nil
	}
	if report == nil {
		if report, err = evidence.New(in); err != nil {
			return fmt.Errorf("making the report: %w", err)
		}
	}
	return a.writePatches(patches, report.PatchFiles())
}

// writePatches writes changes as files into a folder, which may be there if nothing is in
// it: a change of another run beside them would be taken for one of this.
func (a *App) writePatches(dir string, files []evidence.PatchFile) error {
	there, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("writing the changes: %w", err)
	}
	if len(there) > 0 {
		return fmt.Errorf("writing the changes: %s is not empty: name another folder", dir)
	}
	if len(files) == 0 {
		fmt.Fprintln(a.Stderr, "the report proposes no change that can be applied: no files are written")
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("writing the changes: %w", err)
	}
	for _, f := range files {
		err := writeWhole(filepath.Join(dir, f.Name), func(w io.Writer) error {
			_, err := io.WriteString(w, f.Text)
			return err
		})
		if err != nil {
			return fmt.Errorf("writing the change %s: %w", f.Name, err)
		}
	}
	fmt.Fprintf(a.Stderr, "%d files to apply in %s\n", len(files), dir)
	return nil
}

func (a *App) writeReport(t reportTarget, in evidence.Input, report *evidence.Report) error {
	render := func(w io.Writer) error {
		switch t.format {
		case "html":
			return report.HTML(w)
		case "markdown":
			_, err := io.WriteString(w, report.Markdown())
			return err
		case "junit":
			return evidence.JUnit(w, in.Result)
		case "sarif":
			return evidence.SARIF(w, in)
		}
		return report.JSON(w)
	}
	if t.file == "" {
		return render(a.Stdout)
	}
	if err := writeWhole(t.file, render); err != nil {
		return fmt.Errorf("writing the report %s: %w", t.file, err)
	}
	fmt.Fprintf(a.Stderr, "report in %s\n", t.file)
	return nil
}

// evidence returns what a report is made of.
func (r *keptRun) evidence(selector string) (evidence.Input, error) {
	in := evidence.Input{Result: r.result, Specs: map[string]*scenario.Cell{}, Files: r.info.Inputs}
	for _, id := range r.ids {
		c, err := runstore.ReadCell(r.dir, id)
		if err != nil && !errors.Is(err, runstore.ErrNotKept) {
			return in, err
		}
		if err == nil {
			in.Specs[id] = c
		}
	}
	in.History = func(id string) ([]history.Entry, error) {
		entries, err := runstore.ReadHistory(r.dir, id)
		if errors.Is(err, runstore.ErrNotKept) {
			return nil, nil
		}
		return entries, err
	}
	if selector != "" {
		cells, err := r.selectCells(selector)
		if err != nil {
			return in, err
		}
		chosen := map[string]bool{}
		for _, i := range cells {
			chosen[r.ids[i]] = true
		}
		in.Detailed = func(c verdict.Cell) bool { return chosen[runstore.CellID(c)] }
	}
	return in, nil
}

package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/client-go/util/jsonpath"

	"simctl.dev/simctl/reports"
	"simctl.dev/simctl/reports/evidence"
	"simctl.dev/simctl/sim/impact"
	"simctl.dev/simctl/sim/verdict"
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

// byTemplate begins a format that is a template, as kubectl has it.
const byTemplate = "jsonpath="

// outputFlag adds -o, which says in which of some formats something is printed, or by a
// template.
func outputFlag(cmd *cobra.Command, of string, formats ...string) {
	cmd.Flags().StringP("output", "o", formats[0], "`format` of the "+of+": "+alternatives(append(formats, byTemplate+"TEMPLATE")))
	completeFlag(cmd, "output", func(_ *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
		if prefix != "" && (strings.HasPrefix(byTemplate, prefix) && !strings.HasPrefix("json", prefix) || strings.HasPrefix(prefix, byTemplate)) {
			// The template follows.
			return []string{byTemplate}, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
		}
		return append(formats, byTemplate), cobra.ShellCompDirectiveNoFileComp
	})
}

// output is how a document is printed: in a format, or by a template if there is one.
type output[F ~string] struct {
	format   F
	template *jsonpath.JSONPath
}

// parseOutput reads -o.
func parseOutput[F ~string](name string, parse func(string) (F, error)) (output[F], error) {
	var o output[F]
	var err error
	text, ok := strings.CutPrefix(name, byTemplate)
	switch {
	case !ok && name+"=" != byTemplate:
		o.format, err = parse(formatName(name))
		if err != nil {
			err = fmt.Errorf("%w or %sTEMPLATE", err, byTemplate)
		}
	case text == "" || !ok:
		err = errors.New("jsonpath wants a template: -o jsonpath='{.apiVersion}'")
	default:
		o.template = jsonpath.New("output").AllowMissingKeys(true)
		if err = o.template.Parse(text); err != nil {
			err = fmt.Errorf("reading the template %s: %w", text, err)
		}
	}
	return o, err
}

// fill writes what the template makes of a document, as its JSON is.
func fill(w io.Writer, template *jsonpath.JSONPath, document any) error {
	raw, err := json.Marshal(document)
	if err != nil {
		return fmt.Errorf("writing the document that the template reads: %w", err)
	}
	var v any
	if err := utiljson.Unmarshal(raw, &v); err != nil {
		return fmt.Errorf("reading the document for the template: %w", err)
	}
	var b bytes.Buffer
	if err := template.Execute(&b, v); err != nil {
		return fmt.Errorf("filling in the template: %w", err)
	}
	if _, err := w.Write(b.Bytes()); err != nil {
		return fmt.Errorf("writing what the template makes: %w", err)
	}
	return nil
}

// resultOutput is how a run's result is printed.
type resultOutput struct{ output[reports.Format] }

func parseResultOutput(name string) (resultOutput, error) {
	o, err := parseOutput(name, reports.ParseFormat)
	if of := formatName(name); err != nil && slices.ContainsFunc(reportFormats, func(r struct{ name, ending string }) bool { return r.name == of }) {
		err = fmt.Errorf("%w; %s is a report's: simctl report RUN --format %s, or --report FILE of run", err, of, of)
	}
	return resultOutput{o}, err
}

// document says that programs read it, which want one in any case.
func (o resultOutput) document() bool {
	return o.template != nil || o.format == reports.JSON || o.format == reports.YAML || o.format == reports.CSV
}

func (o resultOutput) render(w io.Writer, r verdict.RunResult, looks reports.Options) error {
	if o.template != nil {
		return fill(w, o.template, reports.Normalize(r))
	}
	return reports.Render(w, o.format, r, looks)
}

// reviewOutput is how a review is printed.
type reviewOutput struct{ output[reports.ReviewFormat] }

func parseReviewOutput(name string) (reviewOutput, error) {
	o, err := parseOutput(name, reports.ParseReviewFormat)
	return reviewOutput{o}, err
}

func (o reviewOutput) render(w io.Writer, r impact.Review, looks reports.Options) error {
	if o.template != nil {
		return fill(w, o.template, r)
	}
	if o.format == reports.HTML {
		return evidence.ReviewHTML(w, r)
	}
	return reports.RenderReview(w, o.format, r, looks)
}

// foldFlag adds --fold, which says whether a matrix shows only the axes that matter.
func foldFlag(cmd *cobra.Command) {
	ways := names(reports.Folds)
	cmd.Flags().String("fold", ways[0], fmt.Sprintf("show only the axes that matter, `when`: %s; large is of a scenario with more than %d cells", alternatives(ways), reports.FoldAbove))
	cmd.Flags().Lookup("fold").NoOptDefVal = string(reports.FoldAlways)
	completeFlag(cmd, "fold", cobra.FixedCompletions(ways, cobra.ShellCompDirectiveNoFileComp))
}

// names returns the names of formats and their like.
func names[T ~string](all []T) []string {
	var out []string
	for _, v := range all {
		out = append(out, string(v))
	}
	return out
}

// resultFormats are those in which a run's result is printed.
func resultFormats() []string { return names(reports.Formats) }

// reviewFormats are those in which a review is printed.
func reviewFormats() []string { return names(reports.ReviewFormats) }

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

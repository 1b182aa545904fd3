package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"simctl.dev/simctl/docs"
	"simctl.dev/simctl/reports"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/verdict"
)

// faultFormats are those in which faults are listed.
var faultFormats = []string{"table", "json", "markdown", "name", "scenario"}

// faultList is the catalogue of faults as a document.
type faultList struct {
	APIVersion string           `json:"apiVersion"`
	Kind       string           `json:"kind"`
	Items      []scenario.Fault `json:"items"`
}

func (a *App) faultsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "faults [NAME...]",
		Short: "List the faults that interventions can do, with examples to copy",
		Long: `List the faults that interventions of a scenario can do. Of those that are named:
what is real and what is simulated, the times of upstream's that decide what comes
of them, remedies, and an example to copy. NAME is a fault's, or that of an action,
which may do several.

-o scenario writes a scenario of the ModelCar pipeline, beside the pipelines that
simctl comes with, in which each fault comes at each phase of the task build-image,
on two releases: simctl run prints the table of what becomes of it, and
simctl faults --played RUN, of a run that is kept, a row for each fault, in Markdown.`,
		Example: "  simctl faults\n  simctl faults node-dead\n  simctl faults nodeSilent -o json\n  simctl faults api-errors -o scenario > scenarios/faults.yaml && simctl run scenarios/faults.yaml\n  simctl faults --played latest",
		ValidArgsFunction: func(_ *cobra.Command, given []string, _ string) ([]string, cobra.ShellCompDirective) {
			var out []string
			for _, f := range scenario.Faults() {
				if !slices.Contains(given, f.Name) {
					out = append(out, cobra.CompletionWithDesc(f.Name, f.Does))
				}
			}
			return out, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := newConfig(cmd)
			if err != nil {
				return err
			}
			if runs := c.list("played"); len(runs) > 0 {
				return a.printPlayed(runs)
			}
			o, err := parseOutput(c.string("output"), func(name string) (string, error) {
				if !slices.Contains(faultFormats, name) {
					return "", fmt.Errorf("unknown format %q: valid are %s", name, strings.Join(faultFormats, ", "))
				}
				return name, nil
			})
			if err != nil {
				return err
			}
			faults, err := faultsNamed(args)
			if err != nil {
				return err
			}
			color, _ := cmd.Flags().GetBool("no-color")
			return a.printFaults(o, faults, len(args) == 0, settings{noColor: color})
		},
	}
	outputFlag(cmd, "list", faultFormats...)
	cmd.Flags().StringSlice("played", nil, "print what became of each fault at each phase in a `RUN` of what -o scenario writes, or in several (a,b)")
	completeFlag(cmd, "played", completeRuns)
	return cmd
}

// printPlayed prints what became of each fault at each phase in runs that are kept.
func (a *App) printPlayed(runs []string) error {
	var cells []verdict.Cell
	for _, name := range runs {
		r, err := openRun(name)
		if err != nil {
			return err
		}
		cells = append(cells, r.result.Cells...)
	}
	table := reports.Played(cells, scenario.Phases)
	if table == "" {
		return fmt.Errorf("%s has no cells of faults at phases: run what simctl faults -o scenario writes", strings.Join(runs, ", "))
	}
	if _, err := io.WriteString(a.Stdout, table); err != nil {
		return fmt.Errorf("printing the table: %w", err)
	}
	return nil
}

// faultsNamed are the faults with some names, their own or their actions'; all if none
// is given.
func faultsNamed(names []string) ([]scenario.Fault, error) {
	all := scenario.Faults()
	if len(names) == 0 {
		return all, nil
	}
	var out []scenario.Fault
	for _, name := range names {
		found := false
		for _, f := range all {
			if f.Name != name && f.Action != name {
				continue
			}
			found = true
			if !slices.ContainsFunc(out, func(o scenario.Fault) bool { return o.Name == f.Name }) {
				out = append(out, f)
			}
		}
		if found {
			continue
		}
		var valid []string
		for _, f := range all {
			valid = append(valid, f.Name)
		}
		return nil, fmt.Errorf("no fault is called %q%s", name, scenario.Suggest(name, valid))
	}
	return out, nil
}

func (a *App) printFaults(o output[string], faults []scenario.Fault, all bool, s settings) error {
	list := faultList{APIVersion: scenario.APIVersion, Kind: "FaultList", Items: faults}
	width, live := a.Terminal(a.Stdout)
	var err error
	switch {
	case o.template != nil:
		return fill(a.Stdout, o.template, list)
	case o.format == "json":
		enc := json.NewEncoder(a.Stdout)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		err = enc.Encode(list)
	case o.format == "name":
		for _, f := range faults {
			if _, err = fmt.Fprintln(a.Stdout, f.Name); err != nil {
				break
			}
		}
	case o.format == "scenario":
		var text string
		if text, err = phased(faults); err == nil {
			_, err = io.WriteString(a.Stdout, text)
		}
	case o.format == "markdown" && all:
		_, err = io.WriteString(a.Stdout, docs.Faults)
	case o.format == "markdown":
		_, err = io.WriteString(a.Stdout, sections(faults))
	case !all:
		printDocument(a.Stdout, sections(faults), width, a.color(s, live))
	default:
		var rows [][]string
		for _, f := range faults {
			rows = append(rows, []string{f.Name, f.Action, f.Does})
		}
		_, err = io.WriteString(a.Stdout, reports.Columns([]string{"FAULT", "ACTION", "DOES"}, rows, width))
	}
	if err != nil {
		return fmt.Errorf("listing the faults: %w", err)
	}
	return nil
}

// sections are the sections of some faults, as the page has them.
func sections(faults []scenario.Fault) string {
	var out []string
	for _, f := range faults {
		out = append(out, f.Markdown())
	}
	return strings.Join(out, "\n")
}

// phasedHead is the scenario in which faults come at phases: the incident's workload, on a
// cluster on which it ends.
const phasedHead = `# Each fault at each phase of a task, on two releases: made by simctl faults -o scenario.
apiVersion: simctl.dev/v1alpha1
kind: Scenario
metadata: {name: faults}
description: What becomes of the ModelCar pipeline under each fault at each phase of the task build-image.
cluster:
  nodePools: [{name: worker, count: 3, zones: [a, b, c]}]
  storageClasses: [{name: gp3-csi, default: true, volumeBindingMode: WaitForFirstConsumer}]
tekton: {version: 1.15.0}
workload:
  manifests: [pipelines/modelcar-quantized]
  tasks:
    download-model:
      duration: 12m
      uid: 1001
      writes: [{workspace: source, path: models, bytes: 25G, files: 30}]
    build-image:
      duration: 7m
      uid: 0
      reads: [{workspace: source, path: models}]
      writes: [{workspace: source, path: oci/modelcar.tar, bytes: 25G, mode: "0640"}]
      results: {archive: oci/modelcar.tar}
    push-to-internal: {duration: 3m, uid: 1001, reads: [{workspace: source, path: oci/modelcar.tar}]}
    push-to-quay: {duration: 5m, uid: 1001, reads: [{workspace: source, path: oci/modelcar.tar}]}
    register-model: {duration: 20s, uid: 1001}
axes:
  - {name: tekton, values: [1.3.1, 1.15.0]}
  - name: fault
    values:
`

// phased is a scenario in which each of some faults comes at each phase of a task.
func phased(faults []scenario.Fault) (string, error) {
	var b strings.Builder
	b.WriteString(phasedHead)
	for _, f := range faults {
		for _, phase := range scenario.Phases {
			items, err := f.At("build-image", phase)
			if err != nil {
				return "", err
			}
			raw, err := json.Marshal(items)
			if err != nil {
				return "", fmt.Errorf("writing the interventions of %s: %w", f.Name, err)
			}
			fmt.Fprintf(&b, "      - {name: %s@%s, patch: {interventions: %s}}\n", f.Name, phase, raw)
		}
	}
	return b.String(), nil
}

package scenario

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Fault is an entry of the catalogue of faults: an action that does what goes wrong in
// production, or a way of using one.
type Fault struct {
	// Name names it; words in lower case with "-" between them.
	Name string `json:"name"`
	// Action is the field of Intervention that does it.
	Action string `json:"action"`
	// Does is a sentence on what it does, Real on what of it upstream's own code decides,
	// Simulated on what stands in for a machine or a network. Markdown, as Remedies.
	Does      string `json:"does"`
	Real      string `json:"real"`
	Simulated string `json:"simulated"`
	// Timers are upstream's times and rates that decide what comes of it.
	Timers []Timer `json:"timers,omitempty"`
	// Remedies are what upstream offers against it.
	Remedies []string `json:"remedies,omitempty"`
	// Rule is the rule with which a chain of causes ends where the fault is the root.
	Rule string `json:"rule,omitempty"`
	// Example are interventions to copy: an item of the list, or several, as YAML. They
	// fit the ModelCar pipeline (pipelines/modelcar-quantized).
	Example string `json:"example"`
}

// Timer is one of upstream's times, rates or counts.
type Timer struct {
	// Is says what happens by it.
	Is string `json:"is"`
	// Value is a Go duration, or a number.
	Value string `json:"value"`
	// Package is the Go package that has it, and Symbol what it is called there: a
	// constant, variable or field. A test holds Value against its source. Where Package is
	// none of the modules that simctl is made of, Symbol is empty and nothing is held.
	Package string `json:"package"`
	Symbol  string `json:"symbol,omitempty"`
}

// Source says where upstream has it.
func (t Timer) Source() string {
	if t.Symbol == "" {
		return t.Package
	}
	return t.Symbol + " of " + t.Package
}

// Faults returns the catalogue, in the order of the actions.
func Faults() []Fault {
	var out []Fault
	for _, a := range actions() {
		for _, f := range a.faults {
			f.Action = a.field
			f.Example = strings.TrimSpace(f.Example) + "\n"
			out = append(out, f)
		}
	}
	return out
}

// Markdown is the fault's section of docs/faults.md.
func (f Fault) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s\n\n%s\n\n", f.Name, f.Does)
	fmt.Fprintf(&b, "- **Action**: `%s`\n- **Real**: %s\n- **Simulated**: %s\n", f.Action, f.Real, f.Simulated)
	if f.Rule != "" {
		fmt.Fprintf(&b, "- **Root of a chain as**: `%s`\n", f.Rule)
	}
	for _, r := range f.Remedies {
		fmt.Fprintf(&b, "- **Remedy**: %s\n", r)
	}
	if len(f.Timers) > 0 {
		b.WriteString("\n| upstream's timer | value | source |\n|---|---|---|\n")
		for _, t := range f.Timers {
			fmt.Fprintf(&b, "| %s | %s | %s |\n", t.Is, t.Value, t.Source())
		}
	}
	fmt.Fprintf(&b, "\n```yaml\ninterventions:\n%s```\n", indented(f.Example))
	return b.String()
}

func indented(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString("  " + line)
	}
	return b.String()
}

// At returns the interventions of the example with another task and phase in the place of
// those that it has: what comes at a time comes so long after that, and what is done to a
// task is done to this one.
func (f Fault) At(task, phase string) ([]map[string]any, error) {
	var items []map[string]any
	if err := yaml.Unmarshal([]byte(f.Example), &items); err != nil {
		return nil, fmt.Errorf("reading the example of %s: %w", f.Name, err)
	}
	for _, v := range items {
		if at, ok := v["at"]; ok {
			delete(v, "at")
			v["after"] = at
		}
		v["when"] = map[string]any{"task": task, "phase": phase}
		aim(v, task)
	}
	return items, nil
}

// aim puts a task into what is named by whose it is.
func aim(v any, task string) {
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			aim(x, task)
		}
	case map[string]any:
		for key, x := range v {
			of, whole := x.(map[string]any)
			switch {
			case key != "nodeOf" && key != "podOf" && key != "zoneOf":
				aim(x, task)
			case whole:
				of["task"] = task
			default:
				v[key] = task
			}
		}
	}
}

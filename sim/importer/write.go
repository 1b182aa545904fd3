package importer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	sigsyaml "sigs.k8s.io/yaml"
)

// result writes the files.
func (c *converter) result() (*Result, error) {
	r := &Result{Namespace: c.o.Namespace, Scenario: c.s, Files: map[string][]byte{}}
	for name, objects := range c.kept {
		var b bytes.Buffer
		for i, o := range objects {
			if i > 0 {
				b.WriteString("---\n")
			}
			raw, err := sigsyaml.Marshal(o)
			if err != nil {
				return nil, fmt.Errorf("writing %s: %w", name, err)
			}
			b.Write(raw)
		}
		r.Files[path.Join("manifests", name)] = b.Bytes()
	}
	for _, section := range sections {
		r.Notes = append(r.Notes, c.notes[section]...)
	}
	var err error
	r.Files["scenario.yaml"], err = c.scenario()
	return r, err
}

// sections are those of a scenario that have notes of their own; "" is its head.
var sections = []string{"", "cluster", "tekton", "workload"}

// scenario writes the scenario with its notes as comments.
func (c *converter) scenario() ([]byte, error) {
	// JSON has the fields in the order of their declaration, and is YAML.
	raw, err := json.Marshal(c.s)
	if err != nil {
		return nil, fmt.Errorf("writing the scenario: %w", err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		return nil, fmt.Errorf("writing the scenario: %w", err)
	}
	block(&doc, 0)
	root := doc.Content[0]
	root.HeadComment = comment(append([]string{"Made by simctl import. Secrets' values were not read."}, c.notes[""]...))
	for i := 0; i+1 < len(root.Content); i += 2 {
		if notes := c.notes[root.Content[i].Value]; len(notes) > 0 && root.Content[i].Value != "" {
			root.Content[i].HeadComment = comment(notes)
		}
	}
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(&doc); err != nil {
		return nil, fmt.Errorf("writing the scenario: %w", err)
	}
	return b.Bytes(), nil
}

// flowing are the lists whose elements fit on a line.
var flowing = []string{"taints", "grants", "zones", "accessModes", "manifests"}

// block takes the marks of JSON off: quotes where none are needed, and braces
// but around the elements of some lists.
func block(n *yaml.Node, style yaml.Style) {
	n.Style = style
	for i, child := range n.Content {
		s := style
		if n.Kind == yaml.MappingNode && i%2 == 1 {
			key := n.Content[i-1].Value
			if slices.Contains(flowing, key) {
				block(child, 0)
				for _, e := range child.Content {
					block(e, yaml.FlowStyle)
				}
				if key == "zones" || key == "accessModes" || key == "manifests" {
					child.Style = yaml.FlowStyle
				}
				continue
			}
			if key == "duration" {
				s = yaml.FlowStyle
			}
		}
		if child.Kind == yaml.ScalarNode {
			s = 0
		}
		block(child, s)
	}
}

// comment writes notes, each folded to the width of a page.
func comment(notes []string) string {
	const width = 96
	var lines []string
	for _, n := range notes {
		line := "#"
		for _, word := range strings.Fields(n) {
			if len(line)+1+len(word) > width && line != "#" {
				lines = append(lines, line)
				line = "#  "
			}
			line += " " + word
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

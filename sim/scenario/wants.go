package scenario

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"

	"simctl.dev/simctl/sim/demand"
	"simctl.dev/simctl/sim/internal/tree"
)

// origins are where what a cell has stands in files.
type origins struct {
	// file is the scenario's, doc what is in it.
	file             string
	doc              *document
	objects, remotes []source
	// tasks are the names that models of the runs' tasks can go by.
	tasks runTasks
}

// source is where a manifest stands; empty for one that was made up.
type source struct {
	file string
	node *yaml.Node
}

// Wants is what a cell's manifests ask of others.
type Wants struct {
	*demand.Demands
	// Objects are the manifests, which the places of the demands are of: those that are
	// created, then those that are only fetched.
	Objects []map[string]any

	sources []source
	cell    *Cell
}

// Wants returns what the cell's manifests ask of others.
func (c *Cell) Wants() *Wants {
	w := &Wants{cell: c}
	var files []string
	take := func(file string, raw json.RawMessage, from []source, i int) {
		if o, err := decodeObject(raw); err == nil {
			w.Objects, files = append(w.Objects, o), append(files, file)
			s := source{}
			if i < len(from) {
				s = from[i]
			}
			w.sources = append(w.sources, s)
		}
	}
	from := c.from
	if from == nil {
		from = &origins{file: c.File}
	}
	for i, raw := range c.Objects {
		// What can be fetched comes with its file.
		if !slices.ContainsFunc(c.Remotes, func(r Remote) bool { return bytes.Equal(r.Object, raw) }) {
			take("", raw, from.objects, i)
		}
	}
	for i, r := range c.Remotes {
		take(r.File, r.Object, from.remotes, i)
	}
	w.Demands = demand.OfFiles(w.Objects, files, DefaultNamespace)
	return w
}

// Problem returns a problem at a place among the manifests; at that of the scenario if
// what is there was made up.
func (w *Wants) Problem(at demand.Place, format string, args ...any) *Problem {
	if at.Object < len(w.sources) && w.sources[at.Object].file != "" {
		s := w.sources[at.Object]
		return (&object{file: s.file, node: s.node}).problem(at.Path, format, args...)
	}
	return w.cell.problem("workload.manifests", format, args...)
}

// Of returns the objects of a kind in a namespace, of all if that is empty.
func (w *Wants) Of(kind, namespace string) []map[string]any {
	var out []map[string]any
	for _, o := range w.Objects {
		if tree.Text(o, "kind") == kind && (namespace == "" || tree.Text(o, "metadata", "namespace") == namespace) {
			out = append(out, o)
		}
	}
	return out
}

// problem returns a problem at a field of the cell's scenario.
func (c *Cell) problem(path, format string, args ...any) *Problem {
	p := &Problem{File: c.File, Message: fmt.Sprintf(format, args...)}
	if c.from != nil && c.from.doc != nil {
		at := c.from.doc.at(path)
		p.Line, p.Column = at.line, at.column
	}
	return p
}

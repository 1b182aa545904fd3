package scenario

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"simctl.dev/simctl/sim/internal/tree"
)

// object is a manifest: its JSON, decoded, and where it stands.
type object struct {
	file string
	// node is the manifest's mapping in its file, for positions.
	node *yaml.Node
	data map[string]any
}

func (o *object) kind() string       { return tree.Text(o.data, "kind") }
func (o *object) apiVersion() string { return tree.Text(o.data, "apiVersion") }
func (o *object) namespace() string  { return tree.Text(o.data, "metadata", "namespace") }

// name is the object's name or, with generateName, what it begins with.
func (o *object) name() string { return tree.Name(o.data) }

func (o *object) group() string {
	group, _, ok := strings.Cut(o.apiVersion(), "/")
	if !ok {
		return ""
	}
	return group
}

// tekton reports whether the object is Tekton's of this kind.
func (o *object) tekton(kind string) bool {
	return o.kind() == kind && o.group() == "tekton.dev"
}

// String names the object in messages.
func (o *object) String() string { return o.kind() + " " + o.name() }

// fileFrom names the object's file from a folder, with slashes; "" if it has none.
func (o *object) fileFrom(folder string) string {
	if o.file == "" {
		return ""
	}
	file := o.file
	if rel, err := filepath.Rel(folder, file); err == nil {
		file = rel
	}
	return filepath.ToSlash(file)
}

// copy returns an independent copy.
func (o *object) copy() *object {
	c := *o
	c.data = copyValue(o.data).(map[string]any)
	return &c
}

func copyValue(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = copyValue(e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = copyValue(e)
		}
		return out
	}
	return v
}

// problem returns a problem at a field of the manifest, or at the nearest place
// around it. Path elements are keys and indices.
func (o *object) problem(path []any, format string, args ...any) *Problem {
	p := &Problem{File: o.file, Message: fmt.Sprintf(format, args...)}
	n := o.node
	if n == nil {
		return p
	}
	p.Line, p.Column = n.Line, n.Column
	for _, e := range path {
		if n.Kind == yaml.AliasNode {
			n = n.Alias
		}
		next, at := child(n, e)
		if next == nil {
			break
		}
		n = next
		p.Line, p.Column = at.Line, at.Column
	}
	return p
}

// child returns an element of a mapping or list, and the node to point at. A key that
// the mapping itself does not have may be merged into it.
func child(n *yaml.Node, e any) (value, at *yaml.Node) {
	switch e := e.(type) {
	case string:
		if n.Kind != yaml.MappingNode {
			break
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == e {
				return n.Content[i+1], n.Content[i]
			}
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].ShortTag() != "!!merge" {
				continue
			}
			for _, from := range mergeSources(n.Content[i+1]) {
				if value, at = child(from, e); value != nil {
					return value, at
				}
			}
		}
	case int:
		if n.Kind == yaml.SequenceNode && e < len(n.Content) {
			return n.Content[e], n.Content[e]
		}
	}
	return nil, nil
}

// set puts a value into a decoded JSON tree, making the mappings on the way.
func set(m map[string]any, value any, path ...string) {
	for _, key := range path[:len(path)-1] {
		next, ok := m[key].(map[string]any)
		if !ok {
			next = map[string]any{}
			m[key] = next
		}
		m = next
	}
	m[path[len(path)-1]] = value
}

// decodeObject reads a JSON object, keeping its numbers as they are written.
func decodeObject(data []byte) (map[string]any, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var m map[string]any
	if err := dec.Decode(&m); err != nil {
		return nil, fmt.Errorf("reading a JSON object: %w", err)
	}
	return m, nil
}

// merge applies a merge patch (RFC 7386) to decoded JSON. The target is
// changed in place where it can be.
func merge(target, patch any) any {
	p, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	t, ok := target.(map[string]any)
	if !ok {
		t = map[string]any{}
	}
	for k, v := range p {
		if v == nil {
			delete(t, k)
		} else {
			t[k] = merge(t[k], v)
		}
	}
	return t
}

func quoted(s string) string { return strconv.Quote(s) }

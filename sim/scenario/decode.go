package scenario

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// position is a place in a file, counted from 1.
type position struct{ line, column int }

// document is a scenario file on its way from YAML to the types: where each
// field stands, and what is wrong with the fields as such. A field that is
// wrong is left out of what is decoded, so that the rest can be checked too.
type document struct {
	file      string
	positions map[string]position
	problems  []*Problem
	// broken are the paths of the objects and fields that have a problem.
	broken map[string]bool
	nodes  int
}

// maxNodes bounds a file after its aliases are resolved: a few lines of nested
// aliases can stand for billions of values.
const maxNodes = 100_000

var (
	rawType          = reflect.TypeFor[json.RawMessage]()
	distributionType = reflect.TypeFor[Distribution]()
	stringListType   = reflect.TypeFor[StringList]()
	nodeRefType      = reflect.TypeFor[NodeRef]()
	nodeDrainType    = reflect.TypeFor[NodeDrain]()
	claimOfType      = reflect.TypeFor[ClaimOf]()
	podOfType        = reflect.TypeFor[PodOf]()
	nodeSilenceType  = reflect.TypeFor[NodeSilence]()
	nodeShutdownType = reflect.TypeFor[NodeShutdown]()
	scenarioType     = reflect.TypeFor[Scenario]()
	axisType         = reflect.TypeFor[Axis]()
	valueType        = reflect.TypeFor[Value]()
)

// scalarForms are the types that plain text stands for too.
var scalarForms = []reflect.Type{distributionType, nodeRefType, nodeDrainType, nodeSilenceType, nodeShutdownType, claimOfType, podOfType}

// parseScenario reads the text of a scenario file. The problems are in the
// document; the Scenario has what could be read.
func parseScenario(file string, text []byte) (*Scenario, *document) {
	d := &document{file: file, positions: map[string]position{}, broken: map[string]bool{}}
	root, err := parseYAML(file, text)
	if err != nil {
		d.problems = append(d.problems, err)
		return nil, d
	}
	value, ok := d.convert(root, scenarioType, "", false)
	if d.nodes > maxNodes {
		d.problems = []*Problem{{File: file, Message: fmt.Sprintf("the file has more than %d values; if it uses aliases (*name), use fewer", maxNodes)}}
		return nil, d
	}
	if !ok {
		if len(d.problems) == 0 {
			// A null, which is nothing wrong where a value may be left out.
			d.problems = append(d.problems, emptyFile(file))
		}
		return nil, d
	}
	data, merr := json.Marshal(value)
	s := &Scenario{}
	if merr == nil {
		merr = json.Unmarshal(data, s)
	}
	if merr != nil {
		// Every type was checked node by node, so this is a number out of range.
		d.problems = append(d.problems, &Problem{File: file, Message: merr.Error()})
		return nil, d
	}
	return s, d
}

func emptyFile(file string) *Problem {
	return &Problem{File: file, Message: "the file is empty; it should be a scenario (apiVersion: " + APIVersion + ", kind: " + Kind + ")"}
}

// parseYAML returns the one mapping that a scenario file must be.
func parseYAML(file string, text []byte) (*yaml.Node, *Problem) {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var root, more yaml.Node
	if err := dec.Decode(&root); err != nil {
		if len(bytes.TrimSpace(text)) == 0 || strings.Contains(err.Error(), "EOF") {
			return nil, emptyFile(file)
		}
		return nil, yamlProblem(file, text, err)
	}
	if err := dec.Decode(&more); err == nil {
		return nil, &Problem{File: file, Line: more.Line, Column: more.Column,
			Message: "a second document; write one scenario to a file"}
	} else if !strings.Contains(err.Error(), "EOF") {
		return nil, yamlProblem(file, text, err)
	}
	node := &root
	if node.Kind == yaml.DocumentNode {
		node = node.Content[0]
	}
	return node, nil
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// yamlProblem gives the YAML reader's error its place.
func yamlProblem(file string, text []byte, err error) *Problem {
	p := &Problem{File: file}
	message := strings.Join(strings.Fields(err.Error()), " ")
	if m := yamlLine.FindStringSubmatch(message); m != nil {
		p.Line, _ = strconv.Atoi(m[1])
		message = message[len(m[0]):]
	}
	p.Message = "not YAML: " + message
	lines := bytes.Split(text, []byte("\n"))
	// The reader counts some errors from 0.
	for _, n := range []int{p.Line, p.Line + 1} {
		if n > 0 && n <= len(lines) && bytes.HasPrefix(bytes.TrimLeft(lines[n-1], " "), []byte("\t")) {
			p.Line = n
			p.Message = "not YAML: the line is indented with a tab; use spaces"
			return p
		}
	}
	return p
}

func (d *document) report(n *yaml.Node, path, format string, args ...any) {
	d.broken[path] = true
	d.problems = append(d.problems, &Problem{
		File: d.file, Line: n.Line, Column: n.Column, Message: fmt.Sprintf(format, args...),
	})
}

// at returns the place of a field or, if the file does not have it, of the
// nearest one around it.
func (d *document) at(path string) position {
	for {
		if p, ok := d.positions[path]; ok {
			return p
		}
		cut := strings.LastIndexAny(path, ".[")
		if cut < 0 {
			return position{1, 1}
		}
		path = path[:cut]
	}
}

// has reports whether the file has the field.
func (d *document) has(path string) bool {
	_, ok := d.positions[path]
	return ok
}

// silent reports whether a problem of the path follows from one that is
// reported already.
func (d *document) silent(path string) bool {
	for {
		if d.broken[path] {
			return true
		}
		cut := strings.LastIndexAny(path, ".[")
		if cut < 0 {
			return false
		}
		path = path[:cut]
	}
}

// brokenBelow reports whether anything below the path has a problem.
func (d *document) brokenBelow(path string) bool {
	for b := range d.broken {
		if strings.HasPrefix(b, path) {
			return true
		}
	}
	return false
}

// convert checks a node against a type and gives it as the JSON value that
// decodes into the type; false if it cannot. In a merge patch (partial) null is
// a value: it removes.
func (d *document) convert(n *yaml.Node, t reflect.Type, path string, partial bool) (any, bool) {
	if d.nodes++; d.nodes > maxNodes {
		return nil, false
	}
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if isNull(n) {
		return nil, partial || t == rawType
	}
	switch {
	case t == rawType:
		return d.generic(n, path)
	case slices.Contains(scalarForms, t) && n.Kind == yaml.ScalarNode:
		return n.Value, true
	case t == stringListType && n.Kind == yaml.ScalarNode:
		return []any{n.Value}, true
	case t == axisType:
		return d.axis(n, path)
	case t == valueType:
		return d.fields(n, t, path, partial)
	}
	switch t.Kind() {
	case reflect.Struct:
		return d.fields(n, t, path, partial)
	case reflect.Map:
		return d.entries(n, t, path, partial)
	case reflect.Slice:
		if n.Kind != yaml.SequenceNode && t == stringListType {
			return d.mismatch(n, path, "text or a list of texts")
		}
		if n.Kind != yaml.SequenceNode {
			return d.mismatch(n, path, "a list (write it as [...] or as lines that begin with -)")
		}
		out := make([]any, 0, len(n.Content))
		for i, item := range n.Content {
			itemPath := fmt.Sprintf("%s[%d]", path, i)
			d.positions[itemPath] = position{item.Line, item.Column}
			if isNull(item) && t.Elem() != rawType {
				d.report(item, itemPath, "%s is empty; remove the entry or give it a value", itemPath)
			}
			// A merge patch replaces lists whole, so their items are no patches.
			// One that is wrong is kept as null, so that the places still count.
			v, ok := d.convert(item, t.Elem(), itemPath, false)
			if !ok {
				v = nil
			}
			out = append(out, v)
		}
		return out, true
	case reflect.String:
		// Numbers and booleans are taken as they are written: a version 1.10
		// or a flag's true need no quotes.
		if n.Kind != yaml.ScalarNode {
			return d.mismatch(n, path, "text")
		}
		return n.Value, true
	case reflect.Bool:
		var v bool
		if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!bool" || n.Decode(&v) != nil {
			return d.mismatch(n, path, "true or false")
		}
		return v, true
	case reflect.Int, reflect.Int64:
		var v int64
		if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!int" || n.Decode(&v) != nil {
			return d.mismatch(n, path, "a whole number")
		}
		return v, true
	case reflect.Float64:
		var v float64
		if n.Kind != yaml.ScalarNode || (n.ShortTag() != "!!int" && n.ShortTag() != "!!float") || n.Decode(&v) != nil {
			return d.mismatch(n, path, "a number")
		}
		return v, true
	}
	panic(fmt.Sprintf("scenario type %s has no YAML form", t))
}

func (d *document) mismatch(n *yaml.Node, path, want string) (any, bool) {
	have := "a list"
	switch n.Kind {
	case yaml.ScalarNode:
		have = strconv.Quote(n.Value)
	case yaml.MappingNode:
		have = "a mapping"
	}
	if path == "" {
		path = "the file"
	}
	d.report(n, path, "%s is %s and should be %s", path, have, want)
	return nil, false
}

func isNull(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null"
}

// pair is a key of a mapping with its value; merge keys are resolved.
type pair struct{ key, value *yaml.Node }

// pairs lists a mapping, reporting keys that come twice.
func (d *document) pairs(n *yaml.Node, path string) []pair {
	var out, merged []pair
	seen := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.ShortTag() == "!!merge" {
			for _, from := range mergeSources(value) {
				if d.nodes++; d.nodes > maxNodes {
					break
				}
				merged = append(merged, d.pairs(from, path)...)
			}
			continue
		}
		if key.Kind != yaml.ScalarNode {
			d.report(key, path, "a key must be plain text")
			continue
		}
		if first, ok := seen[key.Value]; ok {
			d.report(key, path, "%q is given twice, first on line %d; remove one", key.Value, first.Line)
			continue
		}
		seen[key.Value] = key
		out = append(out, pair{key, value})
	}
	for _, p := range merged {
		if seen[p.key.Value] == nil {
			seen[p.key.Value] = p.key
			out = append(out, p)
		}
	}
	return out
}

func mergeSources(n *yaml.Node) []*yaml.Node {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch n.Kind {
	case yaml.MappingNode:
		return []*yaml.Node{n}
	case yaml.SequenceNode:
		var out []*yaml.Node
		for _, item := range n.Content {
			out = append(out, mergeSources(item)...)
		}
		return out
	}
	return nil
}

// jsonFields are a struct's fields by their JSON names.
func jsonFields(t reflect.Type) (map[string]reflect.Type, []string) {
	fields := map[string]reflect.Type{}
	var names []string
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		fields[name] = f.Type
		names = append(names, name)
	}
	return fields, names
}

func (d *document) fields(n *yaml.Node, t reflect.Type, path string, partial bool) (any, bool) {
	if n.Kind != yaml.MappingNode {
		return d.mismatch(n, path, "a mapping with "+oneOf(t))
	}
	fields, _ := jsonFields(t)
	out := map[string]any{}
	for _, p := range d.pairs(n, path) {
		name := p.key.Value
		ft, ok := fields[name]
		if !ok {
			d.unknownField(p.key, path, t)
			continue
		}
		fieldPath := joinPath(path, name)
		d.positions[fieldPath] = position{p.key.Line, p.key.Column}
		var v any
		if t == valueType && name == "patch" {
			v, ok = d.patch(p.value, fieldPath)
		} else {
			v, ok = d.convert(p.value, ft, fieldPath, partial)
		}
		if ok {
			out[name] = v
		}
	}
	return out, true
}

func oneOf(t reflect.Type) string {
	_, names := jsonFields(t)
	if len(names) > 4 {
		return strings.Join(names[:4], ", ") + ", ..."
	}
	return strings.Join(names, ", ")
}

func in(path string) string {
	if path == "" {
		return ""
	}
	return " in " + path
}

func joinPath(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func (d *document) entries(n *yaml.Node, t reflect.Type, path string, partial bool) (any, bool) {
	if n.Kind != yaml.MappingNode {
		return d.mismatch(n, path, "a mapping")
	}
	out := map[string]any{}
	for _, p := range d.pairs(n, path) {
		entryPath := joinPath(path, p.key.Value)
		d.positions[entryPath] = position{p.key.Line, p.key.Column}
		if v, ok := d.convert(p.value, t.Elem(), entryPath, partial); ok {
			out[p.key.Value] = v
		}
	}
	return out, true
}

// generic returns a node as JSON, whatever it is.
func (d *document) generic(n *yaml.Node, path string) (any, bool) {
	if d.nodes++; d.nodes > maxNodes {
		return nil, false
	}
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch n.Kind {
	case yaml.MappingNode:
		out := map[string]any{}
		for _, p := range d.pairs(n, path) {
			entryPath := joinPath(path, p.key.Value)
			d.positions[entryPath] = position{p.key.Line, p.key.Column}
			if v, ok := d.generic(p.value, entryPath); ok {
				out[p.key.Value] = v
			}
		}
		return out, true
	case yaml.SequenceNode:
		out := make([]any, 0, len(n.Content))
		for i, item := range n.Content {
			itemPath := fmt.Sprintf("%s[%d]", path, i)
			d.positions[itemPath] = position{item.Line, item.Column}
			if v, ok := d.generic(item, itemPath); ok {
				out = append(out, v)
			}
		}
		return out, true
	}
	var v any
	switch n.ShortTag() {
	case "!!timestamp", "!!binary":
		v = n.Value
	default:
		if err := n.Decode(&v); err != nil {
			d.report(n, path, "%s is %q, which is no value: %v", path, n.Value, err)
			return nil, false
		}
	}
	if _, err := json.Marshal(v); err != nil {
		d.report(n, path, "%s is %s, which JSON has no number for", path, n.Value)
		return nil, false
	}
	return v, true
}

// varied are the parts of a scenario that a value's patch may change.
var varied = []string{"cluster", "tekton", "workload", "interventions"}

// patch checks a merge patch on the scenario.
func (d *document) patch(n *yaml.Node, path string) (any, bool) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind != yaml.MappingNode {
		return d.mismatch(n, path, "a mapping with "+strings.Join(varied, ", "))
	}
	v, ok := d.convert(n, scenarioType, path, true)
	m, _ := v.(map[string]any)
	for _, p := range d.pairs(n, path) {
		if _, known := m[p.key.Value]; known && !slices.Contains(varied, p.key.Value) {
			d.report(p.key, path, "an axis cannot vary %q; it can vary %s", p.key.Value, strings.Join(varied, ", "))
			delete(m, p.key.Value)
		}
	}
	return v, ok
}

// axis checks an axis: plain text among its values is what the axis's name
// makes of it.
func (d *document) axis(n *yaml.Node, path string) (any, bool) {
	if n.Kind != yaml.MappingNode {
		return d.mismatch(n, path, "a mapping with name and values")
	}
	pairs := d.pairs(n, path)
	out := map[string]any{}
	// The name is needed for the values, wherever it stands.
	name := ""
	for _, p := range pairs {
		if p.key.Value == "name" && p.value.Kind == yaml.ScalarNode && !isNull(p.value) {
			name = p.value.Value
		}
	}
	for _, p := range pairs {
		fieldPath := joinPath(path, p.key.Value)
		d.positions[fieldPath] = position{p.key.Line, p.key.Column}
		switch p.key.Value {
		case "name":
			if v, ok := d.convert(p.value, reflect.TypeFor[string](), fieldPath, false); ok {
				out["name"] = v
			}
		case "values":
			if v, ok := d.axisValues(name, p.value, fieldPath); ok {
				out["values"] = v
			}
		default:
			d.unknownField(p.key, path, axisType)
		}
	}
	return out, true
}

func (d *document) axisValues(axis string, n *yaml.Node, path string) (any, bool) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if isNull(n) {
		return nil, false
	}
	if n.Kind != yaml.SequenceNode {
		return d.mismatch(n, path, "a list of values")
	}
	out := make([]any, len(n.Content))
	for i, item := range n.Content {
		itemPath := fmt.Sprintf("%s[%d]", path, i)
		d.positions[itemPath] = position{item.Line, item.Column}
		if item.Kind == yaml.AliasNode {
			item = item.Alias
		}
		switch {
		case isNull(item):
			d.report(item, itemPath, "%s is empty; remove the entry or give it a value", itemPath)
		case item.Kind == yaml.ScalarNode && axis != "":
			if _, err := shorthand(axis, item.Value); err != nil {
				d.report(item, itemPath, "%s", err)
				continue
			}
			// Axis.UnmarshalJSON makes the value of it.
			out[i] = item.Value
		case item.Kind == yaml.ScalarNode:
			d.broken[itemPath] = true // the axis has no name, which is reported
		default:
			if v, ok := d.fields(item, valueType, itemPath, false); ok {
				out[i] = v
			}
		}
	}
	return out, true
}

// unknownField reports a key that its mapping cannot have. What the key most
// likely stands for then counts as given.
func (d *document) unknownField(key *yaml.Node, path string, t reflect.Type) {
	_, names := jsonFields(t)
	message := fmt.Sprintf("unknown field %q%s%s", key.Value, in(path), Suggest(key.Value, names))
	if near := nearest(key.Value, names); near != "" {
		path = joinPath(path, near)
	}
	d.report(key, path, "%s", message)
}

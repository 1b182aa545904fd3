package scenario

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	sigsyaml "sigs.k8s.io/yaml"

	"simctl.dev/simctl/sim/internal/kustomize"
	"simctl.dev/simctl/sim/internal/tree"
)

// reader reads manifests: files, folders and kustomizations.
type reader struct {
	objects  []*object
	problems []*Problem
	// inputs takes the files that are read.
	inputs *inputs
	// files are the files whose manifests were read.
	files map[string]bool
	// open are the kustomizations being read, to find circles.
	open []string
}

func (r *reader) fail(file string, at *yaml.Node, format string, args ...any) {
	p := &Problem{File: file, Message: fmt.Sprintf(format, args...)}
	if at != nil {
		p.Line, p.Column = at.Line, at.Column
	}
	r.problems = append(r.problems, p)
}

// path reads a file or folder. It returns an error only if the path itself
// cannot be read; what is wrong inside goes to r.problems.
func (r *reader) path(name string) error {
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s does not exist%s", name, suggestFile(name))
	}
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", name, plainError(err))
	}
	if info.IsDir() {
		before, bad := len(r.objects), len(r.problems)
		if err := r.folder(name); err != nil {
			return err
		}
		if len(r.objects) == before && len(r.problems) == bad {
			if runs := filepath.Join(name, pacFolder); fileExists(runs) {
				return fmt.Errorf("no manifests in %s itself; for the runs of Pipelines-as-Code, name %s", name, runs)
			}
			return fmt.Errorf("no manifests in %s", name)
		}
		return nil
	}
	if slices.Contains(kustomize.FileNames(), filepath.Base(name)) {
		return r.kustomization(name)
	}
	return r.file(name, false)
}

// plainError takes the operation and path off a file error: the message names
// them already.
func plainError(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// suggestFile names the most similar file of the folder.
func suggestFile(name string) string {
	entries, err := os.ReadDir(filepath.Dir(name))
	if err != nil {
		return fmt.Sprintf(": there is no folder %s", filepath.Dir(name))
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if near := nearest(filepath.Base(name), names); near != "" {
		return "; did you mean " + quoted(near) + "?"
	}
	return ""
}

// folder reads a folder's kustomization or, if it has none, its YAML and JSON
// files and its folders. Scenario files among them are left out.
func (r *reader) folder(name string) error {
	if k := kustomizationOf(name); k != "" {
		return r.kustomization(k)
	}
	if chart := filepath.Join(name, "Chart.yaml"); fileExists(chart) {
		r.fail(chart, nil, "looks like a Helm chart: simctl init --from %s renders it, or helm template %s | simctl init --from -", name, name)
		return nil
	}
	entries, err := os.ReadDir(name)
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", name, plainError(err))
	}
	for _, e := range entries {
		full := filepath.Join(name, e.Name())
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		info, err := os.Stat(full)
		switch {
		case err != nil:
			return fmt.Errorf("cannot read %s: %w", full, plainError(err))
		case info.IsDir():
			err = r.folder(full)
		case slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(full)):
			err = r.file(full, true)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// file reads the documents of a file.
func (r *reader) file(name string, skipScenarios bool) error {
	content, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", name, plainError(err))
	}
	r.inputs.add(name, content)
	if r.files == nil {
		r.files = map[string]bool{}
	}
	r.files[filepath.Clean(name)] = true
	return r.documents(name, content, skipScenarios)
}

// helmTemplate is what templates of Helm charts have and no YAML has.
var helmTemplate = regexp.MustCompile(`\{\{-|-\}\}|\{\{ *(\.|\$|if|range|with|include|template|define|toYaml|required)\b|\{\{ *\.[A-Z]`)

const looksLikeHelm = "looks like a Helm chart's template: helm template CHART | simctl init --from -"

func fileExists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// documents reads what is in a file.
func (r *reader) documents(name string, content []byte, skipScenarios bool) error {
	pac := forPac(name, content)
	for _, doc := range splitDocuments(content) {
		var root yaml.Node
		var madeUp []string
		if pac {
			doc, madeUp = pacFill(doc)
		}
		if err := yaml.Unmarshal(doc, &root); err != nil {
			p := yamlProblem(name, content, err)
			if helmTemplate.Match(content) {
				p.Message = looksLikeHelm
			}
			r.problems = append(r.problems, p)
			// The other documents of a broken file would only confuse.
			return nil
		}
		if root.Kind == 0 || len(root.Content) == 0 || isNull(root.Content[0]) {
			continue
		}
		node := root.Content[0]
		if node.Kind != yaml.MappingNode {
			r.fail(name, node, "not a Kubernetes manifest; it should be a mapping with apiVersion, kind and metadata")
			continue
		}
		if at, message := badKey(node); at != nil {
			if helmTemplate.Match(doc) {
				message = looksLikeHelm
			}
			r.fail(name, at, "%s", message)
			continue
		}
		// What the values are is decided as kubectl decides it, which differs from YAML
		// 1.2 in words such as yes and on, and in which of a key and a merged one counts.
		asJSON, err := sigsyaml.YAMLToJSON(doc)
		if err != nil {
			p := yamlProblem(name, content, errors.New(strings.TrimPrefix(err.Error(), "error converting YAML to JSON: ")))
			if p.Line == 0 {
				p.Line, p.Column = node.Line, node.Column
			}
			r.problems = append(r.problems, p)
			continue
		}
		data, err := decodeObject(asJSON)
		if err != nil {
			r.fail(name, node, "%v", err)
			continue
		}
		if skipScenarios && strings.HasPrefix(tree.Text(data, "apiVersion"), apiGroup) {
			continue
		}
		o := &object{file: name, node: node, data: data}
		if pac && o.tekton("PipelineRun") {
			o.pacRun(madeUp)
		}
		r.add(o)
	}
	return nil
}

// add takes an object or the items of a List.
func (r *reader) add(o *object) {
	for _, field := range [][]string{{"apiVersion"}, {"kind"}, {"metadata", "name"}, {"metadata", "generateName"}, {"metadata", "namespace"}} {
		if at, message := o.noText(field); message != "" {
			r.problems = append(r.problems, o.problem(at, "%s", message))
			return
		}
	}
	if o.kind() == "" || o.apiVersion() == "" {
		r.fail(o.file, o.node, "not a Kubernetes manifest: it has no apiVersion or no kind")
		return
	}
	items, isList := o.data["items"].([]any)
	if isList && strings.HasSuffix(o.kind(), "List") {
		nodes, _ := child(o.node, "items")
		for i, item := range items {
			n := o.node
			if nodes != nil {
				if c, _ := child(nodes, i); c != nil {
					n = c
				}
			}
			m, ok := item.(map[string]any)
			if !ok {
				r.fail(o.file, n, "item %d of the %s is no Kubernetes manifest", i, o.kind())
				continue
			}
			r.add(&object{file: o.file, node: n, data: m})
		}
		return
	}
	if o.name() == "" {
		r.fail(o.file, o.node, "the %s has neither metadata.name nor metadata.generateName", o.kind())
		return
	}
	r.objects = append(r.objects, o)
}

// badKey finds a key that comes twice in a mapping, or that is no plain text, and says so.
// A key that is merged (<<) may be given again. Aliases are not followed: what they stand
// for is looked at where it is written.
func badKey(n *yaml.Node) (*yaml.Node, string) {
	if n.Kind == yaml.MappingNode {
		first := map[string]*yaml.Node{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			switch {
			case key.ShortTag() == "!!merge":
				if !merges(n.Content[i+1]) {
					return key, "what << merges should be a mapping, or a list of mappings"
				}
				continue
			case key.Kind == yaml.AliasNode:
				continue
			case key.Kind == yaml.MappingNode && key.Style&yaml.FlowStyle != 0:
				return key, "a key must be plain text; if a text begins with {{, put it in quotes"
			case key.Kind != yaml.ScalarNode:
				return key, "a key must be plain text"
			}
			if had := first[key.Value]; had != nil && had.ShortTag() == key.ShortTag() {
				return key, fmt.Sprintf("%q is given twice, first on line %d; remove one", key.Value, had.Line)
			}
			first[key.Value] = key
		}
	}
	for _, c := range n.Content {
		if at, message := badKey(c); at != nil {
			return at, message
		}
	}
	return nil, ""
}

// merges says whether a node can be merged into a mapping.
func merges(n *yaml.Node) bool {
	if n.Kind == yaml.SequenceNode {
		return !slices.ContainsFunc(n.Content, func(c *yaml.Node) bool { return c.Kind == yaml.SequenceNode || !merges(c) })
	}
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n.Kind == yaml.MappingNode
}

// noText says what a field is that should be text, with where that is; nothing if it is
// text or not there.
func (o *object) noText(field []string) (at []any, message string) {
	var v any = o.data
	for i, key := range field {
		m, ok := v.(map[string]any)
		if !ok {
			return at, fmt.Sprintf("%s is %s and should be a mapping", strings.Join(field[:i], "."), what(v))
		}
		at = append(at, key)
		if v = m[key]; v == nil {
			return nil, ""
		}
	}
	if _, ok := v.(string); ok {
		return nil, ""
	}
	message = fmt.Sprintf("%s is %s and should be text", strings.Join(field, "."), what(v))
	switch v.(type) {
	case bool, json.Number:
		message += "; put it in quotes"
	}
	return at, message
}

// what names the kind of a decoded value.
func what(v any) string {
	switch v := v.(type) {
	case map[string]any:
		return "a mapping"
	case []any:
		return "a list"
	case json.Number:
		return "the number " + v.String()
	case bool:
		return strconv.FormatBool(v)
	}
	return "text"
}

// splitDocuments cuts a YAML stream into its documents. Each is led by as many
// empty lines as stand before it, so that its line numbers are the file's.
func splitDocuments(content []byte) [][]byte {
	var docs [][]byte
	var doc []byte
	line := 0
	flush := func() {
		if len(bytes.TrimSpace(doc)) > 0 {
			docs = append(docs, doc)
		}
		doc = bytes.Repeat([]byte("\n"), line)
	}
	for l := range bytes.SplitAfterSeq(content, []byte("\n")) {
		if rest, ok := bytes.CutPrefix(l, []byte("---")); ok && (len(bytes.TrimSpace(rest)) == 0 || rest[0] == ' ' || rest[0] == '\t') {
			flush()
			// What follows the mark on its line belongs to the document.
			doc = append(doc, bytes.Repeat([]byte(" "), 3)...)
			if trimmed := bytes.TrimSpace(rest); len(trimmed) > 0 && trimmed[0] == '#' {
				rest = []byte("\n")
			}
			doc = append(doc, rest...)
		} else if bytes.HasPrefix(l, []byte("...")) && len(bytes.TrimSpace(l[3:])) == 0 {
			doc = append(doc, '\n')
		} else {
			doc = append(doc, l...)
		}
		line++
	}
	flush()
	return docs
}

// clusterScoped are the kinds that have no namespace.
var clusterScoped = []string{
	"Namespace", "Node", "PersistentVolume", "StorageClass", "PriorityClass", "RuntimeClass",
	"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "CSIDriver", "CSINode",
	"VolumeAttachment", "VolumeAttributesClass", "ClusterTask", "SecurityContextConstraints",
	"ClusterInterceptor", "ClusterTriggerBinding", "TektonConfig",
	"ValidatingWebhookConfiguration", "MutatingWebhookConfiguration",
	"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
}

func (o *object) namespaced() bool { return !slices.Contains(clusterScoped, o.kind()) }

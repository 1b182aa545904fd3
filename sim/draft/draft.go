package draft

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	sigsyaml "sigs.k8s.io/yaml"

	"simctl.dev/simctl/sim/demand"
	"simctl.dev/simctl/sim/internal/tree"
	"simctl.dev/simctl/sim/stub"
)

// Options are what [Make] is told.
type Options struct {
	// Name is the scenario's; empty takes the first Pipeline's.
	Name string
	// Version is the release of Tekton.
	Version string
	// Manifests are the paths at which the manifests stand, as the scenario names them.
	Manifests []string
	// OpenShift are the SCCs that a cluster with OpenShift Pipelines has, and the roles and
	// bindings that say who may use them in the manifests' namespaces.
	OpenShift []map[string]any
	// Params are values for parameters of Pipelines that have no run.
	Params map[string]string
}

// Draft is what [Make] makes.
type Draft struct {
	Name string
	// Files are the contents of the files to write, by name.
	Files map[string][]byte
	// MadeUp are the stubs, each with who refers to it, and the values that were made up
	// for parameters.
	MadeUp []string
	// Notes are what a reader must know, a line each.
	Notes []string
}

// drafter makes a draft.
type drafter struct {
	o         Options
	objects   []map[string]any
	files     []string
	d         *Draft
	openshift bool
	demands   *demand.Demands
}

const namespace = "default"

// Namespaces are those that manifests' objects are in.
func Namespaces(objects []map[string]any) []string {
	out := []string{namespace}
	for _, o := range objects {
		if n := tree.Text(o, "metadata", "namespace"); n != "" && !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

// Make makes a draft of manifests, which are decoded JSON and stand in some files. The
// error says what is missing.
func Make(objects []map[string]any, files []string, o Options) (*Draft, error) {
	m := &drafter{o: o, objects: slices.Clone(objects), files: slices.Clone(files), d: &Draft{Files: map[string][]byte{}}}
	m.d.Name = name(o.Name, objects)
	for _, o := range objects {
		if stub.Made(o) {
			m.d.MadeUp = append(m.d.MadeUp, fmt.Sprintf("%s %s, %s", tree.Text(o, "kind"), tree.Name(o), tree.Text(o, "metadata", "annotations", stub.Annotation)))
		}
	}
	runs, err := m.runs()
	if err != nil {
		return nil, err
	}
	manifests := slices.Clone(o.Manifests)
	if len(runs) > 0 {
		m.d.Files["run.yaml"] = runs
		manifests = append(manifests, "run.yaml")
	}
	m.demands = demand.OfFiles(m.objects, m.files, namespace)
	m.openshift = openshift(m.objects, m.demands)
	if stubs := stub.Of(m.demands.References, m.openshift); len(stubs) > 0 {
		content, err := m.stubs(stubs)
		if err != nil {
			return nil, err
		}
		m.d.Files["stubs.yaml"] = content
		manifests = append(manifests, "stubs.yaml")
	}
	m.d.Files["scenario.yaml"] = m.scenario(manifests)
	return m.d, nil
}

// name is the scenario's: the one asked for, or that of the first Pipeline or run.
func name(wanted string, objects []map[string]any) string {
	if wanted != "" {
		return wanted
	}
	for _, kind := range []string{"Pipeline", "PipelineRun"} {
		for _, o := range objects {
			if n := tree.Name(o); tree.Tekton(o, kind) && n != "" {
				return strings.Trim(n, "-")
			}
		}
	}
	return "pipeline"
}

// runs writes a run of each Pipeline, if there is no run at all.
func (m *drafter) runs() ([]byte, error) {
	var pipelines []map[string]any
	for _, o := range m.objects {
		switch {
		case tree.Tekton(o, "PipelineRun"):
			if len(m.o.Params) > 0 {
				return nil, fmt.Errorf("parameters are given, and the manifests have a run with its own, %s: edit that, or leave --param out", name("", []map[string]any{o}))
			}
			return nil, nil
		case tree.Tekton(o, "Pipeline"):
			pipelines = append(pipelines, o)
		}
	}
	if len(pipelines) == 0 {
		return nil, fmt.Errorf("the manifests have neither a Pipeline nor a PipelineRun: name the files of one")
	}
	known := map[string]bool{}
	var b bytes.Buffer
	for i, p := range pipelines {
		if i > 0 {
			b.WriteString("---\n")
		}
		text := m.run(p, known)
		b.WriteString(text)
		var o map[string]any
		if err := sigsyaml.Unmarshal([]byte(text), &o); err != nil {
			return nil, fmt.Errorf("reading the run that was made up: %w", err)
		}
		m.objects, m.files = append(m.objects, o), append(m.files, "run.yaml")
	}
	for _, n := range slices.Sorted(maps.Keys(m.o.Params)) {
		if !known[n] {
			return nil, fmt.Errorf("no Pipeline has a parameter %q", n)
		}
	}
	return b.Bytes(), nil
}

// run writes a run of a Pipeline.
func (m *drafter) run(p map[string]any, known map[string]bool) string {
	var b strings.Builder
	pipeline := tree.Text(p, "metadata", "name")
	fmt.Fprintf(&b, "# Made up: a run of Pipeline %s. Parameters with a default keep it.\n", pipeline)
	fmt.Fprintf(&b, "apiVersion: tekton.dev/v1\nkind: PipelineRun\nmetadata:\n  generateName: %s-\n", pipeline)
	if ns := tree.Text(p, "metadata", "namespace"); ns != "" {
		fmt.Fprintf(&b, "  namespace: %s\n", ns)
	}
	fmt.Fprintf(&b, "  annotations: {%s: for Pipeline %s}\nspec:\n  pipelineRef: {name: %s}\n", stub.Annotation, pipeline, pipeline)
	var params strings.Builder
	for _, d := range tree.List(p, "spec", "params") {
		n := tree.Text(d, "name")
		known[n] = true
		given, ok := m.o.Params[n]
		switch {
		case ok && tree.Text(d, "type") == "array":
			fmt.Fprintf(&params, "    - {name: %s, value: %s}\n", n, inline(strings.Split(given, ",")))
		case ok:
			fmt.Fprintf(&params, "    - {name: %s, value: %s}\n", n, inline(given))
		case tree.Get(d, "default") == nil:
			value := inline(value(p, d))
			fmt.Fprintf(&params, "    - {name: %s, value: %s} # made up\n", n, value)
			m.d.MadeUp = append(m.d.MadeUp, fmt.Sprintf("parameter %s: %s", n, value))
		}
	}
	if params.Len() > 0 {
		b.WriteString("  params:\n" + params.String())
	}
	m.bindings(&b, p)
	return b.String()
}

// inline writes a value on one line. JSON is YAML.
func inline(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		return `""`
	}
	return string(raw)
}

// value makes up a parameter's value: one that enum or a when expression names, or one
// of the form that its name speaks of.
func value(pipeline map[string]any, d any) any {
	n := tree.Text(d, "name")
	switch tree.Text(d, "type") {
	case "array":
		return []string{stub.Value}
	case "object":
		out := map[string]string{}
		for k := range tree.Map(d, "properties") {
			out[k] = stub.Value
		}
		return out
	}
	if enum := tree.List(d, "enum"); len(enum) > 0 {
		return enum[0]
	}
	for _, t := range tree.List(pipeline, "spec", "tasks") {
		for _, w := range tree.List(t, "when") {
			if values := tree.List(w, "values"); tree.Text(w, "operator") == "in" && len(values) > 0 &&
				tree.Text(w, "input") == "$(params."+n+")" {
				return values[0]
			}
		}
	}
	lower := strings.ToLower(n)
	switch {
	case strings.Contains(lower, "url") || strings.Contains(lower, "repo"):
		return "https://example.com/made-up.git"
	case strings.Contains(lower, "image"):
		return "registry.example.com/made-up:latest"
	case strings.Contains(lower, "revision") || strings.Contains(lower, "branch"):
		return "main"
	}
	return stub.Value
}

// credentials are workspaces that Secrets are bound to, by their names.
var credentials = regexp.MustCompile(`(?i)secret|cred|auth|ssh|docker-?config|netrc|token|cert|ssl`)

// bindings binds a Pipeline's workspaces: Secrets where the name speaks of credentials,
// claims made from a template otherwise. Optional ones are left out.
func (m *drafter) bindings(b *strings.Builder, p map[string]any) {
	var lines strings.Builder
	claims := map[string]bool{}
	for _, w := range tree.List(p, "spec", "workspaces") {
		n := tree.Text(w, "name")
		if optional, _ := tree.Get(w, "optional").(bool); optional {
			fmt.Fprintf(&lines, "    # %s is optional and left out.\n", n)
			continue
		}
		if credentials.MatchString(n) {
			fmt.Fprintf(&lines, "    - name: %s # made up: its name speaks of credentials\n      secret: {secretName: %s}\n", n, object(n))
			continue
		}
		claims[n] = true
		fmt.Fprintf(&lines, "    - name: %s\n      volumeClaimTemplate:\n        spec:\n          accessModes: [ReadWriteOnce]\n          resources: {requests: {storage: 10Gi}} # made up\n", n)
	}
	if lines.Len() == 0 {
		return
	}
	if len(tree.List(p, "spec", "workspaces")) == strings.Count(lines.String(), "is optional and left out") {
		b.WriteString(lines.String())
		return
	}
	b.WriteString("  workspaces:\n" + lines.String())
	for _, section := range []string{"tasks", "finally"} {
		for _, t := range tree.List(p, "spec", section) {
			var of []string
			for _, w := range tree.List(t, "workspaces") {
				if n := cmp.Or(tree.Text(w, "workspace"), tree.Text(w, "name")); claims[n] && !slices.Contains(of, n) {
					of = append(of, n)
				}
			}
			if len(of) > 1 {
				m.note("task %s has the claims of workspaces %s: with coschedule: workspaces, the default, Tekton refuses two claims in one task; bind one to a claim with subPath, or set tekton.flags.coschedule: disabled",
					tree.Text(t, "name"), strings.Join(of, " and "))
			}
		}
	}
}

// object makes a name fit for an object.
func object(n string) string {
	n = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(n))
	return cmp.Or(strings.Trim(n, "-"), stub.Value)
}

func (m *drafter) note(format string, args ...any) {
	m.d.Notes = append(m.d.Notes, fmt.Sprintf(format, args...))
}

// stubs writes the stubs.
func (m *drafter) stubs(stubs []stub.Stub) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("# Made up by simctl init: what the runs refer to and the manifests do not have. Put the\n# real ones in their place where it matters what they hold.\n")
	for _, s := range stubs {
		by := strings.Join(s.By, "; ")
		m.d.MadeUp = append(m.d.MadeUp, fmt.Sprintf("%s, for %s", s.String(), s.By[0]))
		fmt.Fprintf(&b, "---\n# Made up for %s", by)
		if s.Resolver != "" {
			fmt.Fprintf(&b, ", which takes it by resolver %s", s.Resolver)
		}
		b.WriteString(".\n")
		o := s.Object
		if elsewhere := m.elsewhere(s); elsewhere != "" {
			m.note("%s %s is among the manifests in namespace %s, and made up in %[4]s: if they are one, give it metadata.namespace: %[4]s, and begin again",
				s.Kind, s.Name, elsewhere, s.Namespace)
		}
		if meta := tree.Map(o, "metadata"); meta["namespace"] == namespace {
			delete(meta, "namespace")
		}
		text, err := sigsyaml.Marshal(o)
		if err != nil {
			return nil, fmt.Errorf("writing the stubs: %w", err)
		}
		b.Write(text)
	}
	return b.Bytes(), nil
}

// elsewhere is the namespace in which the manifests have what a stub stands for, when that
// is another than its own; an object that names none is in the scenario's.
func (m *drafter) elsewhere(s stub.Stub) string {
	for _, o := range m.objects {
		if group(o) == group(s.Object) && tree.Text(o, "kind") == s.Kind && tree.Text(o, "metadata", "name") == s.Name {
			return cmp.Or(tree.Text(o, "metadata", "namespace"), namespace)
		}
	}
	return ""
}

// group is the group of an object's API, without the version.
func group(o map[string]any) string {
	g, _, ok := strings.Cut(tree.Text(o, "apiVersion"), "/")
	if !ok {
		return ""
	}
	return g
}

// openshift says whether the manifests are for OpenShift with OpenShift Pipelines.
func openshift(objects []map[string]any, d *demand.Demands) bool {
	for _, o := range objects {
		if strings.HasSuffix(group(o), ".openshift.io") {
			return true
		}
		if strings.HasPrefix(tree.Text(o, "roleRef", "name"), "system:openshift:scc:") {
			return true
		}
	}
	return slices.ContainsFunc(d.References, func(r demand.Reference) bool {
		return r.Kind == "ServiceAccount" && r.Name == "pipeline"
	})
}

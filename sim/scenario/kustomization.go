package scenario

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"simctl.dev/simctl/sim/internal/kustomize"
)

// kustomizationOf is the file of a folder's kustomization; "" if it has none.
func kustomizationOf(folder string) string {
	for _, k := range kustomize.FileNames() {
		if fileExists(filepath.Join(folder, k)) {
			return filepath.Join(folder, k)
		}
	}
	return ""
}

// kustomization reads what kustomize makes of a kustomization. What it would fetch, and
// what is not there, is found before and told with its place: kustomize tries a path that
// is no file as a folder, and that as a repository.
func (r *reader) kustomization(name string) error {
	bad := len(r.problems)
	if err := r.lookOver(filepath.Clean(name)); err != nil {
		return err
	}
	if len(r.problems) > bad {
		return nil
	}
	objects, err := kustomize.Build(filepath.Dir(name), r.inputs.add)
	if err != nil {
		r.fail(name, nil, "%v", err)
		return nil
	}
	sources := map[string][]*object{}
	for _, made := range objects {
		data, err := decodeObject(made.JSON)
		if err != nil {
			r.fail(made.File, nil, "%v", err)
			continue
		}
		o := &object{file: made.File, data: data}
		if !o.namespaced() {
			// kustomize gives one to kinds that it does not know.
			if meta, ok := o.data["metadata"].(map[string]any); ok {
				delete(meta, "namespace")
			}
		}
		if sources[o.file] == nil {
			sources[o.file] = written(o.file)
		}
		o.node = o.writtenAs(sources[o.file])
		r.add(o)
	}
	return nil
}

// written are the objects of a file as they stand there, for their places.
func written(file string) []*object {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	r := &reader{inputs: &inputs{}}
	if err := r.documents(file, content, false); err != nil {
		return nil
	}
	return r.objects
}

// writtenAs is where an object stands that a kustomization may have given another name: of
// those of its kind, the one of its name, or else the one with most of it.
func (o *object) writtenAs(sources []*object) *yaml.Node {
	var best *object
	for _, s := range sources {
		switch {
		case s.kind() != o.kind() || !strings.Contains(o.name(), s.name()):
		case best == nil || len(s.name()) > len(best.name()):
			best = s
		}
	}
	if best == nil {
		return nil
	}
	return best.node
}

// lookOver looks through a kustomization and those that it names for what is remote or
// not there. The error says that the file cannot be read.
func (r *reader) lookOver(name string) error {
	if i := slices.Index(r.open, name); i >= 0 {
		return fmt.Errorf("%s lists itself, by way of %s", name, strings.Join(r.open[i:], ", "))
	}
	r.open = append(r.open, name)
	defer func() { r.open = r.open[:len(r.open)-1] }()

	content, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", name, plainError(err))
	}
	r.inputs.add(name, content)
	var root yaml.Node
	if err := yaml.Unmarshal(content, &root); err != nil {
		r.problems = append(r.problems, yamlProblem(name, content, err))
		return nil
	}
	if len(root.Content) == 0 || root.Content[0].Kind != yaml.MappingNode {
		r.fail(name, nil, "the kustomization is empty; it should list resources")
		return nil
	}
	n := root.Content[0]
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch strings.ToLower(key.Value) {
		case "resources", "bases", "components", "generators", "transformers", "validators":
			for _, entry := range value.Content {
				r.resource(name, entry)
			}
		case "helmcharts", "helmchartinflationgenerator":
			if len(value.Content) > 0 {
				r.fail(name, key, "%s are not rendered: %s", key.Value, r.builtElsewhere("--enable-helm "))
			}
		case "patches", "patchesjson6902", "patchesstrategicmerge", "replacements", "configmapgenerator", "secretgenerator",
			"crds", "configurations", "openapi":
			r.filesOf(name, "", value)
		}
	}
	return nil
}

// builtElsewhere says how to give what kustomize makes of the kustomization that is read.
func (r *reader) builtElsewhere(flags string) string {
	return fmt.Sprintf("give what kustomize makes of it, kustomize build %s%s | simctl init --from -", flags, filepath.Dir(r.open[0]))
}

// remoteRoot says whether kustomize would take a path that is not there for a repository.
func remoteRoot(path string) bool {
	host, _, _ := strings.Cut(path, "/")
	return remoteFile(path) || strings.Contains(path, "://") || strings.Contains(path, "?ref=") || strings.Contains(path, "git@") ||
		strings.Contains(path, ".git") || strings.Contains(strings.TrimLeft(path, "./"), "//") || strings.HasPrefix(path, "git::") ||
		slices.Contains([]string{"github.com", "gitlab.com", "bitbucket.org", "gh:"}, host)
}

// remoteFile says whether kustomize would fetch a file.
func remoteFile(path string) bool {
	lower := strings.ToLower(path)
	return strings.HasPrefix(lower, "http://") || strings.HasPrefix(lower, "https://")
}

// resource looks over one of a kustomization's resources and the like.
func (r *reader) resource(kustomization string, entry *yaml.Node) {
	if entry.Kind == yaml.AliasNode {
		entry = entry.Alias
	}
	if entry.Kind != yaml.ScalarNode || entry.Value == "" {
		r.fail(kustomization, entry, "a resource should be the name of a file or folder")
		return
	}
	if strings.Contains(entry.Value, "\n") {
		return // the configuration of a generator or a transformer
	}
	full := filepath.Join(filepath.Dir(kustomization), entry.Value)
	info, err := os.Stat(full)
	if remoteFile(entry.Value) || err != nil && remoteRoot(entry.Value) {
		r.remote(kustomization, entry, entry.Value)
		return
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.fail(kustomization, entry, "%s does not exist%s", entry.Value, suggestFile(full))
		return
	case err == nil && info.IsDir():
		below := kustomizationOf(full)
		if below == "" {
			r.fail(kustomization, entry, "folder %s has no kustomization.yaml; list its files or give it one", entry.Value)
			return
		}
		err = r.lookOver(below)
	}
	if err != nil {
		r.fail(kustomization, entry, "%v", err)
	}
}

func (r *reader) remote(kustomization string, at *yaml.Node, what string) {
	r.fail(kustomization, at, "%s is remote, and nothing is fetched: download it and name the local copy, or %s", what, r.builtElsewhere(""))
}

// filesOf looks over the files that the other fields of a kustomization name.
func (r *reader) filesOf(kustomization, key string, n *yaml.Node) {
	switch n.Kind {
	case yaml.AliasNode:
		r.filesOf(kustomization, key, n.Alias)
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if key := n.Content[i].Value; slices.Contains([]string{"path", "files", "envs", "env"}, key) {
				r.filesOf(kustomization, key, n.Content[i+1])
			}
		}
	case yaml.SequenceNode:
		for _, c := range n.Content {
			r.filesOf(kustomization, key, c)
		}
	case yaml.ScalarNode:
		path := n.Value
		if key == "files" { // may be KEY=FILE
			if _, after, ok := strings.Cut(path, "="); ok {
				path = after
			}
		}
		if remoteFile(path) {
			r.remote(kustomization, n, path)
		}
	}
}

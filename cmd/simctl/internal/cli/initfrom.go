package cli

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"simctl.dev/simctl/cmd/simctl/internal/chart"
	"simctl.dev/simctl/sim/draft"
	"simctl.dev/simctl/sim/runstore"
	"simctl.dev/simctl/sim/scenario"
)

// stdinName is the file that keeps what was read from standard input.
const stdinName = "manifests.yaml"

// initFrom makes a scenario of manifests.
func (a *App) initFrom(c *config, from []string, stdin io.Reader) error {
	o := draft.Options{Version: strings.TrimPrefix(a.Versions.Tekton, "v"), Params: map[string]string{}}
	for _, p := range c.list("param") {
		name, value, ok := strings.Cut(p, "=")
		if !ok || name == "" {
			return fmt.Errorf("--param %s: write it as NAME=VALUE", p)
		}
		o.Params[name] = value
	}
	var paths []string
	streams := map[string][]byte{}
	for _, p := range from {
		switch {
		case p == "-":
			content, err := io.ReadAll(stdin)
			if err != nil {
				return fmt.Errorf("reading standard input: %w", err)
			}
			streams[stdinName] = content
		case chart.Is(p):
			// It is rendered once and for all: what it draws by chance must not change.
			name, content, err := chart.Render(p, a.Versions.Kubernetes)
			if err != nil {
				return err
			}
			streams["chart-"+name+".yaml"] = content
		default:
			paths = append(paths, p)
		}
	}
	m, err := scenario.ReadManifests(paths, streams)
	if err != nil {
		return err
	}
	if len(m.Objects) == 0 {
		return fmt.Errorf("no manifests in %s", strings.Join(from, ", "))
	}
	sccs, err := a.Engine.SCCObjects(draft.Namespaces(m.Objects))
	if err != nil {
		return err
	}
	for _, u := range sccs {
		o.OpenShift = append(o.OpenShift, u.Object)
	}
	// The name decides where, and where decides how the manifests are named.
	d, err := draft.Make(m.Objects, m.In, o)
	if err != nil {
		return err
	}
	to := c.string("to")
	if to == "" {
		to = d.Name
	}
	for _, p := range paths {
		names, err := namesFrom(to, p, m.Files)
		if err != nil {
			return err
		}
		o.Manifests = append(o.Manifests, names...)
	}
	o.Manifests = append(o.Manifests, sortedNames(streams)...)
	if d, err = draft.Make(m.Objects, m.In, o); err != nil {
		return err
	}
	for name, content := range streams {
		d.Files[name] = content
	}
	if err := writeNew(to, d.Files); err != nil {
		return err
	}
	for _, line := range d.MadeUp {
		fmt.Fprintf(a.Stderr, "- made up: %s\n", line)
	}
	for _, line := range d.Notes {
		fmt.Fprintf(a.Stderr, "- %s\n", line)
	}
	for _, name := range sortedNames(d.Files) {
		fmt.Fprintf(a.Stdout, "%s\n", filepath.Join(to, name))
	}
	file := filepath.Join(to, "scenario.yaml")
	if _, err := expand([]string{file}, runstore.Options{}); err != nil {
		return fmt.Errorf("the scenario is written, and is not complete yet:\n%w\nmend that and go on with: simctl validate %s", err, file)
	}
	fmt.Fprintf(a.Stderr, "run it by: simctl run %s\n", file)
	return nil
}

// namesFrom is how a scenario in the folder `to` names the manifests at a path. A folder
// that has the scenario's own in it is named file by file, or it would have the stubs
// twice.
func namesFrom(to, path string, files []string) ([]string, error) {
	abs := func(p string) (string, error) {
		full, err := filepath.Abs(p)
		if err != nil {
			return "", fmt.Errorf("finding %s: %w", p, err)
		}
		return full, nil
	}
	base, err := abs(to)
	if err != nil {
		return nil, err
	}
	full, err := abs(path)
	if err != nil {
		return nil, err
	}
	wanted := []string{full}
	if inside(full, base) && !scenario.IsKustomization(full) {
		wanted = nil
		for _, f := range files {
			if f, err = abs(f); err != nil {
				return nil, err
			}
			if inside(full, f) && !slices.Contains(wanted, f) {
				wanted = append(wanted, f)
			}
		}
	}
	for i, w := range wanted {
		rel, err := filepath.Rel(base, w)
		if err != nil {
			return nil, fmt.Errorf("naming %s: %w", w, err)
		}
		wanted[i] = rel
	}
	return wanted, nil
}

// inside says whether a path is a folder or below it; both are absolute.
func inside(folder, path string) bool {
	rel, err := filepath.Rel(folder, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// Package resolver says which object a reference by one of Tekton's resolvers
// means. The cluster resolver reads it from the cluster. The others fetch files
// from elsewhere; in the simulation the manifests stand for elsewhere.
package resolver

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"simctl.dev/simctl/sim/internal/tree"
)

// Target is the object that a reference means. An empty Kind is any of [Kinds], an
// empty Namespace any one.
type Target struct {
	Kind, Namespace, Name string
	// File is the file that is asked for, and Version the version of what is in it, as far
	// as the reference says so: of a hub's catalogue, or a bundle's tag.
	File, Version string
}

// Candidate is an object that a target may mean.
type Candidate struct {
	Kind, Namespace, Name string
	// File is where it stands, with slashes, and Version its label
	// app.kubernetes.io/version.
	File, Version string
	// Content is the same for objects of which either will do.
	Content string
}

// CandidateOf says of an object, decoded JSON that stands in a file, what a target is told
// by.
func CandidateOf(file string, o map[string]any) Candidate {
	// Maps are written in the order of their keys. The error is of writing what was read.
	content, _ := json.Marshal(o["spec"])
	return Candidate{
		Kind: tree.Text(o, "kind"), Namespace: tree.Text(o, "metadata", "namespace"), Name: tree.Text(o, "metadata", "name"),
		File: file, Version: tree.Text(o, "metadata", "labels", "app.kubernetes.io/version"), Content: string(content),
	}
}

// Local returns the name of a reference that the cluster answers without a resolver; "" for
// one of a resolver or a bundle, or of a custom task.
func Local(ref any) string {
	if tree.Text(ref, "resolver") != "" || tree.Text(ref, "bundle") != "" || Custom(ref) != "" {
		return ""
	}
	return tree.Text(ref, "name")
}

// Custom returns the apiVersion of a custom task, by a reference to it or in its place; ""
// for a task of Tekton's own.
func Custom(ref any) string {
	v := tree.Text(ref, "apiVersion")
	if strings.HasPrefix(v, "tekton.dev/") {
		return ""
	}
	return v
}

// Kinds are those that can be referred to.
var Kinds = []string{"Task", "Pipeline", "StepAction"}

// Label names the resolver that a ResolutionRequest is for.
const Label = "resolution.tekton.dev/type"

// Actor is who answers requests in a history: the Deployment that upstream's
// resolvers are.
const Actor = "tekton-pipelines-resolvers"

// Cluster is the resolver that reads from the cluster itself.
const Cluster = "cluster"

// Known says whether a resolver is one of those that come with Tekton.
func Known(name string) bool {
	return slices.Contains([]string{Cluster, "git", "hub", "bundles", "http"}, name)
}

// Of returns the object that the parameters of a known resolver mean. The defaults
// are those of upstream's config/resolvers. The error is as upstream's resolver
// says it, for the cluster resolver.
func Of(resolver string, params map[string]string) (Target, error) {
	var t Target
	switch resolver {
	case Cluster, "hub", "bundles":
		kind := params["kind"]
		if kind == "" {
			kind = "task"
		}
		i := slices.IndexFunc(Kinds, func(k string) bool { return strings.EqualFold(k, kind) })
		if i < 0 {
			return t, fmt.Errorf("unknown or unsupported resource kind '%s'", kind)
		}
		t = Target{Kind: Kinds[i], Name: params["name"]}
		switch resolver {
		case "hub":
			t.Version = params["version"]
			// The layout of Tekton's catalogues.
			t.File = path.Join(strings.ToLower(t.Kind), t.Name, t.Version, t.Name+".yaml")
		case "bundles":
			t.Version = tag(params["bundle"])
		}
		missing := []string{}
		if t.Name == "" {
			missing = append(missing, "name")
		}
		if resolver == Cluster {
			if t.Namespace = params["namespace"]; t.Namespace == "" {
				missing = append(missing, "namespace")
			}
		}
		if len(missing) > 0 {
			return t, fmt.Errorf("missing required %s resolver params: %s", resolver, strings.Join(missing, ", "))
		}
	case "git":
		t.File = params["pathInRepo"]
		t.Name = base(t.File)
		if t.Name == "" {
			return t, fmt.Errorf("missing required git resolver params: pathInRepo")
		}
	case "http":
		t.File, _, _ = strings.Cut(params["url"], "?")
		t.Name = base(t.File)
		if t.Name == "" {
			return t, fmt.Errorf("missing required http resolver params: url")
		}
	default:
		return t, fmt.Errorf("there is no resolver %s", resolver)
	}
	return t, nil
}

// base is a file's name without its ending.
func base(file string) string {
	if file == "" {
		return ""
	}
	name := path.Base(file)
	return strings.TrimSuffix(name, path.Ext(name))
}

// tag is the tag of an image's name; "" if it has none.
func tag(image string) string {
	image, _, _ = strings.Cut(image, "@")
	if i := strings.LastIndex(image, ":"); i > strings.LastIndex(image, "/") {
		return image[i+1:]
	}
	return ""
}

// ErrAmbiguous says that several objects may be meant, and they are not the same.
var ErrAmbiguous = errors.New("put them into folders that are named like those asked for, or remove all but one")

// Choose returns the index of the object that the target means; -1 if it is none of them.
// Whose file is the one asked for goes before whose name is, since files and what is in
// them need not have the same name. Of a file with several objects it is the first one, as
// Tekton reads one document only. The error wraps [ErrAmbiguous].
func (t Target) Choose(candidates []Candidate) (int, error) {
	var of []int
	for i, c := range candidates {
		if (t.Kind == "" && slices.Contains(Kinds, c.Kind) || t.Kind == c.Kind) && (t.Namespace == "" || t.Namespace == c.Namespace) {
			of = append(of, i)
		}
	}
	// A file by two elements of its path at least, then an object by its name, then a
	// file by its name alone, unless that name says nothing.
	longest, ends := 1, map[int]int{}
	for _, i := range of {
		ends[i] = commonEnd(t.File, candidates[i].File)
		longest = max(longest, ends[i])
	}
	distinct := longest > 1 || !strings.Contains(strings.Trim(t.File, "/"), "/")
	byFile := keep(of, func(i int) bool { return ends[i] == longest })
	found := keep(of, func(i int) bool { return candidates[i].Name == t.Name })
	generic := slices.ContainsFunc(Kinds, func(k string) bool { return strings.EqualFold(k, base(t.File)) })
	if len(byFile) > 0 && (distinct || len(found) == 0 && !generic) {
		found = byFile
	}
	if t.Version != "" {
		if of := keep(found, func(i int) bool { return candidates[i].has(t.Version) }); len(of) > 0 {
			found = of
		}
	}
	if len(found) == 0 {
		return -1, nil
	}
	var files []string
	for _, i := range found {
		first, c := candidates[found[0]], candidates[i]
		if c.Content != first.Content && (c.File != first.File || ends[i] == 0) || len(files) == 0 {
			files = append(files, c.File)
		}
	}
	if len(files) > 1 {
		return -1, fmt.Errorf("%s may be that of %s; %w", t, strings.Join(files, " or "), ErrAmbiguous)
	}
	return found[0], nil
}

func keep(from []int, wanted func(int) bool) []int {
	var out []int
	for _, i := range from {
		if wanted(i) {
			out = append(out, i)
		}
	}
	return out
}

// has says whether the object is of a version: its label says so, or a folder of its
// file is named for it.
func (c Candidate) has(version string) bool {
	return c.Version == version || slices.Contains(strings.Split(path.Dir(c.File), "/"), version)
}

// commonEnd counts the elements that the ends of two paths have in common.
func commonEnd(a, b string) int {
	if a == "" || b == "" {
		return 0
	}
	x, y := strings.Split(path.Clean(a), "/"), strings.Split(path.Clean(b), "/")
	n := 0
	for n < len(x) && n < len(y) && x[len(x)-1-n] == y[len(y)-1-n] {
		n++
	}
	return n
}

// String names the target as a person would.
func (t Target) String() string {
	s := t.Kind
	if s == "" {
		s = "Task, Pipeline or StepAction"
	}
	s += fmt.Sprintf(" %q", t.Name)
	if t.Version != "" {
		s += " " + t.Version
	}
	if t.Namespace != "" {
		s += " of namespace " + t.Namespace
	}
	return s
}

// Package resolver says which object a reference by one of Tekton's resolvers
// means. The cluster resolver reads it from the cluster. The others fetch files
// from elsewhere; in the simulation the manifests stand for elsewhere.
package resolver

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Target is the object that a reference means. An empty Kind is any of [Kinds], an
// empty Namespace any one.
type Target struct{ Kind, Namespace, Name string }

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
		t.Name = base(params["pathInRepo"])
		if t.Name == "" {
			return t, fmt.Errorf("missing required git resolver params: pathInRepo")
		}
	case "http":
		t.Name = base(params["url"])
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
	file, _, _ = strings.Cut(file, "?")
	name := path.Base(file)
	return strings.TrimSuffix(name, path.Ext(name))
}

// Matches says whether an object is what the target means.
func (t Target) Matches(kind, namespace, name string) bool {
	if t.Kind == "" && !slices.Contains(Kinds, kind) || t.Kind != "" && t.Kind != kind {
		return false
	}
	return name == t.Name && (t.Namespace == "" || t.Namespace == namespace)
}

// String names the target as a person would.
func (t Target) String() string {
	s := t.Kind
	if s == "" {
		s = "Task, Pipeline or StepAction"
	}
	s += fmt.Sprintf(" %q", t.Name)
	if t.Namespace != "" {
		s += " of namespace " + t.Namespace
	}
	return s
}

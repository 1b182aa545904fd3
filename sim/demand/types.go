package demand

import (
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/api/resource"
)

// Demands are what manifests ask of others.
type Demands struct {
	// References are in the order in which the runs come to them; several may mean the
	// same object.
	References []Reference
	// Pods are those of the runs' tasks, as far as they are known.
	Pods []Pod
	// Claims are the claims that runs use or have made for them.
	Claims []Claim
}

// Place is a field of one of the manifests.
type Place struct {
	// Object is the manifest's index.
	Object int
	// Path are keys and indices.
	Path []any
}

// Reference is a place at which a manifest names another object.
type Reference struct {
	Kind, Namespace, Name string
	At                    Place
	// By says what refers to it: `task build of Pipeline ci`.
	By string
	// Resolver is the resolver by which it is fetched; empty if the cluster has it.
	Resolver string
	// Optional references may find nothing.
	Optional bool
	// Lenient references are gone on without: a kubelet pulls without a pull secret that
	// is not there.
	Lenient bool
	// Given says that the object is among the manifests.
	Given bool
	Use   Use
}

// Use is what a reference uses of an object.
type Use struct {
	Params     []Param
	Workspaces []Workspace
	Results    []Result
	// Tasks are names of pipeline tasks that a run has settings for.
	Tasks []string
	// Keys are those of a Secret or ConfigMap.
	Keys []string
	// SecretType is the type that a Secret must have, if any.
	SecretType string
}

// Param is a parameter that is passed.
type Param struct {
	Name string
	// Type is "string", "array" or "object".
	Type string
	// Properties are the keys of an object.
	Properties []string
	// Optional says that not all that use the object pass it.
	Optional bool
}

// Workspace is a workspace that is passed.
type Workspace struct {
	Name string
	// Optional says that the pipeline may not have it.
	Optional bool
}

// Result is a result that others use.
type Result struct {
	Name string
	// Type is "string", "array" or "object".
	Type string
	// Properties are the keys of an object that are used.
	Properties []string
	// Length is how many elements of an array are used by their index.
	Length int
}

// Pod is what a task's pod wants.
type Pod struct {
	// Of says which: `task build of PipelineRun ci-`.
	Of string
	// Run is where the run's pod template, or what stands for it, is.
	Run Place
	// Namespace and Account are the pod's; Account is empty for the default one.
	Namespace, Account string
	NodeSelector       map[string]string
	// Terms are the node affinity's required terms: one of them must match.
	Terms [][]Expression
	// Tolerations are as in a pod.
	Tolerations []Toleration
	// Requests are the sum over the containers.
	Requests map[string]resource.Quantity
	// Security is what needs an SCC that allows it.
	Security []Privilege
	// ImageUser says that a container runs as the user that its image names, since neither
	// it nor the pod names one.
	ImageUser bool
}

// Expression is one of a term's matchExpressions.
type Expression struct {
	Key, Operator string
	Values        []string
}

// Toleration is one of a pod's tolerations.
type Toleration struct{ Key, Operator, Value, Effect string }

// Privilege is something of a pod that not every SCC allows.
type Privilege struct {
	// Field is "runAsUser", "fsGroup", "privileged", "capability", "hostPath" or
	// "allowPrivilegeEscalation".
	Field string
	// Value is the id, the capability or the path.
	Value string
	// By says what wants it: `step build of Task buildah`.
	By string
	At Place
}

// Claim is a claim that a run uses.
type Claim struct {
	// Name is the claim's, empty for one that is made from a template.
	Name string
	// Class is the storage class that it names.
	Class       string
	AccessModes []string
	// By says what names it.
	By string
	At Place
}

// Matches says whether a toleration tolerates a taint.
func (t Toleration) Matches(key, value, effect string) bool {
	switch {
	case t.Effect != "" && t.Effect != effect:
		return false
	case t.Key == "":
		return t.Operator == "Exists"
	case t.Key != key:
		return false
	}
	return t.Operator == "Exists" || t.Value == value
}

// Join puts what several references use of one object together. A parameter or workspace
// that not all pass is optional.
func Join(uses []Use) Use {
	var all Use
	params, workspaces := map[string]int{}, map[string]int{}
	for _, u := range uses {
		for _, p := range u.Params {
			params[p.Name]++
			if i := slices.IndexFunc(all.Params, func(q Param) bool { return q.Name == p.Name }); i >= 0 {
				all.Params[i].Properties = union(all.Params[i].Properties, p.Properties)
			} else {
				all.Params = append(all.Params, p)
			}
		}
		for _, w := range u.Workspaces {
			workspaces[w.Name]++
			if i := slices.IndexFunc(all.Workspaces, func(v Workspace) bool { return v.Name == w.Name }); i >= 0 {
				all.Workspaces[i].Optional = all.Workspaces[i].Optional || w.Optional
			} else {
				all.Workspaces = append(all.Workspaces, w)
			}
		}
		for _, r := range u.Results {
			all.Results = addResult(all.Results, r)
		}
		all.Tasks = union(all.Tasks, u.Tasks)
		all.Keys = union(all.Keys, u.Keys)
		if all.SecretType == "" {
			all.SecretType = u.SecretType
		}
	}
	for i, p := range all.Params {
		all.Params[i].Optional = params[p.Name] < len(uses)
	}
	for i, w := range all.Workspaces {
		if workspaces[w.Name] < len(uses) {
			all.Workspaces[i].Optional = true
		}
	}
	return all
}

// addResult adds a use of a result to those that are known: an element or a key says
// more of its type than the whole.
func addResult(results []Result, r Result) []Result {
	i := slices.IndexFunc(results, func(o Result) bool { return o.Name == r.Name })
	if i < 0 {
		return append(results, r)
	}
	had := results[i]
	if r.Type == "object" || had.Type == "string" {
		had.Type = r.Type
	}
	had.Properties = union(had.Properties, r.Properties)
	had.Length = max(had.Length, r.Length)
	results[i] = had
	return results
}

// union returns the words of both, in the order in which they come first.
func union(a, b []string) []string {
	for _, w := range b {
		if !slices.Contains(a, w) {
			a = append(slices.Clip(a), w)
		}
	}
	return a
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

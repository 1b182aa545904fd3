package importer

import (
	"cmp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Dump is what was read of a cluster.
type Dump struct {
	Objects []*unstructured.Unstructured
	// Gaps are what could not be read.
	Gaps []Gap
}

// Gap is something that could not be read.
type Gap struct {
	// What names kinds or a file, Why says why in a few words.
	What, Why string
}

func (g Gap) String() string { return g.What + ": " + g.Why }

// key tells objects apart, whatever version they were read in.
type key struct{ group, kind, namespace, name string }

func keyOf(u *unstructured.Unstructured) key {
	gvk := u.GroupVersionKind()
	return key{gvk.Group, gvk.Kind, u.GetNamespace(), u.GetName()}
}

// index is a dump by kind, each object once and in the order of the names.
type index map[string][]*unstructured.Unstructured

func newIndex(d *Dump) index {
	ix := index{}
	seen := map[key]bool{}
	for _, u := range d.Objects {
		if k := keyOf(u); !seen[k] {
			seen[k] = true
			ix[k.kind+"."+k.group] = append(ix[k.kind+"."+k.group], u)
		}
	}
	for _, list := range ix {
		slices.SortFunc(list, func(a, b *unstructured.Unstructured) int {
			return cmp.Or(cmp.Compare(a.GetNamespace(), b.GetNamespace()), cmp.Compare(a.GetName(), b.GetName()))
		})
	}
	return ix
}

// in returns the objects of a kind ("Pipeline.tekton.dev", "Node.") in a namespace;
// without one, all of them.
func (ix index) in(kind, namespace string) []*unstructured.Unstructured {
	if namespace == "" {
		return ix[kind]
	}
	var out []*unstructured.Unstructured
	for _, u := range ix[kind] {
		if u.GetNamespace() == namespace {
			out = append(out, u)
		}
	}
	return out
}

func (ix index) get(kind, namespace, name string) *unstructured.Unstructured {
	for _, u := range ix.in(kind, namespace) {
		if u.GetName() == name {
			return u
		}
	}
	return nil
}

func stringsOf(l []any) []string {
	var out []string
	for _, e := range l {
		if s, ok := e.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// walk calls f for every mapping in v.
func walk(v any, f func(map[string]any)) {
	switch v := v.(type) {
	case map[string]any:
		f(v)
		for _, e := range v {
			walk(e, f)
		}
	case []any:
		for _, e := range v {
			walk(e, f)
		}
	}
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

func joined(names []string) string {
	names = slices.Clone(names)
	slices.Sort(names)
	return strings.Join(slices.Compact(names), ", ")
}

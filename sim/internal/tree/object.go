package tree

import (
	"cmp"
	"strings"
)

// Name returns the name of an object or, with generateName, what it begins with.
func Name(o any) string {
	return cmp.Or(Text(o, "metadata", "name"), Text(o, "metadata", "generateName"))
}

// Tekton says whether an object is of one of Tekton's kinds, of any version of its API.
func Tekton(o any, kind string) bool {
	return Text(o, "kind") == kind && strings.HasPrefix(Text(o, "apiVersion"), "tekton.dev/")
}

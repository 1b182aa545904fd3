// Package resultref finds where a text of a Pipeline refers to a task's result.
package resultref

import (
	"regexp"
	"slices"
)

// Ref is a reference to a task's result, or to a part of one, as Tekton writes them:
// $(tasks.T.results.R), with [N], [*] or .KEY after it for a part.
type Ref struct {
	// Text is the whole reference, with its $( and ).
	Text         string
	Task, Result string
	// Part is "" for the whole result, "*" for all elements of an array, a number for
	// one of them, and else a key of an object.
	Part string
}

// reference is a reference in any of the notations of Tekton
// (pkg/reconciler/pipelinerun/resources/resultrefresolution.go).
var reference = regexp.MustCompile(`\$\(tasks\.([^.$()\s]+)\.results(?:\.([^.$()\s\['"]+)|\[['"]([^'"\]]+)['"]\])(?:\[(\*|\d+)\]|\.([^.$()\s\[]+))?\)`)

// Find returns the references in a text, in order.
func Find(text string) []Ref {
	var out []Ref
	for _, m := range reference.FindAllStringSubmatch(text, -1) {
		out = append(out, Ref{Text: m[0], Task: m[1], Result: m[2] + m[3], Part: m[4] + m[5]})
	}
	return out
}

// Names says whether a text refers to a result of a task, or to a part of it.
func Names(text, task, result string) bool {
	return slices.ContainsFunc(Find(text), func(r Ref) bool { return r.Task == task && r.Result == result })
}

//go:build ignore

package main

import (
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// diff returns the patch that turns before into after. It goes down to the fields
// that differ: the pod at the API server may have fields that this program's
// Kubernetes does not know, and a patch of larger parts would drop them.
func diff(path string, before, after any) []operation {
	switch a := after.(type) {
	case map[string]any:
		if b, ok := before.(map[string]any); ok {
			return diffFields(path, b, a)
		}
	case []any:
		if b, ok := before.([]any); ok && len(a) == len(b) {
			var ops []operation
			for i := range a {
				ops = append(ops, diff(path+"/"+strconv.Itoa(i), b[i], a[i])...)
			}
			return ops
		}
	}
	if reflect.DeepEqual(before, after) {
		return nil
	}
	return []operation{{Op: "replace", Path: path, Value: after}}
}

func diffFields(path string, before, after map[string]any) []operation {
	var ops []operation
	for _, key := range slices.Sorted(maps.Keys(after)) {
		at := path + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(key)
		if b, ok := before[key]; ok {
			ops = append(ops, diff(at, b, after[key])...)
		} else {
			ops = append(ops, operation{Op: "add", Path: at, Value: after[key]})
		}
	}
	for _, key := range slices.Sorted(maps.Keys(before)) {
		if _, ok := after[key]; !ok {
			ops = append(ops, operation{Op: "remove", Path: path + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(key)})
		}
	}
	return ops
}

// operation is one of RFC 6902.
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

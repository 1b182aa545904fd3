// Package tree reads a decoded JSON tree: what encoding/json makes of an object
// whose type is not known.
package tree

// Get returns the value at a path of keys; nil if there is none.
func Get(v any, path ...string) any {
	for _, key := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[key]
	}
	return v
}

// Text returns the string at a path, empty if there is none.
func Text(v any, path ...string) string {
	s, _ := Get(v, path...).(string)
	return s
}

// List returns the list at a path; nil if there is none.
func List(v any, path ...string) []any {
	l, _ := Get(v, path...).([]any)
	return l
}

// Map returns the mapping at a path; nil if there is none.
func Map(v any, path ...string) map[string]any {
	m, _ := Get(v, path...).(map[string]any)
	return m
}

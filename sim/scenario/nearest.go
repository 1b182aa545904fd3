package scenario

import (
	"slices"
	"strconv"
	"strings"

	"github.com/agnivade/levenshtein"
)

// nearest returns the valid name that a wrong one most likely stands for, or
// nothing: a name counts as near if at most a third of it must be changed, or if
// it has the same letters in another order.
func nearest(wrong string, valid []string) string {
	best, distance := "", max(len(wrong), 1)
	for _, v := range valid {
		a, b := strings.ToLower(wrong), strings.ToLower(v)
		if a == b {
			return v
		}
		d := levenshtein.ComputeDistance(a, b)
		if letters(a) == letters(b) {
			d = 1
		}
		if d < distance && d <= max(1, max(len(a), len(b))/3) {
			best, distance = v, d
		}
	}
	return best
}

// letters returns the letters of a word in order of the alphabet.
func letters(word string) string {
	l := []rune(word)
	slices.Sort(l)
	return string(l)
}

// Suggest returns the end of a message about a wrong name: the nearest valid one, or all of
// them.
func Suggest(wrong string, valid []string) string {
	if near := nearest(wrong, valid); near != "" {
		return "; did you mean " + strconv.Quote(near) + "?"
	}
	if len(valid) == 0 {
		return ""
	}
	return "; valid: " + strings.Join(valid, ", ")
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

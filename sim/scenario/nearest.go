package scenario

import (
	"slices"
	"strconv"
	"strings"

	"github.com/agnivade/levenshtein"
)

// nearest gives the valid name that a wrong one most likely stands for, or
// nothing: a name counts as near if at most a third of it, and never more than
// four letters, must be changed.
func nearest(wrong string, valid []string) string {
	best, distance := "", 5
	for _, v := range valid {
		if strings.EqualFold(v, wrong) {
			return v
		}
		d := levenshtein.ComputeDistance(strings.ToLower(wrong), strings.ToLower(v))
		if d < distance && d <= max(1, max(len(v), len(wrong))/3) {
			best, distance = v, d
		}
	}
	return best
}

// suggest ends a message about a wrong name: the nearest valid one, or all of
// them.
func suggest(wrong string, valid []string) string {
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

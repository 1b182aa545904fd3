package impact

import (
	_ "embed"
	"strings"

	"k8s.io/apimachinery/pkg/util/version"
)

//go:embed flags.tsv
var flagTable string

// knows says whether a release reads a feature flag. A flag that the table does
// not have counts as read: nothing is known against it.
func knows(version, flag string) bool {
	for line := range strings.Lines(flagTable) {
		f := strings.Fields(line)
		if len(f) == 3 && f[0] == flag {
			// What came or went between two releases that were looked at is put
			// down to the later one; patch releases change no flags.
			return (f[1] == oldest || compareVersions(version, f[1]) >= 0) && (f[2] == newest || compareVersions(version, f[2]) <= 0 || sameMinor(version, f[2]))
		}
	}
	return true
}

// The first and the last release that the table is made of.
const (
	oldest = "0.44.0"
	newest = "1.15.0"
)

func sameMinor(a, b string) bool {
	cut := func(v string) string { return v[:strings.LastIndexByte(v, '.')] }
	return strings.Contains(a, ".") && cut(a) == cut(b)
}

// compareVersions orders two versions of Tekton; what is no version comes first.
func compareVersions(a, b string) int {
	va, errA := version.ParseSemantic(a)
	vb, errB := version.ParseSemantic(b)
	switch {
	case errA != nil && errB != nil:
		return 0
	case errA != nil:
		return -1
	case errB != nil:
		return 1
	case va.LessThan(vb):
		return -1
	case vb.LessThan(va):
		return 1
	}
	return 0
}

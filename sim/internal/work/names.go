package work

import "regexp"

var (
	// hashes are what Tekton appends to the names of claims and assistants: the
	// first ten digits of a SHA-256 that goes over a random UID.
	hashes = regexp.MustCompile(`-[0-9a-f]{10}(-|$)`)
	// suffix is what the API server makes of generateName; see
	// k8s.io/apimachinery/pkg/util/rand for its letters.
	suffix = regexp.MustCompile(`-[bcdfghjklmnpqrstvwxz2456789]{5}$`)
)

// StableName returns the part of an object's name that is the same in every run:
// without the API server's generateName suffix and without Tekton's hashes.
func StableName(name string) string {
	// A hyphen may belong to two neighbouring hashes, hence twice.
	for range 2 {
		name = hashes.ReplaceAllString(name, "$1")
	}
	if s := suffix.ReplaceAllString(name, ""); s != "" {
		name = s
	}
	return name
}

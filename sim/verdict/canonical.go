package verdict

import "regexp"

var (
	// What Kubernetes and Tekton append to generated names: five characters of
	// its alphabet without vowels, hashes in hex, UIDs.
	generatedSuffix = regexp.MustCompile(`-[bcdfghjklmnpqrstvwxz2456789]{5}\b`)
	hexHash         = regexp.MustCompile(`\b[0-9a-f]{8,64}\b`)
	// The hash of a StatefulSet's revision has as many characters as its number
	// has digits, seldom fewer than eight; ten of the alphabet stand for digits.
	shortRevision = regexp.MustCompile(`-[4-9bcdf]{6,7}\b`)
	uid           = regexp.MustCompile(`\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b`)
)

// Canonical returns a text with a star for every generated name in it, so that
// texts of two runs of the same can be compared.
func Canonical(text string) string {
	text = uid.ReplaceAllString(text, "*")
	text = generatedSuffix.ReplaceAllString(text, "-*")
	text = shortRevision.ReplaceAllString(text, "-*")
	return hexHash.ReplaceAllString(text, "*")
}

package recording

import (
	"regexp"
	"slices"
	"strings"
)

// names replaces in texts what is made up on each cluster: names of nodes,
// volumes and drivers, UIDs, hashes, times.
type names struct {
	replacer *strings.Replacer
	// nodes gives each node a letter by the pods that were on it, taken by name: so
	// letters are the same where the pods are together in the same way.
	nodes map[string]string
	// cleaned are the texts that were cleaned so far: most come often.
	cleaned map[string]string
	// pods are the nodes' names by the pods': of each that bore the name, in order.
	pods map[string][]string
}

// Forms of what is made up.
var madeUp = []struct {
	form *regexp.Regexp
	as   string
}{
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "UID"},
	{regexp.MustCompile(`\b2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)`), "TIME"},
	{regexp.MustCompile(`\b[a-z][-a-z]*://[0-9a-f]{64}\b`), "CONTAINER"},
	{regexp.MustCompile(`\bdial tcp [0-9.]+:\d+`), "dial tcp ADDRESS"},
	{regexp.MustCompile(`\bkube-api-access-[a-z0-9]{5}\b`), "kube-api-access"},
	{regexp.MustCompile(`resourceVersion: \d+|\(stored: \d+, assume: \d+\)`), "VERSION"},
	{regexp.MustCompile(`[Ii]mage "[^"]*"`), `image "IMAGE"`},
	{regexp.MustCompile(`\(\d+(\.\d+)?m?s including waiting\)`), "(DURATION including waiting)"},
	{regexp.MustCompile(`in \d+(\.\d+)?m?s \(`), "in DURATION ("},
	{regexp.MustCompile(`Image size: \d+ bytes`), "Image size: SIZE bytes"},
}

// namesOf finds what a recording's cluster made up.
func namesOf(r *Recording) *names {
	n := &names{cleaned: map[string]string{}, nodes: map[string]string{}, pods: map[string][]string{}}
	var pairs []string
	add := func(from, to string) {
		if from != "" {
			pairs = append(pairs, from, to)
		}
	}
	volumes := map[string]string{}
	for _, l := range byKind(r, "PersistentVolume") {
		name, driver := text(l.Object, "metadata", "name"), text(l.Object, "spec", "csi", "driver")
		volumes[name] = "volume-of-" + text(l.Object, "spec", "claimRef", "name")
		add(driver, "DRIVER")
		add(strings.ReplaceAll(driver, ".", "-"), "DRIVER")
	}
	for name, as := range volumes {
		add(name, as)
	}
	for _, l := range byKind(r, "Pod") {
		node := text(l.Object, "spec", "nodeName")
		name := text(l.Object, "metadata", "name")
		n.pods[name] = append(n.pods[name], node)
		if _, ok := n.nodes[node]; !ok && node != "" {
			n.nodes[node] = "NODE-" + string(rune('A'+len(n.nodes)))
		}
		add(text(l.Object, "metadata", "labels", "controller-revision-hash"), "HASH")
		add(text(l.Object, "metadata", "namespace")+"/", "NAMESPACE/")
		add(`namespace "`+text(l.Object, "metadata", "namespace")+`"`, `namespace "NAMESPACE"`)
	}
	for _, l := range byKind(r, "VolumeAttachment") {
		volume := text(l.Object, "spec", "source", "persistentVolumeName")
		add(text(l.Object, "metadata", "name"), "attachment of "+volumes[volume]+" to "+n.nodes[text(l.Object, "spec", "nodeName")])
	}
	n.replacer = strings.NewReplacer(longestFirst(pairs)...)
	return n
}

// longestFirst orders pairs so that a name is replaced before one that it begins
// with.
func longestFirst(pairs []string) []string {
	var p [][2]string
	for i := 0; i < len(pairs); i += 2 {
		p = append(p, [2]string{pairs[i], pairs[i+1]})
	}
	slices.SortStableFunc(p, func(a, b [2]string) int { return len(b[0]) - len(a[0]) })
	var out []string
	for _, x := range p {
		out = append(out, x[0], x[1])
	}
	return out
}

func byKind(r *Recording, kind string) []Last {
	var out []Last
	for _, l := range r.Final {
		if text(l.Object, "kind") == kind {
			out = append(out, l)
		}
	}
	slices.SortStableFunc(out, func(a, b Last) int {
		return strings.Compare(text(a.Object, "metadata", "name"), text(b.Object, "metadata", "name"))
	})
	return out
}

// clean returns a text without what is made up. Nodes are alike in it: which pods
// share one is looked at by itself.
func (n *names) clean(s string) string {
	if out, ok := n.cleaned[s]; ok {
		return out
	}
	out := n.replacer.Replace(s)
	for _, m := range madeUp {
		out = m.form.ReplaceAllString(out, m.as)
	}
	for name := range n.nodes {
		out = word(out, name, "NODE")
	}
	n.cleaned[s] = out
	return out
}

// word replaces a name where it stands by itself.
func word(s, name, as string) string {
	var out strings.Builder
	for {
		i := strings.Index(s, name)
		if i < 0 {
			out.WriteString(s)
			return out.String()
		}
		end := i + len(name)
		if i > 0 && inWord(s[i-1]) || end < len(s) && inWord(s[end]) {
			out.WriteString(s[:end])
		} else {
			out.WriteString(s[:i] + as)
		}
		s = s[end:]
	}
}

func inWord(c byte) bool {
	return c == '-' || c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

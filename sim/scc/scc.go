package scc

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"simctl.dev/simctl/sim/demand"
	"simctl.dev/simctl/sim/internal/tree"
)

// Ranges are a namespace's, as its annotations write them: 1000970000/10000, or 1-100.
type Ranges struct{ UIDs, Groups string }

// RangesOf reads a Namespace's annotations.
func RangesOf(namespace any) Ranges {
	r := Ranges{
		UIDs:   tree.Text(namespace, "metadata", "annotations", "openshift.io/sa.scc.uid-range"),
		Groups: tree.Text(namespace, "metadata", "annotations", "openshift.io/sa.scc.supplemental-groups"),
	}
	r.Groups = cmp.Or(r.Groups, r.UIDs)
	return r
}

// Refuses says what of a pod an SCC does not take, in words, with where it is said; nothing
// if the SCC takes all that is known of the pod.
func Refuses(scc any, p demand.Pod, r Ranges) []Refusal {
	var out []Refusal
	for _, s := range p.Security {
		if why := refuses(scc, s, r); why != "" {
			out = append(out, Refusal{Why: why, Privilege: s})
		}
	}
	return out
}

// Refusal is something of a pod that an SCC does not take.
type Refusal struct {
	// Why is in words: `fsGroup 2000 is outside 1000680000/10000`.
	Why string
	demand.Privilege
}

func refuses(scc any, s demand.Privilege, r Ranges) string {
	switch s.Field {
	case "runAsUser":
		return user(scc, s, r.UIDs)
	case "fsGroup":
		return group(scc, s, r.Groups)
	case "privileged":
		if !is(scc, "allowPrivilegedContainer") {
			return "privileged containers are not allowed"
		}
	case "allowPrivilegeEscalation":
		// The field's default is true.
		if tree.Get(scc, "allowPrivilegeEscalation") != nil && !is(scc, "allowPrivilegeEscalation") {
			return "privilege escalation is not allowed"
		}
	case "capability":
		if allowed := tree.List(scc, "allowedCapabilities"); !has(allowed, s.Value) && !has(tree.List(scc, "defaultAddCapabilities"), s.Value) {
			return "capability " + s.Value + " is not allowed"
		}
	case "hostPath":
		if !has(tree.List(scc, "volumes"), "hostPath") {
			return "host paths are not allowed"
		}
	}
	return ""
}

func is(scc any, field string) bool {
	v, _ := tree.Get(scc, field).(bool)
	return v
}

// has says whether a list has a word, or the one for all.
func has(list []any, word string) bool {
	return slices.ContainsFunc(list, func(e any) bool { return e == word || e == "*" })
}

func user(scc any, s demand.Privilege, uids string) string {
	switch strategy := tree.Text(scc, "runAsUser", "type"); strategy {
	case "MustRunAsNonRoot":
		if s.Value == "0" {
			return "runAsUser 0 is root"
		}
	case "MustRunAs":
		if want := fmt.Sprint(tree.Get(scc, "runAsUser", "uid")); want != s.Value {
			return fmt.Sprintf("runAsUser %s is not %s", s.Value, want)
		}
	case "MustRunAsRange":
		from, to := tree.Get(scc, "runAsUser", "uidRangeMin"), tree.Get(scc, "runAsUser", "uidRangeMax")
		if from != nil && to != nil {
			uids = fmt.Sprintf("%v-%v", from, to)
		}
		if first, last, ok := parse(uids); !ok || !within(s.Value, first, last) {
			return strings.TrimSpace(fmt.Sprintf("runAsUser %s is outside %s", s.Value, cmp.Or(uids, "the namespace's range")))
		}
	}
	return ""
}

func group(scc any, s demand.Privilege, groups string) string {
	if tree.Text(scc, "fsGroup", "type") != "MustRunAs" {
		return ""
	}
	if ranges := tree.List(scc, "fsGroup", "ranges"); len(ranges) > 0 {
		var all []string
		for _, r := range ranges {
			text := fmt.Sprintf("%v-%v", tree.Get(r, "min"), tree.Get(r, "max"))
			if first, last, ok := parse(text); ok && within(s.Value, first, last) {
				return ""
			}
			all = append(all, text)
		}
		return fmt.Sprintf("fsGroup %s is outside %s", s.Value, strings.Join(all, ", "))
	}
	first, last, ok := parse(groups)
	switch {
	case !ok || !within(s.Value, first, last):
		return fmt.Sprintf("fsGroup %s is outside %s", s.Value, cmp.Or(groups, "the namespace's range"))
	case !within(s.Value, first, first):
		return fmt.Sprintf("fsGroup %s is not %d, the first of %s and the only one allowed", s.Value, first, groups)
	}
	return ""
}

// parse reads a range; of several it takes the first, as OpenShift does.
func parse(text string) (first, last int64, ok bool) {
	text, _, _ = strings.Cut(text, ",")
	sep := "/"
	if !strings.Contains(text, sep) {
		sep = "-"
	}
	a, b, _ := strings.Cut(text, sep)
	first, err1 := strconv.ParseInt(a, 10, 64)
	last, err2 := strconv.ParseInt(b, 10, 64)
	if sep == "/" {
		last = first + last - 1
	}
	return first, last, err1 == nil && err2 == nil
}

func within(id string, first, last int64) bool {
	n, err := strconv.ParseInt(id, 10, 64)
	return err == nil && n >= first && n <= last
}

// fromLeast are the stock SCCs that are worth a grant, those with the least rights first.
var fromLeast = []string{"nonroot-v2", "pipelines-scc", "anyuid", "hostmount-anyuid", "privileged"}

// Least is the one with the least rights of the stock SCCs that takes a pod; nil if none
// does. One that keeps root out is none for a pod that leaves the user to its images:
// these may name root, and then do not start.
func Least(stock []map[string]any, p demand.Pod, r Ranges) map[string]any {
	for _, name := range fromLeast {
		i := slices.IndexFunc(stock, func(s map[string]any) bool { return tree.Name(s) == name })
		if i < 0 || len(Refuses(stock[i], p, r)) > 0 || p.ImageUser && tree.Text(stock[i], "runAsUser", "type") == "MustRunAsNonRoot" {
			continue
		}
		return stock[i]
	}
	return nil
}

// Allows says in words what an SCC allows beyond restricted-v2, which everybody may use.
func Allows(scc any) string {
	if is(scc, "allowPrivilegedContainer") {
		return "everything, the host's devices and files too"
	}
	var out []string
	switch tree.Text(scc, "runAsUser", "type") {
	case "RunAsAny":
		out = append(out, "any user, root too")
	case "MustRunAsNonRoot":
		out = append(out, "any user but root")
	}
	if tree.Text(scc, "fsGroup", "type") == "RunAsAny" {
		out = append(out, "any fsGroup")
	}
	if tree.Get(scc, "allowPrivilegeEscalation") == nil || is(scc, "allowPrivilegeEscalation") {
		out = append(out, "privilege escalation")
	}
	for _, c := range tree.List(scc, "allowedCapabilities") {
		if c != "NET_BIND_SERVICE" {
			out = append(out, fmt.Sprintf("capability %v", c))
		}
	}
	if has(tree.List(scc, "volumes"), "hostPath") {
		out = append(out, "the host's files")
	}
	if n := len(out); n > 1 {
		out = append(out[:n-2], out[n-2]+" and "+out[n-1])
	}
	return strings.Join(out, ", ")
}

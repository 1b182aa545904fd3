// Package releases names the Tekton releases that simctl knows. It does nothing
// with them, so that every other package may use it.
package releases

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// BuiltIn is the version that is compiled into simctl; it is the one in go.mod.
const BuiltIn = "1.15.0"

// ErrVersion says that something is not the name of a release.
var ErrVersion = errors.New("not a Tekton version")

// Release names an upstream release.
type Release struct {
	Version string
	// BuiltIn: compiled into simctl, never built.
	BuiltIn bool
	// OpenShiftPipelines is the version of OpenShift Pipelines that carries it,
	// "1.20", or empty.
	OpenShiftPipelines string
}

// known are the releases on which pipelines were played to their end and the
// co-scheduling flags checked, oldest first; docs/releases.md has what each needed. Any
// other exact version that is served as a module can be asked for as well.
var known = []Release{
	{Version: "0.44.0", OpenShiftPipelines: "1.10"},
	{Version: "0.47.0"},
	{Version: "0.47.3", OpenShiftPipelines: "1.11"},
	{Version: "0.48.0"},
	{Version: "0.50.0", OpenShiftPipelines: "1.12"},
	{Version: "0.53.0", OpenShiftPipelines: "1.13"},
	{Version: "0.56.9", OpenShiftPipelines: "1.14"},
	{Version: "0.59.6", OpenShiftPipelines: "1.15"},
	{Version: "0.62.0", OpenShiftPipelines: "1.16"},
	{Version: "0.63.0"},
	{Version: "0.64.0"},
	{Version: "0.65.7", OpenShiftPipelines: "1.17"},
	{Version: "0.66.0"},
	{Version: "0.68.1", OpenShiftPipelines: "1.18"},
	{Version: "0.70.0"},
	{Version: "1.0.0", OpenShiftPipelines: "1.19"},
	{Version: "1.1.0"},
	{Version: "1.3.1", OpenShiftPipelines: "1.20"},
	{Version: "1.6.0"},
	{Version: "1.6.1", OpenShiftPipelines: "1.21"},
	{Version: "1.7.0"},
	{Version: "1.9.0", OpenShiftPipelines: "1.22"},
	{Version: "1.12.0", OpenShiftPipelines: "1.23"},
	{Version: BuiltIn, BuiltIn: true, OpenShiftPipelines: "1.24"},
}

// Known lists the known releases, oldest first.
func Known() []Release { return slices.Clone(known) }

var (
	exact     = regexp.MustCompile(`^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)$`)
	minor     = regexp.MustCompile(`^\d+\.\d+$`)
	openShift = regexp.MustCompile(`^(?:osp|openshift-pipelines)-?v?(\d+\.\d+)(?:\.\d+)?$`)
)

// OpenShift returns the version that a release of OpenShift Pipelines carries, if
// s names one, as in "osp-1.20" or "openshift-pipelines-1.20", and it is known.
func OpenShift(s string) (version string, ok bool) {
	m := openShift.FindStringSubmatch(strings.ToLower(strings.TrimSpace(s)))
	if m == nil {
		return "", false
	}
	for _, r := range known {
		if r.OpenShiftPipelines == m[1] {
			return r.Version, true
		}
	}
	return "", false
}

// Parse returns the exact version that s names: "1.3.1" or "v1.3.1"
// itself, "1.3" the newest known patch release, "osp-1.20" what that release of
// OpenShift Pipelines carries. It is the only reader of such words. The error, which
// lists what there is, wraps [ErrVersion].
func Parse(s string) (string, error) {
	all, err := ParseAll([]string{s})
	if err != nil {
		return "", err
	}
	return all[0], nil
}

// ParseAll is [Parse] of each name. The error names all that are wrong, and lists once
// what there is.
func ParseAll(names []string) ([]string, error) {
	var out, wrong []string
	for _, s := range names {
		version, why := parse(s)
		if why != "" {
			wrong = append(wrong, fmt.Sprintf("%q %s", s, why))
		}
		out = append(out, version)
	}
	if len(wrong) > 0 {
		return nil, fmt.Errorf("%s: %w; there are %s, and any other exact version from %s on", strings.Join(wrong, ", "), ErrVersion, list(), known[0].Version)
	}
	return out, nil
}

// parse returns the exact version, or why there is none.
func parse(s string) (version, why string) {
	name := strings.TrimPrefix(strings.ToLower(strings.TrimSpace(s)), "v")
	if version, ok := OpenShift(name); ok {
		return version, ""
	}
	if openShift.MatchString(name) {
		return "", "is no OpenShift Pipelines whose Tekton is known here"
	}
	if m := exact.FindStringSubmatch(name); m != nil {
		major, _ := strconv.Atoi(m[1])
		if n, _ := strconv.Atoi(m[2]); major == 0 && n < 44 {
			return "", "is too old"
		}
		return name, ""
	}
	if minor.MatchString(name) {
		for _, r := range slices.Backward(known) {
			if strings.HasPrefix(r.Version, name+".") {
				return r.Version, ""
			}
		}
		return "", "has no patch release that is known here"
	}
	return "", "names no release"
}

// list names the known releases.
func list() string {
	var out []string
	for _, r := range known {
		name := r.Version
		if r.OpenShiftPipelines != "" {
			name += " (osp-" + r.OpenShiftPipelines + ")"
		}
		out = append(out, name)
	}
	return strings.Join(out, ", ")
}

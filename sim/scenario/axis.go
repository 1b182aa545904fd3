package scenario

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"simctl.dev/simctl/sim/releases"
)

// TektonAxis is the name under which a cell's values always have the Tekton
// version.
const TektonAxis = "tekton"

// FeatureFlags are the keys of the feature-flags ConfigMap that Tekton has had
// from 0.44 to 1.15 (pkg/apis/config/feature_flags.go and
// config/config-feature-flags.yaml). Other keys can be set, but a key that
// looks like a slip for one of these is refused.
var FeatureFlags = []string{
	"await-sidecar-readiness", "coschedule", "custom-task-version",
	"disable-affinity-assistant", "disable-creds-init", "disable-inline-spec",
	"embedded-status", "enable-api-fields", "enable-artifacts",
	"enable-cel-in-whenexpression", "enable-concise-resolver-syntax",
	"enable-custom-tasks", "enable-informer-cache-transforms",
	"enable-kubernetes-sidecar", "enable-param-enum",
	"enable-provenance-in-status", "enable-step-actions",
	"enable-tekton-oci-bundles", "enable-termination-message-compression",
	"enable-wait-exponential-backoff", "enforce-nonfalsifiability",
	"keep-pod-on-cancel", "max-result-size", "require-git-ssh-secret-known-hosts",
	"resource-verification-mode", "results-from",
	"running-in-environment-with-injected-sidecars", "send-cloudevents-for-runs",
	"set-security-context", "set-security-context-read-only-root-filesystem",
	"trusted-resources-verification-no-match-policy",
}

// configDefaults are the keys of config-defaults (pkg/apis/config/default.go).
var configDefaults = []string{
	"default-affinity-assistant-pod-template", "default-cloud-events-sink",
	"default-container-resource-requirements",
	"default-create-container-error-timeout", "default-forbidden-env",
	"default-imagepullbackoff-timeout", "default-managed-by-label-value",
	"default-max-matrix-combinations-count", "default-maximum-resolution-timeout",
	"default-pod-template", "default-resolver-type", "default-service-account",
	"default-sidecar-log-polling-interval", "default-step-ref-concurrency-limit",
	"default-task-run-workspace-binding", "default-timeout-minutes",
}

// axisShorthands are the axis names, beside the feature flags, that say what a
// plain string among the axis's values sets.
var axisShorthands = []string{
	"tekton", "version", "accessMode", "storageClass", "claim", "serviceAccount",
}

// shorthandNames are all axis names that have a shorthand.
func shorthandNames() []string { return slices.Concat(axisShorthands, FeatureFlags) }

// shorthand returns the value that a plain string stands for in the axis of this
// name.
func shorthand(axis, text string) (Value, error) {
	v := Value{Name: text}
	switch axis {
	case "tekton", "version":
		v.Name = NormalizeVersion(text)
		v.Version = v.Name
	case "accessMode":
		v.AccessMode = text
	case "storageClass":
		v.StorageClass = text
	case "claim":
		v.Claim = text
	case "serviceAccount":
		v.ServiceAccount = text
	default:
		if !slices.Contains(FeatureFlags, axis) {
			near := ""
			if n := nearest(axis, shorthandNames()); n != "" {
				near = fmt.Sprintf(", or did you mean the axis name %q?", n)
			}
			return v, fmt.Errorf("axis %q has no shorthand for the plain value %q: "+
				"write {name: %s, ...} with what it changes%s", axis, text, text, near)
		}
		v.Flags = map[string]string{axis: text}
	}
	return v, nil
}

// UnmarshalJSON takes plain strings among the values as the shorthand that the
// axis's name stands for.
func (a *Axis) UnmarshalJSON(data []byte) error {
	var raw struct {
		Name   string            `json:"name"`
		Values []json.RawMessage `json:"values"`
	}
	if err := json.Unmarshal(data, &raw); err != nil {
		return fmt.Errorf("reading an axis: %w", err)
	}
	*a = Axis{Name: raw.Name}
	for _, r := range raw.Values {
		var v Value
		var err error
		if bytes.HasPrefix(r, []byte(`"`)) {
			var text string
			if err = json.Unmarshal(r, &text); err == nil {
				v, err = shorthand(raw.Name, text)
			}
		} else {
			err = json.Unmarshal(r, &v)
		}
		if err != nil {
			return fmt.Errorf("reading axis %q: %w", raw.Name, err)
		}
		a.Values = append(a.Values, v)
	}
	return nil
}

// NormalizeVersion returns the exact version that a name of a release stands for
// ("1.3", "v1.3.1", "osp-1.20"). What names none stays as it is, and is refused.
func NormalizeVersion(version string) string {
	if v, err := releases.Parse(version); err == nil {
		return v
	}
	return strings.TrimSpace(version)
}

// checkVersion says whether a version names a release.
func checkVersion(version string) error {
	if version == "" {
		return errors.New("no Tekton version; give one in tekton.version, as 1.3.1, or in an axis named tekton")
	}
	_, err := releases.Parse(version)
	return err
}

package openshift

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/version"

	"simctl.dev/simctl/sim/wellknown"
)

// The TektonConfig resource, of which a cluster has one.
var tektonConfigResource = schema.GroupVersionResource{Group: "operator.tekton.dev", Version: "v1alpha1", Resource: "tektonconfigs"}

// TektonConfigName is the name of a cluster's TektonConfig.
const TektonConfigName = "config"

// The ConfigMaps that the operator renders here.
// absent is a scenario's word for a flag that is not set.
const absent = "absent"

// TektonConfigCRD is the type TektonConfig.
func TektonConfigCRD() *apiextensionsv1.CustomResourceDefinition {
	c := crd(tektonConfigResource.Group, tektonConfigResource.Version, "TektonConfig", tektonConfigResource.Resource, "tektonconfig")
	return c
}

// OperatorRelease is the Tekton operator that ships a Tekton release.
type OperatorRelease struct {
	// Tekton is the release of Tekton Pipelines.
	Tekton string
	// OpenShift has the operator's defaults for OpenShift.
	OpenShift bool
}

// kind is the type of a field of spec.pipeline.
type kind int

const (
	boolean kind = iota
	text
	number
)

// flagFields are the fields of TektonConfig's spec.pipeline that the operator
// writes into feature-flags (PipelineProperties in
// pkg/apis/operator/v1alpha1/tektonpipeline_types.go of tektoncd/operator).
var flagFields = map[string]kind{
	"disable-affinity-assistant":                     boolean,
	"disable-creds-init":                             boolean,
	"await-sidecar-readiness":                        boolean,
	"running-in-environment-with-injected-sidecars":  boolean,
	"require-git-ssh-secret-known-hosts":             boolean,
	"enable-custom-tasks":                            boolean,
	"enable-api-fields":                              text,
	"embedded-status":                                text,
	"send-cloudevents-for-runs":                      boolean,
	"trusted-resources-verification-no-match-policy": text,
	"enable-provenance-in-status":                    boolean,
	"enforce-nonfalsifiability":                      text,
	"keep-pod-on-cancel":                             boolean,
	"results-from":                                   text,
	"max-result-size":                                number,
	"set-security-context":                           boolean,
	"coschedule":                                     text,
	"enable-cel-in-whenexpression":                   boolean,
	"enable-step-actions":                            boolean,
	"enable-param-enum":                              boolean,
	"disable-inline-spec":                            text,
}

// defaultFields are those it writes into config-defaults (OptionalPipelineProperties).
var defaultFields = map[string]kind{
	"default-timeout-minutes":                 number,
	"default-service-account":                 text,
	"default-managed-by-label-value":          text,
	"default-pod-template":                    text,
	"default-cloud-events-sink":               text,
	"default-affinity-assistant-pod-template": text,
	"default-task-run-workspace-binding":      text,
	"default-max-matrix-combinations-count":   text,
	"default-forbidden-env":                   text,
	"default-resolver-type":                   text,
}

// coscheduleValues are what Tekton takes for coschedule; the operator's webhook
// refuses others.
var coscheduleValues = []string{"workspaces", "pipelineruns", "isolate-pipelinerun", "disabled"}

// TektonConfig returns the custom resource that has a scenario's flags (of
// feature-flags) and defaults (of config-defaults) in spec.pipeline. A flag with
// the value "absent" is not in it. A key for which spec.pipeline has no field goes
// to spec.pipeline.options, as the operator's documentation has it.
func TektonConfig(namespace string, flags, defaults map[string]string) (*unstructured.Unstructured, error) {
	pipeline := map[string]any{}
	options := map[string]any{}
	for _, m := range []struct {
		configMap string
		fields    map[string]kind
		values    map[string]string
	}{{wellknown.FeatureFlags, flagFields, flags}, {wellknown.ConfigDefaults, defaultFields, defaults}} {
		data := map[string]any{}
		for key, value := range m.values {
			k, known := m.fields[key]
			switch {
			case value == absent:
			case !known:
				data[key] = value
			default:
				v, err := k.parse(value)
				if err != nil {
					return nil, fmt.Errorf("TektonConfig: invalid value: %s: spec.pipeline.%s: %w", value, key, err)
				}
				pipeline[key] = v
			}
		}
		if len(data) > 0 {
			options[m.configMap] = map[string]any{"data": data}
		}
	}
	if len(options) > 0 {
		pipeline["options"] = map[string]any{"configMaps": options}
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": tektonConfigResource.GroupVersion().String(),
		"kind":       "TektonConfig",
		"metadata":   map[string]any{"name": TektonConfigName},
		"spec":       map[string]any{"profile": "all", "targetNamespace": namespace, "pipeline": pipeline},
	}}, nil
}

func (k kind) parse(s string) (any, error) {
	switch k {
	case boolean:
		switch s {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
		return nil, fmt.Errorf("want true or false")
	case number:
		n, err := strconv.ParseInt(s, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("want a whole number")
		}
		return n, nil
	}
	return s, nil
}

// write returns a field's value as the operator writes it into a ConfigMap: ok is
// false for a text that is empty, which it leaves out.
func (k kind) write(v any) (s string, ok bool, err error) {
	switch k {
	case boolean:
		if b, is := v.(bool); is {
			return strconv.FormatBool(b), true, nil
		}
		return "", false, fmt.Errorf("want true or false")
	case number:
		switch n := v.(type) {
		case int64:
			return strconv.FormatInt(n, 10), true, nil
		case int:
			return strconv.Itoa(n), true, nil
		case json.Number:
			return n.String(), true, nil
		case float64:
			if n == float64(int64(n)) {
				return strconv.FormatInt(int64(n), 10), true, nil
			}
		}
		return "", false, fmt.Errorf("want a whole number")
	}
	if t, is := v.(string); is {
		return t, t != "", nil
	}
	return "", false, fmt.Errorf("want a text")
}

// RenderFeatureFlags returns the data of the feature-flags ConfigMap that the
// operator makes of base, the release's own data, and spec, the TektonConfig's
// spec.pipeline. It writes true and false for booleans, leaves out what is not
// set, and has defaults of its own: enable-custom-tasks is true, and on OpenShift
// disable-affinity-assistant is true up to operator 0.78, which ships Tekton 1.6;
// later operators drop that key. See SetDefaults and AddConfigMapValues in
// tektoncd/operator. The error is what its webhook refuses.
func RenderFeatureFlags(r OperatorRelease, spec map[string]any, base map[string]string) (map[string]string, error) {
	v, err := version.ParseGeneric(r.Tekton)
	if err != nil {
		return nil, fmt.Errorf("rendering a TektonConfig for Tekton %q: %w", r.Tekton, err)
	}
	since := func(minor string) bool { return v.AtLeast(version.MustParseGeneric(minor)) }

	spec = maps.Clone(spec)
	if spec == nil {
		spec = map[string]any{}
	}
	if since("1.7") {
		delete(spec, "disable-affinity-assistant")
	} else if spec["disable-affinity-assistant"] == nil && r.OpenShift {
		spec["disable-affinity-assistant"] = true
	}
	if spec["enable-custom-tasks"] == nil {
		spec["enable-custom-tasks"] = true
	}
	if !since("0.50") {
		delete(spec, "coschedule") // an operator that does not know the field
	} else if c, _ := spec["coschedule"].(string); c == "" {
		spec["coschedule"] = "workspaces"
	} else if !slices.Contains(coscheduleValues, c) {
		return nil, fmt.Errorf("TektonConfig: invalid value: %s: spec.pipeline.coschedule: want one of %s", c, strings.Join(coscheduleValues, ", "))
	}
	return render(wellknown.FeatureFlags, flagFields, spec, base)
}

// RenderDefaults returns the data of the config-defaults ConfigMap likewise. On
// OpenShift the default ServiceAccount is pipeline.
func RenderDefaults(r OperatorRelease, spec map[string]any, base map[string]string) (map[string]string, error) {
	if s, _ := spec["default-service-account"].(string); s == "" && r.OpenShift {
		spec = maps.Clone(spec)
		if spec == nil {
			spec = map[string]any{}
		}
		spec["default-service-account"] = pipelineAccount
	}
	return render(wellknown.ConfigDefaults, defaultFields, spec, base)
}

// Installed returns the data of a release's ConfigMap as OpenShift Pipelines installs
// it, while the TektonConfig says nothing: base is the release's own. ConfigMaps that
// the operator does not render here stay as they are.
func (r OperatorRelease) Installed(configMap string, base map[string]string) (map[string]string, error) {
	switch configMap {
	case wellknown.FeatureFlags:
		return RenderFeatureFlags(r, nil, base)
	case wellknown.ConfigDefaults:
		return RenderDefaults(r, nil, base)
	}
	return base, nil
}

func render(configMap string, fields map[string]kind, spec map[string]any, base map[string]string) (map[string]string, error) {
	data := maps.Clone(base)
	if data == nil {
		data = map[string]string{}
	}
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		value := spec[key]
		if value == nil {
			continue
		}
		s, ok, err := fields[key].write(value)
		if err != nil {
			return nil, fmt.Errorf("TektonConfig: invalid value: %v: spec.pipeline.%s: %w", value, key, err)
		}
		if ok {
			data[key] = s
		}
	}
	// The options come last and win.
	extra, _, err := unstructured.NestedStringMap(spec, "options", "configMaps", configMap, "data")
	if err != nil {
		return nil, fmt.Errorf("TektonConfig: spec.pipeline.options.configMaps.%s: %w", configMap, err)
	}
	maps.Copy(data, extra)
	return data, nil
}

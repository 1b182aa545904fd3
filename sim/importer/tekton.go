package importer

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"simctl.dev/simctl/sim/internal/tree"
	"simctl.dev/simctl/sim/releases"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/wellknown"
)

// Objects of Tekton's own installation.
const (
	pipelinesInfo = "pipelines-info"
	absent        = "absent"
	// misspelt is a key of feature-flags that releases around 0.47 ship and none
	// reads.
	misspelt = "enforce-nonfalsifiablity"
)

// tektonNamespaces are those in which Tekton is usually installed.
var tektonNamespaces = []string{wellknown.OpenShiftPipelinesNamespace, wellknown.TektonNamespace}

// tekton finds the release and its configuration.
func (c *converter) tekton() {
	config := c.ix.get("TektonConfig.operator.tekton.dev", "", "config")
	namespaces := slices.Clone(tektonNamespaces)
	if config != nil {
		c.s.Tekton.Via = "TektonConfig"
		if ns := tree.Text(config.Object, "spec", "targetNamespace"); ns != "" {
			namespaces = append([]string{ns}, namespaces...)
		}
	}
	// A dump may be of an installation elsewhere.
	for _, u := range c.ix["Deployment.apps"] {
		if u.GetName() == wellknown.TektonController && !slices.Contains(namespaces, u.GetNamespace()) {
			namespaces = append(namespaces, u.GetNamespace())
		}
	}
	version, from := c.release(config, namespaces)
	if version == "" {
		version = releases.BuiltIn
		c.note("tekton", "the release is not known; %s stands in for it: write down the real one", version)
	} else if from != "" {
		c.note("tekton", "version is that of %s", from)
	}
	c.s.Tekton.Version = version

	find := func(name string) *unstructured.Unstructured {
		for _, ns := range namespaces {
			if u := c.ix.get("ConfigMap.", ns, name); u != nil {
				return u
			}
		}
		return nil
	}
	c.s.Tekton.Flags = c.settings(find(wellknown.FeatureFlags), config, wellknown.FeatureFlags)
	c.s.Tekton.Defaults = c.settings(find(wellknown.ConfigDefaults), config, wellknown.ConfigDefaults)
	if find(wellknown.FeatureFlags) != nil {
		// The two whose absence decides where pods go.
		for _, k := range []string{"coschedule", "disable-affinity-assistant"} {
			if _, ok := c.s.Tekton.Flags[k]; !ok {
				c.s.Tekton.Flags[k] = absent
			}
		}
	}
}

// settings are the data of one of Tekton's ConfigMaps; without it, what the
// TektonConfig says of it.
func (c *converter) settings(cm, config *unstructured.Unstructured, name string) map[string]string {
	out := map[string]string{}
	if cm != nil {
		for k, v := range tree.Map(cm.Object, "data") {
			if s, ok := v.(string); ok && !strings.HasPrefix(k, "_") && k != misspelt {
				out[k] = s
			}
		}
		return out
	}
	if config == nil {
		c.note("tekton", "ConfigMap %s was not read: the release's own settings stand in for it", name)
		return nil
	}
	c.note("tekton", "ConfigMap %s was not read: the settings are those of the TektonConfig", name)
	known := scenario.FeatureFlags
	for k, v := range tree.Map(config.Object, "spec", "pipeline") {
		if (name == wellknown.FeatureFlags) != slices.Contains(known, k) || (name == wellknown.ConfigDefaults) != strings.HasPrefix(k, "default-") {
			continue
		}
		switch v.(type) {
		case string, bool, int64, float64:
			out[k] = fmt.Sprint(v)
		}
	}
	for k, v := range tree.Map(config.Object, "spec", "pipeline", "options", "configMaps", name, "data") {
		if s, ok := v.(string); ok {
			out[k] = s
		}
	}
	return out
}

var versionIn = regexp.MustCompile(`v?\d+\.\d+\.\d+`)

// release finds the version of Tekton, and says where.
func (c *converter) release(config *unstructured.Unstructured, namespaces []string) (version, from string) {
	parse := func(s string) bool {
		v, err := releases.Parse(versionIn.FindString(s))
		if err == nil {
			version = v
		}
		return err == nil
	}
	for _, ns := range namespaces {
		if d := c.ix.get("Deployment.apps", ns, wellknown.TektonController); d != nil {
			for _, l := range []string{"pipeline.tekton.dev/release", "app.kubernetes.io/version", "version"} {
				if parse(d.GetLabels()[l]) {
					return version, fmt.Sprintf("the label %s of Deployment %s", l, wellknown.TektonController)
				}
			}
			for _, ctr := range tree.List(d.Object, "spec", "template", "spec", "containers") {
				image, _, _ := strings.Cut(tree.Text(ctr, "image"), "@")
				if i := strings.LastIndex(image, ":"); i > strings.LastIndex(image, "/") && parse(image[i+1:]) {
					return version, fmt.Sprintf("the image of Deployment %s", wellknown.TektonController)
				}
			}
		}
		if cm := c.ix.get("ConfigMap.", ns, pipelinesInfo); cm != nil && parse(tree.Text(cm.Object, "data", "version")) {
			return version, "ConfigMap " + pipelinesInfo
		}
	}
	if config != nil {
		operator := versionIn.FindString(tree.Text(config.Object, "status", "version"))
		if parts := strings.Split(strings.TrimPrefix(operator, "v"), "."); len(parts) == 3 {
			if v, ok := releases.OpenShift("osp-" + parts[0] + "." + parts[1]); ok {
				return v, "OpenShift Pipelines " + operator + ", by the TektonConfig"
			}
		}
	}
	return "", ""
}

// Package chart renders Helm charts as `helm template` does: by Helm's own engine, with the
// values that the chart has by itself, and without asking a cluster.
package chart

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
)

// Release is the name that a release has in what is rendered.
const Release = "release-name"

// Is says whether a path is a chart: its folder, or its archive.
func Is(name string) bool {
	if strings.HasSuffix(name, ".tgz") {
		return true
	}
	_, err := os.Stat(filepath.Join(name, chartutil.ChartfileName))
	return err == nil
}

// testHook are the hooks that run for `helm test` alone.
var testHook = regexp.MustCompile(`(?m)^\s*["']?helm\.sh/hook["']?:\s*["']?test`)

// Render returns the chart's name and the manifests that it gives on a cluster of a version
// of Kubernetes that has Tekton. What a chart draws by chance differs each time.
func Render(name, kubernetes string) (string, []byte, error) {
	c, err := loader.Load(name)
	if err != nil {
		return "", nil, fmt.Errorf("reading Helm chart %s: %w", name, err)
	}
	if missing := missing(c); len(missing) > 0 {
		return "", nil, fmt.Errorf("helm chart %s needs %s, which it does not have: helm dependency build %s fetches them",
			name, strings.Join(missing, ", "), name)
	}
	capabilities := chartutil.DefaultCapabilities.Copy()
	if v, err := chartutil.ParseKubeVersion(kubernetes); err == nil {
		capabilities.KubeVersion = *v
	}
	capabilities.APIVersions = append(capabilities.APIVersions, "tekton.dev/v1", "tekton.dev/v1beta1")
	values := chartutil.Values{}
	if err := chartutil.ProcessDependenciesWithMerge(c, values); err != nil {
		return "", nil, fmt.Errorf("putting the values of Helm chart %s together: %w", name, err)
	}
	all, err := chartutil.ToRenderValues(c, values, chartutil.ReleaseOptions{Name: Release, Namespace: "default", Revision: 1, IsInstall: true}, capabilities)
	if err != nil {
		return "", nil, fmt.Errorf("putting the values of Helm chart %s together: %w", name, err)
	}
	files, err := engine.Render(c, all)
	if err != nil {
		return "", nil, fmt.Errorf("rendering Helm chart %s: %s; with other values, helm template -f VALUES %s | simctl init --from -",
			name, strings.Join(strings.Fields(err.Error()), " "), name)
	}
	var out bytes.Buffer
	for _, file := range slices.Sorted(maps.Keys(files)) {
		text := files[file]
		if path.Base(file) == "NOTES.txt" || strings.HasPrefix(path.Base(file), "_") || strings.TrimSpace(text) == "" || testHook.MatchString(text) {
			continue
		}
		fmt.Fprintf(&out, "---\n# Source: %s\n%s\n", file, strings.TrimPrefix(strings.TrimSpace(text), "---"))
	}
	return c.Name(), out.Bytes(), nil
}

// missing names the charts that a chart depends on and that are not with it.
func missing(c *chart.Chart) []string {
	var out []string
	for _, d := range c.Metadata.Dependencies {
		if !slices.ContainsFunc(c.Dependencies(), func(has *chart.Chart) bool { return has.Name() == d.Name }) {
			out = append(out, d.Name)
		}
	}
	return out
}

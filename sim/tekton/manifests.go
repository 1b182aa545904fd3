package tekton

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"

	"simctl.dev/simctl/sim/wellknown"
)

// ServiceAccount is the name of the ServiceAccount that the controller acts as.
const ServiceAccount = wellknown.TektonController

// WebhookServiceAccount is the name of the ServiceAccount that the webhook acts as.
const WebhookServiceAccount = wellknown.TektonWebhook

// The manifests of what runs.
const (
	controllerManifest = "controller.yaml"
	webhookManifest    = "webhook.yaml"
)

// CRDs returns the release's CustomResourceDefinitions.
func (b *Build) CRDs() ([]*apiextensionsv1.CustomResourceDefinition, error) {
	var out []*apiextensionsv1.CustomResourceDefinition
	// The folder is there from 0.58 on.
	err := b.each([]string{"300-*.yaml", "300-crds/*.yaml"}, "CustomResourceDefinition", func(u *unstructured.Unstructured) error {
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, crd); err != nil {
			return err
		}
		out = append(out, crd)
		return nil
	})
	if err == nil && len(out) == 0 {
		err = fmt.Errorf("Tekton %s: no CustomResourceDefinitions among its manifests", b.Version) //nolint:staticcheck // a name
	}
	return out, err
}

// ConfigMaps returns the ConfigMaps that the release's controller wants to find in
// its namespace, with upstream's values. Metrics are switched off, no line of its log is
// left out, and the webhook's says errors only; none of this has to do with what they do.
func (b *Build) ConfigMaps(namespace string) ([]*corev1.ConfigMap, error) {
	var out []*corev1.ConfigMap
	err := b.each([]string{"*.yaml"}, "ConfigMap", func(u *unstructured.Unstructured) error {
		cm := &corev1.ConfigMap{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, cm); err != nil {
			return err
		}
		cm.Namespace = namespace
		delete(cm.Data, "_example")
		switch cm.Name {
		case "config-observability":
			if cm.Data == nil {
				cm.Data = map[string]string{}
			}
			cm.Data["metrics-protocol"] = "none"            // OpenTelemetry
			cm.Data["metrics.backend-destination"] = "none" // OpenCensus, up to 1.x
		case "pipelines-info": // upstream's release pipeline does the same
			cm.Data["version"] = "v" + b.Version
		case "config-logging":
			if err := logEverything(cm.Data); err != nil {
				return err
			}
			// It would log every request in full, which costs more than to answer it.
			cm.Data["loglevel.webhook"] = "error"
		}
		out = append(out, cm)
		return nil
	})
	return out, err
}

// logEverything switches off zap's sampling, which goes by the host's clock.
func logEverything(data map[string]string) error {
	const key = "zap-logger-config"
	var cfg map[string]any
	if data[key] == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(data[key]), &cfg); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	delete(cfg, "sampling")
	raw, err := json.Marshal(cfg)
	if err != nil {
		return err
	}
	data[key] = string(raw)
	return nil
}

// RBAC returns the release's ServiceAccounts, Roles, ClusterRoles and their
// bindings, with namespace in the place of upstream's. References to the owner
// or to namespaces that simctl has no use for are kept as they are.
func (b *Build) RBAC(namespace string) ([]*unstructured.Unstructured, error) {
	var out []*unstructured.Unstructured
	err := b.each([]string{"200-*.yaml", "201-*.yaml"}, "", func(u *unstructured.Unstructured) error {
		if u.GetNamespace() == wellknown.TektonNamespace {
			u.SetNamespace(namespace)
		}
		if err := renameNamespace(u, namespace); err != nil {
			return err
		}
		subjects, _, err := unstructured.NestedSlice(u.Object, "subjects")
		if err != nil {
			return err
		}
		for _, s := range subjects {
			if m, ok := s.(map[string]any); ok && m["namespace"] == wellknown.TektonNamespace {
				m["namespace"] = namespace
			}
		}
		if subjects != nil {
			u.Object["subjects"] = subjects
		}
		out = append(out, u)
		return nil
	})
	return out, err
}

// renameNamespace has rules that are about upstream's Namespace be about namespace.
func renameNamespace(u *unstructured.Unstructured, namespace string) error {
	rules, found, err := unstructured.NestedSlice(u.Object, "rules")
	if err != nil || !found {
		return err
	}
	for _, r := range rules {
		rule, ok := r.(map[string]any)
		if !ok {
			continue
		}
		resources, _ := rule["resources"].([]any)
		names, _ := rule["resourceNames"].([]any)
		for i, name := range names {
			if name == wellknown.TektonNamespace && slices.ContainsFunc(resources, func(r any) bool { return r == "namespaces" || r == "namespaces/finalizers" }) {
				names[i] = namespace
			}
		}
	}
	return unstructured.SetNestedSlice(u.Object, rules, "rules")
}

// deployment returns the arguments and the environment that a container has in
// upstream's Deployment, without what comes from elsewhere.
func (b *Build) deployment(manifest, container string) (args []string, env map[string]string, err error) {
	found := false
	d := &appsv1.Deployment{}
	err = b.each([]string{manifest}, "Deployment", func(u *unstructured.Unstructured) error {
		return runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, d)
	})
	for _, c := range d.Spec.Template.Spec.Containers {
		if c.Name != container {
			continue
		}
		found = true
		args = c.Args
		env = map[string]string{}
		for _, e := range c.Env {
			if e.ValueFrom == nil && !strings.HasPrefix(e.Name, "SSL_CERT_") {
				env[e.Name] = e.Value
			}
		}
	}
	if err == nil && !found {
		err = fmt.Errorf("Tekton %s: no container %s in config/%s", b.Version, container, manifest) //nolint:staticcheck // a name
	}
	// Images that upstream builds for the release.
	for i, a := range args {
		if _, path, ok := strings.Cut(a, "ko://"+Module+"/cmd/"); ok {
			args[i] = "ghcr.io/tektoncd/pipeline/" + path + ":v" + b.Version
		}
	}
	return args, env, err
}

// each calls f with the objects of a kind (all, if empty) in the manifests that
// match one of the patterns, in the order of file names.
func (b *Build) each(patterns []string, kind string, f func(*unstructured.Unstructured) error) error {
	for _, p := range patterns {
		files, err := filepath.Glob(filepath.Join(b.ModuleDir, "config", p))
		if err != nil {
			return err
		}
		for _, name := range files {
			raw, err := os.ReadFile(name)
			if err != nil {
				return fmt.Errorf("reading a manifest of Tekton %s: %w", b.Version, err)
			}
			if err := eachObject(raw, kind, f); err != nil {
				return fmt.Errorf("manifest %s of Tekton %s: %w", filepath.Base(name), b.Version, err)
			}
		}
	}
	return nil
}

func eachObject(raw []byte, kind string, f func(*unstructured.Unstructured) error) error {
	docs := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(raw)))
	for {
		doc, err := docs.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		u := &unstructured.Unstructured{}
		if err := utilyaml.Unmarshal(doc, &u.Object); err != nil {
			return err
		}
		if len(u.Object) == 0 || kind != "" && u.GetKind() != kind {
			continue
		}
		// Left by upstream's generators, and refused by a strict reader.
		unstructured.RemoveNestedField(u.Object, "status")
		u.SetCreationTimestamp(metav1.Time{})
		if err := f(u); err != nil {
			return fmt.Errorf("%s %s: %w", u.GetKind(), u.GetName(), err)
		}
	}
}

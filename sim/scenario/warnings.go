package scenario

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"simctl.dev/simctl/sim/demand"
	"simctl.dev/simctl/sim/internal/tree"
)

// Warnings says what the cell's runs will not find: Secrets, ConfigMaps, their keys,
// claims, storage classes, and nodes that take their pods. A scenario may mean to show
// just that, so none of it is an error. What an intervention makes later counts as not
// there.
func (c Cell) Warnings() []string {
	var objects []map[string]any
	var files []string
	take := func(file string, raw json.RawMessage) {
		if o, err := decodeObject(raw); err == nil {
			objects, files = append(objects, o), append(files, file)
		}
	}
	for _, raw := range c.Objects {
		// What can be fetched comes with its file.
		if !slices.ContainsFunc(c.Remotes, func(r Remote) bool { return bytes.Equal(r.Object, raw) }) {
			take("", raw)
		}
	}
	for _, r := range c.Remotes {
		take(r.File, r.Object)
	}
	d := demand.OfFiles(objects, files, DefaultNamespace)
	var out []string
	add := func(format string, args ...any) {
		if line := fmt.Sprintf(format, args...); !slices.Contains(out, line) {
			out = append(out, line)
		}
	}
	for _, r := range d.References {
		if r.Optional || r.Lenient {
			continue
		}
		switch r.Kind {
		case "Secret", "ConfigMap":
			i := slices.IndexFunc(objects, func(o map[string]any) bool {
				return tree.Text(o, "kind") == r.Kind && tree.Text(o, "metadata", "name") == r.Name && tree.Text(o, "metadata", "namespace") == r.Namespace
			})
			if i < 0 {
				add("%s %q, which %s refers to, will not be found; add it to the manifests, or set workload.stubMissing: true", r.Kind, r.Name, r.By)
				continue
			}
			for _, key := range r.Use.Keys {
				if !hasKey(objects[i], key) {
					add("%s %q has no key %q, which %s reads: its pod will not start", r.Kind, r.Name, key, r.By)
				}
			}
		case "PersistentVolumeClaim":
			if !r.Given {
				add("PersistentVolumeClaim %q, which %s refers to, will not be found; add it to the manifests, or set workload.stubMissing: true", r.Name, r.By)
			}
		}
	}
	c.classWarnings(d, objects, add)
	c.nodeWarnings(d, objects, add)
	return out
}

func hasKey(o map[string]any, key string) bool {
	for _, field := range []string{"data", "stringData", "binaryData"} {
		if _, ok := tree.Map(o, field)[key]; ok {
			return true
		}
	}
	return false
}

func (c Cell) classWarnings(d *demand.Demands, objects []map[string]any, add func(string, ...any)) {
	var classes []string
	for _, s := range c.Spec.Cluster.StorageClasses {
		classes = append(classes, s.Name)
	}
	for _, o := range objects {
		if tree.Text(o, "kind") == "StorageClass" || tree.Text(o, "kind") == "PersistentVolume" {
			// A volume that is there may be of a class that is not.
			classes = append(classes, tree.Text(o, "metadata", "name"), tree.Text(o, "spec", "storageClassName"))
		}
	}
	for _, claim := range d.Claims {
		if claim.Class != "" && !slices.Contains(classes, claim.Class) {
			add("storage class %q, which the claim of %s names, is not in cluster.storageClasses: the claim will stay Pending%s",
				claim.Class, claim.By, Suggest(claim.Class, classes))
		}
	}
}

// nodeWarnings looks for pods that no node of the pools can take. Node manifests are
// left to the scheduler.
func (c Cell) nodeWarnings(d *demand.Demands, objects []map[string]any, add func(string, ...any)) {
	if slices.ContainsFunc(objects, func(o map[string]any) bool { return tree.Text(o, "kind") == "Node" }) {
		return
	}
	for _, p := range d.Pods {
		var why []string
		fits := false
		for _, pool := range c.Spec.Cluster.NodePools {
			if pool.Count == 0 {
				continue
			}
			reason := refuses(&pool, p)
			fits = fits || reason == ""
			why = append(why, fmt.Sprintf("%s: %s", pool.Name, reason))
		}
		if !fits && len(why) > 0 {
			add("no node will take the pod of %s (%s)", p.Of, strings.Join(why, "; "))
		}
	}
}

// refuses says why a pool's nodes do not take a pod; "" if they may.
func refuses(pool *NodePool, p demand.Pod) string {
	for _, key := range sortedKeys(p.NodeSelector) {
		switch {
		case key == "kubernetes.io/hostname", key == "kubernetes.io/os", key == "kubernetes.io/arch", key == "topology.kubernetes.io/zone":
			continue
		case pool.Labels[key] != p.NodeSelector[key]:
			return fmt.Sprintf("no label %s=%s", key, p.NodeSelector[key])
		}
	}
	for _, t := range pool.Taints {
		if t.Effect != "PreferNoSchedule" && !slices.ContainsFunc(p.Tolerations, func(o demand.Toleration) bool { return o.Matches(t.Key, t.Value, t.Effect) }) {
			return fmt.Sprintf("taint %s is not tolerated", t.Key)
		}
	}
	for _, name := range sortedKeys(p.Requests) {
		have, given := pool.Capacity[name]
		if !given && !strings.Contains(name, "/") {
			continue
		}
		q, err := resource.ParseQuantity(string(have))
		if want := p.Requests[name]; err != nil || want.Cmp(q) > 0 {
			return fmt.Sprintf("not enough %s", name)
		}
	}
	return ""
}

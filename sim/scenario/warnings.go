package scenario

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"

	"simctl.dev/simctl/sim/demand"
	"simctl.dev/simctl/sim/internal/tree"
)

// warner collects warnings, each once.
type warner struct {
	*Wants
	out []*Problem
}

func (w *warner) add(p *Problem) {
	if !slices.ContainsFunc(w.out, func(o *Problem) bool { return *o == *p }) {
		w.out = append(w.out, p)
	}
}

// Warnings says what the cell's runs will not find: Secrets, ConfigMaps, their keys,
// claims, storage classes, and nodes that take their pods; and which task models no run
// has a use for. A scenario may mean to show just that, so none of it is an error. What an
// intervention makes later counts as not there.
func (c *Cell) Warnings() []*Problem {
	w := &warner{Wants: c.Wants()}
	for _, r := range w.References {
		if r.Optional || r.Lenient {
			continue
		}
		switch r.Kind {
		case "Secret", "ConfigMap":
			i := slices.IndexFunc(w.Objects, func(o map[string]any) bool {
				return tree.Text(o, "kind") == r.Kind && tree.Text(o, "metadata", "name") == r.Name && tree.Text(o, "metadata", "namespace") == r.Namespace
			})
			if i < 0 {
				w.missing(r)
				continue
			}
			for _, key := range r.Use.Keys {
				if keys := keysOf(w.Objects[i]); !slices.Contains(keys, key) {
					w.add(w.Problem(r.At, "%s %q has no key %q, which %s reads: its pod will not start%s", r.Kind, r.Name, key, r.By, Suggest(key, keys)))
				}
			}
		case "PersistentVolumeClaim":
			if !r.Given {
				w.missing(r)
			}
		}
	}
	w.classes()
	w.nodes()
	w.models()
	return w.out
}

// missing tells of an object that is not there, with the most similar one that is.
func (w *warner) missing(r demand.Reference) {
	var names []string
	for _, o := range w.Objects {
		if tree.Text(o, "kind") == r.Kind && tree.Text(o, "metadata", "namespace") == r.Namespace {
			names = append(names, tree.Text(o, "metadata", "name"))
		}
	}
	what := "add it to the manifests, or set workload.stubMissing: true"
	if near := nearest(r.Name, names); near != "" {
		what = fmt.Sprintf("did you mean %q?", near)
	}
	w.add(w.Problem(r.At, "%s %q, which %s refers to, will not be found; %s", r.Kind, r.Name, r.By, what))
}

func keysOf(o map[string]any) []string {
	var keys []string
	for _, field := range []string{"data", "stringData", "binaryData"} {
		keys = append(keys, sortedKeys(tree.Map(o, field))...)
	}
	return keys
}

// classes looks for claims that no storage class makes a volume for.
func (w *warner) classes() {
	classes := map[string]*StorageClass{}
	byDefault := false
	for i, s := range w.cell.Spec.Cluster.StorageClasses {
		classes[s.Name] = &w.cell.Spec.Cluster.StorageClasses[i]
		byDefault = byDefault || s.Default
	}
	volumes := false
	for _, o := range w.Objects {
		switch tree.Text(o, "kind") {
		case "StorageClass":
			classes[tree.Text(o, "metadata", "name")] = nil
			byDefault = byDefault || tree.Text(o, "metadata", "annotations", "storageclass.kubernetes.io/is-default-class") == "true"
		case "PersistentVolume":
			// A volume that is there may be of a class that is not.
			classes[tree.Text(o, "spec", "storageClassName")] = nil
			volumes = true
		}
	}
	for _, claim := range w.Claims {
		name := claim.Class
		if name == "" && !volumes && !byDefault {
			w.add(w.Problem(claim.At, "the claim of %s names no storage class, and none in cluster.storageClasses is the default: the claim will stay Pending", claim.By))
			continue
		}
		class, known := classes[name]
		if name != "" && !known {
			w.add(w.Problem(claim.At, "storage class %q, which the claim of %s names, is not in cluster.storageClasses: the claim will stay Pending%s",
				name, claim.By, Suggest(name, slices.DeleteFunc(sortedKeys(classes), func(c string) bool { return c == "" }))))
		}
		if class == nil || len(class.AccessModes) == 0 {
			continue
		}
		for _, mode := range claim.AccessModes {
			if !slices.ContainsFunc(class.AccessModes, func(m string) bool { long, err := NormalizeAccessMode(m); return err == nil && long == mode }) {
				w.add(w.Problem(claim.At, "storage class %q cannot do %s, which the claim of %s wants: the claim will stay Pending; it can do %s",
					name, mode, claim.By, strings.Join(class.AccessModes, ", ")))
			}
		}
	}
}

// models looks for task models that are for no task of the runs. Their names are those of
// tasks that the manifests have, or they are refused.
func (w *warner) models() {
	if w.cell.from == nil || w.cell.from.tasks.open {
		return
	}
	valid := slices.Concat(w.cell.from.tasks.names, w.cell.from.tasks.tasks)
	for _, name := range sortedKeys(w.cell.Spec.Workload.Tasks) {
		if name != "*" && !slices.Contains(valid, name) {
			w.add(w.cell.problem("workload.tasks."+name, "no run has a task %q: this model has no effect%s", name, Suggest(name, valid)))
		}
	}
}

// machine is a node, or several that are alike, as a pod looks at it.
type machine struct {
	// of is the pool or the node.
	of       string
	labels   labels.Set
	taints   []Taint
	capacity map[string]Quantity
	cordoned bool
}

// machines are the pools' nodes and those of the manifests.
func (w *warner) machines() []machine {
	var out []machine
	own := func(name string, more map[string]string) labels.Set {
		l := labels.Set{"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
		for k, v := range more {
			l[k] = v
		}
		return l
	}
	for _, pool := range w.cell.Spec.Cluster.NodePools {
		for i := range pool.Count {
			m := machine{of: pool.Name, labels: own(fmt.Sprintf("%s-%d", pool.Name, i), pool.Labels), taints: pool.Taints, capacity: map[string]Quantity{}, cordoned: pool.Unschedulable}
			for name, q := range DefaultCapacity() {
				m.capacity[name] = Quantity(q)
			}
			for name, q := range pool.Capacity {
				m.capacity[name] = q
			}
			if len(pool.Zones) > 0 {
				m.labels["topology.kubernetes.io/zone"] = pool.Zones[i%len(pool.Zones)]
			}
			out = append(out, m)
		}
	}
	for _, o := range w.Objects {
		if tree.Text(o, "kind") != "Node" {
			continue
		}
		name := tree.Text(o, "metadata", "name")
		m := machine{of: name, labels: own(name, texts(tree.Map(o, "metadata", "labels"))), capacity: map[string]Quantity{}}
		m.cordoned, _ = tree.Get(o, "spec", "unschedulable").(bool)
		for name, q := range DefaultCapacity() {
			m.capacity[name] = Quantity(q)
		}
		for _, field := range []string{"capacity", "allocatable"} {
			for name, q := range texts(tree.Map(o, "status", field)) {
				m.capacity[name] = Quantity(q)
			}
		}
		for _, t := range tree.List(o, "spec", "taints") {
			m.taints = append(m.taints, Taint{Key: tree.Text(t, "key"), Value: tree.Text(t, "value"), Effect: tree.Text(t, "effect")})
		}
		out = append(out, m)
	}
	return out
}

// texts are the values of a mapping as text.
func texts(m map[string]any) map[string]string {
	out := map[string]string{}
	for k, v := range m {
		out[k] = fmt.Sprint(v)
	}
	return out
}

// nodes looks for pods that no node can take.
func (w *warner) nodes() {
	machines := w.machines()
	for _, p := range w.Pods {
		var why []string
		fits := false
		for _, m := range machines {
			reason := m.refuses(p)
			fits = fits || reason == ""
			if line := m.of + ": " + reason; !slices.Contains(why, line) {
				why = append(why, line)
			}
		}
		if !fits && len(why) > 0 {
			w.add(w.Problem(p.Run, "no node will take the pod of %s (%s)", p.Of, strings.Join(why, "; ")))
		}
	}
}

// refuses says why a node does not take a pod; "" if it may.
func (m *machine) refuses(p demand.Pod) string {
	for _, key := range sortedKeys(p.NodeSelector) {
		if have, ok := m.labels[key]; !ok || have != p.NodeSelector[key] {
			return fmt.Sprintf("no label %s=%s", key, p.NodeSelector[key])
		}
	}
	if why := m.affinity(p.Terms); why != "" {
		return why
	}
	taints := m.taints
	if m.cordoned {
		taints = append(slices.Clone(taints), Taint{Key: "node.kubernetes.io/unschedulable", Effect: "NoSchedule"})
	}
	for _, t := range taints {
		if t.Effect != "PreferNoSchedule" && !slices.ContainsFunc(p.Tolerations, func(o demand.Toleration) bool { return o.Matches(t.Key, t.Value, t.Effect) }) {
			if m.cordoned && t.Key == "node.kubernetes.io/unschedulable" {
				return "cordoned"
			}
			return fmt.Sprintf("taint %s is not tolerated", t.Key)
		}
	}
	for _, name := range sortedKeys(p.Requests) {
		q, err := resource.ParseQuantity(string(m.capacity[name]))
		if want := p.Requests[name]; err != nil && !want.IsZero() || err == nil && want.Cmp(q) > 0 {
			return fmt.Sprintf("not enough %s", name)
		}
	}
	return ""
}

// affinity says why a node fits none of the required terms; "" if it fits one or there is
// none.
func (m *machine) affinity(terms [][]demand.Expression) string {
	why := ""
	for _, term := range terms {
		miss := ""
		for _, e := range term {
			op := selection.Operator(strings.ToLower(e.Operator))
			if e.Operator == "DoesNotExist" {
				op = selection.DoesNotExist
			}
			r, err := labels.NewRequirement(e.Key, op, e.Values)
			if err == nil && !r.Matches(m.labels) {
				miss = "label " + strings.TrimSpace(e.Key+" "+e.Operator+" "+strings.Join(e.Values, ", ")) + " is wanted"
				break
			}
		}
		if miss == "" {
			return ""
		}
		why = miss
	}
	return why
}

// DefaultCapacity is what a node has of each resource that its pool does not name.
func DefaultCapacity() map[string]string {
	return map[string]string{"cpu": "16", "memory": "64Gi", "pods": "110", "ephemeral-storage": "200Gi"}
}

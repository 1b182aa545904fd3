package importer

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"

	"simctl.dev/simctl/sim/scenario"
)

// roundTo is the step to which memory and disk sizes of nodes are rounded down:
// nodes of one kind differ by some kilobytes.
const roundTo = 64 << 20

// cordonTaint comes with spec.unschedulable.
const cordonTaint = "node.kubernetes.io/unschedulable"

// simNode is a node as a scenario has it.
type simNode struct {
	name, zone string
	labels     map[string]string
	taints     []scenario.Taint
	capacity   map[string]scenario.Quantity
	cordoned   bool
}

// nodes puts nodes that are equal but for their names and zones into pools; the
// others become manifests.
func (c *converter) nodes() {
	var order []string
	groups := map[string][]simNode{}
	for _, u := range c.ix["Node."] {
		var n corev1.Node
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &n); err != nil {
			c.note("cluster", "node %s is left out: %v", u.GetName(), err)
			continue
		}
		s := c.node(&n)
		like, _ := json.Marshal([]any{s.labels, s.taints, s.capacity, s.cordoned, s.zone != ""})
		group := string(like)
		if c.pinned[s.name] {
			group = s.name // its name must stay
		}
		if groups[group] == nil {
			order = append(order, group)
		}
		groups[group] = append(groups[group], s)
	}
	// names has the nodes as they are called in the scenario, by their names here.
	taken, names := map[string]bool{}, map[string]simNode{}
	for _, g := range order {
		if len(groups[g]) == 1 {
			taken[groups[g][0].name] = true
		}
	}
	for _, g := range order {
		nodes := groups[g]
		if len(nodes) == 1 {
			c.kept["nodes.yaml"] = append(c.kept["nodes.yaml"], nodes[0].manifest())
			names[nodes[0].name] = nodes[0]
			continue
		}
		first := nodes[0]
		pool := scenario.NodePool{Name: poolName(first, taken), Count: len(nodes), Labels: first.labels,
			Taints: first.taints, Capacity: first.capacity, Unschedulable: first.cordoned}
		if first.zone != "" {
			for _, n := range nodes {
				pool.Zones = append(pool.Zones, n.zone)
			}
			pool.Zones = shortest(pool.Zones)
		}
		c.s.Cluster.NodePools = append(c.s.Cluster.NodePools, pool)
		for i, n := range nodes {
			known := n.name
			n.name = fmt.Sprintf("%s-%d", pool.Name, i)
			names[known] = n
		}
	}
	if len(c.ix["Node."]) == 0 {
		c.s.Cluster.NodePools = []scenario.NodePool{{Name: "worker", Count: 3}}
		c.note("cluster", "no node was read: three workers stand in for them; write down the real ones")
		for name := range c.pinned {
			c.note("cluster", "pods are to be on node %s: give it a Node manifest", name)
		}
	} else {
		c.load(names)
	}
}

func (c *converter) node(n *corev1.Node) simNode {
	s := simNode{name: n.Name, cordoned: n.Spec.Unschedulable, capacity: map[string]scenario.Quantity{}}
	short, _, _ := strings.Cut(n.Name, ".")
	for key, value := range n.Labels {
		switch {
		case key == corev1.LabelHostname, strings.HasPrefix(key, "beta.kubernetes.io/"), strings.HasPrefix(key, "failure-domain.beta.kubernetes.io/"):
		case key == corev1.LabelOSStable && value == "linux", key == corev1.LabelArchStable && value == "amd64":
		case key == corev1.LabelTopologyZone:
			s.zone = value
		case (value == n.Name || value == short) && !c.selected[key]:
			// Part of the name.
		default:
			if s.labels == nil {
				s.labels = map[string]string{}
			}
			s.labels[key] = value
		}
	}
	for _, t := range n.Spec.Taints {
		if t.Key == cordonTaint && s.cordoned {
			continue
		}
		s.taints = append(s.taints, scenario.Taint{Key: t.Key, Value: t.Value, Effect: string(t.Effect)})
		if strings.HasPrefix(t.Key, "node.kubernetes.io/") {
			c.note("cluster", "node %s has the taint %s, which says how it was at that moment; it stays so in the simulation", n.Name, t.Key)
		}
	}
	// What pods can be given; a pool's capacity is both.
	room := n.Status.Allocatable
	if len(room) == 0 {
		room = n.Status.Capacity
	}
	for name, q := range room {
		known := slices.Contains([]corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourcePods, corev1.ResourceEphemeralStorage}, name)
		extended := strings.Contains(string(name), "/") || strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix)
		switch {
		case q.IsZero(), !known && !extended:
			continue
		case name == corev1.ResourceMemory, name == corev1.ResourceEphemeralStorage:
			if q.Value() > roundTo {
				q = *resource.NewQuantity(q.Value()/roundTo*roundTo, resource.BinarySI)
			}
		}
		s.capacity[string(name)] = scenario.Quantity(q.String())
	}
	return s
}

// quantity is how much of a resource pods can be given.
func (s simNode) quantity(name string) (resource.Quantity, bool) {
	text, ok := s.capacity[name]
	if !ok {
		return resource.Quantity{}, false
	}
	q, err := resource.ParseQuantity(string(text))
	return q, err == nil
}

// manifest is the node as a manifest, which keeps its name.
func (s simNode) manifest() map[string]any {
	labels := map[string]any{corev1.LabelHostname: s.name}
	for k, v := range s.labels {
		labels[k] = v
	}
	if s.zone != "" {
		labels[corev1.LabelTopologyZone] = s.zone
	}
	spec := map[string]any{}
	if s.cordoned {
		spec["unschedulable"] = true
	}
	var taints []any
	for _, t := range s.taints {
		m := map[string]any{"key": t.Key, "effect": t.Effect}
		if t.Value != "" {
			m["value"] = t.Value
		}
		taints = append(taints, m)
	}
	if taints != nil {
		spec["taints"] = taints
	}
	capacity := map[string]any{}
	for k, v := range s.capacity {
		capacity[k] = string(v)
	}
	o := map[string]any{"apiVersion": "v1", "kind": "Node", "metadata": map[string]any{"name": s.name, "labels": labels}}
	if len(spec) > 0 {
		o["spec"] = spec
	}
	if len(capacity) > 0 {
		o["status"] = map[string]any{"capacity": capacity, "allocatable": maps.Clone(capacity)}
	}
	return o
}

// roleLabel leads the labels that name a node's roles.
const roleLabel = "node-role.kubernetes.io/"

// poolName names a pool as the cloud does in a label of its nodes, or for their role.
func poolName(n simNode, taken map[string]bool) string {
	base := ""
	for _, pool := range []string{
		"hypershift.openshift.io/nodePool", "eks.amazonaws.com/nodegroup", "cloud.google.com/gke-nodepool",
		"kubernetes.azure.com/agentpool", "agentpool", "karpenter.sh/nodepool",
	} {
		if base = n.labels[pool]; base != "" {
			break
		}
	}
	if base == "" {
		var roles []string
		for key := range n.labels {
			if role, ok := strings.CutPrefix(key, roleLabel); ok && role != "" {
				roles = append(roles, role)
			}
		}
		slices.Sort(roles)
		// A node of a special kind is a worker as well.
		if len(roles) > 1 {
			roles = slices.DeleteFunc(roles, func(r string) bool { return r == "worker" })
		}
		base = strings.Join(roles, "-")
	}
	base = strings.ToLower(base)
	if base == "" || len(base) > 50 || len(validation.IsDNS1123Label(base)) > 0 {
		base = "worker"
	}
	name := base
	clashes := func() bool {
		if taken[name] {
			return true
		}
		// The pool's nodes are NAME-0, NAME-1 and so on.
		for other := range taken {
			if strings.HasPrefix(other, name+"-") && !strings.Contains(other[len(name)+1:], "-") {
				return true
			}
		}
		return false
	}
	for i := 2; clashes(); i++ {
		name = fmt.Sprintf("%s-pool%d", base, i)
	}
	taken[name] = true
	return name
}

// shortest returns the shortest beginning of a list that, repeated, is the list.
func shortest(all []string) []string {
	for n := 1; n < len(all); n++ {
		same := true
		for i := range all {
			same = same && all[i] == all[i%n]
		}
		if same {
			return all[:n]
		}
	}
	return all
}

package draft

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"simctl.dev/simctl/sim/demand"
	"simctl.dev/simctl/sim/internal/tree"
	"simctl.dev/simctl/sim/scc"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/stub"
)

// scenario writes the scenario.
func (m *drafter) scenario(manifests []string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# Made by simctl init of manifests alone: edit what is not as on your cluster.\n")
	for _, n := range m.d.Notes {
		fmt.Fprintf(&b, "# Note: %s.\n", n)
	}
	fmt.Fprintf(&b, "apiVersion: simctl.dev/v1alpha1\nkind: Scenario\nmetadata: {name: %s}\n", object(m.d.Name))
	b.WriteString("cluster:\n  nodePools:\n")
	m.pools(&b)
	m.classes(&b)
	if m.openshift {
		b.WriteString("  # OpenShift: the manifests have its kinds, its SCCs or the account `pipeline`.\n  openshift:\n    enabled: true\n")
		m.grants(&b)
	}
	fmt.Fprintf(&b, "tekton: {version: %s}\nworkload:\n  manifests:\n", m.o.Version)
	for _, p := range manifests {
		fmt.Fprintf(&b, "    - %s\n", inline(p))
	}
	b.WriteString("  # How long tasks take, what they write and read: see simctl help scenario.\n  tasks:\n    \"*\": {duration: 1m}\nexpect:\n  - outcome: success\n")
	return []byte(b.String())
}

// pool is a pool of nodes that some pods want.
type pool struct {
	labels   map[string]string
	capacity map[string]resource.Quantity
	taints   []demand.Toleration
	by       []string
}

// pools writes a pool for all, and one for each kind of node that pods ask for.
func (m *drafter) pools(b *strings.Builder) {
	pools := map[string]*pool{"": {labels: map[string]string{}, capacity: map[string]resource.Quantity{}}}
	for _, p := range m.demands.Pods {
		labels := wanted(p)
		for _, k := range []string{"kubernetes.io/os", "kubernetes.io/arch"} {
			if labels[k] == "linux" || labels[k] == "amd64" {
				delete(labels, k)
			}
		}
		var key []string
		for _, k := range slices.Sorted(maps.Keys(labels)) {
			key = append(key, k+"="+labels[k])
		}
		for _, r := range slices.Sorted(maps.Keys(p.Requests)) {
			if strings.Contains(r, "/") {
				key = append(key, r)
			}
		}
		id := strings.Join(key, ",")
		at := pools[id]
		if at == nil {
			at = &pool{labels: labels, capacity: map[string]resource.Quantity{}}
			pools[id] = at
		}
		for r, q := range p.Requests {
			if have := at.capacity[r]; q.Cmp(have) > 0 {
				at.capacity[r] = q
			}
		}
		if !slices.Contains(at.by, p.Of) {
			at.by = append(at.by, p.Of)
		}
		// A special node is usually kept for those that tolerate its taint.
		for _, t := range p.Tolerations {
			if id != "" && t.Key != "" && !strings.HasPrefix(t.Key, "node.kubernetes.io/") && !slices.Contains(at.taints, t) {
				at.taints = append(at.taints, t)
			}
		}
	}
	for _, p := range m.demands.Pods {
		// What one pod of a pool tolerates and another does not is no taint of the pool.
		for _, at := range pools {
			if slices.Contains(at.by, p.Of) {
				at.taints = slices.DeleteFunc(at.taints, func(t demand.Toleration) bool {
					return !slices.ContainsFunc(p.Tolerations, func(o demand.Toleration) bool { return o.Key == t.Key || o.Key == "" })
				})
			}
		}
	}
	for i, id := range slices.Sorted(maps.Keys(pools)) {
		p := pools[id]
		n := "worker"
		if id != "" {
			n = fmt.Sprintf("special-%d", i)
			fmt.Fprintf(b, "    # %s, as wanted by %s.\n", id, stub.Who(p.by))
		}
		fmt.Fprintf(b, "    - name: %s\n      count: %d\n", n, 3)
		var zones []string
		if z := p.labels["topology.kubernetes.io/zone"]; z != "" {
			zones = []string{z}
			delete(p.labels, "topology.kubernetes.io/zone")
		}
		if zones != nil {
			fmt.Fprintf(b, "      zones: %s\n", inline(zones))
		}
		if len(p.labels) > 0 {
			fmt.Fprintf(b, "      labels: %s\n", inline(p.labels))
		}
		capacity := map[string]string{}
		for r, q := range p.capacity {
			have, ok := scenario.DefaultCapacity()[r]
			if !ok {
				capacity[r] = q.String()
			} else if h := resource.MustParse(have); q.Cmp(h) > 0 {
				q.Add(q)
				capacity[r] = q.String()
			}
		}
		if len(capacity) > 0 {
			fmt.Fprintf(b, "      capacity: %s\n", inline(capacity))
		}
		if len(p.taints) > 0 {
			b.WriteString("      # The pods tolerate this, as they must where such nodes are kept for them.\n      taints:\n")
			seen := map[string]bool{}
			for _, t := range p.taints {
				effect := cmp.Or(t.Effect, "NoSchedule")
				if !seen[t.Key+effect] {
					fmt.Fprintf(b, "        - {key: %s, value: %s, effect: %s}\n", inline(t.Key), inline(t.Value), effect)
				}
				seen[t.Key+effect] = true
			}
		}
	}
}

// wanted are labels with which a node is what a pod asks for.
func wanted(p demand.Pod) map[string]string {
	out := maps.Clone(p.NodeSelector)
	if len(p.Terms) == 0 {
		return out
	}
	// One of the terms is enough.
	for _, e := range p.Terms[0] {
		switch {
		case e.Operator == "In" && len(e.Values) > 0 && out[e.Key] == "":
			out[e.Key] = e.Values[0]
		case e.Operator == "Exists" && out[e.Key] == "":
			out[e.Key] = "true"
		}
	}
	return out
}

// shared are words in the names of classes whose volumes need no attach.
var shared = []string{"nfs", "cephfs", "efs", "azurefile", "filestore", "gluster"}

// classes writes the storage classes that claims name, or one for all.
func (m *drafter) classes(b *strings.Builder) {
	given := map[string]bool{}
	for _, o := range m.objects {
		if tree.Text(o, "kind") == "StorageClass" {
			given[tree.Text(o, "metadata", "name")] = true
		}
	}
	modes := map[string][]string{}
	for _, c := range m.demands.Claims {
		modes[c.Class] = append(modes[c.Class], c.AccessModes...)
	}
	b.WriteString("  storageClasses:\n")
	if _, ok := modes[""]; ok || len(modes) == 0 || !slices.ContainsFunc(slices.Collect(maps.Keys(modes)), func(c string) bool { return c != "" && !given[c] }) {
		m.class(b, "block", true, modes[""])
	}
	for _, c := range slices.Sorted(maps.Keys(modes)) {
		if c != "" && !given[c] {
			m.class(b, c, false, modes[c])
		}
	}
}

func (m *drafter) class(b *strings.Builder, name string, isDefault bool, modes []string) {
	fmt.Fprintf(b, "    - name: %s\n", inline(name))
	if isDefault {
		b.WriteString("      default: true\n")
	}
	if slices.Contains(modes, "ReadWriteMany") || slices.ContainsFunc(shared, func(w string) bool { return strings.Contains(name, w) }) {
		b.WriteString("      noAttach: true # as NFS: claims are ReadWriteMany, or the name says so\n")
		return
	}
	b.WriteString("      volumeBindingMode: WaitForFirstConsumer\n")
}

// grants writes, as comments, what would have to be granted for OpenShift's admission to
// take the pods: for each account the SCC with the least rights that takes all that one of
// its pods wants, since it must be one SCC that does.
func (m *drafter) grants(b *strings.Builder) {
	rights := &scc.Rights{}
	for _, o := range slices.Concat(m.o.OpenShift, m.objects) {
		rights.Take(o)
	}
	type grant struct{ scc, account string }
	var order []grant
	allows, wants := map[grant]string{}, map[grant][]string{}
	for _, p := range m.demands.Pods {
		account := cmp.Or(p.Account, "pipeline")
		var ranges scc.Ranges
		for _, o := range m.objects {
			if tree.Text(o, "kind") == "Namespace" && tree.Name(o) == p.Namespace {
				ranges = scc.RangesOf(o)
			}
		}
		refused, least := rights.Refusal(p, account, ranges)
		if least == nil {
			continue // it needs none, or none does
		}
		id := grant{tree.Name(least), account}
		if wants[id] == nil {
			order, allows[id] = append(order, id), scc.Allows(least)
		}
		for _, reason := range refused[0].Reasons {
			if want := fmt.Sprintf("%s wants %s %s", reason.By, reason.Field, reason.Value); !slices.Contains(wants[id], want) {
				wants[id] = append(wants[id], want)
			}
		}
	}
	if len(order) == 0 {
		return
	}
	b.WriteString("    # Proposals, if your cluster has these rights; without them SCC admission refuses pods: it decides\n    # by what restricted-v2 (everybody's) and pipelines-scc (the account pipeline's) allow:\n    # grants:\n")
	for _, id := range order {
		fmt.Fprintf(b, "    #   - {scc: %s, serviceAccount: %s} # allows %s; %s\n", id.scc, id.account, allows[id], stub.Who(wants[id]))
	}
}

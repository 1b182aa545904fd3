package scenario

import (
	"cmp"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/internal/tree"
)

// ZoneSilence is a zone of whose nodes nothing is heard.
type ZoneSilence struct {
	// Zone is its name (label topology.kubernetes.io/zone), or "*" for all nodes of the
	// cluster.
	Zone string `json:"zone,omitempty"`
	// ZoneOf is a pipeline task: the zone of the node of its latest pod is meant.
	ZoneOf string `json:"zoneOf,omitempty"`
	// Nodes is of how many of its nodes nothing is heard, drawn from the seed; with ZoneOf
	// the task's is one of them. Default all.
	Nodes int `json:"nodes,omitempty"`
	// Fails is what fails: the machines (default), their kubelets or their network.
	Fails string `json:"fails,omitempty"`
	// For is how long it lasts, in virtual time; a Go duration. Without it, for good.
	For string `json:"for,omitempty"`
}

// AllZones is the Zone of a [ZoneSilence] that stands for all nodes.
const AllZones = history.AllZones

// What returns what fails, the machines by default.
func (z *ZoneSilence) What() string { return cmp.Or(z.Fails, history.SilentMachine) }

// String returns the zone's name, or whose zone it is.
func (z *ZoneSilence) String() string {
	switch {
	case z.ZoneOf != "":
		return "the zone of " + z.ZoneOf
	case z.Zone == AllZones:
		return "every zone"
	}
	return "zone " + z.Zone
}

func zoneSilentAction() action {
	return action{
		field: "zoneSilent",
		given: func(v *Intervention) bool { return v.ZoneSilent != nil },
		what: func(v *Intervention) string {
			z := v.ZoneSilent
			whose := "of all nodes of "
			if z.Nodes > 0 {
				whose = fmt.Sprintf("of %d nodes of ", z.Nodes)
			}
			what := map[string]string{
				history.SilentMachine: "kill the machines ", history.SilentKubelet: "kill the kubelets ", history.SilentNetwork: "cut off the network ",
			}[z.What()] + whose + z.String()
			return what + lasting(z.For)
		},
		check: func(c *checker, at string, v *Intervention) {
			z := v.ZoneSilent
			switch {
			case z.Zone == "" && z.ZoneOf == "":
				c.add(at, "%s names no zone", at)
			case z.Zone != "" && z.ZoneOf != "":
				c.add(at+".zoneOf", "%s has both a zone and zoneOf; remove one", at)
			}
			if z.Nodes < 0 {
				c.add(at+".nodes", "%s.nodes is %d; it cannot be negative", at, z.Nodes)
			}
			c.choice(at+".fails", "part of a node", z.Fails, silences)
			c.span(at+".for", z.For)
		},
		fits: func(f fitting, at string, v *Intervention) {
			f.task(at+".zoneOf", v.ZoneSilent.ZoneOf)
			if z := v.ZoneSilent.Zone; z != "" && z != AllZones {
				if zones := f.world.zones(); !slices.Contains(zones, z) {
					f.add(at+".zone", "no node is in a zone %q%s", z, Suggest(z, zones))
				}
			}
		},
		faults: zoneFaults(),
	}
}

// zones are those that the cluster's nodes are in.
func (w *world) zones() []string {
	var out []string
	add := func(zone string) {
		if zone != "" && !slices.Contains(out, zone) {
			out = append(out, zone)
		}
	}
	for _, p := range w.spec.Cluster.NodePools {
		add(p.Labels[corev1.LabelTopologyZone])
		for i := range min(p.Count, len(p.Zones)) {
			add(p.Zones[i])
		}
	}
	for _, o := range w.objects {
		if o.kind() == "Node" {
			add(tree.Text(o.data, "metadata", "labels", corev1.LabelTopologyZone))
		}
	}
	return out
}

func zoneFaults() []Fault {
	const decides = "the node lifecycle controller, which goes by the zones of the nodes: it taints those of a zone one after the other, more slowly or not at all while most of a zone is silent, and none while the whole cluster is; taint eviction, the pod garbage collector, the attach/detach controller"
	fault := func(name, does, simulated, example string) Fault {
		return Fault{Name: name, Does: does, Real: decides, Simulated: simulated, Timers: silentTimers(), Rule: "fault/zone-silent",
			Remedies: []string{retriesRemedy, outOfServiceRemedy, tolerationRemedy, "a storage class that is not zonal, so that another attempt can go to another zone"}, Example: example}
	}
	return []Fault{
		fault("zone-lost", "A zone is lost with the machines of all its nodes; their Nodes stay.",
			"the machines, as of node-dead; the disks of the zone are there, and whoever attaches them is not refused", `
- when: {task: build-image, phase: running}
  after: 1m
  zoneSilent: {zoneOf: build-image, fails: machine, for: 10m}
`),
		fault("zones-cut-off", "All nodes are cut off, as where the control plane has lost its network: nobody is tainted or evicted for that, and all have their grace again when they are back.",
			"the network, as of node-cut-off", `
- when: {task: build-image, phase: running}
  after: 1m
  zoneSilent: {zone: "*", fails: network, for: 10m}
`),
	}
}

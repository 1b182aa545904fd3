package intervention

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"simctl.dev/simctl/sim/clock"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/scenario"
)

// zoneSilent has nothing be heard of the nodes of a zone. How fast they are tainted, and
// whether at all, is the node lifecycle controller's business.
func zoneSilent(all *Interventions, v *scenario.Intervention, f *history.Intervention) error {
	z := v.ZoneSilent
	nodes, err := all.inZone(z, f)
	if err != nil {
		return err
	}
	since := all.now()
	nodes = slices.DeleteFunc(nodes, func(n string) bool {
		return !all.Machines().FallSilent(history.NodeSilent{Node: n, What: z.What(), Zone: f.Zone})
	})
	if len(nodes) == 0 {
		return ineffective("nothing is heard of any node of %s already", z)
	}
	return all.lasting(f, z.For, fmt.Sprintf("zone-back/%s/%04d", f.Zone, f.Index), func() {
		for _, n := range nodes {
			all.Machines().SpeakAgain(n)
		}
	}, func() []string {
		var met []string
		for _, n := range nodes {
			met = append(met, all.podsOn(n, since)...)
		}
		return met
	})
}

// inZone names the nodes of a zone that fall silent, and notes which zone it is.
func (all *Interventions) inZone(z *scenario.ZoneSilence, f *history.Intervention) ([]string, error) {
	list, err := all.Plane.User.CoreV1().Nodes().List(all.ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing the Nodes: %w", err)
	}
	first := ""
	f.Zone = z.Zone
	if z.ZoneOf != "" {
		if first, err = all.nodeOf(scenario.NodeRef{NodeOf: z.ZoneOf}); err != nil {
			return nil, err
		}
		i := slices.IndexFunc(list.Items, func(n corev1.Node) bool { return n.Name == first })
		if i < 0 {
			return nil, ineffective("there is no Node %s any more", first)
		}
		if f.Zone = list.Items[i].Labels[corev1.LabelTopologyZone]; f.Zone == "" {
			return nil, ineffective("Node %s is in no zone", first)
		}
	}
	var nodes []string
	for _, n := range list.Items {
		if z.Zone == scenario.AllZones || n.Labels[corev1.LabelTopologyZone] == f.Zone {
			nodes = append(nodes, n.Name)
		}
	}
	slices.Sort(nodes)
	if z.Nodes == 0 || z.Nodes >= len(nodes) {
		return nodes, nil
	}
	draw := clock.Rand(all.Seed, "zone", f.Zone, fmt.Sprint(f.Index))
	draw.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
	if i := slices.Index(nodes, first); i > 0 {
		nodes[0], nodes[i] = nodes[i], nodes[0]
	}
	nodes = nodes[:z.Nodes]
	slices.Sort(nodes)
	return nodes, nil
}

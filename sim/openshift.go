package sim

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"simctl.dev/simctl/sim/openshift"
)

// constrain has OpenShift's admission decide about the cell's pods, if the cell
// is on OpenShift.
func (c *play) constrain(namespaces []*corev1.Namespace) error {
	o := c.cell.Spec.Cluster.OpenShift
	if !o.Enabled {
		return nil
	}
	configurations, err := c.install.EnsureSCC(c.ctx)
	if err != nil {
		return err
	}
	slices.SortFunc(namespaces, func(a, b *corev1.Namespace) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	for i, n := range namespaces {
		openshift.Annotate(n, o, i)
	}
	for _, obj := range configurations {
		if err := c.found(obj); err != nil {
			return err
		}
	}
	return nil
}

// grant lets ServiceAccounts use SCCs; their namespaces exist by now.
func (c *play) grant(namespaces []*corev1.Namespace) error {
	o := c.cell.Spec.Cluster.OpenShift
	if !o.Enabled {
		return nil
	}
	objects, err := openshift.Grants(o, namespaces)
	if err != nil {
		return err
	}
	for _, u := range objects {
		if err := c.found(u); err != nil {
			return err
		}
	}
	return nil
}

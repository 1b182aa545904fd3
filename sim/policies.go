package sim

import (
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"simctl.dev/simctl/sim/plane"
)

// Admission policies belong to the cluster that a workload finds: they are made before
// anything else of it and taken away before anything else is.

// policiesFirst puts admission policies before all else and keeps the order otherwise.
func policiesFirst(objects []*unstructured.Unstructured) {
	policies := plane.Policies()
	isPolicy := func(u *unstructured.Unstructured) bool { return slices.Contains(policies, u.GetKind()) }
	slices.SortStableFunc(objects, func(a, b *unstructured.Unstructured) int {
		switch p, q := isPolicy(a), isPolicy(b); {
		case p && !q:
			return -1
		case q && !p:
			return 1
		}
		return 0
	})
}

// removePolicies removes the cell's admission policies, which might refuse that the
// rest is removed.
func (c *play) removePolicies() error {
	for _, kind := range plane.Policies() {
		if found := c.state.List(kind); len(found) > 0 {
			if err := c.deleteAll(found); err != nil {
				return err
			}
			if err := c.plane.Heed(c.ctx, kind); err != nil {
				return err
			}
		}
	}
	return nil
}

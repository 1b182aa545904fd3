package sim

import (
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"simctl.dev/simctl/sim/controlplane"
)

// admissionPolicies are the kinds by which the API server itself refuses and changes
// what is written. They belong to the cluster that a workload finds: they are made
// before anything else of it and taken away before anything else is.
var admissionPolicies = []string{
	"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
	"MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding",
}

// policiesFirst puts admission policies before all else and keeps the order otherwise.
func policiesFirst(objects []*unstructured.Unstructured) {
	slices.SortStableFunc(objects, func(a, b *unstructured.Unstructured) int {
		switch p, q := isPolicy(a.GetKind()), isPolicy(b.GetKind()); {
		case p && !q:
			return -1
		case q && !p:
			return 1
		}
		return 0
	})
}

func isPolicy(kind string) bool { return slices.Contains(admissionPolicies, kind) }

// heed waits, after objects of these kinds were written, until the API server goes by
// them: it takes a while over admission policies.
func (c *play) heed(kinds ...string) error {
	if !slices.ContainsFunc(kinds, isPolicy) {
		return nil
	}
	return controlplane.WaitPolicies(c.ctx, c.simctl, func(gvk schema.GroupVersionKind) bool {
		u := &unstructured.Unstructured{}
		u.SetGroupVersionKind(gvk)
		_, err := c.resource(c.simctl, u)
		return err == nil
	})
}

// removePolicies removes the cell's admission policies, which might refuse that the
// rest is removed.
func (c *play) removePolicies() error {
	for _, kind := range admissionPolicies {
		if found := c.state.List(kind); len(found) > 0 {
			if err := c.deleteAll(found); err != nil {
				return err
			}
			if err := c.heed(kind); err != nil {
				return err
			}
		}
	}
	return nil
}

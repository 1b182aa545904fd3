package sim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"simctl.dev/simctl/sim/controlplane"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/node"
	"simctl.dev/simctl/sim/plane"
	"simctl.dev/simctl/sim/storage"
	"simctl.dev/simctl/sim/wellknown"
)

// cluster is what stays from cell to cell as long as they want the same: nodes,
// storage classes, namespaces and, on OpenShift, its admission. Making it costs
// as many requests as a third of a run.
type cluster struct {
	kept
	openshift bool
}

// kept are objects that stay from cell to cell.
type kept struct {
	key  string        // equal for cells that can share them
	refs []history.Ref // in the order of making
	// made is each object as it was when all were ready.
	made map[history.Ref][]byte
	// touched are the objects that cells wrote to; they are looked at before the
	// next cell.
	touched map[history.Ref]bool
}

func newKept(key string) kept {
	return kept{key: key, made: map[history.Ref][]byte{}, touched: map[history.Ref]bool{}}
}

// kept are all objects that stay when the cell ends.
func (w *worker) kept() []*kept {
	var out []*kept
	if w.cluster != nil {
		out = append(out, &w.cluster.kept)
	}
	if w.definitions != nil {
		out = append(out, w.definitions)
	}
	return out
}

// keeps says whether one of the objects that stay is meant.
func (w *worker) keeps(meant func(history.Ref) bool) bool {
	return slices.ContainsFunc(w.kept(), func(k *kept) bool { return slices.ContainsFunc(k.refs, meant) })
}

// noteTouched marks the kept objects to which entries say that something was written,
// and the release or OpenShift's admission if it was one of theirs.
func (c *play) noteTouched(entries []history.Entry) {
	for _, e := range entries {
		if e.Kind != history.KindObject {
			continue
		}
		for _, k := range c.kept() {
			if slices.Contains(k.refs, e.Object) {
				k.touched[e.Object] = true
			}
		}
		c.install.Note(e.Object)
	}
}

// afterFound leaves out the first entry of each kept object, which only says that it
// was there when the cell began.
func (c *play) afterFound(entries []history.Entry) []history.Entry {
	found := map[history.Ref]bool{}
	return slices.DeleteFunc(slices.Clone(entries), func(e history.Entry) bool {
		first := e.Kind == history.KindObject && !found[e.Object] && c.keeps(func(r history.Ref) bool { return r == e.Object })
		found[e.Object] = true
		return first
	})
}

// clusterKey is equal for cells that can share a cluster.
func (c *play) clusterKey(manifests []*unstructured.Unstructured) (string, error) {
	spec := struct {
		Cluster   any
		Namespace string
		Objects   []*unstructured.Unstructured
	}{Cluster: c.cell.Spec.Cluster, Namespace: c.install.Namespace()}
	for _, u := range manifests {
		if k := u.GetKind(); k == "Node" || k == "Namespace" {
			spec.Objects = append(spec.Objects, u)
		}
	}
	key, err := json.Marshal(spec)
	if err != nil {
		return "", fmt.Errorf("writing the cell's cluster as JSON: %w", err)
	}
	return string(key), nil
}

// ensureCluster has the cell's cluster stand as if it had just been made, and
// records it.
func (c *play) ensureCluster(disks *storage.Driver, manifests []*unstructured.Unstructured) error {
	key, err := c.clusterKey(manifests)
	if err != nil {
		return err
	}
	same := c.cluster != nil && c.cluster.key == key && !c.install.SCCChanged()
	if same {
		if same, err = c.untouched(&c.cluster.kept); err != nil {
			return err
		}
	}
	if !same {
		if err := c.removeCluster(manifests); err != nil {
			return err
		}
		c.worker.cluster = &cluster{kept: newKept(key), openshift: c.cell.Spec.Cluster.OpenShift.Enabled}
		if err := c.createCluster(disks, manifests); err != nil {
			return err
		}
	}
	c.plane.Record(c.log)
	return c.recordKept(wellknown.Simctl, &c.cluster.kept)
}

// recordKept records objects that the cell found as if actor had made them for
// it.
func (c *play) recordKept(actor string, k *kept) error {
	for _, ref := range k.refs {
		if err := c.plane.Tap().Found(actor, k.made[ref]); err != nil {
			return fmt.Errorf("recording %s: %w", ref, err)
		}
	}
	return nil
}

// createCluster makes nodes, storage classes, namespaces and, on OpenShift,
// security context constraints.
func (c *play) createCluster(disks *storage.Driver, manifests []*unstructured.Unstructured) error {
	spec := &c.cell.Spec
	nodes, err := node.Nodes(spec.Cluster.NodePools)
	if err != nil {
		return err
	}
	var namespaces []*corev1.Namespace
	for _, u := range manifests {
		switch u.GetKind() {
		case "Node":
			n := &corev1.Node{}
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, n); err != nil {
				return fmt.Errorf("reading Node %s: %w", u.GetName(), err)
			}
			node.Complete(n, len(nodes))
			nodes = append(nodes, n)
		case "Namespace":
			n := &corev1.Namespace{}
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, n); err != nil {
				return fmt.Errorf("reading Namespace %s: %w", u.GetName(), err)
			}
			namespaces = append(namespaces, n)
		}
	}
	if err := c.constrain(namespaces); err != nil {
		return err
	}
	for _, o := range disks.Objects() {
		if err := c.found(o); err != nil {
			return err
		}
	}
	for _, n := range nodes {
		node.Serve(n, c.plane.KubeletPort())
		if err := c.found(n); err != nil {
			return err
		}
		// A patch, because a controller that has seen the node may have written
		// to it by now.
		status, err := json.Marshal(map[string]any{"status": n.Status})
		if err != nil {
			return fmt.Errorf("writing the status of Node %s as JSON: %w", n.Name, err)
		}
		made, err := c.plane.Simctl.CoreV1().Nodes().Patch(c.ctx, n.Name, types.MergePatchType, status, metav1.PatchOptions{}, "status")
		if err != nil {
			return fmt.Errorf("reporting the status of Node %s: %w", n.Name, err)
		}
		if csi := disks.CSINode(made); csi != nil {
			if err := c.found(csi); err != nil {
				return err
			}
		}
	}
	for _, n := range namespaces {
		if err := c.found(n); err != nil {
			return err
		}
	}
	if err := c.grant(namespaces); err != nil {
		return err
	}
	// The controllers make the namespaces' ServiceAccounts, and everybody sees
	// the nodes.
	if err := c.plane.Quiet(c.ctx); err != nil {
		return err
	}
	if c.cluster.openshift {
		if err := c.install.WaitSCC(c.ctx, true); err != nil {
			return err
		}
	}
	return c.look(&c.cluster.kept)
}

// look remembers what kept objects are like now.
func (c *play) look(k *kept) (err error) {
	for _, ref := range k.refs {
		if k.made[ref], err = c.plane.Get(c.ctx, ref); err != nil {
			return err
		}
	}
	return nil
}

// found creates an object of the cluster.
func (c *play) found(o runtime.Object) error {
	u, err := plane.Unstructured(o)
	if err != nil {
		return err
	}
	c.cluster.refs = append(c.cluster.refs, controlplane.RefOf(u))
	return c.plane.Replace(c.ctx, u)
}

// untouched says whether the objects that cells wrote to are again as they were.
func (c *play) untouched(k *kept) (bool, error) {
	for ref := range k.touched {
		body, err := c.plane.Get(c.ctx, ref)
		if err != nil {
			return false, err
		}
		if !bytes.Equal(body, k.made[ref]) {
			c.logger.V(1).Info("What stays between cells is made anew", "because", ref.String())
			return false, nil
		}
	}
	clear(k.touched)
	return true, nil
}

// removeCluster removes the cluster of the cells before. Namespaces that the next one
// wants as well stay, and are made as it wants them.
func (c *play) removeCluster(next []*unstructured.Unstructured) error {
	old := c.cluster
	if old == nil {
		return nil
	}
	for _, ref := range slices.Backward(old.refs) {
		if ref.Kind == "Namespace" {
			if !slices.ContainsFunc(next, func(u *unstructured.Unstructured) bool { return u.GetKind() == "Namespace" && u.GetName() == ref.Name }) {
				if err := c.plane.RemoveNamespace(c.ctx, ref.Name); err != nil {
					return err
				}
			}
			continue
		}
		if err := c.plane.Delete(c.ctx, ref); err != nil {
			return err
		}
	}
	if old.openshift {
		if err := c.install.WaitSCC(c.ctx, false); err != nil {
			return err
		}
		if !c.cell.Spec.Cluster.OpenShift.Enabled || c.install.SCCChanged() {
			if err := c.install.RemoveSCC(c.ctx); err != nil {
				return err
			}
		}
	}
	c.worker.cluster = nil
	return c.plane.Settle(c.ctx)
}

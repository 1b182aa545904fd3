package estate

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"simctl.dev/simctl/sim/controlplane"
	"simctl.dev/simctl/sim/node"
	"simctl.dev/simctl/sim/openshift"
	"simctl.dev/simctl/sim/plane"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/storage"
	"simctl.dev/simctl/sim/wellknown"
)

// cluster is a cluster that stands.
type cluster struct {
	kept
	openshift bool
}

// Wanted is the cluster that a cell wants.
type Wanted struct {
	Cluster scenario.Cluster
	// Manifests are the cell's, among them Nodes and Namespaces.
	Manifests []*unstructured.Unstructured
	// Disks are its storage.
	Disks *storage.Driver
}

// clusterKey is equal for cells that can share a cluster.
func (e *Estate) clusterKey(w Wanted) (string, error) {
	spec := struct {
		Cluster   any
		Namespace string
		Objects   []*unstructured.Unstructured
	}{Cluster: w.Cluster, Namespace: e.Install.Namespace()}
	for _, u := range w.Manifests {
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

// EnsureCluster has a cluster stand as if it had just been made.
func (e *Estate) EnsureCluster(ctx context.Context, w Wanted) error {
	key, err := e.clusterKey(w)
	if err != nil {
		return err
	}
	if e.cluster != nil && e.cluster.key == key && !e.Install.SCCChanged() {
		if same, err := e.untouched(ctx, &e.cluster.kept); same || err != nil {
			return err
		}
	}
	if err := e.removeCluster(ctx, w); err != nil {
		return err
	}
	e.cluster = &cluster{kept: newKept(key), openshift: w.Cluster.OpenShift.Enabled}
	return e.createCluster(ctx, w)
}

// RecordCluster records the cluster that a cell found as if it had been made for it.
func (e *Estate) RecordCluster() error { return e.record(wellknown.Simctl, &e.cluster.kept) }

// createCluster makes nodes, storage classes, namespaces and, on OpenShift,
// security context constraints.
func (e *Estate) createCluster(ctx context.Context, w Wanted) error {
	nodes, err := node.Nodes(w.Cluster.NodePools)
	if err != nil {
		return err
	}
	var namespaces []*corev1.Namespace
	for _, u := range w.Manifests {
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
	if err := e.constrain(ctx, w.Cluster.OpenShift, namespaces); err != nil {
		return err
	}
	for _, o := range w.Disks.Objects() {
		if err := e.found(ctx, o); err != nil {
			return err
		}
	}
	for _, n := range nodes {
		node.Serve(n, e.Plane.KubeletPort())
		if err := e.found(ctx, n); err != nil {
			return err
		}
		// A patch, because a controller that has seen the node may have written
		// to it by now.
		status, err := json.Marshal(map[string]any{"status": n.Status})
		if err != nil {
			return fmt.Errorf("writing the status of Node %s as JSON: %w", n.Name, err)
		}
		made, err := e.Plane.Simctl.CoreV1().Nodes().Patch(ctx, n.Name, types.MergePatchType, status, metav1.PatchOptions{}, "status")
		if err != nil {
			return fmt.Errorf("reporting the status of Node %s: %w", n.Name, err)
		}
		if csi := w.Disks.CSINode(made); csi != nil {
			if err := e.found(ctx, csi); err != nil {
				return err
			}
		}
	}
	for _, n := range namespaces {
		if err := e.found(ctx, n); err != nil {
			return err
		}
	}
	if err := e.grant(ctx, w.Cluster.OpenShift, namespaces); err != nil {
		return err
	}
	// The controllers make the namespaces' ServiceAccounts, and everybody sees
	// the nodes.
	if err := e.Plane.Quiet(ctx); err != nil {
		return err
	}
	if e.cluster.openshift {
		if err := e.Install.WaitSCC(ctx, true); err != nil {
			return err
		}
	}
	return e.look(ctx, &e.cluster.kept)
}

// found creates an object of the cluster.
func (e *Estate) found(ctx context.Context, o runtime.Object) error {
	u, err := plane.Unstructured(o)
	if err != nil {
		return err
	}
	e.cluster.refs = append(e.cluster.refs, controlplane.RefOf(u))
	return e.Plane.Replace(ctx, u)
}

// removeCluster removes the cluster of the cells before. Namespaces that the next one
// wants as well stay, and are made as it wants them.
func (e *Estate) removeCluster(ctx context.Context, next Wanted) error {
	old := e.cluster
	if old == nil {
		return nil
	}
	for _, ref := range slices.Backward(old.refs) {
		if ref.Kind == "Namespace" {
			if !slices.ContainsFunc(next.Manifests, func(u *unstructured.Unstructured) bool { return u.GetKind() == "Namespace" && u.GetName() == ref.Name }) {
				if err := e.Plane.RemoveNamespace(ctx, ref.Name); err != nil {
					return err
				}
			}
			continue
		}
		if err := e.Plane.Delete(ctx, ref); err != nil {
			return err
		}
	}
	if old.openshift {
		if err := e.Install.WaitSCC(ctx, false); err != nil {
			return err
		}
		if !next.Cluster.OpenShift.Enabled || e.Install.SCCChanged() {
			if err := e.Install.RemoveSCC(ctx); err != nil {
				return err
			}
		}
	}
	e.cluster = nil
	return e.Plane.Settle(ctx)
}

// constrain has OpenShift's admission decide about the cell's pods, if the cell
// is on OpenShift.
func (e *Estate) constrain(ctx context.Context, o scenario.OpenShift, namespaces []*corev1.Namespace) error {
	if !o.Enabled {
		return nil
	}
	configurations, err := e.Install.EnsureSCC(ctx)
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
		if err := e.found(ctx, obj); err != nil {
			return err
		}
	}
	return nil
}

// grant lets ServiceAccounts use SCCs; their namespaces exist by now.
func (e *Estate) grant(ctx context.Context, o scenario.OpenShift, namespaces []*corev1.Namespace) error {
	if !o.Enabled {
		return nil
	}
	objects, err := openshift.Grants(o, namespaces)
	if err != nil {
		return err
	}
	for _, u := range objects {
		if err := e.found(ctx, u); err != nil {
			return err
		}
	}
	return nil
}

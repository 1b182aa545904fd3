package storage

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"simctl.dev/simctl/sim/history"
)

// NoMount says why the driver does not mount a volume on a node, as the kubelet words it;
// empty if it does.
func (d *Driver) NoMount(pv *corev1.PersistentVolume, node string) string {
	c := d.classOf(pv)
	if c == nil {
		return ""
	}
	f := d.faultAt(history.OperationMount, c.Name, node)
	if ref := pv.Spec.ClaimRef; ref != nil {
		f.meets(ref.Namespace, ref.Name)
	}
	if no := f.fails(node); no != nil {
		return no.String()
	}
	return ""
}

// MountFailed records that a volume could not be mounted.
func (d *Driver) MountFailed(pv *corev1.PersistentVolume, namespace, claim, node, message string) {
	d.recordFailure(claimRef(namespace, claim), history.VolumeFailed{
		Operation: history.OperationMount, Class: pv.Spec.StorageClassName, Namespace: namespace, Claim: claim, PV: pv.Name, Node: node, Message: message,
	})
}

// mountDelay is by how much longer a mount takes than it does by itself.
func (d *Driver) mountDelay(c *class, node string) time.Duration {
	return d.faultAt(history.OperationMount, c.Name, node).delay()
}

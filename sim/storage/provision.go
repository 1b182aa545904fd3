package storage

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"simctl.dev/simctl/sim/clock"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/internal/work"
)

// Annotations and the finalizer of the external-provisioner and the PV
// controller.
const (
	annProvisioner     = "volume.kubernetes.io/storage-provisioner"
	annBetaProvisioner = "volume.beta.kubernetes.io/storage-provisioner"
	annSelectedNode    = "volume.kubernetes.io/selected-node"
	annProvisionedBy   = "pv.kubernetes.io/provisioned-by"

	provisionerFinalizer = "external-provisioner.volume.kubernetes.io/finalizer"

	// actor is who the facts are recorded for.
	actor = "csi"

	// deleteTime is how long a driver takes to delete a volume; nothing in a
	// run waits for it.
	deleteTime = time.Second
)

// claimClass returns the class whose driver is to provision the claim, nil if it
// is not up to us.
func (d *Driver) claimClass(claim *corev1.PersistentVolumeClaim) *class {
	driver := claim.Annotations[annProvisioner]
	if driver == "" {
		driver = claim.Annotations[annBetaProvisioner]
	}
	name, ok := strings.CutSuffix(driver, DriverSuffix)
	if !ok {
		return nil
	}
	return d.byName[name]
}

// wants says whether a volume has to be made for the claim now.
func (d *Driver) wants(claim *corev1.PersistentVolumeClaim) bool {
	c := d.claimClass(claim)
	if c == nil || claim.Spec.VolumeName != "" || claim.DeletionTimestamp != nil {
		return false
	}
	return c.binding == storagev1.VolumeBindingImmediate || claim.Annotations[annSelectedNode] != ""
}

func (d *Driver) lookAtClaim(obj any) {
	claim, ok := obj.(*corev1.PersistentVolumeClaim)
	if !ok || !d.wants(claim) {
		return
	}
	d.mu.Lock()
	known := d.provisioning[claim.UID]
	d.mu.Unlock()
	if !known {
		d.list.Add("claim/" + claim.Namespace + "/" + claim.Name)
	}
}

// syncClaim begins to provision a claim (ShouldProvision and Provision of
// kubernetes-csi/external-provisioner).
func (d *Driver) syncClaim(ctx context.Context, key string) {
	namespace, name, _ := strings.Cut(key, "/")
	claim, err := d.claims.PersistentVolumeClaims(namespace).Get(name)
	if err != nil || !d.wants(claim) {
		return
	}
	d.mu.Lock()
	known := d.provisioning[claim.UID]
	d.provisioning[claim.UID] = true
	d.mu.Unlock()
	if known {
		return
	}
	c := d.claimClass(claim)
	stable := claimName(claim)
	d.names[pvName(claim)] = stable
	eventKey := "csi/provision/" + stable + "/" + name
	ask := &call{
		key: eventKey, timeout: ProvisionerTimeout, namespace: claim.Namespace, claim: claim.Name,
		barred: func() *answer { return d.noProvision(c, claim) },
		took:   func() time.Duration { return d.sample(c.Provision, defaultProvision, "provision", c.Name, stable) },
		fault:  func() *fault { return d.faultAt(history.OperationProvision, c.Name, "") },
		begin:  func() {},
		done: func(took time.Duration) {
			work.Retry(ctx, d.o.Clock, d.o.Logger, eventKey, func() error { return d.provision(ctx, c, claim, stable, took) })
		},
		failed: func(no answer) {
			d.claimEvent(ctx, claim, corev1.EventTypeWarning, "ProvisioningFailed", fmt.Sprintf("failed to provision volume with StorageClass %q: %s", c.Name, no))
			d.recordFailure(claimRef(claim.Namespace, claim.Name), history.VolumeFailed{Operation: history.OperationProvision, Class: c.Name, Namespace: claim.Namespace, Claim: claim.Name, Message: no.String()})
		},
	}
	ask.again = func() bool {
		now, err := d.claims.PersistentVolumeClaims(claim.Namespace).Get(claim.Name)
		if ctx.Err() != nil || err != nil || now.UID != claim.UID || !d.wants(now) {
			return false
		}
		claim = now
		d.claimEvent(ctx, claim, corev1.EventTypeNormal, "Provisioning", fmt.Sprintf("External provisioner is provisioning volume for claim %q", claim.Namespace+"/"+claim.Name))
		return true
	}
	d.ask(ask)
}

// noProvision says why a driver makes no volume for a claim, nil if it does.
func (d *Driver) noProvision(c *class, claim *corev1.PersistentVolumeClaim) *answer {
	for _, m := range claim.Spec.AccessModes {
		if len(c.modes) > 0 && !slices.Contains(c.modes, m) {
			return &answer{code: "InvalidArgument", desc: fmt.Sprintf("access mode %s is not supported by %s", m, c.driver)}
		}
	}
	return d.faultAt(history.OperationProvision, c.Name, "").fails("")
}

// provision makes the volume of a claim, unless the claim is gone by then.
func (d *Driver) provision(ctx context.Context, c *class, claim *corev1.PersistentVolumeClaim, stable string, took time.Duration) error {
	now, err := d.claims.PersistentVolumeClaims(claim.Namespace).Get(claim.Name)
	if apierrors.IsNotFound(err) || err == nil && now.UID != claim.UID {
		return nil
	}
	if err != nil {
		return fmt.Errorf("provisioning claim %s/%s: %w", claim.Namespace, claim.Name, err)
	}
	zone, err := d.zone(c, claim, stable)
	if err != nil {
		return err
	}
	pv := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{
			Name:        pvName(claim),
			Annotations: map[string]string{annProvisionedBy: c.driver},
			Finalizers:  []string{"kubernetes.io/pv-protection", provisionerFinalizer},
		},
		Spec: corev1.PersistentVolumeSpec{
			AccessModes: claim.Spec.AccessModes,
			Capacity:    corev1.ResourceList{corev1.ResourceStorage: claim.Spec.Resources.Requests[corev1.ResourceStorage]},
			ClaimRef: &corev1.ObjectReference{
				APIVersion: "v1", Kind: "PersistentVolumeClaim",
				Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID, ResourceVersion: claim.ResourceVersion,
			},
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimDelete,
			StorageClassName:              c.Name,
			VolumeMode:                    claim.Spec.VolumeMode,
			PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{
				Driver:           c.driver,
				VolumeHandle:     pvName(claim),
				VolumeAttributes: map[string]string{"storage.kubernetes.io/csiProvisionerIdentity": c.driver},
			}},
		},
	}
	if !c.NoAttach {
		pv.Spec.CSI.FSType = "ext4"
	}
	if zone != "" {
		pv.Spec.NodeAffinity = &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
			MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelTopologyZone, Operator: corev1.NodeSelectorOpIn, Values: []string{zone}}},
		}}}}
	}
	made, err := d.o.Client.CoreV1().PersistentVolumes().Create(ctx, pv, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("creating PersistentVolume %s for claim %s/%s: %w", pv.Name, claim.Namespace, claim.Name, err)
	}
	if err == nil {
		d.Volume(made)
	}
	delete(d.told, toldKey(history.OperationProvision, claimRef(claim.Namespace, claim.Name), ""))
	d.o.Recorder.Record(history.NewFact(actor, claimRef(claim.Namespace, claim.Name), history.FactProvisioned,
		history.Volume{Claim: claim.Name, PV: pv.Name, Zone: zone, Seconds: took.Seconds()}))
	d.claimEvent(ctx, claim, corev1.EventTypeNormal, "ProvisioningSucceeded", "Successfully provisioned volume "+pv.Name)
	return nil
}

// zone picks the zone a volume is made in: the selected node's, or one of the
// nodes' zones.
func (d *Driver) zone(c *class, claim *corev1.PersistentVolumeClaim, stable string) (string, error) {
	if !c.Zonal {
		return "", nil
	}
	if name := claim.Annotations[annSelectedNode]; name != "" {
		node, err := d.nodes.Get(name)
		if err != nil {
			return "", fmt.Errorf("provisioning claim %s/%s: selected node: %w", claim.Namespace, claim.Name, err)
		}
		return node.Labels[corev1.LabelTopologyZone], nil
	}
	nodes, err := d.nodes.List(everything)
	if err != nil {
		return "", fmt.Errorf("provisioning claim %s/%s: %w", claim.Namespace, claim.Name, err)
	}
	var zones []string
	for _, n := range nodes {
		if z := n.Labels[corev1.LabelTopologyZone]; z != "" {
			zones = append(zones, z)
		}
	}
	slices.Sort(zones)
	zones = slices.Compact(zones)
	if len(zones) == 0 {
		return "", nil
	}
	return zones[clock.Rand(d.o.Seed, "zone", c.Name, stable).IntN(len(zones))], nil
}

// pvName is how the external-provisioner names the volume of a claim.
func pvName(claim *corev1.PersistentVolumeClaim) string { return "pvc-" + string(claim.UID) }

func claimRef(namespace, name string) history.Ref {
	return history.Ref{APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: namespace, Name: name}
}

// claimEvent writes what a class's external-provisioner says of a claim.
func (d *Driver) claimEvent(ctx context.Context, claim *corev1.PersistentVolumeClaim, kind, reason, message string) {
	d.events.Say(ctx, corev1.EventSource{Component: d.provisioner(d.claimClass(claim))}, corev1.ObjectReference{
		APIVersion: "v1", Kind: "PersistentVolumeClaim",
		Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID, ResourceVersion: claim.ResourceVersion,
	}, kind, reason, message)
}

// provisionerHost is where the external-provisioners of all drivers run.
const provisionerHost = "csi-controller-0"

// provisioner is what the external-provisioner of a class calls itself in events:
// DRIVER_HOST_UUID (sig-storage-lib-external-provisioner).
func (d *Driver) provisioner(c *class) string {
	r := clock.Rand(d.o.Seed, "provisioner", c.driver)
	high, low := r.Uint64(), r.Uint64()
	return fmt.Sprintf("%s_%s_%08x-%04x-4%03x-8%03x-%012x", c.driver, provisionerHost, high>>32, high>>16&0xffff, high&0xfff, low>>48&0xfff, low&0xffffffffffff)
}

// reclaimable says whether a released volume of ours is to be deleted.
func (d *Driver) reclaimable(pv *corev1.PersistentVolume) bool {
	return pv.Status.Phase == corev1.VolumeReleased && d.classOf(pv) != nil &&
		pv.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete &&
		pv.Annotations[annProvisionedBy] == pv.Spec.CSI.Driver
}

func (d *Driver) lookAtPV(obj any) {
	pv, ok := obj.(*corev1.PersistentVolume)
	if !ok || !d.reclaimable(pv) && !d.held(pv) {
		return
	}
	d.mu.Lock()
	known := d.deleting[pv.UID]
	d.mu.Unlock()
	if !known {
		d.list.Add("pv/" + pv.Name)
	}
}

// held says whether a volume that somebody has deleted waits for its external-attacher.
func (d *Driver) held(pv *corev1.PersistentVolume) bool {
	return pv.DeletionTimestamp != nil && d.classOf(pv) != nil && slices.Contains(pv.Finalizers, finalizer(pv.Spec.CSI.Driver))
}

// syncPV deletes a released volume once it is attached nowhere, and lets one go that
// somebody else has deleted.
func (d *Driver) syncPV(ctx context.Context, name string) {
	pv, err := d.pvs.Get(name)
	if err == nil && d.held(pv) && !d.reclaimable(pv) {
		d.letGo(ctx, pv)
		return
	}
	if err != nil || !d.reclaimable(pv) || len(d.attached[name]) > 0 {
		return // A detach looks at the volume again.
	}
	d.mu.Lock()
	known := d.deleting[pv.UID]
	d.deleting[pv.UID] = true
	d.mu.Unlock()
	if known {
		return
	}
	key := "csi/delete/" + d.volumeName(pv) + "/" + name
	d.o.Clock.Schedule(deleteTime, clock.Work, key, func() {
		work.Retry(ctx, d.o.Clock, d.o.Logger, key, func() error {
			delete(d.volumes, name)
			return d.deletePV(ctx, pv)
		})
	})
}

func (d *Driver) deletePV(ctx context.Context, pv *corev1.PersistentVolume) error {
	api := d.o.Client.CoreV1().PersistentVolumes()
	if err := api.Delete(ctx, pv.Name, metav1.DeleteOptions{}); err != nil {
		return fmt.Errorf("deleting PersistentVolume %s: %w", pv.Name, err)
	}
	// Nothing is attached, so that the external-attacher lets go of it too.
	return d.changeFinalizers(ctx, pv.Name, func(now []string) []string {
		return without(without(now, provisionerFinalizer), finalizer(pv.Spec.CSI.Driver))
	})
}

package main

import (
	"context"

	"github.com/container-storage-interface/spec/lib/go/csi"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v11/controller"
)

// provisioner makes PersistentVolumes of the driver's disks.
type provisioner struct{ driver *driver }

// Provision makes a disk for a claim.
func (p provisioner) Provision(ctx context.Context, o controller.ProvisionOptions) (*core.PersistentVolume, controller.ProvisioningState, error) {
	size := o.PVC.Spec.Resources.Requests[core.ResourceStorage]
	rq := &csi.CreateVolumeRequest{Name: o.PVName, CapacityRange: &csi.CapacityRange{RequiredBytes: size.Value()}}
	for _, m := range o.PVC.Spec.AccessModes {
		if m == core.ReadWriteMany {
			mode := csi.VolumeCapability_AccessMode_MULTI_NODE_MULTI_WRITER
			rq.VolumeCapabilities = append(rq.VolumeCapabilities, &csi.VolumeCapability{AccessMode: &csi.VolumeCapability_AccessMode{Mode: mode}})
		}
	}
	if _, err := p.driver.CreateVolume(ctx, rq); err != nil {
		return nil, controller.ProvisioningFinished, err
	}
	return &core.PersistentVolume{ObjectMeta: meta.ObjectMeta{Name: o.PVName}, Spec: core.PersistentVolumeSpec{
		PersistentVolumeReclaimPolicy: *o.StorageClass.ReclaimPolicy,
		AccessModes:                   o.PVC.Spec.AccessModes,
		Capacity:                      core.ResourceList{core.ResourceStorage: size},
		PersistentVolumeSource:        core.PersistentVolumeSource{CSI: &core.CSIPersistentVolumeSource{Driver: p.driver.name, VolumeHandle: o.PVName, FSType: "ext4"}},
	}}, controller.ProvisioningFinished, nil
}

// Delete takes the disk of a volume away.
func (p provisioner) Delete(ctx context.Context, v *core.PersistentVolume) error {
	_, err := p.driver.DeleteVolume(ctx, &csi.DeleteVolumeRequest{VolumeId: v.Spec.CSI.VolumeHandle})
	return err
}

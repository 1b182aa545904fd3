package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// driver is the controller's or a node's half of the driver.
type driver struct {
	csi.UnimplementedIdentityServer
	csi.UnimplementedControllerServer
	csi.UnimplementedNodeServer

	name  string
	node  string
	disks string
	// limit is the file with the number of disks that a node takes.
	limit string
	// How long the disk's machinery takes. What has begun goes on when its caller has
	// gone away: the next call finds it done.
	provision, attach, detach time.Duration

	volumes  keyLock
	mu       sync.Mutex
	attached map[string]string
}

// keyLock does one thing at a time with a volume.
type keyLock struct{ m sync.Map }

func (k *keyLock) lock(key string) (unlock func()) {
	m, _ := k.m.LoadOrStore(key, &sync.Mutex{})
	mu := m.(*sync.Mutex)
	mu.Lock()
	return mu.Unlock
}

func (d *driver) image(volume string) string { return filepath.Join(d.disks, volume+".img") }

// GetPluginInfo implements the identity service.
func (d *driver) GetPluginInfo(context.Context, *csi.GetPluginInfoRequest) (*csi.GetPluginInfoResponse, error) {
	return &csi.GetPluginInfoResponse{Name: d.name, VendorVersion: "1"}, nil
}

// Probe implements the identity service.
func (d *driver) Probe(context.Context, *csi.ProbeRequest) (*csi.ProbeResponse, error) {
	return &csi.ProbeResponse{Ready: wrapperspb.Bool(true)}, nil
}

// GetPluginCapabilities implements the identity service.
func (d *driver) GetPluginCapabilities(context.Context, *csi.GetPluginCapabilitiesRequest) (*csi.GetPluginCapabilitiesResponse, error) {
	return &csi.GetPluginCapabilitiesResponse{Capabilities: []*csi.PluginCapability{{Type: &csi.PluginCapability_Service_{
		Service: &csi.PluginCapability_Service{Type: csi.PluginCapability_Service_CONTROLLER_SERVICE}}}}}, nil
}

// ControllerGetCapabilities implements the controller service.
func (d *driver) ControllerGetCapabilities(context.Context, *csi.ControllerGetCapabilitiesRequest) (*csi.ControllerGetCapabilitiesResponse, error) {
	r := &csi.ControllerGetCapabilitiesResponse{}
	for _, c := range []csi.ControllerServiceCapability_RPC_Type{
		csi.ControllerServiceCapability_RPC_CREATE_DELETE_VOLUME,
		csi.ControllerServiceCapability_RPC_PUBLISH_UNPUBLISH_VOLUME,
		csi.ControllerServiceCapability_RPC_SINGLE_NODE_MULTI_WRITER, // ReadWriteOncePod needs it
	} {
		r.Capabilities = append(r.Capabilities, &csi.ControllerServiceCapability{Type: &csi.ControllerServiceCapability_Rpc{Rpc: &csi.ControllerServiceCapability_RPC{Type: c}}})
	}
	return r, nil
}

// CreateVolume makes the file of a disk.
func (d *driver) CreateVolume(_ context.Context, r *csi.CreateVolumeRequest) (*csi.CreateVolumeResponse, error) {
	defer d.volumes.lock(r.GetName())()
	for _, c := range r.GetVolumeCapabilities() {
		if c.GetAccessMode().GetMode() == csi.VolumeCapability_AccessMode_MULTI_NODE_MULTI_WRITER {
			return nil, status.Error(codes.InvalidArgument, "a disk is on one node at a time")
		}
	}
	size := r.GetCapacityRange().GetRequiredBytes()
	if size == 0 {
		size = 1 << 30
	}
	file := d.image(r.GetName())
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		time.Sleep(d.provision)
		if err := sparse(file, size); err != nil {
			return nil, status.Error(codes.Internal, err.Error())
		}
	}
	return &csi.CreateVolumeResponse{Volume: &csi.Volume{VolumeId: r.GetName(), CapacityBytes: size}}, nil
}

// sparse makes a file that takes no room until it is written to.
func sparse(file string, size int64) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(size), f.Close())
}

// DeleteVolume takes away the file of a disk.
func (d *driver) DeleteVolume(_ context.Context, r *csi.DeleteVolumeRequest) (*csi.DeleteVolumeResponse, error) {
	defer d.volumes.lock(r.GetVolumeId())()
	if n := d.on(r.GetVolumeId()); n != "" {
		return nil, status.Errorf(codes.FailedPrecondition, "volume %s is still attached to node %s", r.GetVolumeId(), n)
	}
	if err := os.Remove(d.image(r.GetVolumeId())); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, status.Error(codes.Internal, err.Error())
	}
	return &csi.DeleteVolumeResponse{}, nil
}

// ValidateVolumeCapabilities implements the controller service.
func (d *driver) ValidateVolumeCapabilities(_ context.Context, r *csi.ValidateVolumeCapabilitiesRequest) (*csi.ValidateVolumeCapabilitiesResponse, error) {
	return &csi.ValidateVolumeCapabilitiesResponse{Confirmed: &csi.ValidateVolumeCapabilitiesResponse_Confirmed{VolumeCapabilities: r.GetVolumeCapabilities()}}, nil
}

func (d *driver) on(volume string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.attached[volume]
}

// count says how many disks a node has and takes, if it does not take any number.
func (d *driver) count(node string) (have, limit int, limited bool) {
	b, err := os.ReadFile(d.limit)
	if err != nil {
		return 0, 0, false
	}
	if _, err := fmt.Sscan(string(b), &limit); err != nil {
		return 0, 0, false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, n := range d.attached {
		if n == node {
			have++
		}
	}
	return have, limit, true
}

// ControllerPublishVolume attaches a disk to a node.
func (d *driver) ControllerPublishVolume(_ context.Context, r *csi.ControllerPublishVolumeRequest) (*csi.ControllerPublishVolumeResponse, error) {
	defer d.volumes.lock(r.GetVolumeId())()
	switch n := d.on(r.GetVolumeId()); {
	case n == r.GetNodeId():
		return &csi.ControllerPublishVolumeResponse{}, nil
	case n != "":
		return nil, status.Errorf(codes.FailedPrecondition, "volume %s is already attached to node %s", r.GetVolumeId(), n)
	}
	if have, limit, limited := d.count(r.GetNodeId()); limited && have >= limit {
		return nil, status.Errorf(codes.ResourceExhausted, "node %s has %d disks attached, its limit is %d", r.GetNodeId(), have, limit)
	}
	time.Sleep(d.attach)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.attached[r.GetVolumeId()] = r.GetNodeId()
	return &csi.ControllerPublishVolumeResponse{}, nil
}

// ControllerUnpublishVolume detaches a disk.
func (d *driver) ControllerUnpublishVolume(_ context.Context, r *csi.ControllerUnpublishVolumeRequest) (*csi.ControllerUnpublishVolumeResponse, error) {
	defer d.volumes.lock(r.GetVolumeId())()
	if n := d.on(r.GetVolumeId()); n == "" || r.GetNodeId() != "" && r.GetNodeId() != n {
		return &csi.ControllerUnpublishVolumeResponse{}, nil
	}
	time.Sleep(d.detach)
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.attached, r.GetVolumeId())
	return &csi.ControllerUnpublishVolumeResponse{}, nil
}

// NodeGetInfo implements the node service.
func (d *driver) NodeGetInfo(context.Context, *csi.NodeGetInfoRequest) (*csi.NodeGetInfoResponse, error) {
	return &csi.NodeGetInfoResponse{NodeId: d.node}, nil
}

// NodeGetCapabilities implements the node service.
func (d *driver) NodeGetCapabilities(context.Context, *csi.NodeGetCapabilitiesRequest) (*csi.NodeGetCapabilitiesResponse, error) {
	r := &csi.NodeGetCapabilitiesResponse{}
	for _, c := range []csi.NodeServiceCapability_RPC_Type{csi.NodeServiceCapability_RPC_STAGE_UNSTAGE_VOLUME, csi.NodeServiceCapability_RPC_SINGLE_NODE_MULTI_WRITER} {
		r.Capabilities = append(r.Capabilities, &csi.NodeServiceCapability{Type: &csi.NodeServiceCapability_Rpc{Rpc: &csi.NodeServiceCapability_RPC{Type: c}}})
	}
	return r, nil
}

// NodeStageVolume mounts a disk, which gets its file system the first time.
func (d *driver) NodeStageVolume(ctx context.Context, r *csi.NodeStageVolumeRequest) (*csi.NodeStageVolumeResponse, error) {
	defer d.volumes.lock(r.GetVolumeId())()
	target, disk := r.GetStagingTargetPath(), d.image(r.GetVolumeId())
	if mounted(ctx, target) {
		return &csi.NodeStageVolumeResponse{}, nil
	}
	if run(ctx, "blkid", disk) != nil {
		if err := run(ctx, "mkfs.ext4", "-q", "-F", "-m0", disk); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(target, 0o750); err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	return &csi.NodeStageVolumeResponse{}, run(ctx, "mount", "-o", "loop", disk, target)
}

// NodeUnstageVolume takes the mount of a disk away.
func (d *driver) NodeUnstageVolume(ctx context.Context, r *csi.NodeUnstageVolumeRequest) (*csi.NodeUnstageVolumeResponse, error) {
	defer d.volumes.lock(r.GetVolumeId())()
	return &csi.NodeUnstageVolumeResponse{}, unmount(ctx, r.GetStagingTargetPath())
}

// NodePublishVolume gives a mounted disk to a pod.
func (d *driver) NodePublishVolume(ctx context.Context, r *csi.NodePublishVolumeRequest) (*csi.NodePublishVolumeResponse, error) {
	target := r.GetTargetPath()
	if mounted(ctx, target) {
		return &csi.NodePublishVolumeResponse{}, nil
	}
	if err := os.MkdirAll(target, 0o750); err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	options := "bind"
	if r.GetReadonly() {
		options = "bind,ro"
	}
	return &csi.NodePublishVolumeResponse{}, run(ctx, "mount", "-o", options, r.GetStagingTargetPath(), target)
}

// NodeUnpublishVolume takes a disk from a pod.
func (d *driver) NodeUnpublishVolume(ctx context.Context, r *csi.NodeUnpublishVolumeRequest) (*csi.NodeUnpublishVolumeResponse, error) {
	if err := unmount(ctx, r.GetTargetPath()); err != nil {
		return nil, err
	}
	if err := os.Remove(r.GetTargetPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, status.Error(codes.Internal, err.Error())
	}
	return &csi.NodeUnpublishVolumeResponse{}, nil
}

func unmount(ctx context.Context, path string) error {
	if !mounted(ctx, path) {
		return nil
	}
	return run(ctx, "umount", path)
}

// mounted says whether something is mounted at path. A bind mount within one file
// system shows in the table of mounts only.
func mounted(ctx context.Context, path string) bool {
	return exec.CommandContext(ctx, "mountpoint", "-q", path).Run() == nil
}

func run(ctx context.Context, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return status.Errorf(codes.Internal, "%s %s: %v: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// Package storage simulates CSI drivers, one for each StorageClass of a
// scenario, and what stands on their volumes.
//
// A [Driver] plays the external-provisioner and the external-attacher of every
// class: it answers the claims and VolumeAttachments that the real controllers
// make, after the time the class says, on virtual time. Binding, the decision
// to attach or detach, and Multi-Attach errors are the real controllers'.
//
// A [Volume] is a small model of a file system: who owns a path, with which
// mode, how many files and bytes stand under it. The kubelet simulation in
// sim/node mounts volumes, applies fsGroup and lets tasks read and write.
//
// A fresh volume of a driver that attaches is a new ext4 file system: its root
// belongs to root:root with mode 0755. A volume of a driver without attach
// (NFS-like) is a new folder on a share; the dynamic provisioners for NFS make
// it 0777, and so does this package. The latter has no fsType either, so
// fsGroup leaves it alone unless the class's fsGroupPolicy is File.
package storage

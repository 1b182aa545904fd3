package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"simctl.dev/simctl/sim/clock"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/internal/work"
	"simctl.dev/simctl/sim/storage"
)

var one = resource.NewQuantity(1, resource.DecimalSI)

// mount is one of a pod's claims.
type mount struct {
	// volume is the name in the pod's spec, claim the claim's.
	volume, claim string
	readOnly      bool
	pv            *corev1.PersistentVolume
	// readOnlyFS: nothing can be written, because the pod or the access mode
	// says so.
	readOnlyFS bool
	mounted    bool
}

// mountedVolumes gives the names of the volumes that a container has. The
// kubelet leaves the pod's other volumes alone (pkg/kubelet/volumemanager/populator):
// so does it with the claim that an affinity assistant only names.
func mountedVolumes(spec *corev1.PodSpec) map[string]bool {
	names := map[string]bool{}
	for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
		for _, vm := range c.VolumeMounts {
			names[vm.Name] = true
		}
		for _, d := range c.VolumeDevices {
			names[d.Name] = true
		}
	}
	return names
}

// claimsOf lists the claims that the pod's containers have mounted.
func (k *Kubelets) claimsOf(p *pod) []*mount {
	var out []*mount
	mounted := mountedVolumes(p.spec)
	for _, v := range p.spec.Volumes {
		switch {
		case !mounted[v.Name]:
		case v.PersistentVolumeClaim != nil:
			out = append(out, &mount{volume: v.Name, claim: v.PersistentVolumeClaim.ClaimName, readOnly: v.PersistentVolumeClaim.ReadOnly})
		case v.Ephemeral != nil:
			out = append(out, &mount{volume: v.Name, claim: p.name + "-" + v.Name})
		}
	}
	return out
}

// tryVolumes goes on if everything the pod's volumes need is there, and
// otherwise notes what the pod waits for. What the kubelet mounts one by one is
// done here in one go once all of it can be.
func (k *Kubelets) tryVolumes(ctx context.Context, p *pod) {
	ready := k.objectsReady(ctx, p)
	for _, v := range p.volumes {
		if v.pv != nil {
			continue
		}
		claim, err := k.claimLister.PersistentVolumeClaims(p.namespace).Get(v.claim)
		if err == nil && claim.Spec.VolumeName != "" {
			if pv, err := k.pvLister.Get(claim.Spec.VolumeName); err == nil {
				v.pv = pv
				v.readOnlyFS = v.readOnly || !slices.ContainsFunc(pv.Spec.AccessModes, func(m corev1.PersistentVolumeAccessMode) bool { return m != corev1.ReadOnlyMany })
				continue
			}
		}
		k.want(wantedKey("claim", p.namespace, v.claim), p.uid)
		ready = false
	}
	// volumesInUse is reported before the volume counts as attached, so that
	// the attach/detach controller does not take it away meanwhile.
	for _, v := range p.volumes {
		if v.pv == nil {
			continue
		}
		if k.usedByOther(p, v.pv) {
			k.warn(ctx, p, "FailedMount",
				fmt.Sprintf("MountVolume.SetUp failed for volume %q : volume uses the ReadWriteOncePod access mode and is already in use by another pod", v.pv.Name))
			ready = false
			continue
		}
		if p.m.users[v.pv.Name] == nil {
			p.m.users[v.pv.Name] = map[types.UID]bool{}
		}
		p.m.users[v.pv.Name][p.uid] = true
	}
	k.reportInUse(ctx, p.m)
	if !k.attached(p) {
		ready = false
	}
	if !ready {
		k.complainLater(ctx, p)
		return
	}
	p.cancelComplaint()
	now := k.o.Clock.Now()
	p.attachSeconds = now.Sub(p.start).Seconds()
	p.stage = mounting
	var took time.Duration
	for _, v := range p.volumes {
		v.mounted = true
		took = max(took, k.o.Storage.MountTime(v.pv, p.m.name, p.key))
	}
	p.mountSeconds = took.Seconds()
	if took == 0 {
		k.mounted(ctx, p)
		return
	}
	k.after(ctx, p, took, "mounted", func() { k.mounted(ctx, p) })
}

// mountTimeout is how long a kubelet waits for a pod's volumes before it says
// so (podAttachAndMountTimeout in pkg/kubelet/volumemanager).
const mountTimeout = 2*time.Minute + 3*time.Second

func (p *pod) cancelComplaint() {
	if p.complaint != nil {
		p.complaint.Cancel()
		p.complaint = nil
	}
}

// complainLater writes the kubelet's event about volumes that do not come. It
// is upkeep: a pod that waits for ever does not keep time going.
func (k *Kubelets) complainLater(ctx context.Context, p *pod) {
	if p.complaint != nil {
		return
	}
	p.complaint = k.o.Clock.Schedule(mountTimeout, clock.Housekeeping, p.eventKey("volumes"), func() {
		if ctx.Err() != nil || p.stage != waitingForVolumes {
			return
		}
		var unattached, all []string
		for _, v := range p.spec.Volumes {
			all = append(all, v.Name)
		}
		for _, v := range p.volumes {
			if v.pv == nil || k.o.Storage.Attachable(v.pv) && !k.onNode(p.m, v.pv) {
				unattached = append(unattached, v.volume)
			}
		}
		if len(unattached) > 0 {
			all = unattached
		}
		k.warn(ctx, p, "FailedMount", fmt.Sprintf(
			"Unable to attach or mount volumes: unmounted volumes=%v, unattached volumes=%v, failed to process volumes=[]: context deadline exceeded", all, unattached))
	})
}

// usedByOther says whether a ReadWriteOncePod volume is another pod's on the
// same node.
func (k *Kubelets) usedByOther(p *pod, pv *corev1.PersistentVolume) bool {
	if !slices.Contains(pv.Spec.AccessModes, corev1.ReadWriteOncePod) {
		return false
	}
	for uid := range p.m.users[pv.Name] {
		if uid != p.uid {
			return true
		}
	}
	return false
}

// attached says whether every volume of the pod that has to be attached is.
func (k *Kubelets) attached(p *pod) bool {
	for _, v := range p.volumes {
		if v.pv != nil && k.o.Storage.Attachable(v.pv) && !k.onNode(p.m, v.pv) {
			return false
		}
	}
	return true
}

// onNode says whether the node's status lists the volume as attached, which is
// what the kubelet goes by (VerifyControllerAttachedVolume).
func (k *Kubelets) onNode(m *machine, pv *corev1.PersistentVolume) bool {
	node, err := k.nodeLister.Get(m.name)
	if err != nil {
		return false
	}
	name := storage.UniqueName(pv)
	return slices.ContainsFunc(node.Status.VolumesAttached, func(a corev1.AttachedVolume) bool { return a.Name == name })
}

// objectsReady says whether the secrets and config maps that the pod mounts are
// there; an event says which is not.
func (k *Kubelets) objectsReady(ctx context.Context, p *pod) bool {
	ready := true
	secret := func(volume, name string, optional *bool) {
		if name == "" || optional != nil && *optional {
			return
		}
		if _, err := k.secretLister.Secrets(p.namespace).Get(name); err != nil {
			ready = false
			k.want(wantedKey("secret", p.namespace, name), p.uid)
			k.warn(ctx, p, "FailedMount", fmt.Sprintf("MountVolume.SetUp failed for volume %q : secret %q not found", volume, name))
		}
	}
	config := func(volume, name string, optional *bool) {
		// The root CA's config map comes from a controller that this control
		// plane may do without; no pod depends on what is in it.
		if name == "" || name == "kube-root-ca.crt" || optional != nil && *optional {
			return
		}
		if _, err := k.configLister.ConfigMaps(p.namespace).Get(name); err != nil {
			ready = false
			k.want(wantedKey("configmap", p.namespace, name), p.uid)
			k.warn(ctx, p, "FailedMount", fmt.Sprintf("MountVolume.SetUp failed for volume %q : configmap %q not found", volume, name))
		}
	}
	mounted := mountedVolumes(p.spec)
	for _, v := range p.spec.Volumes {
		switch {
		case !mounted[v.Name]:
		case v.Secret != nil:
			secret(v.Name, v.Secret.SecretName, v.Secret.Optional)
		case v.ConfigMap != nil:
			config(v.Name, v.ConfigMap.Name, v.ConfigMap.Optional)
		case v.Projected != nil:
			for _, s := range v.Projected.Sources {
				if s.Secret != nil {
					secret(v.Name, s.Secret.Name, s.Secret.Optional)
				}
				if s.ConfigMap != nil {
					config(v.Name, s.ConfigMap.Name, s.ConfigMap.Optional)
				}
			}
		}
	}
	return ready
}

// mounted changes the ownership of the volumes that fsGroup applies to.
func (k *Kubelets) mounted(ctx context.Context, p *pod) {
	var took time.Duration
	sc := p.spec.SecurityContext
	for _, v := range p.volumes {
		if sc == nil || sc.FSGroup == nil || !k.o.Storage.SupportsFSGroup(v.pv, v.readOnly) {
			continue
		}
		policy := corev1.FSGroupChangeAlways
		if sc.FSGroupChangePolicy != nil {
			policy = *sc.FSGroupChangePolicy
		}
		files, skipped := k.o.Storage.Volume(v.pv).ChangeOwnership(*sc.FSGroup, policy == corev1.FSGroupChangeOnRootMismatch)
		d := k.o.Storage.OwnershipTime(v.pv, files)
		k.fact(p, history.FactOwnership, history.Ownership{
			Claim: v.claim, FSGroup: *sc.FSGroup, Policy: string(policy), Files: files, Skipped: skipped, Seconds: d.Seconds(),
		})
		took = max(took, d)
	}
	p.ownSeconds = took.Seconds()
	if took == 0 {
		k.volumesReady(ctx, p)
		return
	}
	k.after(ctx, p, took, "owned", func() { k.volumesReady(ctx, p) })
}

// makeSubPaths makes the folders that subPath mounts name.
func (k *Kubelets) makeSubPaths(p *pod) {
	for _, c := range slices.Concat(p.init, p.containers) {
		for _, vm := range c.spec.VolumeMounts {
			if sub := subPath(c.spec, vm); sub != "" {
				if v := p.volume(vm.Name); v != nil && v.pv != nil && !v.readOnlyFS {
					k.o.Storage.Volume(v.pv).MakeSubPath(sub)
				}
			}
		}
	}
}

// volume gives the claim behind a volume of the pod, nil if it is another kind.
func (p *pod) volume(name string) *mount {
	for _, v := range p.volumes {
		if v.volume == name {
			return v
		}
	}
	return nil
}

// dropVolumes ends the pod's use of its volumes.
func (k *Kubelets) dropVolumes(ctx context.Context, p *pod) {
	freed := false
	for _, v := range p.volumes {
		v.mounted = false
		if v.pv == nil || !p.m.users[v.pv.Name][p.uid] {
			continue
		}
		delete(p.m.users[v.pv.Name], p.uid)
		if len(p.m.users[v.pv.Name]) == 0 {
			delete(p.m.users, v.pv.Name)
		}
		freed = freed || slices.Contains(v.pv.Spec.AccessModes, corev1.ReadWriteOncePod)
	}
	k.reportInUse(ctx, p.m)
	if freed {
		k.list.Add("rwop/" + p.m.name)
	}
}

// reportInUse writes the node's volumesInUse if it has changed: the volumes
// that were attached for this node and that a pod on it uses.
func (k *Kubelets) reportInUse(ctx context.Context, m *machine) {
	var names []corev1.UniqueVolumeName
	for _, name := range slices.Sorted(maps.Keys(m.users)) {
		pv, err := k.pvLister.Get(name)
		if err == nil && k.o.Storage.Attachable(pv) {
			names = append(names, storage.UniqueName(pv))
		}
	}
	if slices.Equal(names, m.inUse) {
		return
	}
	m.inUse = names
	if names == nil {
		names = []corev1.UniqueVolumeName{}
	}
	patch := mustJSON(map[string]any{"status": map[string]any{"volumesInUse": names}})
	work.Retry(ctx, k.o.Clock, k.o.Logger, "kubelet/"+m.name+"/volumes-in-use", func() error {
		if !slices.Equal(m.inUse, names) {
			return nil // A later report has gone out since.
		}
		_, err := k.o.Client.CoreV1().Nodes().Patch(ctx, m.name, types.MergePatchType, patch, metav1.PatchOptions{}, "status")
		if err != nil {
			return fmt.Errorf("reporting the volumes in use on node %s: %w", m.name, err)
		}
		return nil
	})
}

// mountAt gives what a container has mounted at a path, nil if it is nothing.
func (c *container) mountAt(path string) *corev1.VolumeMount {
	for i := range c.spec.VolumeMounts {
		if c.spec.VolumeMounts[i].MountPath == path {
			return &c.spec.VolumeMounts[i]
		}
	}
	return nil
}

// access says where a task's workspace is.
type access struct {
	mount  *mount
	prefix string
	// readOnly: the container's mount, or the whole volume, is read-only.
	readOnly bool
}

// workspace finds the claim that a container has a workspace of the task on:
// mounted at /workspace/NAME, or at the path that the Task declares, or the only
// claim there is. The second result is false if it is on no claim.
func (k *Kubelets) workspace(ctx context.Context, p *pod, c *container, name string) (access, bool) {
	at := func(path string) (a access, mounted bool) {
		vm := c.mountAt(path)
		if vm == nil {
			return a, false
		}
		if v := p.volume(vm.Name); v != nil {
			a = access{mount: v, prefix: subPath(c.spec, *vm), readOnly: vm.ReadOnly || v.readOnlyFS}
		}
		return a, true
	}
	// What is mounted there and no claim - an emptyDir, a secret - holds nothing
	// that outlives the pod.
	if a, ok := at("/workspace/" + name); ok {
		return a, a.mount != nil
	}
	var found []access
	for _, vm := range c.spec.VolumeMounts {
		if a, ok := at(vm.MountPath); ok && a.mount != nil {
			found = append(found, a)
		}
	}
	switch len(found) {
	case 0:
		return access{}, false
	case 1:
		return found[0], true
	}
	a, _ := at(k.declaration(ctx, p).mountPaths[name])
	return a, a.mount != nil
}

// process is who a container's processes are for the file system.
func (k *Kubelets) process(p *pod, c *container) storage.Process {
	uid, _ := k.user(p, c)
	proc := storage.Process{UID: uid}
	if sc := p.spec.SecurityContext; sc != nil {
		if sc.RunAsGroup != nil {
			proc.GID = *sc.RunAsGroup
		}
		proc.Groups = append(proc.Groups, sc.SupplementalGroups...)
		if sc.FSGroup != nil {
			proc.Groups = append(proc.Groups, *sc.FSGroup)
		}
	}
	if sc := c.spec.SecurityContext; sc != nil && sc.RunAsGroup != nil {
		proc.GID = *sc.RunAsGroup
	}
	slices.Sort(proc.Groups)
	proc.Groups = slices.Compact(proc.Groups)
	return proc
}

// user gives the uid a container runs as, and whether it must not be root.
func (k *Kubelets) user(p *pod, c *container) (uid int64, nonRoot bool) {
	switch {
	case internalContainer(c.spec.Name):
		uid = tektonUID
	default:
		if m := k.model(p); m.UID != nil {
			uid = *m.UID
		}
	}
	if sc := p.spec.SecurityContext; sc != nil {
		if sc.RunAsUser != nil {
			uid = *sc.RunAsUser
		}
		nonRoot = sc.RunAsNonRoot != nil && *sc.RunAsNonRoot
	}
	if sc := c.spec.SecurityContext; sc != nil {
		if sc.RunAsUser != nil {
			uid = *sc.RunAsUser
		}
		if sc.RunAsNonRoot != nil {
			nonRoot = *sc.RunAsNonRoot
		}
	}
	return uid, nonRoot
}

// accessFact records a refused or done access; it gives the sentence that the
// task's program would print.
func (k *Kubelets) accessFact(p *pod, a access, proc storage.Process, verb, path string, entry storage.Entry, err error) string {
	file := history.File{
		Claim: a.mount.claim, Path: path, Verb: verb, UID: proc.UID, Groups: append([]int64{proc.GID}, proc.Groups...),
		Owner: entry.UID, Group: entry.GID, Mode: storage.ModeString(entry.Mode), Bytes: entry.Bytes, Task: p.task,
	}
	var denied *storage.DeniedError
	var space *storage.SpaceError
	switch {
	case err == nil:
		if verb == "write" {
			k.fact(p, history.FactFileWritten, file)
		}
		return ""
	case errors.As(err, &denied):
		file.Owner, file.Group, file.Mode = denied.Entry.UID, denied.Entry.GID, storage.ModeString(denied.Entry.Mode)
		k.fact(p, history.FactFileDenied, file)
		return path + ": Permission denied"
	case errors.As(err, &space):
		k.fact(p, history.FactNoSpace, history.Space{Claim: a.mount.claim, Task: p.task, Used: space.Used, Wants: space.Wants, Size: space.Size})
		return path + ": No space left on device"
	case errors.Is(err, storage.ErrReadOnly):
		file.ReadOnly = true
		k.fact(p, history.FactFileDenied, file)
		return path + ": Read-only file system"
	case errors.Is(err, storage.ErrNotExist):
		return path + ": No such file or directory"
	}
	return path + ": " + err.Error()
}

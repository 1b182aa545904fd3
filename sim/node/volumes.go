package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"

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

// mountedVolumes returns the names of the volumes that a container has. The
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
	if p.stage != waitingForVolumes || p.m.isSilent() {
		return
	}
	ready := k.objectsReady(ctx, p)
	if !k.claimsReady(ctx, p) {
		ready = false
	}
	for _, v := range p.volumes {
		if v.pv != nil {
			p.m.use(v.pv, p.uid)
		}
	}
	k.planNodeStatus(ctx, p.m)
	k.noteAttached(p)
	for _, v := range p.volumes {
		if v.pv == nil || !k.attached(p.m, v.pv) {
			ready = false
			continue
		}
		failed, problem := mountFailed, ""
		if k.mountedByOther(p, v.pv) {
			problem = "volume uses the ReadWriteOncePod access mode and is already in use by another pod"
		} else if no := k.o.Storage.NoMount(v.pv, p.m.name); no != "" {
			problem = no
			if k.o.Storage.Attachable(v.pv) {
				failed = stageFailed
			}
			k.o.Storage.MountFailed(v.pv, p.namespace, v.claim, p.m.name, no)
		}
		if !k.mountableAs(ctx, p, v.pv.Name, failed, problem) {
			ready = false
		}
	}
	if !ready {
		return
	}
	p.stage = mounting
	var took time.Duration
	for _, v := range p.volumes {
		v.mounted = true
		took = max(took, k.o.Storage.MountTime(v.pv, p.m.name, p.key))
	}
	if took == 0 {
		k.mounted(ctx, p)
		return
	}
	k.after(ctx, p, took, "mounted", func() { k.mounted(ctx, p) })
}

// noteAttached records that everything is attached that has to be for the pod.
func (k *Kubelets) noteAttached(p *pod) {
	if !p.attachedAt.IsZero() || slices.ContainsFunc(p.volumes, func(v *mount) bool { return v.pv == nil || !k.attached(p.m, v.pv) }) {
		return
	}
	p.attachedAt = k.o.Clock.Now()
	p.attachSeconds = p.attachedAt.Sub(p.start).Seconds()
	k.fact(p, history.FactVolumesAttached, history.Volume{Node: p.m.name, Seconds: p.attachSeconds})
}

// claimsReady finds the volumes behind the pod's claims. A claim that gives none
// fails the kubelet's whole look at the pod, which comes again some seconds later
// (pkg/kubelet/volumemanager/populator).
func (k *Kubelets) claimsReady(ctx context.Context, p *pod) bool {
	var failed, problems []string
	for _, v := range p.volumes {
		if v.pv != nil {
			continue
		}
		claim, err := k.claimLister.PersistentVolumeClaims(p.namespace).Get(v.claim)
		why := ""
		switch {
		case err != nil:
			why = fmt.Sprintf("failed to fetch PVC from API server: %v", err)
		case claim.DeletionTimestamp != nil && !slices.Contains(claim.Finalizers, "kubernetes.io/pvc-protection"):
			why = "PVC is being deleted"
		case claim.Status.Phase != corev1.ClaimBound:
			why = "PVC is not bound"
		default:
			v.pv, err = k.pvLister.Get(claim.Spec.VolumeName)
			if err != nil {
				v.pv, why = nil, fmt.Sprintf("failed to fetch PV %s from API server: %v", claim.Spec.VolumeName, err)
			}
		}
		if v.pv != nil {
			v.readOnlyFS = v.readOnly || !slices.ContainsFunc(v.pv.Spec.AccessModes, func(m corev1.PersistentVolumeAccessMode) bool { return m != corev1.ReadOnlyMany })
			continue
		}
		k.want(wantedKey("claim", p.namespace, v.claim), p.uid)
		failed = append(failed, v.volume)
		problems = append(problems, fmt.Sprintf("error processing PVC %s/%s: %s", p.namespace, v.claim, why))
	}
	if len(failed) == 0 {
		return k.tried(ctx, p, "", saying{})
	}
	unattached := []string{}
	for _, v := range p.volumes {
		if v.pv != nil && k.o.Storage.Attachable(v.pv) && !k.onNode(p.m, v.pv) {
			unattached = append(unattached, v.volume)
		}
	}
	unmounted := slices.Sorted(slices.Values(slices.Concat(failed, unattached)))
	slices.Sort(failed)
	slices.Sort(unattached)
	return k.tried(ctx, p, "", volumesNotProcessed, unmounted, unattached, failed, strings.Join(problems, "; "))
}

// A kubelet tries a volume again after a time that doubles from the first of these
// to the second (pkg/util/goroutinemap/exponentialbackoff), and a pod that it cannot
// look at whole after the third, and up to half as much again (pkg/kubelet/pod_workers.go).
const (
	firstMountRetry = 500 * time.Millisecond
	lastMountRetry  = 2*time.Minute + 2*time.Second
	podRetry        = 10 * time.Second
)

// mountTry is something about a pod's volumes that failed and is tried again.
type mountTry struct {
	// due is when it is tried next, wait how long that is after the try before.
	due  time.Time
	wait time.Duration
	n    int
	// next is that try on the clock: upkeep as long as it is known to fail, so that
	// a pod that waits for ever does not keep time going.
	next *clock.Event
	kind clock.Kind
}

// backOff moves a failed try on.
func (t *mountTry) backOff(seed int64, p *pod, what string) {
	t.n++
	switch {
	case what == "":
		t.wait = podRetry + time.Duration(clock.Rand(seed, "pod-retry", p.key, strconv.Itoa(t.n)).Int64N(int64(podRetry/2)))
	case t.wait == 0:
		t.wait = firstMountRetry
	default:
		t.wait = min(2*t.wait, lastMountRetry)
	}
	t.due = t.due.Add(t.wait)
}

// mountable says whether a volume that stands in the way of nothing but a problem of
// its own is mounted at this try.
func (k *Kubelets) mountable(ctx context.Context, p *pod, volume, problem string) bool {
	return k.mountableAs(ctx, p, volume, mountFailed, problem)
}

// mountableAs is mountable with the words in which a failure is told.
func (k *Kubelets) mountableAs(ctx context.Context, p *pod, volume string, failed saying, problem string) bool {
	if problem == "" {
		return k.tried(ctx, p, volume, saying{})
	}
	return k.tried(ctx, p, volume, failed, volume, problem)
}

// LookAtVolumes has the kubelets see whether volumes that could not be mounted can be now.
func (k *Kubelets) LookAtVolumes(ctx context.Context) {
	for _, p := range slices.SortedFunc(maps.Values(k.pods), byIdentity) {
		k.tryVolumes(ctx, p)
	}
}

// tried says whether what a pod's volumes need is done at this try; if not, and a
// try is due, the kubelet says why. What has become possible is done at the next
// try, which is then work; one that would fail again is not.
func (k *Kubelets) tried(ctx context.Context, p *pod, what string, problem saying, args ...any) bool {
	now := k.o.Clock.Now()
	try := p.tries[what]
	fails := problem != saying{}
	switch {
	case try == nil && !fails:
		return true
	case try == nil:
		try = &mountTry{due: now}
		p.tries[what] = try
	case !fails && !try.due.After(now):
		try.cancel()
		delete(p.tries, what)
		return true
	}
	var moments []time.Time
	for !try.due.After(now) {
		moments = append(moments, try.due)
		try.backOff(k.o.Seed, p, what)
	}
	if len(moments) > 0 {
		k.repeat(ctx, p, problem, moments, args...)
	}
	kind := clock.Work
	if fails {
		kind = clock.Housekeeping
	}
	if try.next == nil || try.kind != kind || len(moments) > 0 {
		try.cancel()
		try.kind = kind
		try.next = k.o.Clock.Schedule(try.due.Sub(now), kind, p.eventKey("mount/"+what), func() {
			try.next = nil
			if ctx.Err() == nil {
				k.does(p, func() { k.tryVolumes(ctx, p) })
			}
		})
	}
	return false
}

func (t *mountTry) cancel() {
	if t.next != nil {
		t.next.Cancel()
		t.next = nil
	}
}

// cancelTries ends the tries of a pod that goes.
func (p *pod) cancelTries() {
	for _, t := range p.tries {
		t.cancel()
	}
}

// volumeUse is a node's use of a volume.
type volumeUse struct {
	pv *corev1.PersistentVolume
	// users are the pods that are to have it or have it still.
	users map[types.UID]bool
	// reported: it stood in a report of the volumes in use since the first of the
	// users came. Before that no kubelet mounts it, or the attach/detach controller
	// might take it away meanwhile (VerifyControllerAttachedVolume in
	// pkg/volume/util/operationexecutor).
	reported bool
}

// use has a pod use a volume.
func (m *machine) use(pv *corev1.PersistentVolume, uid types.UID) {
	u := m.volumes[pv.Name]
	if u == nil {
		u = &volumeUse{pv: pv, users: map[types.UID]bool{}}
		m.volumes[pv.Name] = u
	}
	u.users[uid] = true
}

// mountedByOther says whether a ReadWriteOncePod volume is mounted for another pod
// on the same node.
func (k *Kubelets) mountedByOther(p *pod, pv *corev1.PersistentVolume) bool {
	if !slices.Equal(pv.Spec.AccessModes, []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOncePod}) {
		return false
	}
	for uid := range p.m.volumes[pv.Name].users {
		other := k.pods[uid]
		if other != nil && other != p && slices.ContainsFunc(other.volumes, func(v *mount) bool { return v.mounted && v.pv.Name == pv.Name }) {
			return true
		}
	}
	return false
}

// attached says whether a volume may be mounted on a node: it is attached if it has
// to be, and the controller that attaches knows that it is in use.
func (k *Kubelets) attached(m *machine, pv *corev1.PersistentVolume) bool {
	return !k.o.Storage.Attachable(pv) || m.volumes[pv.Name].reported && k.onNode(m, pv)
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
// there; events say which are not.
func (k *Kubelets) objectsReady(ctx context.Context, p *pod) bool {
	ready := true
	mounted := mountedVolumes(p.spec)
	for _, v := range p.spec.Volumes {
		var problems []string
		switch {
		case !mounted[v.Name]:
			continue
		case v.Secret != nil:
			problems = append(problems, k.secretProblem(p, v.Secret.SecretName, v.Secret.Items, v.Secret.Optional))
		case v.ConfigMap != nil:
			problems = append(problems, k.configProblem(p, v.ConfigMap.Name, v.ConfigMap.Items, v.ConfigMap.Optional))
		case v.Projected != nil:
			for _, s := range v.Projected.Sources {
				if s.Secret != nil {
					problems = append(problems, k.secretProblem(p, s.Secret.Name, s.Secret.Items, s.Secret.Optional))
				}
				if s.ConfigMap != nil {
					problems = append(problems, k.configProblem(p, s.ConfigMap.Name, s.ConfigMap.Items, s.ConfigMap.Optional))
				}
			}
		default:
			continue
		}
		if !k.mountable(ctx, p, v.Name, aggregate(problems)) {
			ready = false
		}
	}
	return ready
}

// aggregate words several problems as Kubernetes words a list of errors.
func aggregate(problems []string) string {
	var errs []error
	for _, p := range problems {
		if p != "" {
			errs = append(errs, errors.New(p))
		}
	}
	if err := utilerrors.NewAggregate(errs); err != nil {
		return err.Error()
	}
	return ""
}

// secretProblem says why a secret cannot be mounted (pkg/volume/secret).
func (k *Kubelets) secretProblem(p *pod, name string, items []corev1.KeyToPath, optional *bool) string {
	if name == "" || isTrue(optional) {
		return ""
	}
	secret, err := k.secretLister.Secrets(p.namespace).Get(name)
	if err != nil {
		k.want(wantedKey("secret", p.namespace, name), p.uid)
		return fmt.Sprintf("secret %q not found", name)
	}
	for _, item := range items {
		if _, ok := secret.Data[item.Key]; !ok {
			k.want(wantedKey("secret", p.namespace, name), p.uid)
			return "references non-existent secret key: " + item.Key
		}
	}
	return ""
}

// configProblem says why a config map cannot be mounted (pkg/volume/configmap).
func (k *Kubelets) configProblem(p *pod, name string, items []corev1.KeyToPath, optional *bool) string {
	// The root CA's config map comes from a controller that this control plane may
	// do without; no pod depends on what is in it.
	if name == "" || name == "kube-root-ca.crt" || isTrue(optional) {
		return ""
	}
	config, err := k.configLister.ConfigMaps(p.namespace).Get(name)
	if err != nil {
		k.want(wantedKey("configmap", p.namespace, name), p.uid)
		return fmt.Sprintf("configmap %q not found", name)
	}
	for _, item := range items {
		_, text := config.Data[item.Key]
		if _, binary := config.BinaryData[item.Key]; !text && !binary {
			k.want(wantedKey("configmap", p.namespace, name), p.uid)
			return "configmap references non-existent config key: " + item.Key
		}
	}
	return ""
}

// mounted changes the ownership of the volumes that fsGroup applies to.
func (k *Kubelets) mounted(ctx context.Context, p *pod) {
	p.mountSeconds = k.o.Clock.Since(p.attachedAt).Seconds()
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
	for _, c := range p.all() {
		for _, vm := range c.spec.VolumeMounts {
			if sub := subPath(c.spec, vm); sub != "" {
				if v := p.volume(vm.Name); v != nil && v.pv != nil && !v.readOnlyFS {
					k.o.Storage.Volume(v.pv).MakeSubPath(sub)
				}
			}
		}
	}
}

// volume returns the claim behind a volume of the pod, nil if it is another kind.
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
	p.cancelTries()
	freed := false
	for _, v := range p.volumes {
		v.mounted = false
		if v.pv == nil {
			continue
		}
		u := p.m.volumes[v.pv.Name]
		if u == nil || !u.users[p.uid] {
			continue
		}
		delete(u.users, p.uid)
		if len(u.users) == 0 {
			delete(p.m.volumes, v.pv.Name)
		}
		freed = freed || slices.Contains(v.pv.Spec.AccessModes, corev1.ReadWriteOncePod)
	}
	k.planNodeStatus(ctx, p.m)
	if freed {
		k.list.Add("rwop/" + p.m.name)
	}
}

// inUse lists the volumes that are attached or to be attached for pods on a node; the
// second result says that one of them has not been reported yet.
func (k *Kubelets) inUse(m *machine) (names []corev1.UniqueVolumeName, unreported bool) {
	for _, pv := range slices.Sorted(maps.Keys(m.volumes)) {
		if u := m.volumes[pv]; k.o.Storage.Attachable(u.pv) {
			names = append(names, storage.UniqueName(u.pv))
			unreported = unreported || !u.reported
		}
	}
	return names, unreported
}

// planNodeStatus puts the next report of a node's status on the clock if it would say
// something new about the volumes in use. A kubelet looks at its node's status every
// ten seconds (nodeStatusUpdateFrequency), each at moments of its own; what comes in
// between waits.
func (k *Kubelets) planNodeStatus(ctx context.Context, m *machine) {
	if m.isSilent() {
		return
	}
	names, unreported := k.inUse(m)
	if !unreported && slices.Equal(names, m.inUse) {
		if m.status != nil {
			m.status.Cancel()
			m.status = nil
		}
		return
	}
	if m.status != nil {
		return
	}
	m.status = k.o.Clock.Schedule(k.nextTick(0, k.statusEvery, m.statusPhase), clock.Work, "kubelet/"+m.name+"/volumes-in-use", func() {
		m.status = nil
		if ctx.Err() == nil {
			k.reportNodeStatus(ctx, m)
		}
	})
}

// reportNodeStatus writes the node's volumesInUse if they have changed, and has the
// pods go on that waited for it.
func (k *Kubelets) reportNodeStatus(ctx context.Context, m *machine) {
	names, _ := k.inUse(m)
	generation := m.generation
	reported := func() {
		m.inUse = names
		for _, u := range m.volumes {
			u.reported = u.reported || k.o.Storage.Attachable(u.pv) && slices.Contains(names, storage.UniqueName(u.pv))
		}
		for _, p := range slices.SortedFunc(maps.Values(k.pods), byIdentity) {
			if p.m == m {
				k.tryVolumes(ctx, p)
			}
		}
	}
	if slices.Equal(names, m.inUse) {
		reported()
		return
	}
	list := names
	if list == nil {
		list = []corev1.UniqueVolumeName{}
	}
	patch := mustJSON(map[string]any{"status": map[string]any{"volumesInUse": list}})
	work.Retry(ctx, k.o.Clock, k.o.Logger, "kubelet/"+m.name+"/volumes-in-use", func() error {
		if m.generation != generation {
			return nil // The machine is gone, or a later report has been written.
		}
		_, err := k.o.Client.CoreV1().Nodes().Patch(ctx, m.name, types.MergePatchType, patch, metav1.PatchOptions{}, "status")
		if err != nil {
			return fmt.Errorf("reporting the volumes in use on node %s: %w", m.name, err)
		}
		m.generation++
		reported()
		return nil
	})
}

// mountAt returns what a container has mounted at a path, nil if it is nothing.
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

// user returns the uid a container runs as, and whether it must not be root.
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

// accessFact records a refused or done access; it returns the sentence that the
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
		switch verb {
		case "write":
			k.fact(p, history.FactFileWritten, file)
		case "delete":
			k.fact(p, history.FactFileDeleted, file)
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

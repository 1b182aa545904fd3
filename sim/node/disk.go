package node

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	resourcehelper "k8s.io/component-helpers/resource"
	evictionapi "k8s.io/kubernetes/pkg/kubelet/eviction/api"

	"simctl.dev/simctl/sim/clock"
	"simctl.dev/simctl/sim/history"
)

// DiskUsed is the annotation of a Node that says what stands on its own disk from
// the start, as a quantity. The disk's size is the capacity's ephemeral-storage.
const DiskUsed = "simctl.dev/disk-used"

// scratch is what a pod's steps write to their node's disk, evenly while they run.
type scratch struct {
	// layers are bytes in the containers' own file systems, volumes those in
	// emptyDirs by the volume's name.
	layers  int64
	volumes map[string]int64
	// work is how long the steps run together.
	work time.Duration
}

// perSecond is by how much something of so many bytes grows while a step runs.
func (s scratch) perSecond(bytes int64) float64 { return float64(bytes) / s.work.Seconds() }

// diskUse is what a pod has on its node's disk.
type diskUse struct {
	layers, volumes map[string]int64
	total           int64
	// perSecond is by how much it grows; container is whose.
	perSecond float64
	container string
}

// scratchOf says what a pod is to write to its node's disk.
func (k *Kubelets) scratchOf(ctx context.Context, p *pod) scratch {
	s := scratch{volumes: map[string]int64{}}
	if len(p.steps) == 0 {
		return s
	}
	m := k.model(p)
	// New has checked what the model says.
	s.layers, _ = m.EphemeralStorage.Bytes()
	last := p.steps[len(p.steps)-1]
	for _, w := range m.Writes {
		if name := k.emptyDir(ctx, p, last, w.Workspace); name != "" {
			bytes, _ := w.Bytes.Bytes()
			s.volumes[name] += bytes
		}
	}
	if s.layers > 0 || len(s.volumes) > 0 {
		for i := range p.steps {
			s.work += k.stepDuration(p, i, m)
		}
	}
	return s
}

// emptyDir returns the name of the volume on the node's disk that a container has a
// workspace on; empty if it is something else.
func (k *Kubelets) emptyDir(ctx context.Context, p *pod, c *container, workspace string) string {
	vm := c.mountAt("/workspace/" + workspace)
	if vm == nil && len(p.volumes) == 0 {
		vm = c.mountAt(k.declaration(ctx, p).mountPaths[workspace])
	}
	if vm == nil {
		return ""
	}
	for _, v := range p.spec.Volumes {
		if v.Name == vm.Name && v.EmptyDir != nil && v.EmptyDir.Medium != corev1.StorageMediumMemory {
			return v.Name
		}
	}
	return ""
}

// worked is for how long a step has had its turn.
func (c *container) worked(now time.Time) time.Duration {
	switch {
	case c.began.IsZero(), c.turn == nil, c.turn.Skipped:
		return 0
	case c.finished.IsZero():
		return now.Sub(c.began)
	}
	return c.finished.Sub(c.began)
}

// diskUse is what a pod has on its node's disk now. Of one that has ended the
// layers are left until the pod is deleted or the kubelet makes room.
func (p *pod) diskUse(now time.Time) diskUse {
	if p.scratch.work <= 0 || p.swept {
		return diskUse{}
	}
	u := diskUse{layers: map[string]int64{}, volumes: map[string]int64{}}
	var worked float64
	for _, s := range p.steps {
		part := s.worked(now).Seconds() / p.scratch.work.Seconds()
		worked += part
		u.layers[s.spec.Name] = int64(part * float64(p.scratch.layers))
		u.total += u.layers[s.spec.Name]
		if p.stage == running && !s.began.IsZero() && s.finished.IsZero() {
			u.container, u.perSecond = s.spec.Name, p.scratch.perSecond(p.scratch.layers)
		}
	}
	if p.stage >= ended {
		return u
	}
	for name, bytes := range p.scratch.volumes {
		u.volumes[name] = int64(worked * float64(bytes))
		u.total += u.volumes[name]
		if u.container != "" {
			u.perSecond += p.scratch.perSecond(bytes)
		}
	}
	return u
}

// podsOn lists the pods on a machine that have not ended, in an order that names
// alone decide.
func (k *Kubelets) podsOn(m *machine) []*pod {
	return slices.DeleteFunc(k.podsOf(m), func(p *pod) bool { return p.obj == nil || p.stage <= admitted || p.stage >= ended })
}

// disk is a machine's own disk: what stood there, images, what pods write.
type disk struct {
	manager *evictions
	// check is the next event of the disk: a look of the eviction manager, or the
	// moment at which it is full.
	check *clock.Event
	// pressed is when a look last found too little room.
	pressed time.Time
	pressureReport
}

// diskState is a disk as it is now.
type diskState struct {
	size, before, images, pods int64
	perSecond                  float64
}

func (s diskState) free() int64 { return max(0, s.size-s.before-s.images-s.pods) }

// diskOf looks at a machine's disk; false if its node is gone.
func (k *Kubelets) diskOf(m *machine) (diskState, bool) {
	node, err := k.nodeLister.Get(m.name)
	if err != nil {
		return diskState{}, false
	}
	size := node.Status.Capacity[corev1.ResourceEphemeralStorage]
	s := diskState{size: size.Value()}
	if q, err := resource.ParseQuantity(node.Annotations[DiskUsed]); err == nil {
		s.before = q.Value()
	}
	now := k.o.Clock.Now()
	for image, at := range m.images {
		if !at.After(now) {
			s.images += k.registry.bytes(image)
		}
	}
	for _, p := range k.pods {
		if p.m == m {
			u := p.diskUse(now)
			s.pods += u.total
			s.perSecond += u.perSecond
		}
	}
	return s, s.size > 0
}

// The kubelet's settings (pkg/kubelet/apis/config/v1beta1/defaults.go and
// kubelet.go): how often it looks at its resources and reports its node's status,
// and for how long it goes on saying that there is pressure.
const (
	lookPeriod                = 10 * time.Second
	nodeStatusUpdateFrequency = 10 * time.Second
	pressureLinger            = 5 * time.Minute
)

// nextTick is how long it is to the first moment of a period, counted from the
// cell's beginning, that is at least so far away.
func (k *Kubelets) nextTick(d, period, phase time.Duration) time.Duration {
	now := time.Duration(math.Round(k.o.Clock.Elapsed()*float64(time.Second))) - phase
	tick := (now + max(d, 1)).Truncate(period)
	if tick < now+max(d, 1) {
		tick += period
	}
	return tick - now
}

// planDisk puts on the clock when something comes of a machine's disk or memory: its kubelet
// would look every 10 s, which says nothing new unless something has grown. It is
// called whenever that may have changed.
func (k *Kubelets) planDisk(ctx context.Context, m *machine) {
	d := &m.disk
	if d.check != nil {
		d.check.Cancel()
		d.check = nil
	}
	s, ok := k.diskOf(m)
	if !ok || m.isSilent() {
		return
	}
	schedule := func(after time.Duration, what string, f func()) {
		d.check = k.o.Clock.Schedule(after, clock.Work, "kubelet/"+m.name+"/disk/"+what, func() {
			d.check = nil
			if ctx.Err() == nil {
				f()
			}
		})
	}
	room := float64(s.free() - k.reserve(s.size))
	look := math.Inf(1)
	switch {
	case room < 0 && (d.pressed.IsZero() || s.perSecond > 0 || d.manager.evicted):
		look = 0
	case room >= 0 && !d.pressed.IsZero():
		look = max(0, pressureLinger.Seconds()-k.o.Clock.Since(d.pressed).Seconds())
	}
	switch now, lingers := k.shortOfMemory(m); {
	case now:
		look = 0
	case lingers:
		look = min(look, max(0, pressureLinger.Seconds()-k.o.Clock.Since(m.memory.pressed).Seconds()))
	}
	if s.perSecond > 0 {
		look = min(look, max(0, room/s.perSecond), k.soonestLimit(m))
		if full := float64(s.free()) / s.perSecond; full < k.nextTick(seconds(look), lookPeriod, 0).Seconds() {
			schedule(seconds(full), "full", func() { k.diskFull(ctx, m) })
			return
		}
	}
	if !math.IsInf(look, 1) {
		schedule(k.nextTick(seconds(look), lookPeriod, 0), "look", func() { k.lookAtDisk(ctx, m) })
	}
}

// seconds returns a number of seconds as a duration, not more than a century.
func seconds(s float64) time.Duration {
	return time.Duration(math.Ceil(min(s, 100*365*86400) * float64(time.Second)))
}

// soonestLimit is in how many seconds the first pod on a machine will have written
// more than a limit of its own: infinity if none will.
func (k *Kubelets) soonestLimit(m *machine) float64 {
	soonest := math.Inf(1)
	now := k.o.Clock.Now()
	for _, p := range k.podsOn(m) {
		u := p.diskUse(now)
		if u.container == "" {
			continue
		}
		limit := func(limit *resource.Quantity, used int64, perSecond float64) {
			if limit != nil && !limit.IsZero() && perSecond > 0 {
				soonest = min(soonest, max(0, float64(limit.Value()-used)/perSecond))
			}
		}
		if q, ok := resourcehelper.PodLimits(p.obj, resourcehelper.PodResourcesOptions{})[corev1.ResourceEphemeralStorage]; ok {
			limit(&q, u.total, u.perSecond)
		}
		for i := range p.spec.Containers {
			if c := &p.spec.Containers[i]; c.Name == u.container {
				limit(c.Resources.Limits.StorageEphemeral(), u.layers[c.Name], p.scratch.perSecond(p.scratch.layers))
			}
		}
		for _, v := range p.spec.Volumes {
			if v.EmptyDir != nil {
				limit(v.EmptyDir.SizeLimit, u.volumes[v.Name], p.scratch.perSecond(p.scratch.volumes[v.Name]))
			}
		}
	}
	return soonest
}

// reserve is what has to be free of a disk of a size: with less the kubelet is
// under pressure.
func (k *Kubelets) reserve(size int64) int64 {
	return k.most(size, evictionapi.SignalNodeFsAvailable, evictionapi.SignalImageFsAvailable)
}

// diskFull fails the steps that write to a disk which has no room any more.
func (k *Kubelets) diskFull(ctx context.Context, m *machine) {
	now := k.o.Clock.Now()
	for _, p := range k.podsOn(m) {
		u := p.diskUse(now)
		i := slices.IndexFunc(p.steps, func(s *container) bool { return s.spec.Name == u.container })
		if i < 0 || u.perSecond == 0 {
			continue
		}
		k.diskFact(p, true)
		p.cancelNext()
		p.steps[i].turn.Fail(1, "write: No space left on device")
		k.endStep(ctx, p, i)
	}
	k.planDisk(ctx, m)
}

// diskFact records what a disk held when a pod came to its end over it.
func (k *Kubelets) diskFact(p *pod, full bool) {
	s, ok := k.diskOf(p.m)
	if !ok {
		return
	}
	f := history.Disk{
		Node: p.m.name, Task: p.task, Full: full, Size: s.size, Reserve: k.reserve(s.size), Before: s.before, Images: s.images,
		Wants: p.scratch.layers,
	}
	for _, bytes := range p.scratch.volumes {
		f.Wants += bytes
	}
	now := k.o.Clock.Now()
	for _, other := range k.pods {
		if u := other.diskUse(now); other.m == p.m && u.total > 0 {
			f.Pods = append(f.Pods, history.DiskUse{Pod: fmt.Sprintf("%s/%s", other.namespace, other.name), Bytes: u.total})
		}
	}
	slices.SortFunc(f.Pods, func(a, b history.DiskUse) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Pod, b.Pod))
	})
	k.fact(p, history.FactDisk, f)
}

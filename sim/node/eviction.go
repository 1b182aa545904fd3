package node

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
	"unsafe"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
	statsapi "k8s.io/kubelet/pkg/apis/stats/v1alpha1"
	"k8s.io/kubernetes/pkg/kubelet/eviction"
	evictionapi "k8s.io/kubernetes/pkg/kubelet/eviction/api"
	"k8s.io/kubernetes/pkg/kubelet/lifecycle"

	"simctl.dev/simctl/sim/clock"
	"simctl.dev/simctl/sim/internal/work"
)

// synchronize is one look of the eviction manager. Its own loop looks every 10 s of
// real time.
//
//go:linkname synchronize k8s.io/kubernetes/pkg/kubelet/eviction.(*managerImpl).synchronize
func synchronize(manager unsafe.Pointer, ctx context.Context, disks eviction.DiskInfoProvider, pods eviction.ActivePodsFunc) ([]*corev1.Pod, error) //nolint:revive // the receiver comes first

// evictions is upstream's eviction manager of one kubelet, with a simulated machine
// around it: images, containers and emptyDirs share one disk.
type evictions struct {
	k *Kubelets
	m *machine
	// looking is the context of the look that goes on.
	looking context.Context
	manager eviction.Manager
	handler lifecycle.PodAdmitHandler
	// evicted says that the last look made some room.
	evicted bool
}

// evictionThresholds are upstream's hard thresholds of the disk's room and of memory.
func evictionThresholds() ([]evictionapi.Threshold, error) {
	hard := map[string]string{}
	for _, signal := range []evictionapi.Signal{evictionapi.SignalMemoryAvailable, evictionapi.SignalNodeFsAvailable, evictionapi.SignalImageFsAvailable} {
		hard[string(signal)] = eviction.DefaultEvictionHard[string(signal)]
	}
	thresholds, err := eviction.ParseThresholdConfig(nil, hard, nil, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("reading upstream's eviction thresholds: %w", err)
	}
	return thresholds, nil
}

// evictionsOf returns a machine's eviction manager.
func (k *Kubelets) evictionsOf(m *machine) *evictions {
	if m.disk.manager == nil {
		e := &evictions{k: k, m: m}
		config := eviction.Config{PressureTransitionPeriod: pressureLinger, Thresholds: slices.Clone(k.thresholds)}
		e.manager, e.handler = eviction.NewManager(e, config, e.kill, e, e, e,
			&corev1.ObjectReference{Kind: "Node", Name: m.name, UID: types.UID(m.name)}, k.o.Clock, true)
		m.disk.manager = e
	}
	return m.disk.manager
}

// lookAtDisk has the eviction manager look, and evict what it has to.
func (k *Kubelets) lookAtDisk(ctx context.Context, m *machine) {
	e := k.evictionsOf(m)
	e.looking = klog.NewContext(ctx, logr.Discard())
	before, ok := k.diskOf(m)
	if !ok {
		return
	}
	memory, _ := k.memoryOf(m)
	evicted, err := synchronize(reflect.ValueOf(e.manager).UnsafePointer(), e.looking, e, e.pods)
	if err != nil {
		k.o.Logger.Error(err, "The eviction manager could not look", "node", m.name)
	}
	after, _ := k.diskOf(m)
	e.evicted = len(evicted) > 0 || after.free() > before.free()
	if before.free() < k.reserve(before.size) {
		m.disk.pressed = k.o.Clock.Now()
	} else if !e.manager.IsUnderDiskPressure() {
		m.disk.pressed = time.Time{}
	}
	m.memory.tried = ""
	switch {
	case memory.free() < k.memoryReserve(memory.size):
		m.memory.pressed = k.o.Clock.Now()
		if len(evicted) == 0 {
			m.memory.tried = k.evictable(m)
		}
	case !e.manager.IsUnderMemoryPressure():
		m.memory.pressed = time.Time{}
	}
	k.reportPressure(ctx, m, diskPressure, &m.disk.pressureReport, e.manager.IsUnderDiskPressure)
	k.reportPressure(ctx, m, memoryPressure, &m.memory.pressureReport, e.manager.IsUnderMemoryPressure)
	k.planDisk(ctx, m)
}

// lowOnMemory begins the kubelet's words about a pod that it evicts for want of memory
// (nodeLowMessageFmt in pkg/kubelet/eviction).
const lowOnMemory = "The node was low on resource: memory"

// pressureReport is what a node's status says of a pressure, and the report that will say
// something else.
type pressureReport struct {
	pressure bool
	report   *clock.Event
}

// pressureWords are a kubelet's of a pressure (pkg/kubelet/nodestatus/setters.go).
type pressureWords struct {
	kind        corev1.NodeConditionType
	short, well [3]string // reason, message, Event
}

var (
	diskPressure = pressureWords{corev1.NodeDiskPressure,
		[3]string{"KubeletHasDiskPressure", "kubelet has disk pressure", "NodeHasDiskPressure"},
		[3]string{"KubeletHasNoDiskPressure", "kubelet has no disk pressure", "NodeHasNoDiskPressure"}}
	memoryPressure = pressureWords{corev1.NodeMemoryPressure,
		[3]string{"KubeletHasInsufficientMemory", "kubelet has insufficient memory available", "NodeHasInsufficientMemory"},
		[3]string{"KubeletHasSufficientMemory", "kubelet has sufficient memory available", "NodeHasSufficientMemory"}}
)

// reportPressure has the node's status say at the next report whether the kubelet
// is under a pressure.
func (k *Kubelets) reportPressure(ctx context.Context, m *machine, words pressureWords, r *pressureReport, is func() bool) {
	if r.report != nil || is() == r.pressure {
		return
	}
	r.report = k.o.Clock.Schedule(k.nextTick(0, k.statusEvery, m.statusPhase), clock.Work, "kubelet/"+m.name+"/status/"+string(words.kind), func() {
		r.report = nil
		pressure := is()
		if ctx.Err() != nil || pressure == r.pressure {
			return
		}
		r.pressure = pressure
		now := metav1.NewTime(k.o.Clock.Now())
		said, status := words.well, corev1.ConditionFalse
		if pressure {
			said, status = words.short, corev1.ConditionTrue
		}
		condition := corev1.NodeCondition{Type: words.kind, Status: status, Reason: said[0], Message: said[1], LastHeartbeatTime: now, LastTransitionTime: now}
		k.nodeStatusIs(ctx, m.name, said[2], k.o.Clock.Now())
		patch := mustJSON(map[string]any{"status": map[string]any{"conditions": []corev1.NodeCondition{condition}}})
		work.Retry(ctx, k.o.Clock, k.o.Logger, "kubelet/"+m.name+"/"+string(words.kind), func() error {
			if r.pressure != pressure {
				return nil // A later report has gone out since.
			}
			_, err := k.o.Client.CoreV1().Nodes().Patch(ctx, m.name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
			if err != nil {
				return fmt.Errorf("reporting the %s of node %s: %w", words.kind, m.name, err)
			}
			return nil
		})
	})
}

// pods implements eviction.ActivePodsFunc.
func (e *evictions) pods() []*corev1.Pod {
	var out []*corev1.Pod
	for _, p := range e.k.podsOn(e.m) {
		out = append(out, p.obj)
	}
	return out
}

// Get implements stats.SummaryProvider.
func (e *evictions) Get(context.Context, bool) (*statsapi.Summary, error) {
	s, _ := e.k.diskOf(e.m)
	now := e.k.o.Clock.Now()
	bytes := func(n int64) *statsapi.FsStats {
		used := uint64(max(0, n))
		return &statsapi.FsStats{Time: metav1.NewTime(now), UsedBytes: &used}
	}
	fs := bytes(s.size - s.free())
	size, free := uint64(max(0, s.size)), uint64(s.free()) //nolint:gosec // neither is negative
	fs.CapacityBytes, fs.AvailableBytes = &size, &free
	out := &statsapi.Summary{Node: statsapi.NodeStats{NodeName: e.m.name, Memory: e.memoryStats(now), Fs: fs, Runtime: &statsapi.RuntimeStats{ImageFs: fs, ContainerFs: fs}}}
	for _, p := range e.k.podsOn(e.m) {
		u := p.diskUse(now)
		pod := statsapi.PodStats{
			PodRef:           statsapi.PodReference{Name: p.name, Namespace: p.namespace, UID: string(p.uid)},
			EphemeralStorage: bytes(u.total),
		}
		memory := e.k.memoryUse(p)
		pod.Memory = memoryStats(now, e.k.memoryOfPod(p), 0)
		for _, c := range p.containers {
			pod.Containers = append(pod.Containers, statsapi.ContainerStats{Name: c.spec.Name, Memory: memoryStats(now, memory[c.spec.Name], 0), Rootfs: bytes(u.layers[c.spec.Name]), Logs: bytes(0)})
		}
		for _, v := range p.spec.Volumes {
			if v.EmptyDir != nil {
				pod.VolumeStats = append(pod.VolumeStats, statsapi.VolumeStats{Name: v.Name, FsStats: *bytes(u.volumes[v.Name])})
			}
		}
		out.Pods = append(out.Pods, pod)
	}
	return out, nil
}

// GetCPUAndMemoryStats implements stats.SummaryProvider; nobody asks.
func (e *evictions) GetCPUAndMemoryStats(ctx context.Context) (*statsapi.Summary, error) {
	return e.Get(ctx, false)
}

// HasDedicatedImageFs implements eviction.DiskInfoProvider.
func (e *evictions) HasDedicatedImageFs(context.Context) (bool, error) { return false, nil }

// HasDedicatedContainerFs implements eviction.DiskInfoProvider.
func (e *evictions) HasDedicatedContainerFs(context.Context) (bool, error) { return false, nil }

// DeleteAllUnusedContainers implements eviction.ContainerGC.
func (e *evictions) DeleteAllUnusedContainers(context.Context) error {
	for _, p := range e.k.pods {
		if p.m == e.m && p.stage >= ended {
			p.swept = true
		}
	}
	return nil
}

// DeleteUnusedImages implements eviction.ImageGC.
func (e *evictions) DeleteUnusedImages(context.Context) error {
	used := map[string]bool{}
	for _, p := range e.k.podsOn(e.m) {
		for _, image := range p.images() {
			used[image] = true
		}
	}
	now := e.k.o.Clock.Now()
	for image, at := range e.m.images {
		if !used[image] && !at.After(now) {
			delete(e.m.images, image)
		}
	}
	return nil
}

// kill implements eviction.KillPodFunc.
func (e *evictions) kill(obj *corev1.Pod, _ bool, _ *int64, set func(*corev1.PodStatus)) error {
	p := e.k.pods[obj.UID]
	if p == nil {
		return fmt.Errorf("pod %s/%s is not on node %s", obj.Namespace, obj.Name, e.m.name)
	}
	var status corev1.PodStatus
	set(&status)
	if strings.HasPrefix(status.Message, lowOnMemory) {
		e.k.memoryFact(p)
	} else {
		e.k.diskFact(p, false)
	}
	p.reason, p.message = status.Reason, status.Message
	for i := range status.Conditions {
		p.disruption = &status.Conditions[i]
		p.disruption.LastTransitionTime = metav1.NewTime(e.k.o.Clock.Now())
	}
	e.k.sayStopping(e.looking, p)
	e.k.kill(p)
	p.swept = true // of an evicted pod no container is kept
	e.k.finish(e.looking, p, status.Phase)
	return nil
}

// Event implements record.EventRecorder.
func (e *evictions) Event(object runtime.Object, kind, reason, message string) {
	switch o := object.(type) {
	case *corev1.Pod:
		if p := e.k.pods[o.UID]; p != nil {
			e.k.event(e.looking, p.about(), e.m.name, kind, reason, message)
		}
	case *corev1.ObjectReference:
		e.k.event(e.looking, *o, e.m.name, kind, reason, message)
	}
}

// Eventf implements record.EventRecorder.
func (e *evictions) Eventf(object runtime.Object, kind, reason, format string, args ...any) {
	e.Event(object, kind, reason, fmt.Sprintf(format, args...))
}

// AnnotatedEventf implements record.EventRecorder.
func (e *evictions) AnnotatedEventf(object runtime.Object, _ map[string]string, kind, reason, format string, args ...any) {
	e.Event(object, kind, reason, fmt.Sprintf(format, args...))
}

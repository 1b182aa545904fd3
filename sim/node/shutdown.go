package node

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"time"
	"unsafe"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
	kubeletconfig "k8s.io/kubernetes/pkg/kubelet/apis/config"
	kubeletcm "k8s.io/kubernetes/pkg/kubelet/cm"
	kubeletevents "k8s.io/kubernetes/pkg/kubelet/events"
	"k8s.io/kubernetes/pkg/kubelet/lifecycle"
	"k8s.io/kubernetes/pkg/kubelet/nodeshutdown"
	"k8s.io/kubernetes/pkg/kubelet/nodestatus"
	"k8s.io/kubernetes/pkg/kubelet/volumemanager"
	utilclock "k8s.io/utils/clock"

	"simctl.dev/simctl/sim/clock"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/internal/unexported"
	"simctl.dev/simctl/sim/internal/work"
	"simctl.dev/simctl/sim/scenario"
)

// killPods asks for the end of pods, with the grace and the words of upstream's shutdown
// manager.
//
//go:linkname killPods k8s.io/kubernetes/pkg/kubelet/nodeshutdown.(*podManager).killPods
func killPods(manager unsafe.Pointer, ctx context.Context, pods []*corev1.Pod) error //nolint:revive // the receiver comes first

// groupByPriority parts pods into those that are ended together, one group after the other.
//
//go:linkname groupByPriority k8s.io/kubernetes/pkg/kubelet/nodeshutdown.groupByPriority
func groupByPriority(periods []kubeletconfig.ShutdownGracePeriodByPodPriority, pods []*corev1.Pod) []shutdownGroup

// shutdownGroup is upstream's podShutdownGroup.
type shutdownGroup struct {
	kubeletconfig.ShutdownGracePeriodByPodPriority
	Pods []*corev1.Pod
}

// shutdown is a machine that was told to go off, with upstream's shutdown manager of its
// kubelet. Upstream decides who is ended when, in how much time and with which words; what
// it waits for is waited for on the clock.
type shutdown struct {
	k *Kubelets
	m *machine
	// manager is nil of a kubelet without a shutdownGracePeriod, which hears of nothing;
	// pods is its podManager.
	manager nodeshutdown.Manager
	pods    unsafe.Pointer
	// groups are those whose turn has not come, turn the pods whose turn it is.
	groups []shutdownGroup
	turn   []*pod
	asked  []askedEnd
	mu     sync.Mutex
	// over is when the turn is over at the latest, last when the machine is off.
	over, last *clock.Event
	// off is done when the machine is off.
	off func()
}

// askedEnd is the end of a pod as the shutdown manager asks for it.
type askedEnd struct {
	obj   *corev1.Pod
	grace int64
	set   func(*corev1.PodStatus)
}

// shutdownPeriods reads for how long a kubelet delays its machine's shutdown.
func shutdownPeriods(s scenario.Kubelet) (all, critical time.Duration, err error) {
	for _, p := range []struct {
		name, text string
		into       *time.Duration
	}{{"shutdownGracePeriod", s.ShutdownGracePeriod, &all}, {"shutdownGracePeriodCriticalPods", s.ShutdownGracePeriodCriticalPods, &critical}} {
		if p.text == "" {
			continue
		}
		if *p.into, err = time.ParseDuration(p.text); err != nil {
			return 0, 0, fmt.Errorf("kubelet: %s: %w", p.name, err)
		}
	}
	return all, critical, nil
}

// ShutDown tells a machine that it goes off, after a notice at the latest; without one its
// kubelet says when. off is done when it is off. It reports whether that is news.
func (k *Kubelets) ShutDown(ctx context.Context, node string, notice time.Duration, off func()) (bool, error) {
	m := k.machine(node)
	if m.silent != nil || m.shutdown != nil {
		return false, nil
	}
	s := &shutdown{k: k, m: m, off: off}
	if err := s.make(); err != nil {
		return false, err
	}
	m.shutdown = s
	k.nodeFact(node, history.FactNodeShutdown, history.NodeShutdown{
		Node: node, NoticeSeconds: notice.Seconds(), GraceSeconds: k.shutdownAll.Seconds(),
	})
	if notice > 0 {
		s.last = k.o.Clock.Schedule(notice, clock.Work, "kubelet/"+node+"/off", func() {
			s.last = nil
			s.end()
		})
	}
	switch {
	case s.manager != nil:
		k.event(ctx, corev1.ObjectReference{APIVersion: "v1", Kind: "Node", Name: node, UID: types.UID(node)},
			node, corev1.EventTypeNormal, kubeletevents.NodeShutdown, "Shutdown manager detected shutdown event")
		s.report(ctx)
		var pods []*corev1.Pod
		for _, p := range k.podsOn(m) {
			pods = append(pods, p.obj)
		}
		s.groups = groupByPriority(s.periods(), pods)
		s.next(ctx)
	case notice == 0:
		s.end()
	}
	return true, nil
}

// make makes upstream's shutdown manager; a kubelet that delays nothing has none.
func (s *shutdown) make() error {
	if s.k.shutdownAll == 0 {
		return nil
	}
	manager := nodeshutdown.NewManager(&nodeshutdown.Config{
		Logger: logr.Discard(), VolumeManager: noVolumes{}, NodeRef: &corev1.ObjectReference{Kind: "Node", Name: s.m.name},
		KillPodFunc: s.ask, ShutdownGracePeriodRequested: s.k.shutdownAll, ShutdownGracePeriodCriticalPods: s.k.shutdownCritical,
		Clock: noTimers{},
	})
	now, err := unexported.Field[bool](manager, "nodeShuttingDownNow")
	if err != nil {
		return fmt.Errorf("making the shutdown manager of node %s: %w", s.m.name, err)
	}
	*now = true
	pods := reflect.ValueOf(manager).Elem().FieldByName("podManager")
	if pods.Kind() != reflect.Pointer {
		return fmt.Errorf("making the shutdown manager of node %s: its podManager is a %s and no pointer", s.m.name, pods.Kind())
	}
	s.manager, s.pods = manager, pods.UnsafePointer()
	return nil
}

// periods are for how long pods of which priority are waited for.
func (s *shutdown) periods() []kubeletconfig.ShutdownGracePeriodByPodPriority {
	var out []kubeletconfig.ShutdownGracePeriodByPodPriority
	list := reflect.ValueOf(s.manager).Elem().FieldByName("podManager").Elem().FieldByName("shutdownGracePeriodByPodPriority")
	for i := range list.Len() {
		p := list.Index(i)
		out = append(out, kubeletconfig.ShutdownGracePeriodByPodPriority{
			Priority: int32(p.FieldByName("Priority").Int()), ShutdownGracePeriodSeconds: p.FieldByName("ShutdownGracePeriodSeconds").Int(), //nolint:gosec // an int32
		})
	}
	return out
}

// ask implements eviction.KillPodFunc: it notes what is asked for.
func (s *shutdown) ask(obj *corev1.Pod, _ bool, grace *int64, set func(*corev1.PodStatus)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, askedEnd{obj, *grace, set})
	return nil
}

// next has the pods of the next group ended. The last group's time is the machine's own
// critical pods', which nobody simulates: a driver, the network.
func (s *shutdown) next(ctx context.Context) {
	cancelEvent(&s.over)
	if len(s.groups) == 0 {
		s.end()
		return
	}
	g := s.groups[0]
	s.groups = s.groups[1:]
	if len(g.Pods) == 0 && len(s.groups) > 0 {
		s.next(ctx)
		return
	}
	s.asked, s.turn = nil, nil
	if err := killPods(s.pods, ctx, g.Pods); err != nil {
		return // The cell has ended.
	}
	s.over = s.k.o.Clock.Schedule(time.Duration(g.ShutdownGracePeriodSeconds)*time.Second, clock.Work, "kubelet/"+s.m.name+"/shutdown", func() {
		s.over = nil
		if ctx.Err() == nil {
			s.next(ctx)
		}
	})
	asked := map[*pod]askedEnd{}
	for _, a := range s.asked {
		if p := s.k.pods[a.obj.UID]; p != nil {
			s.turn, asked[p] = append(s.turn, p), a
		}
	}
	slices.SortFunc(s.turn, byIdentity) // Upstream asks for all of them side by side.
	for _, p := range s.turn {
		s.k.endForShutdown(ctx, p, asked[p])
	}
}

// endForShutdown ends a pod whose machine goes off.
func (k *Kubelets) endForShutdown(ctx context.Context, p *pod, a askedEnd) {
	if p.stage >= ending || p.stopping || p.synced != nil {
		return // What has begun goes on.
	}
	status := corev1.PodStatus{Phase: p.phase}
	a.set(&status)
	p.grace = &a.grace
	for i := range status.Conditions {
		p.disruption = &status.Conditions[i]
		p.disruption.LastTransitionTime = metav1.NewTime(k.o.Clock.Now())
	}
	if p.stage > admitted {
		k.writeStatus(ctx, p)
	}
	k.end(ctx, p, func() {
		phase := p.terminated()
		if phase != corev1.PodSucceeded {
			phase, p.reason, p.message = status.Phase, status.Reason, status.Message
		}
		k.finish(ctx, p, phase)
	})
}

// released has the shutdown of a pod's machine go on once all pods of the group are gone
// and their volumes unmounted.
func (s *shutdown) released(ctx context.Context) {
	if s.over == nil || len(s.groups) == 0 || slices.ContainsFunc(s.turn, func(p *pod) bool { return p.stage < released }) {
		return
	}
	s.next(ctx)
}

// end has the machine be off.
func (s *shutdown) end() {
	s.cancel()
	s.off()
}

// callOff ends a shutdown before the machine is off. Pods that are being ended are.
func (s *shutdown) callOff(ctx context.Context) {
	s.cancel()
	s.m.shutdown = nil
	s.k.nodeFact(s.m.name, history.FactNodeBack, history.NodeSilent{Node: s.m.name, What: history.SilentMachine})
	if s.manager == nil {
		return
	}
	s.k.event(ctx, corev1.ObjectReference{APIVersion: "v1", Kind: "Node", Name: s.m.name, UID: types.UID(s.m.name)},
		s.m.name, corev1.EventTypeNormal, kubeletevents.NodeShutdown, "Shutdown manager detected shutdown cancellation")
	s.k.reportReady(ctx, s.m, false)
}

// cancel takes what a shutdown waits for off the clock.
func (s *shutdown) cancel() {
	cancelEvent(&s.over)
	cancelEvent(&s.last)
}

// report has the kubelet report at once that its node is not ready, in upstream's words.
func (s *shutdown) report(ctx context.Context) {
	node, err := s.k.nodeLister.Get(s.m.name)
	if err != nil {
		return // There is no such machine any more.
	}
	node = node.DeepCopy()
	now := s.k.o.Clock.Now()
	well := func() error { return nil }
	set := nodestatus.ReadyCondition(func() time.Time { return now }, well, well, well, func() kubeletcm.Status { return kubeletcm.Status{} }, s.manager.ShutdownStatus,
		func(_ klog.Logger, _, says string) { s.k.nodeStatusIs(ctx, s.m.name, says, now) }, false)
	if err := set(klog.NewContext(ctx, logr.Discard()), node); err != nil {
		s.k.o.Logger.Error(err, "Making the status of a node", "node", s.m.name)
		return
	}
	i := slices.IndexFunc(node.Status.Conditions, func(c corev1.NodeCondition) bool { return c.Type == corev1.NodeReady })
	patch := mustJSON(map[string]any{"status": map[string]any{"conditions": node.Status.Conditions[i : i+1]}})
	work.Retry(ctx, s.k.o.Clock, s.k.o.Logger, "kubelet/"+s.m.name+"/ready", func() error {
		if s.m.shutdown != s || s.m.silent != nil {
			return nil
		}
		if _, err := s.k.o.Client.CoreV1().Nodes().Patch(ctx, s.m.name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status"); err != nil {
			return fmt.Errorf("reporting the status of node %s: %w", s.m.name, err)
		}
		return nil
	})
}

// refuses is the shutdown manager's own check of a pod that comes.
func (s *shutdown) refuses(ctx context.Context, p *pod) (reason, message string) {
	if s == nil || s.manager == nil {
		return "", ""
	}
	r := s.manager.Admit(ctx, &lifecycle.PodAdmitAttributes{Pod: p.obj})
	return r.Reason, r.Message
}

// noVolumes has upstream's shutdown manager not wait for volumes to be unmounted.
type noVolumes struct{ volumemanager.VolumeManager }

// WaitForAllPodsUnmount implements volumemanager.VolumeManager.
func (noVolumes) WaitForAllPodsUnmount(context.Context, []*corev1.Pod) error { return nil }

// noTimers has it wait for no time to pass.
type noTimers struct{ utilclock.RealClock }

// NewTimer implements clock.Clock.
func (noTimers) NewTimer(time.Duration) utilclock.Timer { return noTimer{} }

type noTimer struct{}

func (noTimer) C() <-chan time.Time      { return nil }
func (noTimer) Stop() bool               { return true }
func (noTimer) Reset(time.Duration) bool { return true }

package node

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	kubeletevents "k8s.io/kubernetes/pkg/kubelet/events"

	"simctl.dev/simctl/sim/clock"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/internal/work"
)

// silence is why nothing is heard of a node while its Node is there.
type silence struct {
	history.NodeSilent
	since time.Time
	// held is what a kubelet that is not there would have done about its pods, in the order
	// in which it would have come.
	held []held
}

type held struct {
	pod *pod
	do  func()
}

// exitRebooted is what the container runtime says of containers that a machine has taken with
// it when it comes back (unknownExitCode in internal/cri/store/container of containerd).
const exitRebooted = 255

// leasePeriod is how often a kubelet renews its lease: a quarter of its
// NodeLeaseDurationSeconds (pkg/kubelet/kubelet.go, nodeLeaseRenewIntervalFraction).
const leasePeriod = 10 * time.Second

// Renewed returns when a node's kubelet has renewed its lease last, as seen at a moment.
func (k *Kubelets) Renewed(node string, now time.Time) time.Time {
	m := k.machines[node]
	back := time.Time{}
	if m != nil {
		back = m.back
		if m.silent != nil && m.silent.since.Before(now) {
			now = m.silent.since
		}
	}
	phase := time.Duration(clock.Rand(k.o.Seed, "node lease", node).Int64N(int64(leasePeriod/time.Millisecond))) * time.Millisecond
	since := (now.Sub(k.o.Clock.Start()) - phase) % leasePeriod
	if since < 0 {
		since += leasePeriod
	}
	last := now.Add(-since)
	if last.Before(back) && !now.Before(back) {
		return back // It does so first of all when it starts.
	}
	return last
}

// FallSilent has nothing be heard of a node any more, as its kubelet has died, its network
// is cut or the whole machine is dead. It reports whether that is news.
func (k *Kubelets) FallSilent(s history.NodeSilent) bool {
	m := k.machine(s.Node)
	if m.silent != nil {
		return false
	}
	m.silent = &silence{NodeSilent: s, since: k.o.Clock.Now()}
	k.nodeFact(s.Node, history.FactNodeSilent, s)
	for _, e := range []**clock.Event{&m.disk.check, &m.disk.report, &m.memory.report, &m.status} {
		cancelEvent(e)
	}
	m.generation++
	if m.shutdown != nil {
		m.shutdown.cancel() // Whatever it waited for, that is over.
	}
	if s.What == history.SilentMachine {
		for _, p := range k.podsOf(m) {
			p.cancelAll()
		}
	}
	return true
}

// Silent says whether nothing is heard of a node.
func (k *Kubelets) Silent(node string) bool {
	m := k.machines[node]
	return m != nil && m.silent != nil
}

// SpeakAgain ends a node's silence: its kubelet is started, its network mended or its machine
// booted; one that was to go off stays on. The kubelet looks at its pods as the API server has them now, and reports.
func (k *Kubelets) SpeakAgain(ctx context.Context, node string) {
	m := k.machines[node]
	if m == nil || m.silent == nil && m.shutdown == nil {
		return
	}
	if m.silent == nil {
		m.shutdown.callOff(ctx)
		return
	}
	s := m.silent
	m.silent, m.shutdown, m.back = nil, nil, k.o.Clock.Now()
	k.nodeFact(node, history.FactNodeBack, s.NodeSilent)
	k.reportReady(ctx, m, s.What != history.SilentNetwork)
	pods := k.podsOf(m)
	k.refresh(m)
	for _, p := range pods {
		if p.obj != nil {
			p.takeReported()
		}
	}
	if s.What == history.SilentMachine {
		// Its disk has what was there; what was on its way is not.
		maps.DeleteFunc(m.images, func(_ string, at time.Time) bool { return at.After(s.since) })
		m.puller = newPuller(k.pulling)
		clear(m.volumes)
		m.memory.others = 0 // Whatever took it is gone.
		for _, p := range pods {
			k.rebooted(ctx, p, s.since)
		}
	} else {
		for _, p := range pods {
			k.resume(ctx, p, s)
		}
	}
	for _, p := range k.podsOf(m) {
		if !slices.Contains(pods, p) {
			k.syncPod(ctx, p)
		}
	}
	k.planNodeStatus(ctx, m)
	k.planDisk(ctx, m)
}

// SpeakAgainAll ends the silence of all nodes, and keeps those on that are about to go off.
func (k *Kubelets) SpeakAgainAll(ctx context.Context) {
	for _, node := range slices.Sorted(maps.Keys(k.machines)) {
		k.SpeakAgain(ctx, node)
	}
}

// podsOf lists all pods that a machine knows, in an order that names alone decide.
func (k *Kubelets) podsOf(m *machine) []*pod {
	var out []*pod
	for _, p := range k.pods {
		if p.m == m {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, byIdentity)
	return out
}

// refresh has a kubelet see its pods as they are now.
func (k *Kubelets) refresh(m *machine) {
	all, err := k.podLister.List(labels.Everything())
	if err != nil {
		return // It reads from memory.
	}
	slices.SortFunc(all, func(a, b *corev1.Pod) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	there := map[types.UID]*corev1.Pod{}
	for _, obj := range all {
		if obj.Spec.NodeName == m.name {
			there[obj.UID] = obj
		}
	}
	for _, p := range k.podsOf(m) {
		p.obj = there[p.uid]
	}
	for _, obj := range all {
		over := obj.Status.Phase == corev1.PodSucceeded || obj.Status.Phase == corev1.PodFailed
		if there[obj.UID] != nil && k.pods[obj.UID] == nil && !over {
			k.pods[obj.UID] = k.newPod(obj)
		}
	}
}

// takeReported has a kubelet's next report go by what the API server has: others have
// written conditions that are the kubelet's meanwhile.
func (p *pod) takeReported() {
	conditions := slices.Clone(p.reported.Conditions)
	for i, c := range conditions {
		if now := conditionOf(&p.obj.Status, c.Type); now != nil {
			conditions[i] = *now
		}
	}
	p.reported.Conditions = conditions
}

// resume has a kubelet go on with a pod whose containers have gone on without it.
func (k *Kubelets) resume(ctx context.Context, p *pod, s *silence) {
	if p.stage == ending && p.next == nil {
		// It finds that all containers have ended, and ends the sandbox.
		k.writeStatus(ctx, p)
		k.after(ctx, p, k.takes(p, k.o.Kubelet.PodEnd, podEndTime, "end"), "end", func() { k.finish(ctx, p, p.computed()) })
		k.syncPod(ctx, p)
		return
	}
	if p.obj == nil || p.obj.DeletionTimestamp != nil {
		// What it was about to do is no longer to be done, but for what had begun to end.
		if p.stage >= ending || p.stopping {
			k.doHeld(p, s)
		} else {
			p.terminating, p.syncing, p.synced = false, false, nil
		}
		if p.obj != nil && p.stage > admitted && p.stage < released {
			k.writeStatus(ctx, p)
		}
		if p.obj != nil && p.terminating && p.stage == released {
			k.deletePod(ctx, p)
		}
		k.syncPod(ctx, p)
		return
	}
	k.doHeld(p, s)
	if p.stage > admitted {
		k.writeStatus(ctx, p)
	}
	k.syncPod(ctx, p)
}

func (k *Kubelets) doHeld(p *pod, s *silence) {
	for _, h := range s.held {
		if h.pod == p {
			h.do()
		}
	}
}

// rebooted is a pod on a machine that has been dead: its containers are no more. Those of
// a pod that is not restarted have failed, another pod begins anew.
func (k *Kubelets) rebooted(ctx context.Context, p *pod, died time.Time) {
	p.stopping, p.syncing, p.synced = false, false, nil
	for _, v := range p.volumes {
		v.mounted = false
	}
	ran := slices.ContainsFunc(p.all(), func(c *container) bool { return !c.started.IsZero() })
	switch {
	case p.obj == nil:
		delete(k.pods, p.uid)
	case p.stage >= ended:
		p.stage, p.terminating = released, p.obj.DeletionTimestamp != nil
		k.writeStatus(ctx, p)
		if p.terminating {
			k.deletePod(ctx, p)
		}
	case !ran && p.obj.DeletionTimestamp == nil, ran && p.obj.DeletionTimestamp == nil && p.spec.RestartPolicy == corev1.RestartPolicyAlways:
		fresh := k.newPod(p.obj)
		fresh.reported, fresh.reports = p.reported, p.reports
		fresh.rebooted = p.rebooted
		if ran {
			fresh.rebooted++
			fresh.phase = p.phase // A pod that has run does not become Pending again.
		}
		k.pods[p.uid] = fresh
		k.syncPod(ctx, fresh)
	default:
		for _, c := range p.all() {
			if c.runs() {
				c.end(died, exitRebooted, history.ContainerUnknown, "")
				if c.step != "" {
					k.containerFact(p, c)
				}
			}
		}
		p.sandbox = sandboxEnded
		p.terminating = p.obj.DeletionTimestamp != nil
		k.finish(ctx, p, corev1.PodFailed)
	}
}

// isSilent says whether a machine's kubelet can reach nobody, or is not there.
func (m *machine) isSilent() bool { return m.silent != nil }

// does has a kubelet do something about a pod: at once, or when it is there again.
func (k *Kubelets) does(p *pod, do func()) {
	if s := p.m.silent; s != nil && s.What == history.SilentKubelet {
		s.held = append(s.held, held{p, do})
		return
	}
	do()
}

// nodeReady are the conditions that a kubelet reports of a node that is well, in its order
// (pkg/kubelet/nodestatus/setters.go), with what it says of each.
var nodeReady = []struct {
	kind            corev1.NodeConditionType
	status          corev1.ConditionStatus
	reason, message string
	says            string
}{
	{corev1.NodeMemoryPressure, corev1.ConditionFalse, "KubeletHasSufficientMemory", "kubelet has sufficient memory available", "NodeHasSufficientMemory"},
	{corev1.NodeDiskPressure, corev1.ConditionFalse, "KubeletHasNoDiskPressure", "kubelet has no disk pressure", "NodeHasNoDiskPressure"},
	{corev1.NodePIDPressure, corev1.ConditionFalse, "KubeletHasSufficientPID", "kubelet has sufficient PID available", "NodeHasSufficientPID"},
	{corev1.NodeReady, corev1.ConditionTrue, "KubeletReady", "kubelet is posting ready status", kubeletevents.NodeReady},
}

// reportReady has a kubelet report its node's status when it is back, and has perhaps been
// started.
func (k *Kubelets) reportReady(ctx context.Context, m *machine, started bool) {
	node, err := k.nodeLister.Get(m.name)
	if err != nil {
		return // There is no such machine any more.
	}
	now := metav1.NewTime(k.o.Clock.Now())
	if started {
		k.events.Say(ctx, source(m.name), corev1.ObjectReference{APIVersion: "v1", Kind: "Node", Name: m.name, UID: types.UID(m.name)},
			corev1.EventTypeNormal, kubeletevents.StartingKubelet, "Starting kubelet.")
	}
	var conditions []corev1.NodeCondition
	var says []string
	for _, r := range nodeReady {
		c := corev1.NodeCondition{Type: r.kind, Status: r.status, Reason: r.reason, Message: r.message, LastHeartbeatTime: now, LastTransitionTime: now}
		changed := true
		for _, old := range node.Status.Conditions {
			if old.Type != r.kind {
				continue
			}
			if changed = old.Status != r.status; !changed {
				c.LastTransitionTime = old.LastTransitionTime
			}
		}
		if r.kind == corev1.NodeDiskPressure && m.disk.pressure {
			continue // reported with the disk
		}
		if r.kind == corev1.NodeMemoryPressure && m.memory.pressure {
			continue // likewise
		}
		conditions = append(conditions, c)
		if changed {
			says = append(says, r.says)
		}
	}
	patch := mustJSON(map[string]any{"status": map[string]any{"conditions": conditions}})
	work.Retry(ctx, k.o.Clock, k.o.Logger, "kubelet/"+m.name+"/ready", func() error {
		if m.silent != nil {
			return nil
		}
		if _, err := k.o.Client.CoreV1().Nodes().Patch(ctx, m.name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status"); err != nil {
			return fmt.Errorf("reporting the status of node %s: %w", m.name, err)
		}
		return nil
	})
	for _, s := range says {
		k.nodeStatusIs(ctx, m.name, s, now.Time)
	}
}

func (k *Kubelets) nodeFact(node, fact string, data any) {
	k.o.Recorder.Record(history.NewFact("kubelet/"+node, history.Ref{APIVersion: "v1", Kind: "Node", Name: node}, fact, data))
}

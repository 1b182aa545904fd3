package node

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	resourcehelper "k8s.io/component-helpers/resource"
	corehelper "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/kubelet/lifecycle"

	"simctl.dev/simctl/sim/clock"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/internal/work"
)

// killTime is how long the processes of a pod that is deleted take to end.
const killTime = time.Second

// stage is how far a pod has come on its node.
type stage int

const (
	admitted stage = iota
	waitingForVolumes
	mounting
	pulling
	// misconfigured: a container cannot be made (CreateContainerConfigError).
	misconfigured
	running
	// ended: every container has ended; volumes are still mounted.
	ended
	// released: nothing of the pod is left on the node.
	released
)

// pod is a pod on its node.
type pod struct {
	identity
	// obj is the pod as last seen, nil once it is gone from the API; spec and
	// meta are from the first look, for what cannot change.
	obj             *corev1.Pod
	spec            *corev1.PodSpec
	namespace, name string
	labels          map[string]string
	uid             types.UID
	generation      int64
	m               *machine
	stage           stage

	// next is the one event the pod waits for, deadline its
	// activeDeadlineSeconds.
	next, deadline *clock.Event
	// attachedAt is when its volumes were attached, tries are those that could not
	// be mounted.
	attachedAt time.Time
	tries      map[string]*mountTry
	// terminating: the pod is being deleted.
	terminating bool

	start            time.Time
	volumes          []*mount
	pulls            []pull
	init, containers []*container
	steps            []*container
	ip               string
	// scratch is what the pod writes to its node's disk; swept says that nothing of
	// it is left.
	scratch         scratch
	swept           bool
	phase           corev1.PodPhase
	reason, message string
	conditions      map[corev1.PodConditionType]corev1.PodCondition
	// disruption is the condition that says why the pod was evicted.
	disruption *corev1.PodCondition
	// reports counts the statuses written, so that a report that failed and is
	// tried again never overwrites a later one.
	reports                                  int
	declared                                 *declared
	attachSeconds, mountSeconds, ownSeconds  float64
	readyToStart, initialized, containersRun bool
}

func (k *Kubelets) newPod(obj *corev1.Pod) *pod {
	p := &pod{
		identity: k.ids.of(obj), obj: obj, spec: &obj.Spec,
		namespace: obj.Namespace, name: obj.Name, labels: obj.Labels, uid: obj.UID, generation: obj.Generation,
		m: k.machine(obj.Spec.NodeName), phase: corev1.PodPending,
		conditions: map[corev1.PodConditionType]corev1.PodCondition{}, tries: map[string]*mountTry{},
	}
	for i := range obj.Spec.InitContainers {
		p.init = append(p.init, newContainer(&obj.Spec.InitContainers[i]))
	}
	for i := range obj.Spec.Containers {
		c := newContainer(&obj.Spec.Containers[i])
		p.containers = append(p.containers, c)
		if c.step != "" && obj.Labels[labelTaskRun] != "" {
			p.steps = append(p.steps, c)
		}
	}
	return p
}

// eventKey is the key of one of the pod's events on the clock. The pod's name
// stands last: it only parts pods that nothing else parts.
func (p *pod) eventKey(what string) string { return "kubelet/" + p.key + "/" + what + "/" + p.name }

// after schedules the one thing the pod does next.
func (k *Kubelets) after(ctx context.Context, p *pod, d time.Duration, what string, f func()) {
	p.next = k.o.Clock.Schedule(d, clock.Work, p.eventKey(what), func() {
		p.next = nil
		if ctx.Err() == nil {
			f()
		}
	})
}

func (p *pod) cancelNext() {
	if p.next != nil {
		p.next.Cancel()
		p.next = nil
	}
}

// syncPod does what the change of a pod, or of something it waits for, asks for.
func (k *Kubelets) syncPod(ctx context.Context, p *pod) {
	if p.obj == nil {
		k.forget(ctx, p)
		return
	}
	if p.obj.DeletionTimestamp != nil {
		k.terminate(ctx, p)
		return
	}
	switch p.stage {
	case admitted:
		k.admit(ctx, p)
	case waitingForVolumes:
		k.tryVolumes(ctx, p)
	case misconfigured:
		k.startContainers(ctx, p)
	case running:
		k.podUpdated(ctx, p)
	}
}

// admit is the kubelet's own check of a pod the scheduler sent
// (pkg/kubelet/lifecycle/predicate.go), then its first status.
func (k *Kubelets) admit(ctx context.Context, p *pod) {
	node, err := k.nodeLister.Get(p.m.name)
	if err != nil {
		return // There is no such machine, and so no kubelet.
	}
	p.start = k.o.Clock.Now()
	if reason, message := k.refusal(ctx, p, node); reason != "" {
		k.fact(p, history.FactPodRefused, history.Refusal{Node: p.m.name, Reason: reason, Message: message})
		k.warn(ctx, p, reason, message)
		p.phase, p.reason, p.message, p.stage = corev1.PodFailed, reason, "Pod was rejected: "+message, released
		k.writeStatus(ctx, p)
		return
	}
	k.fact(p, history.FactPodAdmitted, history.Volume{Node: p.m.name})
	if s := p.spec.ActiveDeadlineSeconds; s != nil {
		p.deadline = k.o.Clock.Schedule(time.Duration(*s)*time.Second, clock.Timeout, p.eventKey("active-deadline"), func() {
			p.deadline = nil
			if ctx.Err() == nil {
				k.deadlineExceeded(ctx, p)
			}
		})
	}
	p.stage = waitingForVolumes
	p.volumes = k.claimsOf(p)
	k.tryVolumes(ctx, p)
	if p.stage == waitingForVolumes || p.stage == mounting || p.stage == pulling {
		k.writeStatus(ctx, p)
	}
}

// refusal gives the reason and message for which a kubelet refuses a pod.
func (k *Kubelets) refusal(ctx context.Context, p *pod, node *corev1.Node) (reason, message string) {
	if d := p.m.disk.manager; d != nil {
		if r := d.handler.Admit(klog.NewContext(ctx, k.o.Logger), &lifecycle.PodAdmitAttributes{Pod: p.obj}); !r.Admit {
			return r.Reason, r.Message
		}
	}
	// A kubelet looks at extended resources only if its node has them.
	requests := resourcehelper.PodRequests(p.obj, resourcehelper.PodResourcesOptions{})
	requests[corev1.ResourcePods] = *one
	used := corev1.ResourceList{}
	for _, other := range k.pods {
		if other == p || other.m != p.m || other.obj == nil || other.stage >= ended || other.stage == admitted {
			continue
		}
		for name, q := range resourcehelper.PodRequests(other.obj, resourcehelper.PodResourcesOptions{}) {
			sum := used[name]
			sum.Add(q)
			used[name] = sum
		}
		sum := used[corev1.ResourcePods]
		sum.Add(*one)
		used[corev1.ResourcePods] = sum
	}
	for _, name := range []corev1.ResourceName{corev1.ResourcePods, corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage} {
		want := requests[name]
		if want.IsZero() {
			continue
		}
		have, in := node.Status.Allocatable[name], used[name]
		sum := in.DeepCopy()
		sum.Add(want)
		if sum.Cmp(have) > 0 {
			// The sentence of InsufficientResourceError.
			quantity := func(q interface {
				Value() int64
				MilliValue() int64
			}) int64 {
				if name == corev1.ResourceCPU {
					return q.MilliValue()
				}
				return q.Value()
			}
			return "OutOf" + string(name), fmt.Sprintf("Node didn't have enough resource: %s, requested: %d, used: %d, capacity: %d",
				name, quantity(&want), quantity(&in), quantity(&have))
		}
	}
	if ok, err := nodeaffinity.GetRequiredNodeAffinity(p.obj).Match(node); err == nil && !ok {
		return "NodeAffinity", "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"
	}
	if _, untolerated := corehelper.FindMatchingUntoleratedTaint(k.o.Logger, node.Spec.Taints, p.spec.Tolerations,
		func(t *corev1.Taint) bool { return t.Effect == corev1.TaintEffectNoExecute }, false); untolerated {
		return "TaintToleration", "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate"
	}
	return "", ""
}

// volumesReady has the images pulled once every volume is there.
func (k *Kubelets) volumesReady(ctx context.Context, p *pod) {
	k.fact(p, history.FactVolumesReady, history.VolumesReady{
		Node: p.m.name, AttachSeconds: p.attachSeconds, MountSeconds: p.mountSeconds, OwnershipSeconds: p.ownSeconds,
	})
	p.stage, p.readyToStart = pulling, true
	now := k.o.Clock.Now()
	ready, pulls := p.m.pullAll(k.registry, now, p.images())
	p.pulls = pulls
	for _, c := range slices.Concat(p.init, p.containers) {
		k.sayPulling(ctx, p, c, p.pullOf(c))
	}
	if !ready.After(now) {
		k.pulled(ctx, p)
		return
	}
	k.after(ctx, p, ready.Sub(now), "pulled", func() { k.pulled(ctx, p) })
}

// images lists the images of the pod's containers.
func (p *pod) images() []string {
	var images []string
	for _, c := range slices.Concat(p.init, p.containers) {
		images = append(images, c.image)
	}
	return images
}

func (k *Kubelets) pulled(ctx context.Context, p *pod) {
	for _, pl := range p.pulls {
		k.fact(p, history.FactImagePulled, history.ImagePull{
			Image: pl.image, Node: p.m.name, Bytes: pl.bytes, Cached: pl.cached, Seconds: pl.took.Seconds(),
		})
	}
	k.startContainers(ctx, p)
}

// startContainers runs the init containers, which take no time, and starts all
// others together.
func (k *Kubelets) startContainers(ctx context.Context, p *pod) {
	now := k.o.Clock.Now()
	for _, c := range slices.Concat(p.init, p.containers) {
		if message := k.configError(p, c); message != "" {
			// The kubelet tries again and again; it helps only if what is missing
			// is made, which wakes the pod.
			if p.stage == misconfigured && c.waitingMessage == message {
				return
			}
			p.stage = misconfigured
			c.waitingReason, c.waitingMessage = "CreateContainerConfigError", message
			k.sayOf(ctx, p, c, containerNotCreated, message)
			k.writeStatus(ctx, p)
			return
		}
		c.waitingReason, c.waitingMessage = "", ""
	}
	p.stage, p.phase, p.initialized, p.containersRun = running, corev1.PodRunning, true, true
	p.m.podIPs++
	p.ip = fmt.Sprintf("10.%d.%d.%d", 128+p.m.index/250, p.m.index%250, p.m.podIPs)
	for _, c := range p.init {
		k.sayPulled(ctx, p, c, p.pullOf(c))
		k.sayStarted(ctx, p, c)
		c.begin(now)
		if !c.native {
			c.end(now, 0, "Completed", "")
		}
	}
	for _, c := range p.containers {
		k.sayPulled(ctx, p, c, p.pullOf(c))
		k.sayStarted(ctx, p, c)
		c.begin(now)
	}
	k.fact(p, history.FactContainersBusy, history.Volume{Node: p.m.name})
	k.makeSubPaths(p)
	p.scratch = k.scratchOf(ctx, p)
	k.planDisk(ctx, p.m)
	// A first step that ends at once would overwrite this status in the same
	// moment: then only the later one is written.
	if !k.stepsGoOn(ctx, p) {
		k.writeStatus(ctx, p)
	}
}

// podUpdated does what an update asks of a running pod: start the first step
// when Tekton says that sidecars are ready, stop sidecars whose image became
// the nop image, cancel.
func (k *Kubelets) podUpdated(ctx context.Context, p *pod) {
	if len(p.steps) == 0 {
		return
	}
	if p.obj.Annotations[cancelAnnotation] == cancelValue && k.cancelSteps(ctx, p) {
		return
	}
	wrote := k.stepsGoOn(ctx, p)
	changed := false
	now := k.o.Clock.Now()
	for i, c := range p.containers {
		if c.step == "" && c.finished.IsZero() && i < len(p.obj.Spec.Containers) && p.obj.Spec.Containers[i].Image != c.image {
			// The kubelet restarts a container whose image changed, whatever the
			// restart policy; nop then ends at once.
			k.sayOf(ctx, p, c, containerRedefined, c.spec.Name)
			c.image = p.obj.Spec.Containers[i].Image
			k.sayPulled(ctx, p, c, p.pullOf(c))
			k.sayStarted(ctx, p, c)
			c.end(now, 0, "Completed", "")
			k.containerFact(p, c)
			changed = true
		}
	}
	if changed && !k.finishIfDone(ctx, p) && !wrote {
		k.writeStatus(ctx, p)
	}
}

// finishIfDone ends the pod once every container has ended.
func (k *Kubelets) finishIfDone(ctx context.Context, p *pod) bool {
	phase := corev1.PodSucceeded
	for _, c := range p.containers {
		if c.finished.IsZero() {
			return false
		}
		if c.exit != 0 {
			phase = corev1.PodFailed
		}
	}
	k.finish(ctx, p, phase)
	return true
}

// finish writes the final status and has the volumes unmounted.
func (k *Kubelets) finish(ctx context.Context, p *pod, phase corev1.PodPhase) {
	now := k.o.Clock.Now()
	for _, c := range p.init {
		if c.finished.IsZero() && !c.started.IsZero() {
			c.end(now, 0, "Completed", "")
		}
	}
	p.cancelNext()
	p.cancelDeadline()
	p.phase, p.stage = phase, ended
	k.writeStatus(ctx, p)
	k.release(ctx, p)
	k.planDisk(ctx, p.m)
}

func (p *pod) cancelDeadline() {
	if p.deadline != nil {
		p.deadline.Cancel()
		p.deadline = nil
	}
}

// deadlineExceeded is the end of a pod at its activeDeadlineSeconds
// (pkg/kubelet/active_deadline.go).
func (k *Kubelets) deadlineExceeded(ctx context.Context, p *pod) {
	if p.stage >= ended || p.terminating {
		return
	}
	p.reason, p.message = "DeadlineExceeded", "Pod was active on the node longer than the specified deadline"
	k.say(ctx, p, saying{corev1.EventTypeNormal, p.reason, p.message})
	k.sayStopping(ctx, p)
	k.kill(p)
	k.finish(ctx, p, corev1.PodFailed)
}

// kill ends every container that runs, by SIGTERM.
func (k *Kubelets) kill(p *pod) {
	now := k.o.Clock.Now()
	for _, c := range slices.Concat(p.init, p.containers) {
		if !c.started.IsZero() && c.finished.IsZero() {
			c.end(now, 143, "Error", "")
			if c.step != "" {
				k.containerFact(p, c)
			}
		}
	}
}

// terminate takes a pod that is being deleted down: processes, volumes, then
// the object.
func (k *Kubelets) terminate(ctx context.Context, p *pod) {
	if p.terminating {
		return
	}
	p.terminating = true
	p.cancelDeadline()
	switch p.stage {
	case ended:
		return // The volumes are being unmounted; release goes on from there.
	case released:
		k.deletePod(ctx, p)
		return
	case admitted:
		p.stage = released
		k.deletePod(ctx, p)
		return
	}
	p.cancelNext()
	wasRunning := p.stage == running
	p.stage = ended
	if !wasRunning {
		k.release(ctx, p)
		return
	}
	k.sayStopping(ctx, p)
	k.after(ctx, p, killTime, "killed", func() {
		k.kill(p)
		k.release(ctx, p)
	})
}

// release unmounts the pod's volumes and, if the pod is being deleted, deletes
// the object after that.
func (k *Kubelets) release(ctx context.Context, p *pod) {
	var took time.Duration
	for _, v := range p.volumes {
		if v.mounted {
			took = max(took, k.o.Storage.MountTime(v.pv, p.m.name, "unmount", p.key))
		}
	}
	done := func() {
		p.stage = released
		k.dropVolumes(ctx, p)
		if p.terminating {
			k.deletePod(ctx, p)
		}
	}
	if took == 0 {
		done()
		return
	}
	k.after(ctx, p, took, "unmounted", done)
}

func (k *Kubelets) deletePod(ctx context.Context, p *pod) {
	if p.obj == nil {
		delete(k.pods, p.uid)
		return
	}
	work.Retry(ctx, k.o.Clock, k.o.Logger, p.eventKey("delete"), func() error {
		now := int64(0)
		err := k.o.Client.CoreV1().Pods(p.namespace).Delete(ctx, p.name, metav1.DeleteOptions{
			GracePeriodSeconds: &now, Preconditions: metav1.NewUIDPreconditions(string(p.uid)),
		})
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			return fmt.Errorf("deleting pod %s/%s: %w", p.namespace, p.name, err)
		}
		return nil
	})
}

// forget cleans up after a pod that is gone from the API.
func (k *Kubelets) forget(ctx context.Context, p *pod) {
	defer k.planDisk(ctx, p.m)
	p.cancelDeadline()
	if p.stage == released || p.stage == admitted {
		delete(k.pods, p.uid)
		return
	}
	if p.stage != ended {
		// Deleted by force: the processes are killed all the same.
		p.cancelNext()
		k.kill(p)
		p.stage, p.terminating = ended, true
		k.release(ctx, p)
		return
	}
	p.terminating = true
}

// trimStep gives a step's name from its container's.
func trimStep(name string) string { return strings.TrimPrefix(name, "step-") }

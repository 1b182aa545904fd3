package node

import (
	"context"
	"fmt"
	"slices"
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
	"simctl.dev/simctl/sim/node/internal/entrypoint"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/wellknown"
)

// stage is how far a pod has come on its node.
type stage int

const (
	admitted stage = iota
	waitingForVolumes
	mounting
	// starting: the sandbox is made, then one container after another.
	starting
	// running: every container was started, or cannot be as it is configured.
	running
	// ending: every container has ended. The kubelet ends the sandbox before it
	// reports a final phase; until then the pod counts as one that runs.
	ending
	// ended: the phase is final; volumes are still mounted.
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
	// activeDeadlineSeconds, retry the next try of containers that could not be made,
	// downward the moment at which containers see the annotations as they are.
	next, deadline, retry, downward *clock.Event
	// pullAgain is the next look at images that did not come, looks counts them. passedOver are
	// looks before it at which all of them back off, which change nothing.
	pullAgain *clock.Event
	looks     int
	// sandboxTries counts the sandboxes that the runtime did not make.
	sandboxTries int
	passedOver   []time.Time
	// restarts are those of containers whose image has changed.
	restarts []*clock.Event
	// attachedAt is when its volumes were attached, tries are those that could not
	// be mounted.
	attachedAt time.Time
	tries      map[string]*mountTry
	// terminating: the pod is being deleted; stopping: its containers are being ended.
	terminating, stopping bool
	// syncing: the runtime makes the sandbox and the containers whose turn it is;
	// synced, if not nil, is to be done when it has.
	syncing bool
	synced  func()
	// due is when the runtime was first told of the pod.
	due time.Time
	// annotations are those last seen, visible those that the containers see.
	annotations, visible marks

	start            time.Time
	volumes          []*mount
	pulls            []string // the images asked for
	init, containers []*container
	steps            []*container
	ip               string
	// scratch is what the pod writes to its node's disk; swept says that nothing of
	// it is left.
	scratch         scratch
	swept           bool
	phase           corev1.PodPhase
	reason, message string
	// reported is the status that the API server has from this kubelet.
	reported corev1.PodStatus
	// grace, if not nil, is how many seconds its kubelet gives it whose machine goes off.
	grace *int64
	// disruption is the condition that says why the pod was evicted.
	disruption *corev1.PodCondition
	// reports counts the statuses written, so that a report that failed and is
	// tried again never overwrites a later one.
	reports                                 int
	declared                                *declared
	attachSeconds, mountSeconds, ownSeconds float64
	sandbox                                 sandbox
	// rebooted counts how often its containers went with their machine and were made anew.
	rebooted int32
}

// sandbox is how far a pod's sandbox is.
type sandbox int

const (
	noSandbox sandbox = iota
	sandboxReady
	sandboxEnded
)

// marks are the annotations with which Tekton speaks to the entrypoints of a pod.
type marks struct{ ready, cancel bool }

func marksOf(obj *corev1.Pod) marks {
	return marks{ready: obj.Annotations[entrypoint.ReadyAnnotation] == entrypoint.ReadyValue, cancel: obj.Annotations[entrypoint.CancelAnnotation] == entrypoint.CancelValue}
}

func (k *Kubelets) newPod(obj *corev1.Pod) *pod {
	p := &pod{
		identity: k.ids.of(obj), obj: obj, spec: &obj.Spec,
		namespace: obj.Namespace, name: obj.Name, labels: obj.Labels, uid: obj.UID, generation: obj.Generation,
		m: k.machine(obj.Spec.NodeName), phase: corev1.PodPending, tries: map[string]*mountTry{},
		annotations: marksOf(obj), visible: marksOf(obj),
		reported: corev1.PodStatus{Phase: obj.Status.Phase, QOSClass: obj.Status.QOSClass, Conditions: scheduledOf(obj)},
	}
	for i := range obj.Spec.InitContainers {
		p.init = append(p.init, newContainer(&obj.Spec.InitContainers[i]))
	}
	for i := range obj.Spec.Containers {
		c := newContainer(&obj.Spec.Containers[i])
		p.containers = append(p.containers, c)
		if c.step != "" && obj.Labels[wellknown.TaskRunLabel] != "" {
			p.steps = append(p.steps, c)
		}
	}
	return p
}

// eventKey is the key of one of the pod's events on the clock. The pod's name
// stands last: it only parts pods that nothing else parts.
func (p *pod) eventKey(what string) string { return "kubelet/" + p.key + "/" + what + "/" + p.name }

// What a kubelet takes for each stage of a pod's life where the scenario says
// nothing: what one of 1.37 took on a quiet host.
const (
	sandboxTime        = 500 * time.Millisecond
	containerStartTime = 300 * time.Millisecond
	initContainerTime  = time.Second
	downwardTime       = time.Second
	podEndTime         = 1500 * time.Millisecond
	terminationTime    = time.Second
	podRemovalTime     = 600 * time.Millisecond
)

// retryTime is how long after a container could not be made the kubelet tries again:
// the end of a container before it, or the start of one after it, has it look at the
// pod. The first try that failed shows in the pod's status then.
const retryTime = 2 * time.Second

// checkKubelet says what is wrong with the durations of a kubelet.
func checkKubelet(s scenario.Kubelet) error {
	for what, d := range map[string]*scenario.Distribution{
		"sandbox": s.Sandbox, "containerStart": s.ContainerStart, "initContainer": s.InitContainer,
		"downwardAPI": s.DownwardAPI, "podEnd": s.PodEnd, "termination": s.Termination, "podRemoval": s.PodRemoval,
	} {
		if _, err := d.Sample(clock.Rand(0, "check"), 0); err != nil {
			return fmt.Errorf("kubelet: %s: %w", what, err)
		}
	}
	return nil
}

// takes draws how long something about a pod takes.
func (k *Kubelets) takes(p *pod, d *scenario.Distribution, fallback time.Duration, what ...string) time.Duration {
	v, err := d.Sample(clock.Rand(k.o.Seed, append([]string{"kubelet", p.key}, what...)...), fallback)
	if err != nil {
		// New has checked every distribution.
		k.o.Logger.Error(err, "Drawing a duration", "pod", p.key)
		return fallback
	}
	return v
}

// after schedules the one thing the pod does next.
func (k *Kubelets) after(ctx context.Context, p *pod, d time.Duration, what string, f func()) {
	k.passes(ctx, p, d, what, func() { k.does(p, f) })
}

// passes schedules the one thing that happens to the pod next, whether its kubelet is there
// or not.
func (k *Kubelets) passes(ctx context.Context, p *pod, d time.Duration, what string, f func()) {
	p.next = k.o.Clock.Schedule(d, clock.Work, p.eventKey(what), func() {
		p.next = nil
		if ctx.Err() == nil {
			f()
		}
	})
}

func (p *pod) cancelNext() { cancelEvent(&p.next) }

// cancelAll takes everything that a pod waits for off the clock.
func (p *pod) cancelAll() {
	for _, e := range []**clock.Event{&p.next, &p.deadline, &p.retry, &p.downward, &p.pullAgain} {
		cancelEvent(e)
	}
	for _, e := range p.restarts {
		e.Cancel()
	}
	p.restarts = nil
	p.cancelTries()
}

func cancelEvent(e **clock.Event) {
	if *e != nil {
		(*e).Cancel()
		*e = nil
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
	case starting, running:
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
				k.does(p, func() { k.deadlineExceeded(ctx, p) })
			}
		})
	}
	p.stage = waitingForVolumes
	p.volumes = k.claimsOf(p)
	k.tryVolumes(ctx, p)
	if p.stage >= waitingForVolumes && p.stage <= starting {
		k.writeStatus(ctx, p)
	}
}

// refusal returns the reason and message for which a kubelet refuses a pod.
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
	return p.m.shutdown.refuses(ctx, p)
}

// volumesReady has the sandbox made once every volume is there.
func (k *Kubelets) volumesReady(ctx context.Context, p *pod) {
	k.fact(p, history.FactVolumesReady, history.VolumesReady{
		Node: p.m.name, AttachSeconds: p.attachSeconds, MountSeconds: p.mountSeconds, OwnershipSeconds: p.ownSeconds,
	})
	p.stage, p.syncing, p.due = starting, true, k.o.Clock.Now()
	k.after(ctx, p, k.takes(p, k.o.Kubelet.Sandbox, sandboxTime, "sandbox"), "sandbox", func() {
		k.makeSandbox(ctx, p, func() {
			p.sandbox = sandboxReady
			p.m.podIPs++
			p.ip = fmt.Sprintf("10.%d.%d.%d", 128+p.m.index/250, p.m.index%250, p.m.podIPs)
			k.makeSubPaths(p)
			k.writeStatus(ctx, p)
			k.startNext(ctx, p)
		})
	})
}

// all lists the pod's containers in the order in which they are started.
func (p *pod) all() []*container { return slices.Concat(p.init, p.containers) }

// images lists the images of the pod's containers.
func (p *pod) images() []string {
	var images []string
	for _, c := range p.all() {
		images = append(images, c.image)
	}
	return images
}

// startNext has the first container made that has not had its turn: its image comes,
// it is started, and an init container ends before the next one has its turn
// (SyncPod in pkg/kubelet/kuberuntime). A container that cannot be made keeps those
// after it from being made only if it is an init container.
func (k *Kubelets) startNext(ctx context.Context, p *pod) {
	for i, c := range p.all() {
		if !c.tried {
			c.tried = true
			pl := k.ask(p, c)
			if pl.refusal == "" {
				k.pull(ctx, p, c, pl, func() { k.start(ctx, p, c, i < len(p.init)) })
				return
			}
			k.sayOf(ctx, p, c, pullingImage, c.image)
			refused := func() bool {
				k.pullFailed(ctx, p, c, pl.refusal)
				if i < len(p.init) {
					p.endSync()
					return false
				}
				return true
			}
			if pl.whole > 0 {
				k.after(ctx, p, pl.whole, "refused", func() {
					if refused() {
						k.startNext(ctx, p)
					}
				})
				return
			}
			if !refused() {
				return
			}
		}
	}
	k.started(ctx, p)
}

// pull goes on when a container's image has come.
func (k *Kubelets) pull(ctx context.Context, p *pod, c *container, pl pull, then func()) {
	first := !slices.Contains(p.pulls, c.image)
	if first {
		p.pulls = append(p.pulls, c.image)
	}
	k.sayPulling(ctx, p, c, pl)
	done := func() {
		if first {
			k.fact(p, history.FactImagePulled, history.ImagePull{
				Image: pl.image, Node: p.m.name, Bytes: pl.bytes, Cached: pl.cached, Seconds: pl.took.Seconds(),
			})
		}
		k.sayPulled(ctx, p, c, pl)
		then()
	}
	if pl.whole == 0 {
		done()
		return
	}
	k.after(ctx, p, pl.whole, "pulled", done)
}

// start makes a container whose image is there.
func (k *Kubelets) start(ctx context.Context, p *pod, c *container, init bool) {
	if message := k.configError(p, c); message != "" {
		k.notMade(ctx, p, c, message)
		if init {
			p.endSync()
		} else {
			k.startNext(ctx, p)
		}
		return
	}
	p.syncing = true
	k.makeContainer(ctx, p, c, func() { k.startMade(ctx, p, c, init) })
}

// startMade starts a container that the runtime has made.
func (k *Kubelets) startMade(ctx context.Context, p *pod, c *container, init bool) {
	k.sayOf(ctx, p, c, containerCreated)
	k.after(ctx, p, k.takes(p, k.o.Kubelet.ContainerStart, containerStartTime, "start", c.spec.Name), "start", func() {
		k.sayOf(ctx, p, c, containerStarted)
		k.begin(c)
		if !init {
			k.startNext(ctx, p)
			return
		}
		k.writeStatus(ctx, p)
		if c.native {
			k.startNext(ctx, p)
			return
		}
		if p.endSync() {
			return
		}
		k.passes(ctx, p, k.takes(p, k.o.Kubelet.InitContainer, initContainerTime, "init", c.spec.Name), "init", func() {
			c.end(k.o.Clock.Now(), 0, "Completed", "")
			k.does(p, func() {
				k.writeStatus(ctx, p)
				p.syncing = true
				k.startNext(ctx, p)
			})
		})
	})
}

// begin has a container run.
func (k *Kubelets) begin(c *container) {
	c.configError = ""
	c.begin(k.o.Clock.Now())
}

// notMade notes that a container cannot be made as it is configured. The kubelet tries
// again and again; that helps only if what is missing is made, which wakes the pod.
func (k *Kubelets) notMade(ctx context.Context, p *pod, c *container, message string) {
	c.configError = message
	k.sayOf(ctx, p, c, containerNotCreated, message)
	if p.retry != nil {
		return
	}
	p.retry = k.o.Clock.Schedule(retryTime, clock.Work, p.eventKey("retry"), func() {
		p.retry = nil
		if ctx.Err() == nil {
			k.does(p, func() { k.tryAgain(ctx, p, true) })
		}
	})
}

// tryAgain makes the containers that could not be made and can be now. What is still
// wrong with the others shows in the status if told is true, and whenever it is
// something else than before.
func (k *Kubelets) tryAgain(ctx context.Context, p *pod, told bool) {
	changed := false
	for i, c := range p.all() {
		if c.configError == "" {
			continue
		}
		message := k.configError(p, c)
		switch {
		case message == "" && i < len(p.init):
			k.start(ctx, p, c, true)
			return
		case message == "":
			k.sayPulled(ctx, p, c, pull{image: c.image, cached: true})
			k.sayOf(ctx, p, c, containerCreated)
			k.sayOf(ctx, p, c, containerStarted)
			k.begin(c)
			changed = true
		case told && c.waitingMessage != message || c.waitingMessage != "" && c.waitingMessage != message:
			c.configError, c.waitingReason, c.waitingMessage = message, "CreateContainerConfigError", message
			k.sayPulled(ctx, p, c, pull{image: c.image, cached: true})
			k.sayOf(ctx, p, c, containerNotCreated, message)
			changed = true
		default:
			c.configError = message
		}
	}
	if !changed {
		return
	}
	if p.stage == running && p.phase == corev1.PodPending && p.made() {
		k.run(ctx, p)
		return
	}
	k.writeStatus(ctx, p)
}

// made says whether all containers have been started.
func (p *pod) made() bool {
	return !slices.ContainsFunc(p.containers, func(c *container) bool { return c.started.IsZero() })
}

// started is when every container has had its turn.
func (k *Kubelets) started(ctx context.Context, p *pod) {
	p.stage = running
	if p.made() {
		k.run(ctx, p)
	}
	p.endSync()
}

// endSync says that the runtime has done what there was to do; it reports whether that
// was waited for, so that nothing else begins.
func (p *pod) endSync() bool {
	p.syncing = false
	f := p.synced
	if p.synced = nil; f != nil {
		f()
	}
	return f != nil
}

// end has a pod's containers stopped. What the runtime is about goes on to its end
// first: a kubelet does not cut it short (SyncPod in pkg/kubelet/kubelet.go), so that
// containers are started only to be stopped. Of a pod that is asked to go the moment it
// has come nothing has begun.
func (k *Kubelets) end(ctx context.Context, p *pod, then func()) {
	if p.syncing && k.o.Clock.Now().After(p.due) {
		p.synced = func() {
			if p.stage < ending {
				k.stop(ctx, p, then)
			}
		}
		return
	}
	k.stop(ctx, p, then)
}

// run is when all containers run.
func (k *Kubelets) run(ctx context.Context, p *pod) {
	p.phase = corev1.PodRunning
	k.fact(p, history.FactContainersBusy, history.Volume{Node: p.m.name})
	p.scratch = k.scratchOf(ctx, p)
	k.planDisk(ctx, p.m)
	// A first step that ends at once would overwrite this status in the same
	// moment: then only the later one is written.
	if !k.listen(ctx, p) {
		k.writeStatus(ctx, p)
	}
}

// podUpdated does what an update asks of a pod: have the containers see its
// annotations, make what could not be made, stop sidecars whose image became the nop
// image.
func (k *Kubelets) podUpdated(ctx context.Context, p *pod) {
	if p.stopping || p.synced != nil {
		return
	}
	if seen := marksOf(p.obj); seen != p.annotations {
		p.annotations = seen
		cancelEvent(&p.downward)
		// The kubelet renews the file of the downward API when it next looks at the
		// pod, and the entrypoint looks at it once a second.
		p.downward = k.o.Clock.Schedule(k.takes(p, k.o.Kubelet.DownwardAPI, downwardTime, "downward"), clock.Work, p.eventKey("downward"), func() {
			p.downward = nil
			if ctx.Err() == nil {
				k.does(p, func() {
					p.visible = seen
					k.listen(ctx, p)
				})
			}
		})
	}
	if p.retry == nil {
		k.tryAgain(ctx, p, false)
	}
	if p.stage == running && len(p.steps) > 0 {
		k.restartChanged(ctx, p)
	}
}

// listen has a running pod's steps do what the annotations that they see ask for; it
// reports whether the pod's status was written.
func (k *Kubelets) listen(ctx context.Context, p *pod) bool {
	if p.stage != running || p.stopping {
		return false
	}
	if p.visible.cancel && k.cancelSteps(ctx, p) {
		return true
	}
	return k.stepsGoOn(ctx, p)
}

// restartChanged restarts the containers whose image has changed, as a kubelet does
// whatever the restart policy: Tekton stops sidecars so, with an image that ends at
// once. The container as it was is given the pod's grace period to end.
func (k *Kubelets) restartChanged(ctx context.Context, p *pod) {
	for i, c := range p.containers {
		if c.step != "" || !c.runs() || i >= len(p.obj.Spec.Containers) {
			continue
		}
		image := p.obj.Spec.Containers[i].Image
		if image == c.image || c.restarts {
			continue
		}
		c.restarts = true
		k.sayOf(ctx, p, c, containerRedefined, c.spec.Name)
		took := min(k.takes(p, k.o.Kubelet.Termination, terminationTime, "termination", c.spec.Name), gracePeriod(p)) +
			k.takes(p, k.o.Kubelet.ContainerStart, containerStartTime, "restart", c.spec.Name)
		p.restarts = append(p.restarts, k.o.Clock.Schedule(took, clock.Work, p.eventKey("restart/"+c.spec.Name), func() {
			if ctx.Err() == nil && c.runs() {
				k.does(p, func() { k.restarted(ctx, p, c, image) })
			}
		}))
	}
}

// restarted is when a container with another image has been started, and has ended.
func (k *Kubelets) restarted(ctx context.Context, p *pod, c *container, image string) {
	c.image = image
	k.sayPulled(ctx, p, c, pull{image: c.image, cached: true})
	k.sayOf(ctx, p, c, containerCreated)
	k.sayOf(ctx, p, c, containerStarted)
	c.end(k.o.Clock.Now(), 0, "Completed", "")
	k.containerFact(p, c)
	if !k.finishIfDone(ctx, p) {
		k.writeStatus(ctx, p)
	}
}

// finishIfDone begins the end of a pod once every container has ended: what it leaves
// shows at once, its phase is final when the sandbox has ended too.
func (k *Kubelets) finishIfDone(ctx context.Context, p *pod) bool {
	if slices.ContainsFunc(p.containers, func(c *container) bool { return c.finished.IsZero() }) {
		return false
	}
	p.cancelAll()
	p.stage = ending
	k.writeStatus(ctx, p)
	k.planDisk(ctx, p.m)
	k.after(ctx, p, k.takes(p, k.o.Kubelet.PodEnd, podEndTime, "end"), "end", func() { k.finish(ctx, p, p.computed()) })
	return true
}

// finish writes the final status and has the volumes unmounted.
func (k *Kubelets) finish(ctx context.Context, p *pod, phase corev1.PodPhase) {
	now := k.o.Clock.Now()
	for _, c := range p.init {
		if c.runs() {
			c.end(now, 0, "Completed", "")
		}
	}
	p.cancelAll()
	if p.sandbox == sandboxReady {
		p.sandbox = sandboxEnded
	}
	p.phase, p.stage = phase, ended
	k.writeStatus(ctx, p)
	k.release(ctx, p)
	k.planDisk(ctx, p.m)
}

// deadlineMessage is what a kubelet says of a pod at its activeDeadlineSeconds.
const deadlineMessage = "Pod was active on the node longer than the specified deadline"

// deadlineExceeded is the end of a pod at its activeDeadlineSeconds
// (pkg/kubelet/active_deadline.go).
func (k *Kubelets) deadlineExceeded(ctx context.Context, p *pod) {
	if p.stage >= ending || p.stopping || p.synced != nil {
		return
	}
	k.say(ctx, p, saying{corev1.EventTypeNormal, "DeadlineExceeded", deadlineMessage})
	k.end(ctx, p, func() {
		p.reason, p.message = "DeadlineExceeded", deadlineMessage
		k.finish(ctx, p, corev1.PodFailed)
	})
}

// terminate takes a pod that is being deleted down: processes, the final status,
// volumes, then the object.
func (k *Kubelets) terminate(ctx context.Context, p *pod) {
	if p.terminating {
		return
	}
	p.terminating = true
	switch {
	case p.stage == released:
		k.deletePod(ctx, p)
	case p.stage == admitted:
		p.stage = released
		k.deletePod(ctx, p)
	case p.stage >= ending, p.stopping, p.synced != nil:
		// What has begun goes on, and takes the object with it.
	default:
		k.end(ctx, p, func() { k.finish(ctx, p, p.terminated()) })
	}
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
	if p.terminating && p.sandbox != noSandbox {
		// The volumes that no driver mounts and the pod's cgroup go too.
		took = max(took, k.takes(p, k.o.Kubelet.PodRemoval, podRemovalTime, "removal"))
	}
	done := func() {
		p.stage = released
		k.dropVolumes(ctx, p)
		if p.terminating {
			k.deletePod(ctx, p)
		}
		if s := p.m.shutdown; s != nil {
			s.released(ctx)
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
	if p.m.isSilent() {
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
	switch {
	case p.stage == released, p.stage == admitted:
		p.cancelAll()
		delete(k.pods, p.uid)
	case p.stage >= ending, p.stopping, p.synced != nil:
		p.terminating = true
	default:
		// Deleted by force: the processes are ended all the same, beside a pod that may
		// have its name by then.
		p.terminating = true
		k.end(ctx, p, func() { k.finish(ctx, p, p.terminated()) })
	}
}

package node

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	kubeletevents "k8s.io/kubernetes/pkg/kubelet/events"

	"simctl.dev/simctl/sim/clock"
)

// saying is one of the things that a kubelet says: an Event's type, its reason, and
// the format of its message.
type saying struct{ kind, reason, words string }

// What a kubelet says of a pod's containers (pkg/kubelet/images/image_manager.go,
// pkg/kubelet/kuberuntime) and of its volumes (pkg/volume/util/operationexecutor).
var (
	pullingImage = saying{corev1.EventTypeNormal, kubeletevents.PullingImage, "Pulling image %q"}
	pulledImage  = saying{corev1.EventTypeNormal, kubeletevents.PulledImage, "Successfully pulled image %q in %v (%v including waiting). Image size: %v bytes."}
	imagePresent = saying{corev1.EventTypeNormal, kubeletevents.PulledImage, "Container image %q already present on machine and can be accessed by the pod"}

	containerCreated    = saying{corev1.EventTypeNormal, kubeletevents.CreatedContainer, "Container created"}
	containerStarted    = saying{corev1.EventTypeNormal, kubeletevents.StartedContainer, "Container started"}
	containerNotCreated = saying{corev1.EventTypeWarning, kubeletevents.FailedToCreateContainer, "Error: %v"}
	containerStopped    = saying{corev1.EventTypeNormal, kubeletevents.KillingContainer, "Stopping container %s"}
	containerRedefined  = saying{corev1.EventTypeNormal, kubeletevents.KillingContainer, "Container %s definition changed, will be restarted"}

	stageFailed         = saying{corev1.EventTypeWarning, kubeletevents.FailedMountVolume, "MountVolume.MountDevice failed for volume %q : %v"}
	mountFailed         = saying{corev1.EventTypeWarning, kubeletevents.FailedMountVolume, "MountVolume.SetUp failed for volume %q : %v"}
	volumesNotProcessed = saying{
		corev1.EventTypeWarning, kubeletevents.FailedMountVolume,
		"Unable to attach or mount volumes: unmounted volumes=%v, unattached volumes=%v, failed to process volumes=%v: %v",
	}
)

// about names a pod in its events.
func (p *pod) about() corev1.ObjectReference {
	return corev1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: p.namespace, Name: p.name, UID: p.uid}
}

// fieldPath says where in the pod's spec a container stands, as events have it.
func (p *pod) fieldPath(c *container) string {
	for _, init := range p.init {
		if init == c {
			return "spec.initContainers{" + c.spec.Name + "}"
		}
	}
	return "spec.containers{" + c.spec.Name + "}"
}

// say writes an event of the node's kubelet about a pod.
func (k *Kubelets) say(ctx context.Context, p *pod, s saying, args ...any) {
	k.event(ctx, p.about(), p.m.name, s.kind, s.reason, fmt.Sprintf(s.words, args...))
}

// repeat writes what the node's kubelet has said of a pod at several moments.
func (k *Kubelets) repeat(ctx context.Context, p *pod, s saying, moments []time.Time, args ...any) {
	if p.m.isSilent() {
		return
	}
	k.events.Repeat(ctx, source(p.m.name), p.about(), s.kind, s.reason, fmt.Sprintf(s.words, args...), moments...)
}

// sayOf writes an event of the node's kubelet about a container of a pod.
func (k *Kubelets) sayOf(ctx context.Context, p *pod, c *container, s saying, args ...any) {
	about := p.about()
	about.FieldPath = p.fieldPath(c)
	k.event(ctx, about, p.m.name, s.kind, s.reason, fmt.Sprintf(s.words, args...))
}

// warn writes a warning about a pod whose reason and words are others'.
func (k *Kubelets) warn(ctx context.Context, p *pod, reason, message string) {
	k.event(ctx, p.about(), p.m.name, corev1.EventTypeWarning, reason, message)
}

// event writes an event of a node's kubelet about an object.
func (k *Kubelets) event(ctx context.Context, about corev1.ObjectReference, node, kind, reason, message string) {
	if k.Silent(node) {
		return
	}
	k.events.Say(ctx, source(node), about, kind, reason, message)
}

// source is who speaks in the events of a node's kubelet.
func source(node string) corev1.EventSource {
	return corev1.EventSource{Component: "kubelet", Host: node}
}

// sayPulling says that a container's image is pulled, if it is.
func (k *Kubelets) sayPulling(ctx context.Context, p *pod, c *container, pl pull) {
	if pl.asks(c) {
		k.sayOf(ctx, p, c, pullingImage, c.image)
	}
}

// sayPulled says how a container's image came to be on the node.
func (k *Kubelets) sayPulled(ctx context.Context, p *pod, c *container, pl pull) {
	if !pl.asks(c) {
		k.sayOf(ctx, p, c, imagePresent, c.image)
		return
	}
	took := pl.took
	if pl.cached {
		took = 0 // The pull was another pod's.
	}
	k.sayOf(ctx, p, c, pulledImage, c.image, took, pl.whole, pl.bytes)
}

// asks says whether the registry is asked for a container's image: because it is not
// on the node when the pod comes, or the container wants the newest.
func (pl pull) asks(c *container) bool {
	return !pl.cached || pl.whole > 0 || c.spec.ImagePullPolicy == corev1.PullAlways
}

// sayStopping says of each container that still runs that it is stopped.
func (k *Kubelets) sayStopping(ctx context.Context, p *pod) {
	for _, c := range p.all() {
		if c.runs() {
			k.sayOf(ctx, p, c, containerStopped, c.spec.Name)
		}
	}
}

// statusPhase is when in its period a node's kubelet reports the node's status.
func (k *Kubelets) statusPhase(node string) time.Duration {
	return time.Duration(clock.Rand(k.o.Seed, "node status", node).Int64N(int64(k.statusEvery/time.Millisecond))) * time.Millisecond
}

// cordoned says whether a node was made unschedulable, or schedulable again, since its
// kubelet has said so last.
func (k *Kubelets) cordoned(n *corev1.Node) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	said, known := k.schedulable[n.UID]
	if !known {
		k.schedulable[n.UID] = !n.Spec.Unschedulable
	}
	return known && said == n.Spec.Unschedulable
}

// planSchedulable has a node's kubelet say with the next report of its status that the
// node is or is no longer schedulable. Nothing waits for that.
func (k *Kubelets) planSchedulable(ctx context.Context, node string) {
	wait := k.nextTick(0, k.statusEvery, k.statusPhase(node))
	at := k.o.Clock.Now().Add(wait)
	k.o.Clock.Schedule(wait, clock.Housekeeping, "kubelet/"+node+"/schedulable", func() {
		n, err := k.nodeLister.Get(node)
		if ctx.Err() != nil || err != nil || !k.cordoned(n) || k.Silent(node) {
			return
		}
		k.mu.Lock()
		k.schedulable[n.UID] = !n.Spec.Unschedulable
		k.mu.Unlock()
		says := kubeletevents.NodeSchedulable
		if n.Spec.Unschedulable {
			says = kubeletevents.NodeNotSchedulable
		}
		k.nodeStatusIs(ctx, node, says, at)
	})
}

// nodeStatusIs writes what a kubelet has said of its own node at a moment.
func (k *Kubelets) nodeStatusIs(ctx context.Context, node, says string, at time.Time) {
	k.events.Repeat(ctx, source(node), corev1.ObjectReference{APIVersion: "v1", Kind: "Node", Name: node, UID: types.UID(node)},
		corev1.EventTypeNormal, says, fmt.Sprintf("Node %s status is now: %s", node, says), at)
}

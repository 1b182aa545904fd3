package intervention

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	resourcehelper "k8s.io/component-helpers/resource"
	corehelper "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	volumehelper "k8s.io/component-helpers/storage/volume"

	"simctl.dev/simctl/sim/clock"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/plane"
	"simctl.dev/simctl/sim/scenario"
)

// What the cluster autoscaler goes by (cluster-autoscaler/simulator/drainability/rules and
// config/autoscaling_options.go upstream).
const (
	safeToEvict = "cluster-autoscaler.kubernetes.io/safe-to-evict"
	toBeDeleted = "ToBeDeletedByClusterAutoscaler"
	// littleUsed is the share of a node's CPU and memory of which less is asked for.
	littleUsed = 0.5
)

// remadeBy are the controllers of which it believes that they make a pod anew.
var remadeBy = []string{"ReplicationController", "ReplicaSet", "Job", "StatefulSet"}

// reclaim is a node that the cluster autoscaler takes away when nobody has needed it for long
// enough.
type reclaim struct {
	node string
	// after is for how long, event when that is over; nil while somebody needs it.
	after time.Duration
	event *clock.Event
	// moved are the pods that are evicted, by their UID; nil before they are.
	moved map[string]bool
	// met names them, and over says that it is done or no longer looked for.
	met  []string
	over bool
}

// scaleDown has the cluster autoscaler look whether anybody needs a node.
func scaleDown(all *Interventions, v *scenario.Intervention, f *history.Intervention) error {
	name, err := all.thereIs(v.ScaleDown.Ref(), f)
	if err != nil {
		return err
	}
	after, err := time.ParseDuration(v.ScaleDown.Time())
	if err != nil {
		return fmt.Errorf("reading for how long nobody may need the node: %w", err)
	}
	r := &reclaim{node: name, after: after}
	all.reclaims = append(all.reclaims, r)
	return all.lasting(f, v.ScaleDown.For, "scale-down-over/"+name, func() { r.end() }, func() []string { return r.met })
}

func (r *reclaim) end() {
	r.over = true
	if r.event != nil {
		r.event.Cancel()
	}
}

// lookAtReclaims has the autoscaler look at what has changed; it reports whether it did
// something about it.
func (all *Interventions) lookAtReclaims() (bool, error) {
	for _, r := range all.reclaims {
		if r.over {
			continue
		}
		c, err := all.cluster(r.node)
		if err != nil {
			return false, err
		}
		if c.node == nil {
			r.end() // Somebody else has taken it away.
			continue
		}
		if r.moved != nil {
			if slices.ContainsFunc(c.pods[r.node], func(p *corev1.Pod) bool { return r.moved[string(p.UID)] }) {
				continue
			}
			r.end()
			if err := all.Plane.User.CoreV1().Nodes().Delete(all.ctx, r.node, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
				return false, fmt.Errorf("deleting Node %s: %w", r.node, err)
			}
			return true, nil
		}
		switch needed := c.needed(); {
		case needed && r.event != nil:
			r.event.Cancel()
			r.event = nil
		case !needed && r.event == nil:
			r.event = all.Plane.Clock.Schedule(r.after, clock.Work, "scale-down/"+r.node, func() {
				r.event = nil
				if err := all.takeAway(r); err != nil && all.failed == nil {
					all.failed = err
				}
			})
		}
	}
	return false, nil
}

// takeAway has nobody come to a node any more, and its pods evicted.
func (all *Interventions) takeAway(r *reclaim) error {
	c, err := all.cluster(r.node)
	if err != nil || r.over || c.node == nil || c.needed() {
		return err
	}
	all.Record(history.FactScaledDown, history.ScaledDown{Node: r.node, UnneededSeconds: r.after.Seconds()})
	err = all.updateNode(scenario.NodeRef{Name: r.node}, &history.Intervention{}, func(n *corev1.Node) {
		n.Spec.Taints = append(without(n.Spec.Taints, toBeDeleted, ""), corev1.Taint{Key: toBeDeleted, Effect: corev1.TaintEffectNoSchedule})
	})
	if err != nil {
		return err
	}
	r.moved = map[string]bool{}
	var failed error
	for _, p := range c.toMove() {
		r.moved[string(p.UID)] = true
		r.met = append(r.met, "Pod "+p.Namespace+"/"+p.Name)
		failed = errors.Join(failed, all.evict(&eviction{namespace: p.Namespace, name: p.Name, key: "scale-down/" + plane.PodKey(p)}))
	}
	return failed
}

// cluster is what the autoscaler knows of a cluster: one node of it, and what else there is.
type cluster struct {
	node    *corev1.Node // nil if it is gone
	others  []*corev1.Node
	pods    map[string][]*corev1.Pod // by their nodes
	volumes func(p *corev1.Pod) []*corev1.PersistentVolume
}

func (all *Interventions) cluster(name string) (*cluster, error) {
	core := all.Plane.User.CoreV1()
	nodes, err := core.Nodes().List(all.ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing the Nodes: %w", err)
	}
	pods, err := core.Pods("").List(all.ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing the Pods: %w", err)
	}
	c := &cluster{pods: map[string][]*corev1.Pod{}}
	for i := range nodes.Items {
		if n := &nodes.Items[i]; n.Name == name {
			c.node = n
		} else {
			c.others = append(c.others, n)
		}
	}
	slices.SortStableFunc(pods.Items, func(a, b corev1.Pod) int { return strings.Compare(plane.PodKey(&a), plane.PodKey(&b)) })
	for i := range pods.Items {
		p := &pods.Items[i]
		c.pods[p.Spec.NodeName] = append(c.pods[p.Spec.NodeName], p)
	}
	c.volumes = func(p *corev1.Pod) []*corev1.PersistentVolume {
		var out []*corev1.PersistentVolume
		for _, v := range p.Spec.Volumes {
			if v.PersistentVolumeClaim == nil {
				continue
			}
			claim, err := core.PersistentVolumeClaims(p.Namespace).Get(all.ctx, v.PersistentVolumeClaim.ClaimName, metav1.GetOptions{})
			if err != nil || claim.Spec.VolumeName == "" {
				continue
			}
			if pv, err := core.PersistentVolumes().Get(all.ctx, claim.Spec.VolumeName, metav1.GetOptions{}); err == nil {
				out = append(out, pv)
			}
		}
		return out
	}
	return c, nil
}

// toMove are the pods that are evicted when the node is taken away.
func (c *cluster) toMove() []*corev1.Pod {
	return slices.DeleteFunc(slices.Clone(c.pods[c.node.Name]), func(p *corev1.Pod) bool {
		_, mirror := p.Annotations[corev1.MirrorPodAnnotationKey]
		controller := metav1.GetControllerOf(p)
		return mirror || controller != nil && controller.Kind == "DaemonSet"
	})
}

// needed says whether the autoscaler leaves the node alone.
func (c *cluster) needed() bool {
	asked := corev1.ResourceList{}
	room := map[string]corev1.ResourceList{}
	for _, p := range c.toMove() {
		if ended(p) {
			continue
		}
		if keeps(p) || !c.hasRoom(p, room) {
			return true
		}
		add(asked, resourcehelper.PodRequests(p, resourcehelper.PodResourcesOptions{}))
	}
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		has, asks := c.node.Status.Allocatable[name], asked[name]
		if !has.IsZero() && asks.AsApproximateFloat64()/has.AsApproximateFloat64() >= littleUsed {
			return true
		}
	}
	return false
}

func ended(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
}

// keeps says whether a pod keeps its node from being taken away.
func keeps(p *corev1.Pod) bool {
	if p.Annotations[safeToEvict] == "true" {
		return false
	}
	controller := metav1.GetControllerOf(p)
	local := slices.ContainsFunc(p.Spec.Volumes, func(v corev1.Volume) bool { return v.EmptyDir != nil || v.HostPath != nil })
	return p.Annotations[safeToEvict] == "false" || p.Namespace == metav1.NamespaceSystem || local ||
		controller == nil || !slices.Contains(remadeBy, controller.Kind)
}

// hasRoom says whether a pod has room on another node, beside those that have been given room
// before.
func (c *cluster) hasRoom(p *corev1.Pod, given map[string]corev1.ResourceList) bool {
	wants := resourcehelper.PodRequests(p, resourcehelper.PodResourcesOptions{})
	wants[corev1.ResourcePods] = *resource.NewQuantity(1, resource.DecimalSI)
	volumes := c.volumes(p)
	return slices.ContainsFunc(c.others, func(n *corev1.Node) bool {
		ready := slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
			return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
		})
		_, repels := corehelper.FindMatchingUntoleratedTaint(logr.Discard(), n.Spec.Taints, p.Spec.Tolerations, func(t *corev1.Taint) bool { return t.Effect != corev1.TaintEffectPreferNoSchedule }, false)
		if fits, err := nodeaffinity.GetRequiredNodeAffinity(p).Match(n); !ready || n.Spec.Unschedulable || repels || err != nil || !fits {
			return false
		}
		if slices.ContainsFunc(volumes, func(v *corev1.PersistentVolume) bool { return volumehelper.CheckNodeAffinity(v, n.Labels) != nil }) {
			return false
		}
		used := corev1.ResourceList{}
		add(used, given[n.Name])
		for _, other := range c.pods[n.Name] {
			if !ended(other) {
				add(used, resourcehelper.PodRequests(other, resourcehelper.PodResourcesOptions{}))
				add(used, corev1.ResourceList{corev1.ResourcePods: *resource.NewQuantity(1, resource.DecimalSI)})
			}
		}
		for name, want := range wants {
			sum, has := used[name].DeepCopy(), n.Status.Allocatable[name]
			if sum.Add(want); sum.Cmp(has) > 0 {
				return false
			}
		}
		if given[n.Name] == nil {
			given[n.Name] = corev1.ResourceList{}
		}
		add(given[n.Name], wants)
		return true
	})
}

func add(to, more corev1.ResourceList) {
	for name, q := range more {
		sum := to[name].DeepCopy()
		sum.Add(q)
		to[name] = sum
	}
}

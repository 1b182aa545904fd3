package verdict

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/timeline"
)

// nodeLow begins the kubelet's words about a pod that it evicts for its node's sake
// and not for a limit of its own (nodeLowMessageFmt in pkg/kubelet/eviction).
const nodeLow = "The node was low on resource: "

// diskCause says of a pod what became of it over its node's own disk: it was
// evicted, a step found no room, or it was not taken since the disk was too full.
// It is nil if nothing of it was so.
func (t *judging) diskCause(s *timeline.View, r *timeline.TaskRun, p *timeline.Pod) []Link {
	if p.Disk != nil {
		f := p.Disk.Data
		if f.Full {
			return append(t.failure(p), diskRequest(s, p), wroteToDisk(f))
		}
		message := ""
		if o := s.Get("Pod", p.Namespace, p.Name); o != nil {
			message = o.Text("status", "message")
		}
		evicted := diskEvicted.link(p.Object(), clip(cmp.Or(message, compact(f))), t.Title(p), f.Node)
		if strings.HasPrefix(message, nodeLow) {
			return []Link{evicted, diskRequest(s, p), wroteToDisk(f)}
		}
		return []Link{evicted, diskOwnLimit.link(p.Object(), diskRequest(s, p).Evidence, r.Task, bytesOf(f.Wants))}
	}
	if len(p.Refusals) == 0 || !strings.Contains(p.Refusals[0].Data.Message, string(corev1.NodeDiskPressure)) {
		return nil
	}
	links := t.failure(p)
	last := t.LastOnDisk(p.Refusals[0].Data.Node, p.Refusals[0].Seq)
	if last == nil {
		return links
	}
	f := last.Disk
	links = append(links, diskPressure.link("Node "+f.Data.Node, fmt.Sprintf("%s was evicted at %.0f s", last.Object(), f.T), f.Data.Node))
	return append(links, diskRequest(s, last), wroteToDisk(f.Data))
}

// shortOfDisk says of a pod that waits while a node is short of room on its disk that
// an earlier one of its TaskRun was evicted for that; nil if it is not so.
func (t *judging) shortOfDisk(s *timeline.View, r *timeline.TaskRun, p *timeline.Pod) []Link {
	last := p.LastUnschedulable(t.End())
	if last == nil || !slices.ContainsFunc(last.Data.Nodes, pressed) {
		return nil
	}
	for _, earlier := range slices.Backward(r.Pods) {
		if earlier.Disk != nil {
			return t.diskCause(s, r, earlier)
		}
	}
	return nil
}

// wroteToDisk says what filled a node's disk.
func wroteToDisk(f history.Disk) Link {
	var pods int64
	for _, u := range f.Pods {
		pods += u.Bytes
	}
	free := max(0, f.Size-f.Before-f.Images-pods)
	l := diskFilled.link("Node "+f.Node, fmt.Sprintf("on the disk: %s from before, %s of images", bytesOf(f.Before), bytesOf(f.Images)), f.Task, bytesOf(f.Wants), f.Node, bytesOf(free), bytesOf(f.Size), bytesOf(f.Reserve))
	if f.Wants == 0 { // It is others' doing.
		l = diskFull.link(l.Object, l.Evidence, f.Node, bytesOf(free), bytesOf(f.Size), bytesOf(f.Reserve))
	}
	for _, u := range f.Pods {
		l.Evidence += fmt.Sprintf(", %s of Pod %s", bytesOf(u.Bytes), u.Pod)
	}
	return l
}

// diskRequest says what a pod asks for of a node's disk.
func diskRequest(s *timeline.View, p *timeline.Pod) Link {
	l := diskNoRequest.link(p.Object(), "resources of its containers: no ephemeral-storage", p.Object())
	o := s.Get("Pod", p.Namespace, p.Name)
	var spec corev1.Pod
	if o == nil || o.Decode(&spec) != nil {
		return l
	}
	var said []string
	for _, c := range spec.Spec.Containers {
		asks, limits := c.Resources.Requests[corev1.ResourceEphemeralStorage], c.Resources.Limits[corev1.ResourceEphemeralStorage]
		if !asks.IsZero() || !limits.IsZero() {
			said = append(said, fmt.Sprintf("%s: requests %s, limits %s", c.Name, asks.String(), limits.String()))
		}
	}
	for _, v := range spec.Spec.Volumes {
		if v.EmptyDir != nil && v.EmptyDir.SizeLimit != nil {
			said = append(said, fmt.Sprintf("volume %s: emptyDir of at most %s", v.Name, v.EmptyDir.SizeLimit))
		}
	}
	if len(said) > 0 {
		l = diskSmallRequest.link(p.Object(), strings.Join(said, "; "), p.Object())
	}
	return l
}

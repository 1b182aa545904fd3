package verdict

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
	corev1 "k8s.io/api/core/v1"

	"simctl.dev/simctl/sim/history"
)

// nodeLow begins the kubelet's words about a pod that it evicts for its node's sake
// and not for a limit of its own (nodeLowMessageFmt in pkg/kubelet/eviction).
const nodeLow = "The node was low on resource: "

// diskCause says of a pod what became of it over its node's own disk: it was
// evicted, a step found no room, or it was not taken since the disk was too full.
// It is nil if nothing of it was so.
func (t *timeline) diskCause(s *history.State, r *taskRun, p *pod) []Link {
	if p.disk != nil {
		f := p.disk.data
		if f.Full {
			return append(t.failure(p), p.diskRequest(s), wroteToDisk(f))
		}
		message := ""
		if o := s.Get(history.Ref{Kind: "Pod", Namespace: p.namespace, Name: p.name}); o != nil {
			message = o.Text("status", "message")
		}
		evicted := diskEvicted.link(p.object(), clip(cmp.Or(message, compact(f))), p.title(t), f.Node)
		if strings.HasPrefix(message, nodeLow) {
			return []Link{evicted, p.diskRequest(s), wroteToDisk(f)}
		}
		return []Link{evicted, diskOwnLimit.link(p.object(), p.diskRequest(s).Evidence, r.task, humanize.IBytes(uint64(f.Wants)))}
	}
	if len(p.refusals) == 0 || !strings.Contains(p.refusals[0].data.Message, string(corev1.NodeDiskPressure)) {
		return nil
	}
	links := t.failure(p)
	var last *pod
	for _, other := range t.pods {
		if d := other.disk; d != nil && d.data.Node == p.refusals[0].data.Node && d.seq < p.refusals[0].seq && (last == nil || last.disk.seq < d.seq) {
			last = other
		}
	}
	if last == nil {
		return links
	}
	f := last.disk
	links = append(links, diskPressure.link("Node "+f.data.Node, fmt.Sprintf("%s was evicted at %.0f s", last.object(), f.t), f.data.Node))
	return append(links, last.diskRequest(s), wroteToDisk(f.data))
}

// shortOfDisk says of a pod that waits while a node is short of room on its disk that
// an earlier one of its TaskRun was evicted for that; nil if it is not so.
func (t *timeline) shortOfDisk(s *history.State, r *taskRun, p *pod) []Link {
	last := p.lastUnschedulable(t.end())
	if last == nil || !slices.ContainsFunc(last.data.Nodes, pressed) {
		return nil
	}
	for _, earlier := range slices.Backward(r.pods) {
		if earlier.disk != nil {
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
	size := func(n int64) string { return humanize.IBytes(uint64(max(0, n))) } //nolint:gosec // not negative
	l := diskFilled.link("Node "+f.Node, fmt.Sprintf("on the disk: %s from before, %s of images", size(f.Before), size(f.Images)), f.Task, size(f.Wants), f.Node, size(free), size(f.Size), size(f.Reserve))
	if f.Wants == 0 { // It is others' doing.
		l = diskFull.link(l.Object, l.Evidence, f.Node, size(free), size(f.Size), size(f.Reserve))
	}
	for _, u := range f.Pods {
		l.Evidence += fmt.Sprintf(", %s of Pod %s", size(u.Bytes), u.Pod)
	}
	return l
}

// diskRequest says what a pod asks for of a node's disk.
func (p *pod) diskRequest(s *history.State) Link {
	l := diskNoRequest.link(p.object(), "resources of its containers: no ephemeral-storage", p.object())
	o := s.Get(history.Ref{Kind: "Pod", Namespace: p.namespace, Name: p.name})
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
		l = diskSmallRequest.link(p.object(), strings.Join(said, "; "), p.object())
	}
	return l
}

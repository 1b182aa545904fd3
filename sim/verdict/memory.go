package verdict

import (
	"cmp"
	"fmt"

	"github.com/dustin/go-humanize"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/timeline"
)

// evictedForMemory says of a pod that its kubelet evicted it for want of memory, and who had
// taken it; nil if it did not.
func (t *judging) evictedForMemory(s *timeline.View, p *timeline.Pod) []Link {
	if p.Memory == nil {
		return nil
	}
	f := p.Memory.Data
	message, o := "", s.Get("Pod", p.Namespace, p.Name)
	if o != nil {
		message = o.Text("status", "message")
	}
	links := []Link{memoryEvicted.link(p.Object(), clip(cmp.Or(message, compact(f))), t.Title(p), f.Node)}
	var spec corev1.Pod
	var asks resource.Quantity
	if o != nil && o.Decode(&spec) == nil {
		for _, c := range spec.Spec.Containers {
			asks.Add(*c.Resources.Requests.Memory())
		}
	}
	var took, all int64
	for _, u := range f.Pods {
		if all += u.Bytes; "Pod "+u.Pod == p.Object() {
			took = u.Bytes
		}
	}
	if took > asks.Value() {
		links = append(links, memoryRequest.link(p.Object(), "resources.requests.memory of its containers: "+asks.String(), p.Object(), bytesOf(took)))
	}
	if taken := t.memoryTaken(f.Node, p.Memory.Seq); taken != nil {
		return append(links, taken...)
	}
	return append(links, memoryFilled.link("Node "+f.Node, fmt.Sprintf("taken by pods: %d of %d bytes", all, f.Size), f.Node, bytesOf(all), bytesOf(f.Size)))
}

// memoryTaken says that something outside of pods had taken a node's memory at an entry; nil
// if it had not.
func (t *judging) memoryTaken(node string, at int) []Link {
	m := t.MemoryOf(node, at)
	if m == nil || !m.Lasts(at) {
		return nil
	}
	return []Link{memoryTakenRule.link("Node "+node, t.interventionAt("memoryTaken", node, m.Began.T, history.FactMemoryTaken), node, lasted(*m), bytesOf(m.Began.Data.Left))}
}

func bytesOf(n int64) string { return humanize.IBytes(uint64(max(0, n))) } //nolint:gosec // not negative

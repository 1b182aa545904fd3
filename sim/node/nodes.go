package node

import (
	"cmp"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"simctl.dev/simctl/sim/clock"
	"simctl.dev/simctl/sim/scenario"
)

// managedAttach lets the attach/detach controller look after a node; kubelets
// put it on when they register.
const managedAttach = "volumes.kubernetes.io/controller-managed-attach-detach"

// Nodes makes the node objects of the pools, named POOL-0, POOL-1 and so on,
// with spec and status as a kubelet registers them. It is an error if a
// capacity is no quantity.
func Nodes(pools []scenario.NodePool) ([]*corev1.Node, error) {
	var out []*corev1.Node
	for _, pool := range pools {
		capacity := corev1.ResourceList{}
		for name, q := range pool.Capacity {
			parsed, err := resource.ParseQuantity(string(q))
			if err != nil {
				return nil, fmt.Errorf("node pool %q: capacity %s %q: %w", pool.Name, name, q, err)
			}
			capacity[corev1.ResourceName(name)] = parsed
		}
		for i := range pool.Count {
			n := &corev1.Node{
				ObjectMeta: metav1.ObjectMeta{
					Name:   fmt.Sprintf("%s-%d", pool.Name, i),
					Labels: maps.Clone(pool.Labels),
				},
				Spec:   corev1.NodeSpec{Unschedulable: pool.Unschedulable},
				Status: corev1.NodeStatus{Capacity: capacity.DeepCopy()},
			}
			if n.Labels == nil {
				n.Labels = map[string]string{}
			}
			if len(pool.Zones) > 0 {
				n.Labels[corev1.LabelTopologyZone] = pool.Zones[i%len(pool.Zones)]
			}
			if pool.DiskUsed != "" {
				n.Annotations = map[string]string{DiskUsed: string(pool.DiskUsed)}
			}
			for _, t := range pool.Taints {
				n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: t.Key, Value: t.Value, Effect: corev1.TaintEffect(t.Effect)})
			}
			Complete(n, len(out))
			out = append(out, n)
		}
	}
	return out, nil
}

// conditionTaints are the taints that the node lifecycle controller keeps in step with
// the conditions of nodes (pkg/controller/nodelifecycle).
var conditionTaints = map[string]struct {
	condition corev1.NodeConditionType
	status    corev1.ConditionStatus
}{
	corev1.TaintNodeNotReady:           {corev1.NodeReady, corev1.ConditionFalse},
	corev1.TaintNodeUnreachable:        {corev1.NodeReady, corev1.ConditionUnknown},
	corev1.TaintNodeMemoryPressure:     {corev1.NodeMemoryPressure, corev1.ConditionTrue},
	corev1.TaintNodeDiskPressure:       {corev1.NodeDiskPressure, corev1.ConditionTrue},
	corev1.TaintNodePIDPressure:        {corev1.NodePIDPressure, corev1.ConditionTrue},
	corev1.TaintNodeNetworkUnavailable: {corev1.NodeNetworkUnavailable, corev1.ConditionTrue},
}

// tainted returns the status of a condition that a taint of the node speaks of, so that
// a node which has it from the start keeps it; empty if none does.
func tainted(taints []corev1.Taint, condition corev1.NodeConditionType) corev1.ConditionStatus {
	for _, t := range taints {
		if c, ok := conditionTaints[t.Key]; ok && c.condition == condition && t.Effect == corev1.TaintEffectNoSchedule {
			return c.status
		}
	}
	return ""
}

// Complete fills in what a kubelet would report for a node and its manifest
// leaves out: labels, annotations, capacity, allocatable, addresses, conditions and the node
// info. The index gives the node its address; it must differ between nodes.
func Complete(n *corev1.Node, index int) {
	n.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Node"}
	if n.Labels == nil {
		n.Labels = map[string]string{}
	}
	for key, value := range map[string]string{
		corev1.LabelHostname:   n.Name,
		corev1.LabelOSStable:   "linux",
		corev1.LabelArchStable: "amd64",
	} {
		n.Labels[key] = cmp.Or(n.Labels[key], value)
	}
	if n.Annotations == nil {
		n.Annotations = map[string]string{}
	}
	n.Annotations[managedAttach] = cmp.Or(n.Annotations[managedAttach], "true")
	st := &n.Status
	if st.Capacity == nil {
		st.Capacity = corev1.ResourceList{}
	}
	for name, q := range scenario.DefaultCapacity() {
		if _, ok := st.Capacity[corev1.ResourceName(name)]; !ok {
			st.Capacity[corev1.ResourceName(name)] = resource.MustParse(q)
		}
	}
	if st.Allocatable == nil {
		st.Allocatable = st.Capacity.DeepCopy()
	}
	if len(st.Addresses) == 0 {
		st.Addresses = []corev1.NodeAddress{
			{Type: corev1.NodeInternalIP, Address: fmt.Sprintf("10.0.%d.%d", index/250, index%250+1)},
			{Type: corev1.NodeHostName, Address: n.Name},
		}
	}
	if len(st.Conditions) == 0 {
		now := metav1.NewTime(clock.Epoch)
		for _, c := range []corev1.NodeCondition{
			{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady", Message: "kubelet is posting ready status"},
			{Type: corev1.NodeMemoryPressure, Status: corev1.ConditionFalse, Reason: "KubeletHasSufficientMemory"},
			{Type: corev1.NodeDiskPressure, Status: corev1.ConditionFalse, Reason: "KubeletHasNoDiskPressure"},
			{Type: corev1.NodePIDPressure, Status: corev1.ConditionFalse, Reason: "KubeletHasSufficientPID"},
			{Type: corev1.NodeNetworkUnavailable, Status: corev1.ConditionFalse, Reason: "RouteCreated"},
		} {
			switch status := tainted(n.Spec.Taints, c.Type); {
			case status != "":
				c.Status, c.Reason, c.Message = status, "Tainted", "the node has come with a taint that says so"
			case c.Type == corev1.NodeNetworkUnavailable:
				continue // of most clusters' nodes nobody says it
			}
			c.LastHeartbeatTime, c.LastTransitionTime = now, now
			st.Conditions = append(st.Conditions, c)
		}
	}
	if st.NodeInfo.OperatingSystem == "" {
		st.NodeInfo = corev1.NodeSystemInfo{
			OperatingSystem: "linux", Architecture: "amd64", OSImage: "simulated",
			KernelVersion: "6.12.0", KubeletVersion: "v1.37.2", ContainerRuntimeVersion: "simctl://1",
		}
	}
}

package node

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	kubecontainer "k8s.io/kubernetes/pkg/kubelet/container"
	"k8s.io/kubernetes/pkg/kubelet/status"

	"simctl.dev/simctl/sim/internal/work"
)

// statusOf makes the status a kubelet reports for the pod now
// (generateAPIPodStatus in pkg/kubelet/kubelet_pods.go). Conditions are those
// the kubelet owns.
func (k *Kubelets) statusOf(p *pod) corev1.PodStatus {
	start := metav1.NewTime(p.start)
	st := corev1.PodStatus{
		ObservedGeneration: p.generation,
		Phase:              p.phase, Reason: p.reason, Message: p.message,
		StartTime: &start, QOSClass: p.obj.Status.QOSClass,
		AllocatedResources: allocatedResources(p.obj),
	}
	if node, err := k.nodeLister.Get(p.m.name); err == nil {
		for _, a := range node.Status.Addresses {
			if a.Type == corev1.NodeInternalIP {
				st.HostIP = a.Address
				st.HostIPs = []corev1.HostIP{{IP: a.Address}}
				break
			}
		}
	}
	if p.ip != "" {
		st.PodIP = p.ip
		st.PodIPs = []corev1.PodIP{{IP: p.ip}}
	}
	if p.stage == released && p.sandbox == noSandbox && p.phase == corev1.PodFailed {
		return st // The kubelet refused the pod.
	}
	for _, c := range p.init {
		st.InitContainerStatuses = append(st.InitContainerStatuses, p.containerStatus(c, true))
	}
	for _, c := range p.containers {
		st.ContainerStatuses = append(st.ContainerStatuses, p.containerStatus(c, false))
	}
	st.Conditions = p.conditionsNow(&st, metav1.NewTime(k.o.Clock.Now()))
	if p.disruption != nil {
		st.Conditions = append(st.Conditions, *p.disruption)
	}
	return st
}

func (p *pod) containerStatus(c *container, init bool) corev1.ContainerStatus {
	st := corev1.ContainerStatus{Name: c.spec.Name, Image: c.image, VolumeMounts: mountStatuses(c.spec.VolumeMounts)}
	no, yes := false, true
	switch {
	case c.lost:
		st.State.Terminated = &corev1.ContainerStateTerminated{ExitCode: exitUnknown, Reason: reasonUnknown, Message: messageUnknown}
		st.Started = &no
	case !c.finished.IsZero():
		st.State.Terminated = &corev1.ContainerStateTerminated{
			ExitCode: c.exit, Reason: c.reason, Message: c.message,
			StartedAt: metav1.NewTime(c.started), FinishedAt: metav1.NewTime(c.finished), ContainerID: p.containerID(c),
		}
		st.Ready = init && c.exit == 0
		st.Started = &no
	case !c.started.IsZero():
		st.State.Running = &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(c.started)}
		st.Ready, st.Started = !init || c.native, &yes
	default:
		reason := c.waitingReason
		if reason == "" {
			reason = "ContainerCreating"
			if len(p.init) > 0 {
				reason = "PodInitializing"
			}
		}
		st.State.Waiting = &corev1.ContainerStateWaiting{Reason: reason, Message: c.waitingMessage}
		st.Started = &no
	}
	if !c.started.IsZero() {
		st.ContainerID = p.containerID(c)
		st.ImageID = imageID(c.image)
		st.RestartCount = p.rebooted
		st.Resources, st.AllocatedResources = c.spec.Resources.DeepCopy(), c.spec.Resources.Requests
	}
	return st
}

// containerID makes an identifier that is the same in every run.
func (p *pod) containerID(c *container) string {
	sum := sha256.Sum256([]byte(p.key + "/" + c.spec.Name))
	return "simctl://" + hex.EncodeToString(sum[:])
}

func imageID(image string) string {
	sum := sha256.Sum256([]byte(image))
	return untag(image, false) + "@sha256:" + hex.EncodeToString(sum[:])
}

// conditionsNow returns the conditions that a kubelet owns for a status, made by
// upstream's code, with transition times (generateAPIPodStatus in
// pkg/kubelet/kubelet_pods.go).
func (p *pod) conditionsNow(st *corev1.PodStatus, now metav1.Time) []corev1.PodCondition {
	// A phase that is final is reported later than the conditions that follow from it.
	phase := p.computed()
	old := &p.reported
	containers := slices.Concat(st.InitContainerStatuses, st.ContainerStatuses)
	sandboxes := &kubecontainer.PodStatus{}
	if p.sandbox != noSandbox {
		state := runtimeapi.PodSandboxState_SANDBOX_READY
		if p.sandbox == sandboxEnded {
			state = runtimeapi.PodSandboxState_SANDBOX_NOTREADY
		}
		sandboxes.SandboxStatuses = []*runtimeapi.PodSandboxStatus{{Metadata: &runtimeapi.PodSandboxMetadata{}, State: state,
			Network: &runtimeapi.PodSandboxNetworkStatus{Ip: p.ip}}}
	}
	out := []corev1.PodCondition{
		status.GeneratePodReadyToStartContainersCondition(p.obj, old, sandboxes),
		status.GeneratePodInitializedCondition(p.obj, old, containers, phase),
		status.GeneratePodReadyCondition(p.obj, old, nil, containers, phase),
		status.GenerateContainersReadyCondition(p.obj, old, containers, phase),
		{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, ObservedGeneration: p.generation},
	}
	for i := range out {
		c := &out[i]
		c.LastTransitionTime = now
		if c.Type == corev1.PodScheduled {
			// The API server takes the moment from the host's clock.
			c.LastTransitionTime = metav1.NewTime(p.start)
		}
		if before := conditionOf(old, c.Type); before != nil && before.Status == c.Status && c.Type != corev1.PodScheduled {
			c.LastTransitionTime = before.LastTransitionTime
		}
	}
	return out
}

// scheduledOf returns the condition that says that a pod has its node, as it is before
// its kubelet reports.
func scheduledOf(obj *corev1.Pod) []corev1.PodCondition {
	if c := conditionOf(&obj.Status, corev1.PodScheduled); c != nil {
		return []corev1.PodCondition{*c}
	}
	return nil
}

// conditionOf returns a condition of a status, nil if it has none of that type.
func conditionOf(st *corev1.PodStatus, kind corev1.PodConditionType) *corev1.PodCondition {
	for i := range st.Conditions {
		if st.Conditions[i].Type == kind {
			return &st.Conditions[i]
		}
	}
	return nil
}

// writeStatus reports the pod's status as a kubelet does: by a patch that makes what
// it reported last into what it reports now. So conditions of others stay, nothing
// conflicts, and what is no longer said goes away (PatchPodStatus in pkg/util/pod).
func (k *Kubelets) writeStatus(ctx context.Context, p *pod) {
	if p.obj == nil || p.m.isSilent() {
		return // A kubelet that is silent reports when it is not any more.
	}
	st := k.statusOf(p)
	p.reports++
	report := p.reports
	work.Retry(ctx, k.o.Clock, k.o.Logger, p.eventKey("status"), func() error {
		if p.reports != report || p.obj == nil || p.m.isSilent() {
			return nil // A later report went out, or there is nothing to report on.
		}
		before := mustJSON(corev1.Pod{Status: p.reported})
		after := mustJSON(corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: p.uid}, Status: st})
		patch, err := strategicpatch.CreateTwoWayMergePatch(before, after, corev1.Pod{})
		if err != nil {
			return fmt.Errorf("making a patch of the status of pod %s/%s: %w", p.namespace, p.name, err)
		}
		if _, err := k.o.Client.CoreV1().Pods(p.namespace).Patch(ctx, p.name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status"); err != nil {
			return fmt.Errorf("writing the status of pod %s/%s: %w", p.namespace, p.name, err)
		}
		p.reported = st
		return nil
	})
}

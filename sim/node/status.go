package node

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

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
	refused := p.stage == released && !p.containersRun && p.phase == corev1.PodFailed
	if !refused {
		for _, c := range p.init {
			st.InitContainerStatuses = append(st.InitContainerStatuses, p.containerStatus(c, true))
		}
		for _, c := range p.containers {
			st.ContainerStatuses = append(st.ContainerStatuses, p.containerStatus(c, false))
		}
		st.Conditions = p.conditionsNow(metav1.NewTime(k.o.Clock.Now()))
		if p.disruption != nil {
			st.Conditions = append(st.Conditions, *p.disruption)
		}
	}
	return st
}

func (p *pod) containerStatus(c *container, init bool) corev1.ContainerStatus {
	st := corev1.ContainerStatus{Name: c.spec.Name, Image: c.image}
	no, yes := false, true
	switch {
	case !c.finished.IsZero():
		st.State.Terminated = &corev1.ContainerStateTerminated{
			ExitCode: c.exit, Reason: c.reason, Message: c.message,
			StartedAt: metav1.NewTime(c.started), FinishedAt: metav1.NewTime(c.finished), ContainerID: p.containerID(c),
		}
		st.Ready = init && c.exit == 0
		st.Started = &no
	case !c.started.IsZero():
		st.State.Running = &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(c.started)}
		st.Ready, st.Started = true, &yes
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

// conditionsNow gives the pod's conditions, with transition times.
func (p *pod) conditionsNow(now metav1.Time) []corev1.PodCondition {
	done := p.phase == corev1.PodSucceeded || p.phase == corev1.PodFailed
	initialized := corev1.PodCondition{Type: corev1.PodInitialized, Status: corev1.ConditionTrue}
	ready := corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionTrue}
	sandbox := corev1.PodCondition{Type: corev1.PodReadyToStartContainers, Status: corev1.ConditionFalse}
	switch {
	case done:
		if p.phase == corev1.PodSucceeded {
			initialized.Reason = "PodCompleted"
			ready.Reason = "PodCompleted"
		} else {
			ready.Reason = "PodFailed"
		}
		ready.Status = corev1.ConditionFalse
	case p.containersRun:
		sandbox.Status = corev1.ConditionTrue
		var unready []string
		for _, c := range p.containers {
			if !c.finished.IsZero() {
				unready = append(unready, c.spec.Name)
			}
		}
		if len(unready) > 0 {
			ready.Status, ready.Reason = corev1.ConditionFalse, "ContainersNotReady"
			ready.Message = fmt.Sprintf("containers with unready status: %s", list(unready))
		}
	default:
		if p.readyToStart {
			sandbox.Status = corev1.ConditionTrue
		}
		var unready, uninitialized []string
		for _, c := range p.containers {
			unready = append(unready, c.spec.Name)
		}
		for _, c := range p.init {
			uninitialized = append(uninitialized, c.spec.Name)
		}
		if len(uninitialized) > 0 {
			initialized.Status, initialized.Reason = corev1.ConditionFalse, "ContainersNotInitialized"
			initialized.Message = fmt.Sprintf("containers with incomplete status: %s", list(uninitialized))
		}
		ready.Status, ready.Reason = corev1.ConditionFalse, "ContainersNotReady"
		ready.Message = fmt.Sprintf("containers with unready status: %s", list(unready))
	}
	containers := ready
	containers.Type = corev1.ContainersReady
	out := []corev1.PodCondition{sandbox, initialized, ready, containers}
	for i := range out {
		c := &out[i]
		c.ObservedGeneration = p.generation
		c.LastTransitionTime = now
		if old, ok := p.conditions[c.Type]; ok && old.Status == c.Status {
			c.LastTransitionTime = old.LastTransitionTime
		}
		p.conditions[c.Type] = *c
	}
	return out
}

// list writes names as Go prints a slice, which is how the kubelet words them.
func list(names []string) string { return fmt.Sprint(names) }

// writeStatus reports the pod's status: a strategic merge patch, as the
// kubelet's own, so that conditions of others stay and nothing conflicts.
func (k *Kubelets) writeStatus(ctx context.Context, p *pod) {
	if p.obj == nil {
		return
	}
	patch := mustJSON(map[string]any{
		"metadata": map[string]any{"uid": p.uid},
		"status":   k.statusOf(p),
	})
	p.reports++
	report := p.reports
	work.Retry(ctx, k.o.Clock, k.o.Logger, p.eventKey("status"), func() error {
		if p.reports != report || p.obj == nil {
			return nil // A later report went out, or there is nothing to report on.
		}
		_, err := k.o.Client.CoreV1().Pods(p.namespace).Patch(ctx, p.name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
		if err != nil {
			return fmt.Errorf("writing the status of pod %s/%s: %w", p.namespace, p.name, err)
		}
		return nil
	})
}

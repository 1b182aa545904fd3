package node

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"

	"simctl.dev/simctl/sim/node/internal/entrypoint"
)

// ContainerStatusUnknown is the reason, and the rest the message and exit code, that a
// kubelet gives a container which it cannot find when its pod ends
// (TerminatePod in pkg/kubelet/status/status_manager.go).
const (
	reasonUnknown  = "ContainerStatusUnknown"
	messageUnknown = "The container could not be located when the pod was terminated"
	exitUnknown    = 137
)

// What processes end with that die of a signal.
const (
	exitSIGTERM = 143
	exitSIGKILL = 137
)

// stop ends a pod's containers: each is sent SIGTERM, and SIGKILL when the grace period
// is over (SyncTerminatingPod in pkg/kubelet). then is called when all have ended.
func (k *Kubelets) stop(ctx context.Context, p *pod, then func()) {
	p.cancelAll()
	p.stopping = true
	k.sayPassedOver(ctx, p)
	for _, c := range p.all() {
		if c.pullError != "" { // it is forgotten
			c.waitingReason, c.waitingMessage = "", ""
		}
	}
	k.sayStopping(ctx, p)
	grace := gracePeriod(p)
	took := time.Duration(0)
	running := false
	for _, c := range p.all() {
		if c.runs() {
			running = true
			took = max(took, k.signal(p, c, grace))
		}
	}
	if !running {
		took = k.takes(p, k.o.Kubelet.Termination, terminationTime, "termination")
	}
	k.passes(ctx, p, took, "stopped", func() {
		for _, c := range p.all() {
			if c.runs() {
				k.endSignalled(p, c)
			}
		}
		k.does(p, then)
	})
}

// gracePeriod is how long a pod's processes are given.
func gracePeriod(p *pod) time.Duration {
	seconds := int64(corev1.DefaultTerminationGracePeriodSeconds)
	switch {
	case p.grace != nil:
		seconds = *p.grace
	case p.obj != nil && p.obj.DeletionGracePeriodSeconds != nil:
		seconds = *p.obj.DeletionGracePeriodSeconds
	case p.spec.TerminationGracePeriodSeconds != nil:
		seconds = *p.spec.TerminationGracePeriodSeconds
	}
	return time.Duration(max(seconds, 1)) * time.Second
}

// death is how a container ends that was sent a signal.
type death struct {
	at     time.Time
	exit   int32
	reason string
	// message says that the entrypoint lives on to write its message.
	message bool
}

// signal sends a container SIGTERM, and SIGKILL after the grace; it returns how long the
// container goes on.
func (k *Kubelets) signal(p *pod, c *container, grace time.Duration) time.Duration {
	took := k.takes(p, k.o.Kubelet.Termination, terminationTime, "termination", c.spec.Name)
	busy := c.step != "" && !c.began.IsZero()
	if m := k.model(p); busy && m.Termination != nil {
		took = k.takes(p, m.Termination, took, "termination", c.spec.Name)
	}
	d := &death{exit: exitSIGTERM, reason: "Error"}
	switch {
	case took > grace:
		took, d.exit = grace, exitSIGKILL
	case busy:
		d.exit, d.message = entrypoint.ExitChildSignalled, true
	case c.step != "", c.spec.Name == resultsSidecar:
		d.exit = entrypoint.ExitWaiting
	case internalContainer(c.spec.Name):
		d.exit, d.reason = 0, "Completed"
	}
	d.at = k.o.Clock.Now().Add(took)
	c.death = d
	return took
}

// endSignalled ends a container that was sent a signal.
func (k *Kubelets) endSignalled(p *pod, c *container) {
	d := c.death
	message := ""
	if d.message {
		message = c.args.Signalled(c.began)
	}
	c.end(d.at, d.exit, d.reason, message)
	if c.step != "" {
		k.containerFact(p, c)
	}
}

// kill ends every container that runs at once: a kubelet that evicts a pod gives it no
// time.
func (k *Kubelets) kill(p *pod) {
	now := k.o.Clock.Now()
	for _, c := range p.all() {
		if c.runs() {
			k.signal(p, c, time.Hour)
			c.death.at = now
			k.endSignalled(p, c)
		}
	}
}

// terminated returns the final phase of a pod whose containers were stopped. Those that
// never were started count as failed ones; but a pod that came to nothing keeps the
// containers after its first one waiting (TerminatePod in
// pkg/kubelet/status/status_manager.go).
func (p *pod) terminated() corev1.PodPhase {
	initialized := len(p.init) == 0
	if n := len(p.init); n > 0 {
		last := p.init[n-1]
		initialized = last.native && last.runs() || !last.finished.IsZero() && last.exit == 0
	}
	missing := false
	for i, c := range p.all() {
		if c.started.IsZero() && (i == 0 || i >= len(p.init) && initialized) {
			c.lost, missing = true, true
		}
	}
	if missing {
		return corev1.PodFailed
	}
	switch phase := p.computed(); phase {
	case corev1.PodSucceeded, corev1.PodFailed:
		return phase
	}
	return corev1.PodFailed
}

// computed returns the phase that a pod's containers come to (getPhase in
// pkg/kubelet/kubelet_pods.go).
func (p *pod) computed() corev1.PodPhase {
	phase := corev1.PodSucceeded
	for _, c := range p.init {
		if !c.native && (c.finished.IsZero() || c.exit != 0) {
			return corev1.PodPending
		}
	}
	for _, c := range p.containers {
		switch {
		case c.started.IsZero():
			return corev1.PodPending
		case c.finished.IsZero():
			return corev1.PodRunning
		case c.exit != 0:
			phase = corev1.PodFailed
		}
	}
	return phase
}

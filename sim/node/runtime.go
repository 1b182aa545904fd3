package node

import (
	"context"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	kubeletevents "k8s.io/kubernetes/pkg/kubelet/events"
	"k8s.io/kubernetes/pkg/kubelet/kuberuntime"

	"simctl.dev/simctl/sim/clock"
	"simctl.dev/simctl/sim/history"
)

// runtimeRequestTimeout is how long a kubelet waits for an answer of its container runtime
// (RuntimeRequestTimeout in pkg/kubelet/apis/config/v1beta1/defaults.go).
const runtimeRequestTimeout = 2 * time.Minute

// What a container runtime says that does not do what it is asked for, and what the kubelet
// makes of it (pkg/kubelet/kuberuntime).
const (
	runtimeTimesOut = "context deadline exceeded"
	noNetwork       = `rpc error: code = Unknown desc = failed to setup network for sandbox: plugin type="network" failed (add): network is not ready`
)

var (
	sandboxFailed      = saying{corev1.EventTypeWarning, kubeletevents.FailedCreatePodSandBox, "Failed to create pod sandbox: %v"}
	errCreateContainer = kuberuntime.ErrCreateContainer.Error()
)

// runtimeFault is one of the faults of container runtimes that last.
type runtimeFault struct {
	history.Runtime
	// hung are the requests that are not answered, in the order in which they were made.
	hung []*hung
}

// hung is a request of a kubelet that its runtime does not answer.
type hung struct {
	p  *pod
	do func()
}

// RuntimeFails has container runtimes not do any more what they are asked for; the function
// that it returns ends that, and has what is under way done.
func (k *Kubelets) RuntimeFails(which history.Runtime) (mend func()) {
	f := &runtimeFault{Runtime: which}
	k.runtimes = append(k.runtimes, f)
	k.runtimeFact(history.FactRuntimeFails, which)
	return func() {
		k.runtimes = slices.DeleteFunc(k.runtimes, func(o *runtimeFault) bool { return o == f })
		k.runtimeFact(history.FactRuntimeBack, which)
		for _, h := range f.hung {
			if h.p.next != nil && !h.p.stopping && k.runtimeOf(h.p.m.name, which.Fails) == nil {
				h.p.cancelNext()
				k.does(h.p, h.do)
			}
		}
		f.hung = nil
	}
}

func (k *Kubelets) runtimeFact(fact string, r history.Runtime) {
	k.o.Recorder.Record(history.NewFact("runtime", history.Ref{Kind: "Runtime", Name: r.Name()}, fact, r))
}

// runtimeOf returns what has a node's runtime fail at something; nil if it does not.
func (k *Kubelets) runtimeOf(node, at string) *runtimeFault {
	for _, f := range slices.Backward(k.runtimes) {
		if f.Fails == at && (f.Node == "" || f.Node == node) {
			return f
		}
	}
	return nil
}

// makeSandbox has the runtime make a pod's sandbox, once it does, and then goes on.
func (k *Kubelets) makeSandbox(ctx context.Context, p *pod, then func()) {
	if k.runtimeOf(p.m.name, history.RuntimeSandbox) == nil {
		then()
		return
	}
	p.sandboxTries++
	if p.sandboxTries == 1 {
		k.fact(p, history.FactNotMade, history.NotMade{Node: p.m.name, What: history.RuntimeSandbox, Message: noNetwork})
	}
	k.say(ctx, p, sandboxFailed, noNetwork)
	// Between its looks the kubelet does nothing about the pod.
	if p.endSync() {
		return
	}
	k.after(ctx, p, k.untilLook(p), "sandbox", func() {
		p.syncing = true
		k.makeSandbox(ctx, p, then)
	})
}

// makeContainer has the runtime make a container; a runtime that does not answer is waited
// for, and asked again later. then goes on when the container is made.
func (k *Kubelets) makeContainer(ctx context.Context, p *pod, c *container, then func()) {
	f := k.runtimeOf(p.m.name, history.RuntimeContainer)
	if f == nil {
		then()
		return
	}
	f.hung = append(slices.DeleteFunc(f.hung, func(h *hung) bool { return h.p == p }), &hung{p, then})
	k.after(ctx, p, runtimeRequestTimeout, "create", func() {
		f.hung = slices.DeleteFunc(f.hung, func(h *hung) bool { return h.p == p })
		if !c.refused {
			c.refused = true
			k.fact(p, history.FactNotMade, history.NotMade{Node: p.m.name, What: history.RuntimeContainer, Container: c.spec.Name, Message: runtimeTimesOut})
		}
		k.sayOf(ctx, p, c, containerNotCreated, runtimeTimesOut)
		if p.endSync() {
			return
		}
		k.after(ctx, p, k.untilLook(p), "create", func() {
			// The look before tells what it came to.
			if c.waitingReason == "" {
				c.waitingReason, c.waitingMessage = errCreateContainer, runtimeTimesOut
				k.writeStatus(ctx, p)
			}
			p.syncing = true
			k.sayPulled(ctx, p, c, pull{image: c.image, cached: true})
			k.makeContainer(ctx, p, c, then)
		})
	})
}

// untilLook is how long it takes until a kubelet looks again at a pod that it could not do
// all for.
func (k *Kubelets) untilLook(p *pod) time.Duration {
	p.looks++
	jitter := clock.Rand(k.o.Seed, "pod look", p.key, strconv.Itoa(p.looks)).Float64()
	return lookAgain + time.Duration(jitter*lookAgainJitter*float64(lookAgain)).Round(time.Millisecond)
}

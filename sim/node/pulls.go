package node

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/util/flowcontrol"
	kubeletevents "k8s.io/kubernetes/pkg/kubelet/events"
	"k8s.io/kubernetes/pkg/kubelet/images"

	"simctl.dev/simctl/sim/clock"
	"simctl.dev/simctl/sim/history"
)

// What a kubelet says of images that do not come (pkg/kubelet/images/image_manager.go and
// pkg/kubelet/kuberuntime/kuberuntime_manager.go).
var (
	pullNotDone    = saying{corev1.EventTypeWarning, kubeletevents.FailedToPullImage, "Failed to pull image %q: %v"}
	pullBacksOff   = saying{corev1.EventTypeNormal, kubeletevents.BackOffPullImage, "Back-off pulling image %q"}
	pullError      = saying{corev1.EventTypeWarning, kubeletevents.FailedToPullImage, "Error: %v"}
	wordsBackOff   = "Back-off pulling image %q: %s: %s"
	errPull        = images.ErrImagePull.Error()
	errPullBackOff = images.ErrImagePullBackOff.Error()
)

// The kubelet's back-off of pulls (imageBackOffPeriod and MaxImageBackOff of
// pkg/kubelet/kubelet.go), and how often it looks at a pod that it could not do all for
// (backOffPeriod there, workerBackOffPeriodJitterFactor of pod_workers.go).
const (
	firstPullBackOff   = 10 * time.Second
	longestPullBackOff = 300 * time.Second
	lookAgain          = 10 * time.Second
	lookAgainJitter    = 0.5
)

// newPullBackOff makes client-go's back-off, which a kubelet has, on virtual time.
func newPullBackOff(c *clock.Clock) *flowcontrol.Backoff {
	b := flowcontrol.NewBackOff(firstPullBackOff, longestPullBackOff)
	b.Clock = c
	return b
}

// RegistryFails has images not come any more that are not on their nodes; the function that
// it returns ends that.
func (k *Kubelets) RegistryFails(which history.Registry) (mend func()) {
	k.failing = append(k.failing, &which)
	at := &which
	k.registryFact(history.FactRegistryFails, which)
	return func() {
		k.failing = slices.DeleteFunc(k.failing, func(r *history.Registry) bool { return r == at })
		k.registryFact(history.FactRegistryBack, which)
	}
}

func (k *Kubelets) registryFact(fact string, r history.Registry) {
	k.o.Recorder.Record(history.NewFact("registry", history.Ref{Kind: "Registry", Name: r.Images}, fact, r))
}

// answer is what the container runtime says of an image that does not come; empty if it
// comes. Its words are containerd's.
func (k *Kubelets) answer(image string) string {
	for _, r := range slices.Backward(k.failing) {
		if !r.Has(image) {
			continue
		}
		host, repository, tag := parts(image)
		at := fmt.Sprintf("https://%s/v2/%s/manifests/%s", host, repository, tag)
		words := fmt.Sprintf("failed to pull and unpack image %q: failed to resolve reference %q: ", image, image)
		switch r.Answer {
		case history.RegistryHasNot:
			return "rpc error: code = NotFound desc = " + words + image + ": not found"
		case history.RegistryLimits:
			return words + "unexpected status from HEAD request to " + at + ": 429 Too Many Requests"
		case history.RegistryDown:
			return words + "unexpected status from HEAD request to " + at + ": 503 Service Unavailable"
		}
		return words + fmt.Sprintf("failed to do request: Head %q: dial tcp %s: connect: connection refused", at, host)
	}
	return ""
}

// parts takes an image's reference apart, as container runtimes read it.
func parts(image string) (host, repository, tag string) {
	host, repository, tag = "registry-1.docker.io", image, "latest"
	if first, rest, ok := strings.Cut(image, "/"); ok && (strings.ContainsAny(first, ".:") || first == "localhost") {
		host, repository = first, rest
	} else if !ok {
		repository = "library/" + image
	}
	if name, digest, ok := strings.Cut(repository, "@"); ok {
		return host, untag(name, false), digest
	}
	if name := untag(repository, false); name != repository {
		return host, name, repository[len(name)+1:]
	}
	return host, repository, tag
}

// pullable says whether a container's image is on its node, on its way or can come.
func (k *Kubelets) pullable(p *pod, c *container) bool {
	_, there := p.m.images[c.image]
	if there || k.registry.preloaded && !slices.ContainsFunc(k.failing, func(r *history.Registry) bool { return r.Images == c.image }) {
		return true
	}
	return k.answer(c.image) == ""
}

// backOffKey is what a kubelet counts the pulls of a pod's image under.
func backOffKey(p *pod, c *container) string { return string(p.uid) + "_" + c.image }

// ask asks for a container's image. One that a container of the pod before it has is there.
func (k *Kubelets) ask(p *pod, c *container) pull {
	now := k.o.Clock.Now()
	if k.pullable(p, c) {
		if slices.Contains(p.pulls, c.image) {
			return pull{image: c.image, cached: true}
		}
		return p.m.pull(k.registry, now, c.image, c.spec.ImagePullPolicy == corev1.PullAlways)
	}
	turn := p.m.puller.turn(now)
	pl := pull{image: c.image, whole: turn.Sub(now), refusal: k.answer(c.image)}
	if !p.m.puller.lets(turn) {
		pl.refusal = pullQPSExceeded
	}
	return pl
}

// pullFailed is a pull that the registry does not answer, or that was not to be made. What it
// came to shows in the pod's status when the kubelet looks at the pod next.
func (k *Kubelets) pullFailed(ctx context.Context, p *pod, c *container, refusal string) {
	first := c.pullError == ""
	c.pullError = refusal
	k.sayOf(ctx, p, c, pullNotDone, c.image, c.pullError)
	k.backOff.Next(backOffKey(p, c), k.o.Clock.Now())
	c.backsOff = k.o.Clock.Now().Add(k.backOff.Get(backOffKey(p, c)))
	c.pullReason, c.pullMessage = errPull, c.pullError
	k.sayOf(ctx, p, c, pullError, errPull)
	if first {
		f := history.PullFailed{Image: c.image, Node: p.m.name, Message: c.pullError}
		if refusal == pullQPSExceeded {
			f.Limit = &history.PullLimit{QPS: int(k.pulling.qps), Burst: k.pulling.burst}
		}
		k.fact(p, history.FactPullFailed, f)
	}
	if p.pullAgain == nil {
		// The start of another container, or the end of the one before, has it look.
		k.planPulls(ctx, p, retryTime)
	}
}

// planPulls has the kubelet look at a pod again whose images have not come.
func (k *Kubelets) planPulls(ctx context.Context, p *pod, after time.Duration) {
	p.pullAgain = k.o.Clock.Schedule(after, clock.Retry, p.eventKey("pull"), func() {
		p.pullAgain = nil
		if ctx.Err() == nil {
			k.does(p, func() { k.lookAtPulls(ctx, p) })
		}
	})
}

// lookAtPulls tells what the last look came to, and asks for the images again whose back-off
// is over.
func (k *Kubelets) lookAtPulls(ctx context.Context, p *pod) {
	if p.stage >= ending || p.stopping {
		return
	}
	k.sayPassedOver(ctx, p)
	told := false
	var come []*container
	for _, c := range p.all() {
		if c.pullError == "" {
			continue
		}
		told = told || c.waitingReason != c.pullReason || c.waitingMessage != c.pullMessage
		c.waitingReason, c.waitingMessage = c.pullReason, c.pullMessage
		come = append(come, c)
	}
	if told {
		k.writeStatus(ctx, p)
	}
	for _, c := range come {
		switch {
		case k.o.Clock.Now().Before(c.backsOff):
			k.sayBacksOff(ctx, p, c, k.o.Clock.Now())
			c.pullReason, c.pullMessage = errPullBackOff, fmt.Sprintf(wordsBackOff, c.image, errPull, c.pullError)
		default:
			pl := k.ask(p, c)
			if pl.refusal != "" {
				k.sayOf(ctx, p, c, pullingImage, c.image)
				k.pullFailed(ctx, p, c, pl.refusal)
				continue
			}
			c.pullError = ""
			init := slices.Index(p.all(), c) < len(p.init)
			k.pull(ctx, p, c, pl, func() { k.pulled(ctx, p, c, init) })
		}
	}
	cancelEvent(&p.pullAgain)
	if after, ok := k.nextLook(p); ok {
		k.planPulls(ctx, p, after)
	}
}

// nextLook is how long it takes to the next look at a pod's images that tells or does
// something; false if all have come.
func (k *Kubelets) nextLook(p *pod) (time.Duration, bool) {
	var waiting []*container
	for _, c := range p.all() {
		if c.pullError != "" {
			waiting = append(waiting, c)
		}
	}
	now := k.o.Clock.Now()
	at := now
	for len(waiting) > 0 {
		p.looks++
		jitter := clock.Rand(k.o.Seed, "pod look", p.key, strconv.Itoa(p.looks)).Float64()
		at = at.Add(lookAgain + time.Duration(jitter*lookAgainJitter*float64(lookAgain)).Round(time.Millisecond))
		if slices.ContainsFunc(waiting, func(c *container) bool {
			return c.waitingReason != c.pullReason || c.waitingMessage != c.pullMessage || !at.Before(c.backsOff)
		}) {
			return at.Sub(now), true
		}
		p.passedOver = append(p.passedOver, at)
	}
	return 0, false
}

// sayPassedOver says what the kubelet has said at the looks that were passed over.
func (k *Kubelets) sayPassedOver(ctx context.Context, p *pod) {
	moments := slices.DeleteFunc(p.passedOver, func(at time.Time) bool { return at.After(k.o.Clock.Now()) })
	p.passedOver = nil
	for _, c := range p.all() {
		if c.pullError != "" && len(moments) > 0 {
			k.sayBacksOff(ctx, p, c, moments...)
		}
	}
}

// sayBacksOff says at some moments that an image is not asked for yet.
func (k *Kubelets) sayBacksOff(ctx context.Context, p *pod, c *container, moments ...time.Time) {
	if p.m.isSilent() {
		return
	}
	about := p.about()
	about.FieldPath = p.fieldPath(c)
	k.events.Repeat(ctx, source(p.m.name), about, pullBacksOff.kind, pullBacksOff.reason, fmt.Sprintf(pullBacksOff.words, c.image), moments...)
	k.events.Repeat(ctx, source(p.m.name), about, pullError.kind, pullError.reason, fmt.Sprintf(pullError.words, errPullBackOff), moments...)
}

// pulled starts a container whose image has come late.
func (k *Kubelets) pulled(ctx context.Context, p *pod, c *container, init bool) {
	if init || p.stage == starting {
		k.start(ctx, p, c, init)
		return
	}
	k.sayOf(ctx, p, c, containerCreated)
	k.after(ctx, p, k.takes(p, k.o.Kubelet.ContainerStart, containerStartTime, "start", c.spec.Name), "start", func() {
		k.sayOf(ctx, p, c, containerStarted)
		k.begin(c)
		if p.stage == running && p.phase == corev1.PodPending && p.made() {
			k.run(ctx, p)
			return
		}
		k.writeStatus(ctx, p)
	})
}

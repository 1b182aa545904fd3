package node

import (
	"fmt"
	"math"
	"slices"
	"time"

	"k8s.io/client-go/util/flowcontrol"
	kubeletconfigv1beta1 "k8s.io/kubelet/config/v1beta1"
	"k8s.io/kubernetes/pkg/kubelet/apis/config/v1beta1"

	"simctl.dev/simctl/sim/scenario"
)

// pullQPSExceeded is what a kubelet says of an image that it does not ask for, since it has
// asked for too many (throttledImageService in pkg/kubelet/images/helpers.go).
const pullQPSExceeded = "pull QPS exceeded"

// pulling is how kubelets ask for images: upstream's settings with upstream's defaults.
type pulling struct {
	serial bool
	// most is how many come side by side, 0 for any number.
	most int
	// qps is how many are asked for in a second, 0 for any number, and burst at once.
	qps   float32
	burst int
}

// newPulling reads a scenario's settings; what it does not say is upstream's default.
func newPulling(s scenario.Kubelet) (pulling, error) {
	config := &kubeletconfigv1beta1.KubeletConfiguration{SerializeImagePulls: s.SerializeImagePulls}
	for _, set := range []struct {
		said *int64
		to   **int32
	}{{s.MaxParallelImagePulls, &config.MaxParallelImagePulls}, {s.RegistryPullQPS, &config.RegistryPullQPS}} {
		if set.said != nil {
			n := int32(min(max(*set.said, -1), math.MaxInt32)) //nolint:gosec // bounded
			*set.to = &n
		}
	}
	config.RegistryBurst = int32(min(max(s.RegistryBurst, -1), math.MaxInt32)) //nolint:gosec // bounded
	v1beta1.SetDefaults_KubeletConfiguration(config)
	p := pulling{serial: *config.SerializeImagePulls, qps: float32(*config.RegistryPullQPS), burst: int(config.RegistryBurst)}
	if config.MaxParallelImagePulls != nil {
		p.most = int(*config.MaxParallelImagePulls)
	}
	if p.qps < 0 || p.burst < 0 || p.most < 0 {
		return p, fmt.Errorf("kubelet: registryPullQPS, registryBurst and maxParallelImagePulls cannot be negative")
	}
	return p, nil
}

// puller is what a kubelet's image puller knows (pkg/kubelet/images/puller.go): requests have
// their turn in the order in which they come, and what stands in for waiting for it is that
// it is known beforehand.
type puller struct {
	pulling
	// until are the moments at which the images come that are on their way.
	until []time.Time
	// limiter is client-go's, at the moment at.
	limiter flowcontrol.PassiveRateLimiter
	at      time.Time
}

func newPuller(p pulling) *puller {
	out := &puller{pulling: p}
	if p.qps > 0 {
		out.limiter = flowcontrol.NewTokenBucketPassiveRateLimiterWithClock(p.qps, p.burst, out)
	}
	return out
}

// Now is the limiter's clock.
func (p *puller) Now() time.Time { return p.at }

// Since is the limiter's clock.
func (p *puller) Since(t time.Time) time.Duration { return p.at.Sub(t) }

// turn is when a request has its turn that comes now.
func (p *puller) turn(now time.Time) time.Time {
	p.until = slices.DeleteFunc(p.until, func(t time.Time) bool { return !t.After(now) })
	most := p.most
	if p.serial {
		most = 1
	}
	if most == 0 || len(p.until) < most {
		return now
	}
	slices.SortFunc(p.until, time.Time.Compare)
	return p.until[len(p.until)-most]
}

// lets says whether a request may be made at its turn, which is none that comes before that
// of the request before.
func (p *puller) lets(turn time.Time) bool {
	if p.limiter == nil {
		return true
	}
	if turn.After(p.at) {
		p.at = turn
	}
	return p.limiter.TryAccept()
}

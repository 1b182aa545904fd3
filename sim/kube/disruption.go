package kube

import (
	"context"
	"fmt"
	"time"

	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/scale"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/kubernetes/pkg/controller/disruption"

	"simctl.dev/simctl/sim/clock"
)

// disruption makes the controller that says how many pods of a PodDisruptionBudget
// may be evicted, without which the API server evicts none of them. It tells time by
// the host's clock as the API server does, whose notes of what it has evicted it
// reads. What it does besides is left out: it takes DisruptionTarget back from a pod
// that nobody has deleted two minutes later, and whoever sets it here deletes the pod.
func (c *Controllers) disruption(ctx context.Context, f informers.SharedInformerFactory) error {
	client, err := c.client(Disruption)
	if err != nil {
		return err
	}
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(client.Discovery()))
	scales, err := scale.NewForConfig(c.o.ConfigFor(Disruption), mapper, dynamic.LegacyAPIPathResolverFunc, scale.NewDiscoveryScaleKindResolver(client.Discovery()))
	if err != nil {
		return fmt.Errorf("making the client of %s: %w", Disruption, err)
	}
	core, apps := f.Core().V1(), f.Apps().V1()
	ctl := disruption.NewDisruptionController(ctx, core.Pods(), f.Policy().V1().PodDisruptionBudgets(), core.ReplicationControllers(),
		apps.ReplicaSets(), apps.Deployments(), apps.StatefulSets(), client, mapper, scales, client.Discovery())
	if _, err := c.queue(ctl, "queue", "disruption", longestBackoff); err != nil {
		return err
	}
	rechecks, err := field[workqueue.TypedDelayingInterface[string]](ctl, "recheckQueue")
	if err != nil {
		return err
	}
	(*rechecks).ShutDown()
	q := newRetryQueue(c.o.Clock, "disruption rechecks", longestBackoff)
	q.delays = clock.Housekeeping
	*rechecks = q
	c.queues = append(c.queues, q)
	stale, err := field[workqueue.TypedRateLimitingInterface[string]](ctl, "stalePodDisruptionQueue")
	if err != nil {
		return err
	}
	(*stale).ShutDown()
	*stale = unused{newRetryQueue(c.o.Clock, "stale disruptions", longestBackoff)}
	c.run = append(c.run, func(ctx context.Context) { ctl.Run(ctx, workers) })
	return nil
}

// unused is a queue that nothing is ever put on.
type unused struct{ *retryQueue }

// AddAfter implements workqueue.TypedDelayingInterface.
func (unused) AddAfter(string, time.Duration) {}

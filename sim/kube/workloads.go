package kube

import (
	"context"
	"fmt"
	"time"

	"k8s.io/client-go/informers"
	"k8s.io/client-go/util/flowcontrol"
	"k8s.io/kubernetes/pkg/controller/daemon"
	"k8s.io/kubernetes/pkg/controller/deployment"
	"k8s.io/kubernetes/pkg/controller/replicaset"
	"k8s.io/kubernetes/pkg/controller/volume/ephemeral"
	kclock "k8s.io/utils/clock"

	"simctl.dev/simctl/sim/clock"
)

// deployment makes the pods' owners' owner. Its only delay is the progress
// deadline, which is told by the machine's clock and sets a condition that nobody
// waits for.
func (c *Controllers) deployment(ctx context.Context, f informers.SharedInformerFactory) error {
	client, err := c.client(Deployment)
	if err != nil {
		return err
	}
	apps := f.Apps().V1()
	ctl, err := deployment.NewDeploymentController(ctx, apps.Deployments(), apps.ReplicaSets(), f.Core().V1().Pods(), client)
	if err != nil {
		return fmt.Errorf("making the Deployment controller: %w", err)
	}
	queue, err := c.queue(ctl, "queue", "deployment", longestBackoff)
	if err != nil {
		return err
	}
	queue.delays = clock.Housekeeping
	c.run = append(c.run, func(ctx context.Context) { ctl.Run(ctx, workers) })
	return nil
}

func (c *Controllers) replicaSet(ctx context.Context, f informers.SharedInformerFactory) error {
	client, err := c.client(ReplicaSet)
	if err != nil {
		return err
	}
	ctl := replicaset.NewReplicaSetController(ctx, f.Apps().V1().ReplicaSets(), f.Core().V1().Pods(), client, replicaset.BurstReplicas)
	if _, err := c.queue(ctl, "queue", "replicaset", longestBackoff); err != nil {
		return err
	}
	// minReadySeconds counts from what kubelets write, in virtual time.
	now, err := field[kclock.PassiveClock](ctl, "clock")
	if err != nil {
		return err
	}
	*now = c.o.Clock
	c.run = append(c.run, func(ctx context.Context) { ctl.Run(ctx, workers) })
	return nil
}

func (c *Controllers) daemonSet(ctx context.Context, f informers.SharedInformerFactory) error {
	client, err := c.client(DaemonSet)
	if err != nil {
		return err
	}
	core, apps := f.Core().V1(), f.Apps().V1()
	ctl, err := daemon.NewDaemonSetsController(ctx, apps.DaemonSets(), apps.ControllerRevisions(), core.Pods(), core.Nodes(), client,
		flowcontrol.NewBackOff(time.Second, 15*time.Minute))
	if err != nil {
		return fmt.Errorf("making the DaemonSet controller: %w", err)
	}
	for _, queue := range []string{"queue", "nodeUpdateQueue"} {
		if _, err := c.queue(ctl, queue, "daemonset "+queue, longestBackoff); err != nil {
			return err
		}
	}
	c.run = append(c.run, func(ctx context.Context) { ctl.Run(ctx, workers) })
	return nil
}

func (c *Controllers) ephemeralVolumes(ctx context.Context, f informers.SharedInformerFactory) error {
	client, err := c.client(EphemeralVolume)
	if err != nil {
		return err
	}
	ctl, err := ephemeral.NewController(ctx, client, f.Core().V1().Pods(), f.Core().V1().PersistentVolumeClaims())
	if err != nil {
		return fmt.Errorf("making the controller of ephemeral volumes: %w", err)
	}
	if _, err := c.queue(ctl, "queue", "ephemeral volume", longestBackoff); err != nil {
		return err
	}
	c.run = append(c.run, func(ctx context.Context) { ctl.Run(ctx, workers) })
	return nil
}

package kube

import (
	"context"
	"time"

	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/flowcontrol"
	"k8s.io/kubernetes/pkg/controller/daemon"
	"k8s.io/kubernetes/pkg/controller/deployment"
	"k8s.io/kubernetes/pkg/controller/replicaset"
	"k8s.io/kubernetes/pkg/controller/volume/ephemeral"
	kclock "k8s.io/utils/clock"

	"simctl.dev/simctl/sim/clock"
)

// deployment makes the pods' owners' owner. Its only delay is the progress
// deadline, which is told by the host's clock and sets a condition that nobody
// waits for.
func (c *Controllers) deployment(ctx context.Context, f informers.SharedInformerFactory) error {
	apps := f.Apps().V1()
	_, queue, err := c.add(Deployment, "deployment", longestBackoff, workers, func(client kubernetes.Interface) (loop, error) {
		return deployment.NewDeploymentController(ctx, apps.Deployments(), apps.ReplicaSets(), f.Core().V1().Pods(), client)
	})
	if err != nil {
		return err
	}
	queue.delays = clock.Housekeeping
	return nil
}

func (c *Controllers) replicaSet(ctx context.Context, f informers.SharedInformerFactory) error {
	ctl, _, err := c.add(ReplicaSet, "replicaset", longestBackoff, workers, func(client kubernetes.Interface) (loop, error) {
		return replicaset.NewReplicaSetController(ctx, f.Apps().V1().ReplicaSets(), f.Core().V1().Pods(), client, replicaset.BurstReplicas), nil
	})
	if err != nil {
		return err
	}
	// minReadySeconds counts from what kubelets write, in virtual time.
	now, err := field[kclock.PassiveClock](ctl, "clock")
	if err != nil {
		return err
	}
	*now = c.o.Clock
	return nil
}

func (c *Controllers) daemonSet(ctx context.Context, f informers.SharedInformerFactory) error {
	core, apps := f.Core().V1(), f.Apps().V1()
	ctl, _, err := c.add(DaemonSet, "daemonset", longestBackoff, workers, func(client kubernetes.Interface) (loop, error) {
		return daemon.NewDaemonSetsController(ctx, apps.DaemonSets(), apps.ControllerRevisions(), core.Pods(), core.Nodes(), client,
			flowcontrol.NewBackOff(time.Second, 15*time.Minute))
	})
	if err != nil {
		return err
	}
	_, err = c.queue(ctl, "nodeUpdateQueue", "daemonset nodes", longestBackoff)
	return err
}

func (c *Controllers) ephemeralVolumes(ctx context.Context, f informers.SharedInformerFactory) error {
	_, _, err := c.add(EphemeralVolume, "ephemeral volume", longestBackoff, workers, func(client kubernetes.Interface) (loop, error) {
		return ephemeral.NewController(ctx, client, f.Core().V1().Pods(), f.Core().V1().PersistentVolumeClaims())
	})
	return err
}

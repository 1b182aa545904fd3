package kube

import (
	"context"
	"fmt"
	"reflect"
	"time"
	"unsafe"

	"k8s.io/client-go/informers"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/kubernetes/pkg/controller/nodelifecycle"
)

// taintNodes works through the queue of nodes that have changed: a node whose
// conditions speak against it, or that is cordoned, gets the taint that says so.
//
//go:linkname taintNodes k8s.io/kubernetes/pkg/controller/nodelifecycle.(*Controller).doNodeProcessingPassWorker
func taintNodes(c *nodelifecycle.Controller, ctx context.Context) //nolint:revive // the receiver comes first

// nodeLifecycle makes the controller that turns conditions of nodes into taints.
// What it does besides, watching that kubelets give a sign of life, is left out:
// simulated ones give none, and stop only with their Node.
func (c *Controllers) nodeLifecycle(ctx context.Context, f informers.SharedInformerFactory) error {
	client, err := c.client(NodeController)
	if err != nil {
		return err
	}
	core := f.Core().V1()
	// The times and rates are those of what is left out.
	ctl, err := nodelifecycle.NewNodeLifecycleController(ctx, f.Coordination().V1().Leases(), core.Pods(), core.Nodes(), f.Apps().V1().DaemonSets(),
		client, time.Second, time.Minute, time.Minute, 0, 0, 0, 0)
	if err != nil {
		return fmt.Errorf("making the node lifecycle controller: %w", err)
	}
	// Nobody works through this one, whose keys have a type of upstream's own.
	unused := reflect.ValueOf(ctl).Elem().FieldByName("podUpdateQueue")
	pods, ok := reflect.NewAt(unused.Type(), unsafe.Pointer(unused.UnsafeAddr())).Elem().Interface().(interface{ ShutDown() })
	if !ok {
		return fmt.Errorf("field podUpdateQueue of the node lifecycle controller is a %s and no queue", unused.Type())
	}
	pods.ShutDown()
	nodes, err := field[workqueue.TypedInterface[string]](ctl, "nodeUpdateQueue")
	if err != nil {
		return err
	}
	(*nodes).ShutDown()
	q := newRetryQueue(c.o.Clock, "node taints", longestBackoff)
	*nodes = q
	c.queues = append(c.queues, q)
	c.run = append(c.run, func(ctx context.Context) {
		c.wg.Go(func() { taintNodes(ctl, ctx) })
		<-ctx.Done()
		q.ShutDown()
	})
	return nil
}

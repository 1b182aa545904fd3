package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	firstprocess "simctl.dev/simctl/conformance/internal/node"
)

// controlPlane are the parts that stand still when the machine of the control plane
// does: Tekton and the CSI controller run elsewhere.
var controlPlane = []string{etcd, apiServer, controllerManager, kubeScheduler}

// what can be done to a cluster beside what its API is for, by its words
var orders = map[string]struct {
	arg, help string
	do        func(c *Cluster, arg string) error
}{
	"kill controller":      {help: "kill Tekton's controller (SIGKILL)", do: func(c *Cluster, _ string) error { return c.end(tektonController, syscall.SIGKILL) }},
	"stop controller":      {help: "end Tekton's controller (SIGTERM)", do: func(c *Cluster, _ string) error { return c.end(tektonController, syscall.SIGTERM) }},
	"start controller":     {help: "start Tekton's controller again", do: func(c *Cluster, _ string) error { return c.startPart(tektonController) }},
	"kill webhook":         {help: "kill Tekton's webhook (SIGKILL)", do: func(c *Cluster, _ string) error { return c.end(tektonWebhook, syscall.SIGKILL) }},
	"start webhook":        {help: "start Tekton's webhook again", do: func(c *Cluster, _ string) error { return c.startPart(tektonWebhook) }},
	"kill node":            {arg: "NODE", help: "kill a node with everything on it", do: (*Cluster).killNode},
	"kill kubelet":         {arg: "NODE", help: "kill a node's kubelet; its containers go on", do: func(c *Cluster, n string) error { return c.kubelet(n, true) }},
	"start kubelet":        {arg: "NODE", help: "start a node's kubelet again", do: func(c *Cluster, n string) error { return c.kubelet(n, false) }},
	"pause control-plane":  {help: "let the control plane stand still", do: func(c *Cluster, _ string) error { return c.pause(syscall.SIGSTOP) }},
	"resume control-plane": {help: "let it go on", do: func(c *Cluster, _ string) error { return c.pause(syscall.SIGCONT) }},
	"limit disks":          {arg: "N", help: "let a node take no more than N disks", do: (*Cluster).limitDisks},
	"unlimit disks":        {help: "let a node take any number of disks", do: func(c *Cluster, _ string) error { return c.unlimitDisks() }},
}

// Orders lists what Do can do, a line each.
func Orders() string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(orders)) {
		fmt.Fprintf(&b, "  %-28s %s\n", strings.TrimSpace(k+" "+orders[k].arg), orders[k].help)
	}
	return b.String()
}

// Do carries out an order of Orders.
func (c *Cluster) Do(words []string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	name := strings.Join(words[:min(2, len(words))], " ")
	o, ok := orders[name]
	arg := strings.Join(words[min(2, len(words)):], " ")
	if !ok || (o.arg == "") != (arg == "") {
		return fmt.Errorf("no order %q; there are:\n%s", strings.Join(words, " "), Orders())
	}
	if err := o.do(c, arg); err != nil {
		return fmt.Errorf("%s: %w", strings.Join(words, " "), err)
	}
	return nil
}

func (c *Cluster) end(part string, sig syscall.Signal) error {
	p := c.parts[part]
	if p == nil {
		return errors.New("it is not there")
	}
	delete(c.parts, part)
	p.Signal(sig)
	select {
	case <-p.Done():
		return nil
	case <-time.After(time.Minute):
		p.Kill()
		return fmt.Errorf("it went on for a minute after %s", sig)
	}
}

func (c *Cluster) kubelet(name string, kill bool) error {
	n, err := c.node(name)
	if err != nil {
		return err
	}
	if n.kubeletDead == kill {
		return errors.New("it is so already")
	}
	n.kubeletDead = kill
	if kill {
		return n.process.Tell(firstprocess.KillKubelet)
	}
	return n.process.Tell(firstprocess.StartKubelet)
}

func (c *Cluster) pause(sig syscall.Signal) error {
	for _, p := range controlPlane {
		c.parts[p].Signal(sig)
	}
	c.paused = sig == syscall.SIGSTOP
	return nil
}

func (c *Cluster) limitDisks(n string) error {
	return os.WriteFile(c.diskLimit(), []byte(n+"\n"), 0o644)
}

func (c *Cluster) unlimitDisks() error {
	if err := os.Remove(c.diskLimit()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// Restore brings back what orders took away, and gives the nodes that a case may
// lose or takes them away.
func (c *Cluster) Restore(ctx context.Context, loss bool) error {
	if err := c.restore(ctx, loss); err != nil {
		return fmt.Errorf("making the cluster whole again: %w", err)
	}
	return c.Ready(ctx)
}

func (c *Cluster) restore(ctx context.Context, loss bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.paused {
		if err := c.pause(syscall.SIGCONT); err != nil {
			return err
		}
	}
	if err := c.unlimitDisks(); err != nil {
		return err
	}
	for _, p := range []string{tektonController, tektonWebhook} {
		if c.parts[p] == nil {
			if err := c.startPart(p); err != nil {
				return err
			}
		}
	}
	for i := range workNodes + lossNodes {
		name := nodeName(i)
		n := c.nodes[name]
		wanted := i < workNodes || loss
		if n != nil && (n.lost || n.kubeletDead || !wanted) {
			if err := c.removeNode(ctx, name); err != nil {
				return err
			}
			n = nil
		}
		if n == nil && wanted {
			if err := c.startNode(ctx, i); err != nil {
				return err
			}
		}
	}
	return nil
}

package sim

import (
	"context"
	"fmt"
	"maps"
	"syscall"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"simctl.dev/simctl/sim/plane"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/tekton"
	"simctl.dev/simctl/sim/wellknown"
)

// now gives the cell as it is from now on, to be changed: other cells share the
// scenario.
func (c *play) now() *scenario.Cell {
	cell := *c.cell
	cell.Spec.Tekton.Flags = maps.Clone(cell.Spec.Tekton.Flags)
	if cell.Spec.Tekton.Flags == nil {
		cell.Spec.Tekton.Flags = map[string]string{}
	}
	c.cell = &cell
	return &cell
}

// setFlags sets Tekton's flags while its controller runs.
func (c *play) setFlags(flags map[string]string) error {
	maps.Copy(c.now().Spec.Tekton.Flags, flags)
	if c.cell.Spec.Tekton.Via == viaTektonConfig {
		if err := c.operate(); err != nil {
			return noEffect{err} // what the operator's webhook says
		}
		return nil
	}
	cm, err := c.plane.Operator.CoreV1().ConfigMaps(c.release.namespace).Get(c.ctx, wellknown.FeatureFlags, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("reading ConfigMap %s: %w", wellknown.FeatureFlags, err)
	}
	setKeys(cm, flags)
	return c.updateConfigMap(cm)
}

// control does something to Tekton's controller.
func (c *play) control(what string) error {
	running := c.release.controller
	if running == nil && what != scenario.ControllerStart && what != scenario.ControllerRestart {
		return ineffective("the controller does not run")
	}
	switch what {
	case scenario.ControllerStop:
		return c.stopController(c.ctx)
	case scenario.ControllerStart:
		if running != nil {
			return ineffective("the controller runs already")
		}
	case scenario.ControllerKill:
		// The loop sees its end and starts it again, as its Deployment would.
		if err := syscall.Kill(running.PID(), syscall.SIGKILL); err != nil {
			return fmt.Errorf("killing the controller: %w", err)
		}
		select {
		case <-running.Exited():
			return nil
		case <-c.ctx.Done():
			return context.Cause(c.ctx)
		}
	}
	return c.startController(c.ctx)
}

// swap replaces the release by another one as an operator's upgrade does, but
// for one thing: the old controller is gone before the new one comes, since
// leader election lets one of them work at a time. The flags that were set stay
// set.
func (c *play) swap(build *tekton.Build) error {
	if err := c.stopController(c.ctx); err != nil {
		return err
	}
	crds, err := build.CRDs()
	if err != nil {
		return err
	}
	configMaps, err := c.layOut(c.ctx, build, crds, c.release.namespace)
	if err != nil {
		return err
	}
	// What was laid out is among what the cell has written, and goes with it.
	c.release.build, c.release.configMaps, c.release.changed = build, configMaps, true
	more, err := installedBy(build, crds, c.release.namespace)
	if err != nil {
		return err
	}
	// What only the release before has stays, as on a cluster.
	c.release.refs = append(c.release.refs, plane.NotAmong(more, c.release.refs)...)
	if c.release.schemas, err = schemasOf(crds); err != nil {
		return err
	}
	c.now().Spec.Tekton.Version = build.Version
	if err := c.configure(); err != nil {
		return err
	}
	return c.startController(c.ctx)
}

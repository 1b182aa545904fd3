package sim

import (
	"fmt"
	"time"

	"simctl.dev/simctl/sim/controlplane"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/scenario"
)

// act does what an intervention says; f is what the history is told of it.
type act func(c *play, v *scenario.Intervention, f *history.Intervention) error

// acts say how each action of package scenario is done, by the field that asks for it.
func acts() map[string]act {
	return map[string]act{
		"apply":  func(c *play, v *scenario.Intervention, _ *history.Intervention) error { return c.apply(v.Apply) },
		"patch":  func(c *play, v *scenario.Intervention, _ *history.Intervention) error { return c.patch(v.Patch) },
		"delete": func(c *play, v *scenario.Intervention, _ *history.Intervention) error { return c.remove(v.Delete) },
		"setFlags": func(c *play, v *scenario.Intervention, _ *history.Intervention) error {
			return c.install.SetFlags(c.ctx, v.SetFlags)
		},
		"controller": func(c *play, v *scenario.Intervention, f *history.Intervention) error {
			f.Controller = v.Controller
			return c.control(v.Controller)
		},
		"swapRelease": func(c *play, v *scenario.Intervention, f *history.Intervention) error {
			f.FormerRelease, f.Release = c.install.Version(), v.SwapRelease
			return c.install.Swap(c.ctx, c.interventions.builds[v.SwapRelease])
		},
		"removeNode": func(c *play, v *scenario.Intervention, f *history.Intervention) error {
			return c.removeNode(*v.RemoveNode, f)
		},
		"cordon": func(c *play, v *scenario.Intervention, f *history.Intervention) error {
			return c.cordon(*v.Cordon, true, f)
		},
		"uncordon": func(c *play, v *scenario.Intervention, f *history.Intervention) error {
			return c.cordon(*v.Uncordon, false, f)
		},
		"drain": func(c *play, v *scenario.Intervention, f *history.Intervention) error { return c.drain(v.Drain, f) },
		"taint": func(c *play, v *scenario.Intervention, f *history.Intervention) error { return c.taint(*v.Taint, f) },
		"apiErrors": func(c *play, v *scenario.Intervention, _ *history.Intervention) error {
			d, err := time.ParseDuration(v.APIErrors.For)
			if err != nil {
				return fmt.Errorf("reading for how long: %w", err)
			}
			c.after(d, "api-errors/"+v.APIErrors.Client, c.plane.Tap().Fail(controlplane.Fault{Actor: v.APIErrors.Client, Code: v.APIErrors.Status()}))
			return nil
		},
		"untaint": func(c *play, v *scenario.Intervention, f *history.Intervention) error {
			return c.untaint(*v.Untaint, f)
		},
	}
}

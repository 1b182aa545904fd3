package intervention

import (
	"errors"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/install"
	"simctl.dev/simctl/sim/scenario"
)

func setFlags(all *Interventions, v *scenario.Intervention, _ *history.Intervention) error {
	err := all.Install.SetFlags(all.ctx, v.SetFlags)
	if operator := (*install.OperatorError)(nil); errors.As(err, &operator) {
		return noEffect{err}
	}
	return err
}

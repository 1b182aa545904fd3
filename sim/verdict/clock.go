package verdict

import (
	"fmt"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/wellknown"
)

// clockAhead says that a time-out came while the clock of Tekton's controller was ahead; nil
// if it was not.
func (t *judging) clockAhead(before int) []Link {
	s := t.ClockShift(before)
	if s == nil || !s.Lasts(before) || s.Began.Data.Seconds <= 0 {
		return nil
	}
	return []Link{clockAheadRule.link("Deployment "+wellknown.TektonController, fmt.Sprintf("%s at %.0f s", history.FactClockShifted, s.Began.T), inWords(s.Began.Data.Seconds), lasted(*s))}
}

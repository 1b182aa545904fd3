package play

import (
	"errors"
	"fmt"
	"time"

	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/stepper"
)

// errGaveUp says that a cell took too much real time. That says nothing of what it
// would have come to.
var errGaveUp = errors.New("simctl gave up on it")

// bound sets the cell's bound in real time; to stop the timer that it gives lifts it.
func (c *play) bound() *time.Timer {
	limit := c.cell.Spec.Limits.Bounds().RealTime
	return time.AfterFunc(limit, func() {
		c.cancel(fmt.Errorf("%w: it took more than %s of real time, and was at %.0f s of virtual time", errGaveUp, limit, c.Plane.Clock.Elapsed()))
	})
}

// boundsOf gives a cell's bounds in virtual time and in what its history takes.
func boundsOf(cell *scenario.Cell) stepper.Bounds {
	b := cell.Spec.Limits.Bounds()
	return stepper.Bounds{VirtualTime: b.VirtualTime, Entries: b.Entries, Bytes: b.Bytes}
}

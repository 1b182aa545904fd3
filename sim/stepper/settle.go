package stepper

import (
	"context"
	"errors"

	"simctl.dev/simctl/sim/clock"
)

// ErrEndless says that a world did not come to rest.
var ErrEndless = errors.New("it is busy for ever")

// maxSettle bounds the setting up and the clearing away of a cell, against a controller
// that is busy for ever. Each takes some tens of steps.
const maxSettle = 50_000

// Settle steps time until no work is left. A plane that does not come to rest is an
// error that wraps [ErrEndless]; others are the plane's, or ctx's.
func Settle(ctx context.Context, p Plane, c *clock.Clock) error {
	for range maxSettle {
		if err := p.Quiet(ctx); err != nil {
			return err
		}
		if tried, _ := p.Schedule(); tried > 0 {
			continue
		}
		if len(c.Pending(clock.Work)) == 0 {
			return nil
		}
		c.Step()
	}
	return ErrEndless
}

// SettleAll steps time until no work is left and nothing that failed succeeds when it
// is tried again at once: try has that done and returns how much there was, and log's
// length tells whether anything came of it. Errors are those of [Settle].
func SettleAll(ctx context.Context, p Plane, c *clock.Clock, try func() int, length func() int) error {
	for range maxSettle {
		if err := Settle(ctx, p, c); err != nil {
			return err
		}
		before := length()
		if try() == 0 {
			return nil
		}
		if err := Settle(ctx, p, c); err != nil {
			return err
		}
		if length() == before {
			return nil
		}
	}
	return ErrEndless
}

package install

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"simctl.dev/simctl/sim/plane"
	"simctl.dev/simctl/sim/tekton"
)

// Start starts the installed release's controller, and ends the one that
// runs in an orderly way.
func (in *Install) Start(ctx context.Context) error {
	if err := in.Stop(ctx); err != nil {
		return err
	}
	r := in.release
	out, err := in.LogFile("tekton-" + r.build.Version)
	if err != nil {
		return err
	}
	r.controller, err = tekton.Start(ctx, r.build, tekton.ControllerOptions{
		Kubeconfig: r.proxy.Kubeconfig,
		Namespace:  r.namespace,
		Clock:      in.Plane.Clock,
		Shift:      in.shift,
		Seed:       in.Plane.Seed,
		Recorder:   in.Plane.Recorder(),
		Log:        out,
	})
	if err != nil {
		return err
	}
	in.controllerPID.Store(int64(r.controller.PID()))
	context.AfterFunc(in.Plane.Context(), r.controller.HangUp)
	r.leave = in.Plane.Join(plane.Member{Name: "tekton", PID: r.controller.PID(), Idle: r.controller.Quiet, Settled: r.controller.Settled, Record: r.controller.SetRecorder})
	return nil
}

// Revive starts what has ended by itself, as its Deployment does: the release's webhook, and
// else its controller.
func (in *Install) Revive(ctx context.Context) error {
	if w := in.release.webhook; w != nil && w.process.ExitErr() != nil {
		return in.StartWebhook(ctx)
	}
	return in.Start(ctx)
}

// Stop ends the release's controller, if it runs, in an orderly way: it
// gives its leases back. What it had on the clock goes with it.
func (in *Install) Stop(ctx context.Context) error {
	if in.release.controller == nil {
		return nil
	}
	in.release.controller.GiveLeasesBack()
	err := in.release.controller.Stop(ctx)
	in.release.leave()
	in.release.controller = nil
	return err
}

// Running says whether the release's controller was started and not stopped since. It may
// have ended by itself.
func (in *Install) Running() bool { return in.release.controller != nil }

// Kill ends the controller's process at once. It is still Running: waits for quiet fail
// with an error that wraps [tekton.ErrExited] until it is started again.
func (in *Install) Kill(ctx context.Context) error {
	running := in.release.controller
	if err := syscall.Kill(running.PID(), syscall.SIGKILL); err != nil {
		return fmt.Errorf("killing the controller: %w", err)
	}
	select {
	case <-running.Exited():
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// ShiftClock has the clock of the controller be ahead by so much, or behind; that of one that
// is started later too.
func (in *Install) ShiftClock(by time.Duration) {
	if in.shift == by {
		return
	}
	in.shift = by
	if in.release.controller != nil {
		in.release.controller.ShiftClock(by)
	}
}

// Swap replaces the release by another one as an operator's upgrade does, but
// for one thing: the old controller is gone before the new one comes, since
// leader election lets one of them work at a time. The flags that were set stay
// set.
func (in *Install) Swap(ctx context.Context, build *tekton.Build) error {
	if err := in.Stop(ctx); err != nil {
		return err
	}
	crds, err := build.CRDs()
	if err != nil {
		return err
	}
	if err := in.layOut(ctx, build, crds); err != nil {
		return err
	}
	// What was laid out is among what the cell has written, and goes with it.
	in.release.changed = true
	more, err := installedBy(build, crds, in.release.namespace)
	if err != nil {
		return err
	}
	// What only the release before has stays, as on a cluster.
	in.release.refs = append(in.release.refs, plane.NotAmong(more, in.release.refs)...)
	settings := in.release.settings
	settings.Version = build.Version
	if err := in.Configure(ctx, settings, in.release.openshift); err != nil {
		return err
	}
	return in.Start(ctx)
}

// Reset has the controller begin anew for the next cell, for which the plane has begun
// anew.
func (in *Install) Reset() { in.release.controller.Reset() }

// Rest has the controller, if it runs, do nothing more of its own accord while what it
// works on is cleared away.
func (in *Install) Rest() {
	if in.release.controller != nil {
		in.release.controller.Rest()
	}
}

// Retrying returns what the controller tries again for long, with the number of attempts.
func (in *Install) Retrying() map[string]int {
	if in.release.controller == nil {
		return nil
	}
	return in.release.controller.Retrying()
}

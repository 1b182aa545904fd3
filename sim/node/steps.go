package node

import (
	"cmp"
	"context"
	"strconv"

	"simctl.dev/simctl/sim/clock"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/node/internal/entrypoint"
)

// stepsGoOn starts the first step if it may start and has not; it reports
// whether the pod's status was written.
func (k *Kubelets) stepsGoOn(ctx context.Context, p *pod) bool {
	if len(p.steps) == 0 || !p.steps[0].began.IsZero() {
		return false
	}
	if p.steps[0].args.WaitsForReady && !p.visible.ready {
		return false
	}
	return k.beginStep(ctx, p, 0)
}

// beginStep gives step i its turn; it reports whether the turn is over already
// and the status written.
func (k *Kubelets) beginStep(ctx context.Context, p *pod, i int) bool {
	s := p.steps[i]
	s.began = k.o.Clock.Now()
	s.turn = k.outcome(ctx, p, i)
	if s.turn.Duration == 0 {
		k.endStep(ctx, p, i)
		return true
	}
	k.planDisk(ctx, p.m)
	k.passes(ctx, p, s.turn.Duration, "step-"+s.step, func() { k.endStep(ctx, p, i) })
	return false
}

// outcome decides what a step will come to, but for what it writes at its end.
func (k *Kubelets) outcome(ctx context.Context, p *pod, i int) *entrypoint.Turn {
	s, m := p.steps[i], k.model(p)
	t := s.args.Turn()
	if t.Skipped {
		return &t
	}
	if i == 0 {
		if line := k.reads(ctx, p, s, m); line != "" {
			t.Fail(1, line)
			return &t
		}
	}
	t.Duration = k.stepDuration(p, i, m)
	for n, f := range m.Failures {
		step := p.steps[len(p.steps)-1].step
		if f.Step != "" {
			step = f.Step
		}
		if step != s.step || f.Attempt != 0 && f.Attempt != p.attempt {
			continue
		}
		if f.Probability != nil && clock.Rand(k.o.Seed, "failure", p.key, strconv.Itoa(n)).Float64() >= *f.Probability {
			continue
		}
		t.Fail(int32(cmp.Or(f.ExitCode, 1)), f.Message)
		if f.OOMKilled {
			t.KillForMemory(exitSIGKILL, k.o.Kubelet.SingleProcessOOMKill)
		}
		break
	}
	s.args.Limit(&t)
	return &t
}

// endStep ends step i: what it writes, its termination message, and what comes
// next.
func (k *Kubelets) endStep(ctx context.Context, p *pod, i int) {
	s, t := p.steps[i], p.steps[i].turn
	if t.Killed {
		k.leave(p, s, entrypoint.Ending{Exit: t.Exit, Reason: t.Reason, Log: t.Log})
		if !k.finishIfDone(ctx, p) {
			k.writeStatus(ctx, p)
		}
		k.planDisk(ctx, p.m)
		return
	}
	last := i == len(p.steps)-1
	var results []entrypoint.Result
	if t.Exit == 0 && !t.Skipped {
		if last {
			if line := k.writes(ctx, p, s, k.model(p)); line != "" {
				t.Fail(1, line)
			}
		}
		if t.Exit == 0 {
			results = k.resultsOf(ctx, p, s, last)
		}
	}
	e := s.args.End(*t, s.began, results)
	k.leave(p, s, e)
	if e.Failed {
		for _, later := range p.steps[i+1:] {
			k.skipStep(p, later)
		}
		last = true
	}
	if last {
		k.stopResultsSidecar(ctx, p)
	}
	switch {
	case last && k.finishIfDone(ctx, p):
	case last:
		k.writeStatus(ctx, p) // Sidecars are still running.
	default:
		// A next step that ends at once writes the status itself.
		if !k.beginStep(ctx, p, i+1) {
			k.writeStatus(ctx, p)
		}
	}
}

// leave ends a step's container with what its entrypoint leaves.
func (k *Kubelets) leave(p *pod, s *container, e entrypoint.Ending) {
	s.tektonWord, s.lastLogLine = e.Word, e.Log
	s.end(k.o.Clock.Now(), e.Exit, e.Reason, e.Message)
	k.containerFact(p, s)
}

// skipStep ends a step that follows a failed one.
func (k *Kubelets) skipStep(p *pod, s *container) {
	s.began = k.o.Clock.Now()
	k.leave(p, s, s.args.Skip(s.began))
}

// cancelSteps ends the steps of a pod that Tekton cancels and keeps: the one
// that runs is killed by its entrypoint, the others are skipped.
func (k *Kubelets) cancelSteps(ctx context.Context, p *pod) bool {
	var left []*container
	for _, s := range p.steps {
		if s.finished.IsZero() {
			left = append(left, s)
		}
	}
	if len(left) == 0 {
		return false
	}
	p.cancelNext()
	for i, s := range left {
		if i > 0 {
			k.skipStep(p, s)
			continue
		}
		if s.began.IsZero() {
			s.began = k.o.Clock.Now()
		}
		k.leave(p, s, s.args.Cancel(s.began))
	}
	k.stopResultsSidecar(ctx, p)
	if !k.finishIfDone(ctx, p) {
		k.writeStatus(ctx, p)
	}
	return true
}

func (k *Kubelets) containerFact(p *pod, c *container) {
	from := c.started
	if !c.began.IsZero() {
		from = c.began
	}
	reason := c.reason
	if c.tektonWord != "" {
		reason = c.tektonWord
	}
	k.fact(p, history.FactContainer, history.Container{
		Name: c.spec.Name, Step: c.step, Task: p.task, ExitCode: int(c.exit), Reason: reason,
		Message: c.lastLogLine, Seconds: c.finished.Sub(from).Seconds(),
	})
}

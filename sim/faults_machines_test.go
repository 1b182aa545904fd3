package sim_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/controller/volume/attachdetach"

	"simctl.dev/simctl/sim"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/verdict"
)

// play plays the cells of a scenario with one axis, holds each to what is expected of it and
// to the rule that its chain ends with, and returns their histories, by the axis' values.
func play(t *testing.T, file, axis string, roots map[string]string) map[string][]history.Entry {
	t.Helper()
	klog.SetLogger(logr.Discard())
	out := t.TempDir()
	results, err := run(t, context.Background(), load(t, file), sim.Options{Parallel: 1, OutDir: out})
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]history.Entry{}
	for _, r := range results {
		name := r.Values[axis]
		if r.Judgement != verdict.AsExpected {
			t.Errorf("%s: %s (%s), expected %s\n%s", name, r.Outcome, r.Error, r.Expected, chain(r))
		}
		got := ""
		if n := len(r.Cause); n > 0 {
			got = r.Cause[n-1].Rule
		}
		if got != roots[name] {
			t.Errorf("%s: the chain ends with %q, want %q\n%s", name, got, roots[name], chain(r))
		}
		all[name] = readHistory(t, filepath.Join(out, r.History))
	}
	return all
}

// factAt returns when a fact was recorded first of an object whose name begins so; -1 if it
// was not.
func factAt(entries []history.Entry, fact, name string) float64 {
	for _, e := range entries {
		if e.Fact == fact && strings.HasPrefix(e.Object.Name, name) {
			return e.T
		}
	}
	return -1
}

// TestShutdowns holds what becomes of runs whose machine is shut down: who ends their pods,
// and how long the volume stays where nobody can say that it is unmounted.
func TestShutdowns(t *testing.T) {
	const root = "fault/node-shutdown"
	all := play(t, "faults/node-shutdown.yaml", "shutdown", map[string]string{
		"unmounted": root, "not-unmounted": root, "not-reported": root, "not-heard": root, "no-retries": root,
		"drained": "volume/not-detached-yet", "booted": "",
	})
	patience := attachdetach.DefaultTimerConfig.ReconcilerMaxWaitForUnmountDuration.Seconds()
	for name, forced := range map[string]bool{"unmounted": false, "drained": false, "not-reported": true} {
		told := factAt(all[name], history.FactNodeShutdown, "worker-")
		detached := factAt(all[name], history.FactDetached, "data")
		if told < 0 || detached < 0 || forced != (detached-told > patience) {
			t.Errorf("%s: told to go off at %g s, the volume is detached at %g s; the patience of %g s is waited for: want %t", name, told, detached, patience, forced)
		}
	}
	for _, name := range []string{"not-unmounted", "not-heard"} {
		off := factAt(all[name], history.FactNodeSilent, "worker-")
		told := factAt(all[name], history.FactNodeShutdown, "worker-")
		if notice := map[string]float64{"not-unmounted": 25, "not-heard": 120}[name]; off-told != notice {
			t.Errorf("%s: off %g s after it was told, want %g", name, off-told, notice)
		}
	}
}

// TestRuntimes holds what becomes of runs whose container runtime makes no containers or no
// sandboxes, and how long kubelets and Tekton bear it.
func TestRuntimes(t *testing.T) {
	const root = "fault/runtime"
	all := play(t, "faults/runtime.yaml", "runtime", map[string]string{
		"hangs": root, "no-sandbox": root, "hangs-with-patience": "", "hangs-shortly": "", "no-sandbox-for-a-while": "",
	})
	for name, notMade := range map[string]bool{
		"hangs": true, "hangs-with-patience": true, "no-sandbox": true, "no-sandbox-for-a-while": true, "hangs-shortly": false,
	} {
		if at := factAt(all[name], history.FactNotMade, "two-tasks-"); notMade != (at >= 0) {
			t.Errorf("%s: something is not made at %g s, want %t", name, at, notMade)
		}
	}
	// The runtime that is back answers what it was asked.
	if at := factAt(all["hangs-shortly"], history.FactContainersBusy, "two-tasks-"); at < 76 || at > 80 {
		t.Errorf("the containers of the first pod run from %g s on, want soon after 76 s", at)
	}
}

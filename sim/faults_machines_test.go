package sim_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/controller/volume/attachdetach"

	"simctl.dev/simctl/sim"
	"simctl.dev/simctl/sim/clock"
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
		"drained": "pod/evicted", "booted": "",
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

// TestMemory holds what becomes of runs whose node is short of memory: whom the kubelet
// evicts, what it says, and that it says so of its node for as long as upstream does.
func TestMemory(t *testing.T) {
	all := play(t, "faults/memory.yaml", "memory", map[string]string{
		"taken": "fault/memory", "taken-but-for-enough": "", "shortly": "", "with-retries": "fault/memory", "filled": "memory/filled",
	})
	for name, evicted := range map[string]bool{"taken": true, "taken-but-for-enough": false, "shortly": false, "with-retries": true, "filled": true} {
		evictedAt, words, short := factAt(all[name], history.FactMemory, "two-tasks-"), "", []float64{-1, -1}
		state := history.NewState()
		for _, e := range all[name] {
			if err := state.Apply(e); err != nil {
				t.Fatal(err)
			}
			switch o := state.Live(e.Object.Kind, e.Object.Namespace, e.Object.Name); {
			case o == nil:
			case e.Object.Kind == "Pod" && words == "" && o.Text("status", "reason") == "Evicted":
				words = o.Text("status", "message")
			case e.Object.Kind == "Node":
				var n corev1.Node
				if err := o.Decode(&n); err != nil {
					t.Fatal(err)
				}
				for _, c := range n.Status.Conditions {
					switch {
					case c.Type != corev1.NodeMemoryPressure:
					case c.Status == corev1.ConditionTrue && short[0] < 0:
						short[0] = e.T
					case c.Status == corev1.ConditionFalse && short[0] >= 0 && short[1] < 0 && c.LastTransitionTime.After(clock.Epoch.Add(seconds(short[0]))):
						short[1] = e.T
					}
				}
			}
		}
		if evicted != (evictedAt >= 0) || evicted != strings.HasPrefix(words, "The node was low on resource: memory. Threshold quantity: 100Mi, available: ") {
			t.Errorf("%s: evicted at %g s (%s), want %t", name, evictedAt, words, evicted)
		}
		// The pod that is evicted leaves room enough: the five minutes for which a kubelet goes on
		// saying so.
		if lasted := short[1] - short[0]; name == "with-retries" && (lasted < 290 || lasted > 310) {
			t.Errorf("%s: the node says that it is short of memory from %g to %g s", name, short[0], short[1])
		}
	}
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// TestClocks holds what becomes of runs whose time Tekton's controller goes by on a clock that
// is wrong.
func TestClocks(t *testing.T) {
	all := play(t, "faults/clock.yaml", "clock", map[string]string{
		"ahead": "fault/clock", "ahead-for-a-while": "", "a-little-ahead": "", "behind": "", "right": "timeout/pipeline", "killed-meanwhile": "controller/lease",
	})
	for name, most := range map[string]float64{"ahead": 700, "killed-meanwhile": 700} {
		if end := all[name][len(all[name])-1].T; end > most {
			t.Errorf("%s: the cell ends at %g s, and the run's time was up long before", name, end)
		}
	}
}

// TestScaleDown holds when the cluster autoscaler takes the node of an affinity assistant away,
// and that the run goes on where the assistant is made anew.
func TestScaleDown(t *testing.T) {
	all := play(t, "faults/scale-down.yaml", "node", map[string]string{"little-used": "", "busy": "", "alone-in-its-zone": "", "soon-needed": ""})
	for name, taken := range map[string]bool{"little-used": true, "busy": false, "alone-in-its-zone": false, "soon-needed": false} {
		at, ended, deleted := factAt(all[name], history.FactScaledDown, ""), -1.0, -1.0
		for _, e := range all[name] {
			switch {
			case e.Kind == history.KindObject && e.Object.Kind == "Node" && e.Verb == history.VerbDelete:
				deleted = e.T
			case ended < 0 && e.Kind == history.KindObject && e.Object.Kind == "Pod" && strings.HasSuffix(e.Object.Name, "-produce-pod") && strings.Contains(string(e.Patch), `"phase":"Succeeded"`):
				ended = e.T
			}
		}
		if taken != (at >= 0) || taken != (deleted >= at && deleted >= 0) {
			t.Errorf("%s: taken away from %g s on, deleted at %g s; want %t", name, at, deleted, taken)
		}
		if taken && (at-ended < 600 || at-ended > 602) {
			t.Errorf("%s: the task's pod ended at %g s, the node is taken away at %g s, want 600 s after that has been seen", name, ended, at)
		}
	}
}

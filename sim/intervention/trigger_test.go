package intervention

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"simctl.dev/simctl/sim/clock"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/plane"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/wellknown"
)

// story is a history that a test writes.
type story struct {
	t   *testing.T
	log *history.Log
}

func (s story) write(verb, kind, name string, object map[string]any) {
	s.t.Helper()
	raw, err := json.Marshal(object)
	if err != nil {
		s.t.Fatal(err)
	}
	namespace := "ns"
	if slices.Contains([]string{"PersistentVolume", "VolumeAttachment", "CSIDriver"}, kind) {
		namespace = ""
	}
	e := history.Entry{Kind: history.KindObject, Verb: verb, Object: history.Ref{APIVersion: "v1", Kind: kind, Namespace: namespace, Name: name}}
	if verb == history.VerbCreate {
		e.Body = raw
	} else {
		e.Patch = raw
	}
	s.log.Record(e)
}

func (s story) fact(fact string) {
	s.log.Record(history.NewFact("kubelet", history.Ref{Kind: "Pod", Namespace: "ns", Name: "build-pod"}, fact, struct{}{}))
}

type object = map[string]any

// chapters are what happens to the TaskRun of task build, in this order.
var chapters = []func(s story){
	func(s story) {
		s.write("create", "TaskRun", "build", object{"metadata": object{"labels": object{wellknown.PipelineTaskLabel: "build"}}})
	},
	func(s story) {
		s.write("create", "PersistentVolumeClaim", "data", object{"spec": object{"volumeName": "pv"}})
		s.write("create", "PersistentVolume", "pv", object{"spec": object{"csi": object{"driver": "disk"}}})
		s.write("create", "Pod", "build-pod", object{"metadata": object{"labels": object{wellknown.TaskRunLabel: "build"}},
			"spec": object{"volumes": []any{object{"persistentVolumeClaim": object{"claimName": "data"}}}}})
	},
	func(s story) { s.write("update", "Pod", "build-pod", object{"spec": object{"nodeName": "worker-0"}}) },
	func(s story) {
		s.write("create", "VolumeAttachment", "a", object{"spec": object{"nodeName": "worker-0", "source": object{"persistentVolumeName": "pv"}}})
	},
	func(s story) { s.write("update", "VolumeAttachment", "a", object{"status": object{"attached": true}}) },
	func(s story) { s.fact(history.FactVolumesReady) },
	func(s story) { s.fact(history.FactImagePulled) },
	func(s story) { s.fact(history.FactContainersBusy) },
	func(s story) {
		s.write("update", "TaskRun", "build", object{"status": object{"conditions": []any{object{"type": "Succeeded", "status": "Unknown"}}}})
	},
	func(s story) {
		s.write("update", "TaskRun", "build", object{"status": object{"conditions": []any{object{"type": "Succeeded", "status": "False"}}}})
	},
}

// TestPhases: what waits for a phase is done as soon as the history shows it, once.
func TestPhases(t *testing.T) {
	for phase, want := range map[string]int{ // the chapter after which it has been reached
		scenario.PhaseQueued: 0, scenario.PhaseScheduled: 2, scenario.PhaseAttached: 4, scenario.PhaseMounted: 5,
		scenario.PhasePulled: 6, scenario.PhaseRunning: 7, scenario.PhaseDone: 9,
	} {
		t.Run(phase, func(t *testing.T) {
			all, s, made, _ := written(t, scenario.Intervention{Name: "it", When: &scenario.Moment{Task: "build", Phase: phase}})
			for i, chapter := range chapters {
				chapter(s)
				if _, err := all.Make(); err == nil == (i == want) {
					t.Fatalf("after chapter %d: %v", i, err) // it says nothing that is to be done
				}
				if i == want {
					break
				}
			}
			if !slices.Equal(*made, []string{"it"}) {
				t.Errorf("made %q", *made)
			}
		})
	}
}

// written gives the interventions of a cell with a history to be written; made are the
// names of those that were recorded, later what was put on the clock.
func written(t *testing.T, list ...scenario.Intervention) (all *Interventions, s story, made, later *[]string) {
	made, later = &[]string{}, &[]string{}
	s = story{t, history.NewLog(func() float64 { return 0 }, nil)}
	cell := &scenario.Cell{}
	cell.Spec.Interventions = list
	all = New(context.Background(), Options{Cell: cell, Plane: &plane.Plane{Clock: clock.New(clock.Epoch)}, History: history.Follow(s.log), Logger: logr.Discard(),
		Record: func(_ string, data any) {
			f := data.(history.Intervention)
			if f.Missed {
				f.Name += " missed"
			}
			*made = append(*made, f.Name)
		},
		After: func(d time.Duration, key string, _ func()) { *later = append(*later, fmt.Sprintf("%s %s", key, d)) },
	})
	return all, s, made, later
}

// TestPlan: what has a time is put on the clock at once, what comes some time after a
// phase when that is reached; what is done at the end of a task is told beforehand, and
// what does not come to it is recorded as missed.
func TestPlan(t *testing.T) {
	done := &scenario.Moment{Task: "build", Phase: scenario.PhaseDone}
	all, s, made, later := written(t,
		scenario.Intervention{Name: "at", At: "5m"},
		scenario.Intervention{Name: "after", When: &scenario.Moment{Task: "build", Phase: scenario.PhaseQueued}, After: "30s"},
		scenario.Intervention{Name: "at the end", When: done},
		scenario.Intervention{Name: "after the end", When: done, After: "1s"},
		scenario.Intervention{Name: "other", When: &scenario.Moment{Task: "other", Phase: scenario.PhaseQueued}},
	)
	if ends := all.Plan(); len(ends) != 1 || !ends["build"] {
		t.Errorf("at the ends of %v", ends)
	}
	chapters[0](s)
	for _, want := range []bool{true, false} { // the phase is reached once
		if did, err := all.Make(); did != want || err != nil {
			t.Errorf("did %t, %v", did, err)
		}
	}
	if want := []string{"intervention/0000 5m0s", "intervention/0001 30s"}; !slices.Equal(*later, want) {
		t.Errorf("on the clock %q, want %q", *later, want)
	}
	all.Missed()
	if want := []string{"at missed", "after missed", "at the end missed", "after the end missed", "other missed"}; !slices.Equal(*made, want) {
		t.Errorf("recorded %q, want %q", *made, want)
	}
}

// TestActions: every action of package scenario is done here.
func TestActions(t *testing.T) {
	var want []string
	for _, f := range reflect.VisibleFields(reflect.TypeFor[scenario.Intervention]()) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !slices.Contains([]string{"name", "at", "when", "after", "probability"}, name) {
			want = append(want, name)
		}
	}
	slices.Sort(want)
	if got := slices.Sorted(maps.Keys(acts())); !slices.Equal(got, want) {
		t.Errorf("done are %q, want %q", got, want)
	}
}

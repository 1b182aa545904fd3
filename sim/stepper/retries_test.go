package stepper

import (
	"testing"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/wellknown"
)

// TestRetries: what is tried again can succeed if something has changed since it was
// tried, and not by its own doing.
func TestRetries(t *testing.T) {
	written := func(kind, verb, actor string) history.Entry {
		return history.Entry{Kind: history.KindObject, Verb: verb, Actor: actor, Object: history.Ref{Kind: kind, Name: "x"}}
	}
	quota, own := written("ResourceQuota", history.VerbUpdate, "resourcequota-controller"), written("TaskRun", history.VerbUpdate, "tekton-pipelines-controller")
	type moment struct {
		entries []history.Entry
		attempt int // 0: nothing is tried again
		want    bool
	}
	for name, moments := range map[string][]moment{
		"nothing is tried again":        {{[]history.Entry{quota}, 0, false}},
		"nothing has changed":           {{[]history.Entry{quota}, 0, false}, {nil, 4, false}, {nil, 5, false}},
		"something has":                 {{nil, 4, false}, {[]history.Entry{quota}, 4, true}, {nil, 4, true}, {nil, 5, false}},
		"in the moment of the try":      {{nil, 4, false}, {[]history.Entry{quota}, 5, true}, {nil, 6, false}},
		"only its own status":           {{nil, 4, false}, {[]history.Entry{own}, 5, false}},
		"only events and leases":        {{nil, 4, false}, {[]history.Entry{written("Event", "create", "x"), written("Lease", "update", "x")}, 4, false}},
		"a refusal":                     {{nil, 4, false}, {[]history.Entry{{Kind: history.KindRefused, Object: history.Ref{Kind: "Pod"}}}, 5, false}},
		"somebody has changed the run":  {{nil, 4, false}, {[]history.Entry{written("PipelineRun", history.VerbUpdate, wellknown.User)}, 4, true}},
		"another run has come":          {{nil, 4, false}, {[]history.Entry{written("TaskRun", history.VerbCreate, "tekton-pipelines-controller")}, 4, true}},
		"it succeeded, and fails again": {{nil, 4, false}, {[]history.Entry{quota}, 0, false}, {nil, 4, false}},
	} {
		t.Run(name, func(t *testing.T) {
			var r retries
			for i, m := range moments {
				retrying := map[string]int{}
				if m.attempt > 0 {
					retrying["tekton/taskrun/ns/x"] = m.attempt
				}
				r.note(m.entries, retrying, float64(i))
				if got := r.hopeful(); got != m.want {
					t.Errorf("at moment %d: %v, want %v", i, got, m.want)
				}
			}
		})
	}
}

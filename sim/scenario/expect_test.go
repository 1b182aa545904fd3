package scenario

import (
	"testing"

	"simctl.dev/simctl/sim/verdict"
)

func TestExpectationJudge(t *testing.T) {
	yes, no := true, false
	for _, tt := range []struct {
		name            string
		e               Expectation
		outcome         verdict.Outcome
		recovered, busy bool
		expected        string
		met             bool
	}{
		{"as expected", Expectation{Outcome: StringList{"success"}}, "success", false, true, "success", true},
		{"an alternative", Expectation{Outcome: StringList{"success", "multi-attach"}}, "multi-attach", true, false, "success|multi-attach", true},
		{"another outcome", Expectation{Outcome: StringList{"success"}, Busy: &yes}, "deadlock", false, false, "success", false},
		{"did not recover", Expectation{Outcome: StringList{"multi-attach"}, Recovered: &yes}, "multi-attach", false, false, "multi-attach with recovered: true", false},
		{"busy", Expectation{Outcome: StringList{"success"}, Busy: &no}, "success", false, true, "success with busy: false", false},
		{"all met", Expectation{Outcome: StringList{"multi-attach"}, Recovered: &yes, Busy: &yes}, "multi-attach", true, true, "multi-attach", true},
	} {
		f := verdict.Finding{Outcome: tt.outcome, Recovered: tt.recovered}
		if tt.busy {
			f.Busy = []string{"PipelineRun ns/run"}
		}
		if expected, met := tt.e.met(&f); expected != tt.expected || met != tt.met {
			t.Errorf("%s: %q %v, want %q %v", tt.name, expected, met, tt.expected, tt.met)
		}
	}
}

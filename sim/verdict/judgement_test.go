package verdict_test

import (
	"encoding/json"
	"testing"

	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/verdict"
)

// TestExpect judges cells, writes them and reads them again.
func TestExpect(t *testing.T) {
	success := &scenario.Expectation{Outcome: scenario.StringList{"success"}}
	for _, tt := range []struct {
		name      string
		finding   verdict.Finding
		expect    *scenario.Expectation
		judgement verdict.Judgement
		fails     bool
		json      string
	}{
		{"as expected", verdict.Finding{Outcome: verdict.Success}, success, verdict.AsExpected, false, "true"},
		{"not as expected", verdict.Finding{Outcome: verdict.MultiAttach, Recovered: true}, success, verdict.NotAsExpected, true, "false"},
		{"nothing expected, done", verdict.Finding{Outcome: verdict.Success}, nil, verdict.NothingExpected, false, "null"},
		{"nothing expected, done late", verdict.Finding{Outcome: verdict.MultiAttach, Recovered: true}, nil, verdict.NothingExpected, false, "null"},
		{"nothing expected, not done", verdict.Finding{Outcome: verdict.Deadlock}, nil, verdict.NothingExpected, true, "null"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := verdict.Cell{Finding: tt.finding, Expected: "from before", Judgement: verdict.AsExpected}
			tt.expect.Judge(&c)
			if c.Judgement != tt.judgement || c.Fails() != tt.fails || (c.Expected == "") != (tt.expect == nil) {
				t.Errorf("%s, expected %q, fails: %t", c.Judgement, c.Expected, c.Fails())
			}
			raw, err := json.Marshal(c)
			if err != nil {
				t.Fatal(err)
			}
			var fields map[string]json.RawMessage
			var again verdict.Cell
			if err := json.Unmarshal(raw, &fields); err != nil || string(fields["asExpected"]) != tt.json {
				t.Errorf("asExpected is %s (%v)", fields["asExpected"], err)
			}
			if err := json.Unmarshal(raw, &again); err != nil || again.Judgement != tt.judgement {
				t.Errorf("read again it is %s (%v)", again.Judgement, err)
			}
		})
	}
}

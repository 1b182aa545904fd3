package evidence

import (
	"slices"
	"strings"
	"testing"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/verdict"
)

// What fails at once is not said to wait, whatever the outcome.
func TestSeverityIsTheOutcomes(t *testing.T) {
	for _, info := range verdict.Outcomes() {
		if info == verdict.Success {
			continue
		}
		in := matrix([][]string{{"x"}, {"y"}}, func([]string) verdict.Finding { return finding(info, "the root") })
		r := build(t, in)
		why := r.Summary.Why
		waits := strings.Contains(why, "time-out ends")
		if want := info.Info().Severity == verdict.Waiting; waits != want {
			t.Errorf("%s: waits is %t, want %t: %s", info, waits, want, why)
		}
		if again := strings.Contains(why, "starting it again does not help"); again != info.Info().Lasting {
			t.Errorf("%s: %s", info, why)
		}
		if high := r.Summary.Severity == "high"; high != (waits && info.Info().Lasting) {
			t.Errorf("%s is %s", info, r.Summary.Severity)
		}
		if page := string(pageOf(t, in)); strings.Contains(page, "The runs stop and do not recover") || !strings.Contains(page, r.Causes[0].Consequence()) {
			t.Errorf("%s: the page does not say %q", info, r.Causes[0].Consequence())
		}
	}
}

func TestOrders(t *testing.T) {
	run := func(spec map[string]any) map[string]any { return map[string]any{"kind": "PipelineRun", "spec": spec} }
	security := func(v map[string]any) map[string]any {
		return run(map[string]any{"podTemplate": map[string]any{"securityContext": v}})
	}
	group := security(map[string]any{"fsGroup": float64(1000970000)})
	for name, tt := range map[string]struct {
		before, after map[string]any
		want          []string
	}{
		"a field goes with all that is around it": {group, run(map[string]any{}), []string{"remove fsGroup: 1000970000 from the run"}},
		"a field alone goes":                      {group, security(map[string]any{}), []string{"remove fsGroup: 1000970000 from the run"}},
		"a field comes with all around it":        {run(map[string]any{}), group, []string{"add fsGroup: 1000970000 to the run"}},
		"a value is another":                      {group, security(map[string]any{"fsGroup": "x"}), []string{"set fsGroup: x in the run instead of 1000970000"}},
		"a list":                                  {run(map[string]any{"l": []any{"a"}}), run(map[string]any{"l": []any{"b"}}), []string{"change l in the run"}},
		"the object":                              {nil, run(map[string]any{}), []string{"create the run"}},
	} {
		o := objectDelta{kind: "PipelineRun", name: "r", before: tt.before, after: tt.after, patch: history.MergePatch(tt.before, tt.after)}
		if got := o.orders(); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

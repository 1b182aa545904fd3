package node

import (
	"testing"

	"simctl.dev/simctl/sim/internal/resultref"
)

// TestPassing: a value is chosen with which the when expressions that read it are true,
// as far as one value can be.
func TestPassing(t *testing.T) {
	const ref = "$(tasks.init.results.build)"
	in := func(input string, values ...string) whenExpression {
		return whenExpression{Input: input, Operator: "in", Values: values}
	}
	for name, tc := range map[string]struct {
		whens []whenExpression
		part  string
		want  string
	}{
		"nobody reads it":           {whens: []whenExpression{in("$(tasks.other.results.build)", "true")}, want: "made-up"},
		"the first value":           {whens: []whenExpression{in(ref, "true", "yes")}, want: "true"},
		"the value of both":         {whens: []whenExpression{in(ref, "a", "b"), in(ref, "b", "c")}, want: "b"},
		"what most read":            {whens: []whenExpression{in(ref, "a"), in(ref, "b"), in(ref, "b")}, want: "b"},
		"the first of equals":       {whens: []whenExpression{in(ref, "a"), in(ref, "b")}, want: "a"},
		"within a text":             {whens: []whenExpression{in("v"+ref+"-rc", "v2-rc", "2")}, want: "2"},
		"among the values":          {whens: []whenExpression{in("main", "dev", ref)}, want: "main"},
		"an element":                {whens: []whenExpression{in("$(tasks.init.results.build[1])", "x")}, part: "1", want: "x"},
		"another element":           {whens: []whenExpression{in("$(tasks.init.results.build[1])", "x")}, part: "0", want: "made-up"},
		"one of all elements":       {whens: []whenExpression{in("x", "$(tasks.init.results.build[*])")}, part: "0", want: "x"},
		"a key":                     {whens: []whenExpression{in("$(tasks.init.results.build.kind)", "x")}, part: "kind", want: "x"},
		"notin holds as it is":      {whens: []whenExpression{{Input: ref, Operator: "notin", Values: []string{"false"}}}, want: "made-up"},
		"notin rules values out":    {whens: []whenExpression{in(ref, "a", "b"), {Input: ref, Operator: "notin", Values: []string{"a"}}}, want: "b"},
		"CEL, equal":                {whens: []whenExpression{{CEL: "'" + ref + "' == 'true'"}}, want: "true"},
		"CEL, a list":               {whens: []whenExpression{{CEL: `'` + ref + `' in ["x", "y"] && '` + ref + `' != "x"`}}, want: "y"},
		"CEL, a number":             {whens: []whenExpression{{CEL: `int('` + ref + `') > 80`}}, want: "81"},
		"CEL that nothing fits":     {whens: []whenExpression{{CEL: `'` + ref + `'.matches('^[0-9a-f]{7}$')`}}, want: "made-up"},
		"another result decides":    {whens: []whenExpression{in(ref, "$(tasks.other.results.x)")}, want: "made-up"},
		"CEL that does not compile": {whens: []whenExpression{{CEL: "'" + ref + "' =="}}, want: "made-up"},
	} {
		got := pipelineSpec{whens: tc.whens}.passing("made-up", func(r resultref.Ref) bool {
			return r.Task == "init" && r.Result == "build" && (r.Part == tc.part || r.Part == "*" && tc.part == "0")
		})
		if got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

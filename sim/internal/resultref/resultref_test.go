package resultref

import (
	"reflect"
	"testing"
)

func TestFind(t *testing.T) {
	for text, want := range map[string][]Ref{
		"":                              nil,
		"$(params.a) tasks.a.results.b": nil,
		"$(tasks.a.status)":             nil,
		"$(tasks.a-1.results.b)":        {{Text: "$(tasks.a-1.results.b)", Task: "a-1", Result: "b"}},
		"x$(tasks.a.results.b[3])y":     {{Text: "$(tasks.a.results.b[3])", Task: "a", Result: "b", Part: "3"}},
		"$(tasks.a.results.b[*])":       {{Text: "$(tasks.a.results.b[*])", Task: "a", Result: "b", Part: "*"}},
		"$(tasks.a.results.b.key)":      {{Text: "$(tasks.a.results.b.key)", Task: "a", Result: "b", Part: "key"}},
		`$(tasks.a.results['b.c'])`:     {{Text: `$(tasks.a.results['b.c'])`, Task: "a", Result: "b.c"}},
		`'$(tasks.a.results.b)' == "$(tasks.c.results["d"])"`: {
			{Text: "$(tasks.a.results.b)", Task: "a", Result: "b"}, {Text: `$(tasks.c.results["d"])`, Task: "c", Result: "d"},
		},
	} {
		if got := Find(text); !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v, want %+v", text, got, want)
		}
	}
	if text := "$(tasks.a.results.b[0])"; !Names(text, "a", "b") || Names(text, "a", "c") || Names(text, "b", "b") {
		t.Error("Names does not go by task and result")
	}
}

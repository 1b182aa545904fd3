package tekton

import (
	"os"
	"strings"
	"testing"
)

func TestReleases(t *testing.T) {
	builtIn := 0
	for _, r := range Releases() {
		if got, err := ParseVersion(r.Version); got != r.Version || err != nil {
			t.Errorf("%+v: ParseVersion gives %q, %v", r, got, err)
		}
		if r.BuiltIn {
			builtIn++
		}
	}
	if builtIn != 1 {
		t.Errorf("%d releases are built in", builtIn)
	}
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(mod), Module+" v"+BuiltIn+"\n") {
		t.Errorf("go.mod does not require %s v%s, which BuiltIn says is compiled in", Module, BuiltIn)
	}
}

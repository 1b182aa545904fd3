package tekton

import (
	"errors"
	"os"
	"strings"
	"testing"
)

func TestParseVersion(t *testing.T) {
	for in, want := range map[string]string{
		"1.3.1": "1.3.1", "v1.3.1": "1.3.1", " V0.68.1 ": "0.68.1", "9.9.9": "9.9.9",
		"1.3": "1.3.1", "v1.6": "1.6.1", "osp-1.20": "1.3.1", "openshift-pipelines-1.18": "0.68.1", "OSP-1.20.2": "1.3.1",
		// Not releases, or not known.
		"": "", "latest": "", "1": "", "1.3.1-rc1": "", "0.43.0": "", "osp-1.9": "", "1.99": "", "../1.3.1": "",
	} {
		got, err := ParseVersion(in)
		if got != want || (want == "") != errors.Is(err, ErrVersion) {
			t.Errorf("ParseVersion(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
}

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

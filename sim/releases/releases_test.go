package releases

import (
	"errors"
	"os"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for in, want := range map[string]string{
		"1.3.1": "1.3.1", "v1.3.1": "1.3.1", " V0.68.1 ": "0.68.1", "9.9.9": "9.9.9",
		"1.3": "1.3.1", "v1.6": "1.6.1", "osp-1.20": "1.3.1", "openshift-pipelines-1.18": "0.68.1", "OSP-1.20.2": "1.3.1",
		// Not releases, or not known.
		"": "", "latest": "", "1": "", "1.3.1-rc1": "", "0.43.0": "", "osp-1.9": "", "1.99": "", "../1.3.1": "",
	} {
		got, err := Parse(in)
		if got != want || (want == "") != errors.Is(err, ErrVersion) {
			t.Errorf("Parse(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
}

// TestOpenShift: only names of OpenShift Pipelines are taken here.
func TestOpenShift(t *testing.T) {
	for in, want := range map[string]string{
		"osp-1.20": "1.3.1", " OSP-1.17 ": "0.65.7", "openshift-pipelines-1.24": BuiltIn,
		"osp-9.9": "", "1.3.1": "", "1.3": "", "": "",
	} {
		if got, ok := OpenShift(in); got != want || ok != (want != "") {
			t.Errorf("OpenShift(%q) = %q, %v, want %q", in, got, ok, want)
		}
	}
}

// TestDocs: the table in docs/releases.md says what Known says.
func TestDocs(t *testing.T) {
	raw, err := os.ReadFile("../../docs/releases.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range Known() {
		osp := "-"
		if r.OpenShiftPipelines != "" {
			osp = r.OpenShiftPipelines
		}
		row := "\n| " + r.Version + " | " + osp + " | "
		if !strings.Contains(string(raw), row) {
			t.Errorf("docs/releases.md has no row %q", row)
		}
	}
}

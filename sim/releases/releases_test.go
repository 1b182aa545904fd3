package releases

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for in, want := range map[string]string{
		"1.3.1": "1.3.1", "v1.3.1": "1.3.1", " V0.68.1 ": "0.68.1", "9.9.9": "9.9.9",
		"1.3": "1.3.1", "v1.6": "1.6.1", "osp-1.20": "1.3.1", "openshift-pipelines-1.18": "0.68.1", "OSP-1.20.2": "1.3.1",
		// Not releases, or not known.
		"": "", "latest": "", "1": "", "1.3.1-rc1": "", "0.43.0": "", "osp-1.9": "", "1.99": "", "../1.3.1": "", "01.3.1": "",
	} {
		got, err := Parse(in)
		if got != want || (want == "") != errors.Is(err, ErrVersion) {
			t.Errorf("Parse(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
}

// TestParseAll: one error names all that are wrong, and lists once what there is.
func TestParseAll(t *testing.T) {
	got, err := ParseAll([]string{"1.3", "v1.15.0", "osp-1.18"})
	if err != nil || !slices.Equal(got, []string{"1.3.1", "1.15.0", "0.68.1"}) {
		t.Errorf("%q, %v", got, err)
	}
	_, err = ParseAll([]string{"1.3.1", "newest", "osp-9.9", "0.10.0", "1.99"})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		`"newest" names no release`, `"osp-9.9" is no OpenShift Pipelines`, `"0.10.0" is too old`, `"1.99" has no patch release`, "1.3.1 (osp-1.20)",
	} {
		if strings.Count(err.Error(), want) != 1 {
			t.Errorf("%q does not say %q once", err, want)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("%q is of several lines", err)
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

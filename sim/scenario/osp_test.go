package scenario

import "testing"

// TestNormalizeVersion: a release may be named after OpenShift Pipelines.
func TestNormalizeVersion(t *testing.T) {
	for in, want := range map[string]string{
		"1.3.1": "1.3.1", " v0.68.1 ": "0.68.1", "osp-1.20": "1.3.1", "OSP-1.18": "0.68.1",
		// What is not known stays, and is refused.
		"osp-9.9": "osp-9.9", "newest": "newest",
	} {
		got := NormalizeVersion(in)
		if got != want {
			t.Errorf("NormalizeVersion(%q) = %q, want %q", in, got, want)
		}
		if refused := checkVersion(got) != nil; refused != (got == "osp-9.9" || got == "newest") {
			t.Errorf("%q is refused: %v", got, refused)
		}
	}
}

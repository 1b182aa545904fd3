package scenario

import "testing"

// TestNormalizeVersion: releases have the same names here as in flags.
func TestNormalizeVersion(t *testing.T) {
	for in, want := range map[string]string{
		"1.3.1": "1.3.1", " v0.68.1 ": "0.68.1", "osp-1.20": "1.3.1", "OSP-1.18": "0.68.1", "1.3": "1.3.1", "v1.6": "1.6.1",
		// What is not known stays, and is refused.
		"osp-9.9": "osp-9.9", "newest": "newest", "1.99": "1.99", "": "",
	} {
		got := NormalizeVersion(in)
		if got != want {
			t.Errorf("NormalizeVersion(%q) = %q, want %q", in, got, want)
		}
		refused := checkVersion(in) != nil
		if wants := got == in && in != "1.3.1"; refused != wants {
			t.Errorf("%q is refused: %v", in, refused)
		}
	}
}

package work

import "testing"

func TestStableName(t *testing.T) {
	for name, want := range map[string]string{
		"mistral-24b-quantized-qncl8": "mistral-24b-quantized",
		"nightly":                     "nightly",
		"build-image":                 "build-image",
		"pvc-0123456789":              "pvc",
		"pvc-0123456789-affinity-assistant-607af64060-0": "pvc-affinity-assistant-0",
		"affinity-assistant-607af64060-0":                "affinity-assistant-0",
		"pvc-0123456789-607af64060":                      "pvc",
		"run-abcde":                                      "run-abcde", // "a" and "e" are no letters of a suffix
		"claim-0123456789abcdef":                         "claim-0123456789abcdef",
	} {
		if got := StableName(name); got != want {
			t.Errorf("StableName(%q) = %q, want %q", name, got, want)
		}
	}
}

package verdict

import "testing"

// TestCanonical: what is made up anew in each run is the same in two of them, and
// what is not stays.
func TestCanonical(t *testing.T) {
	for text, want := range map[string]string{
		"mistral-nnngk-download-model-pod":                             "mistral-*-download-model-pod",
		"StatefulSet affinity-assistant-24171aabb9":                    "StatefulSet affinity-assistant-*",
		"pvc-05b1e8c4-ac12-408e-980d-406b88333a4a":                     "pvc-*",
		`"currentRevision":"affinity-assistant-24171aabb9-795d57b"`:    `"currentRevision":"affinity-assistant-*-*"`,
		`"currentRevision":"affinity-assistant-1d22400c3f-645dfbbf76"`: `"currentRevision":"affinity-assistant-*-*"`,
		"worker-4 and worker-5":                                        "worker-4 and worker-5",
		"gp3-csi, fsGroup 2000, node-role.kubernetes.io/master":        "gp3-csi, fsGroup 2000, node-role.kubernetes.io/master",
	} {
		if got := Canonical(text); got != want {
			t.Errorf("%s is %s, want %s", text, got, want)
		}
	}
}

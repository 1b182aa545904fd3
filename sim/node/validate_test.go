package node

import (
	"encoding/json"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/kubernetes/pkg/apis/core"
	corev1conversion "k8s.io/kubernetes/pkg/apis/core/v1"
	"k8s.io/kubernetes/pkg/apis/core/validation"
)

// validateStatus applies a status patch to a pod and has the API server's own
// validation look at the update: what it refuses would be lost on a real one.
func validateStatus(t *testing.T, old *corev1.Pod, patch []byte) *corev1.Pod {
	t.Helper()
	raw, err := json.Marshal(old)
	must(t, err)
	patched, err := strategicpatch.StrategicMergePatch(raw, patch, corev1.Pod{})
	must(t, err)
	var updated corev1.Pod
	must(t, json.Unmarshal(patched, &updated))
	if updated.UID != old.UID {
		t.Errorf("the patch of pod %s is for uid %s, the pod has %s", old.Name, updated.UID, old.UID)
	}
	var before, after core.Pod
	for out, in := range map[*core.Pod]*corev1.Pod{&before: old.DeepCopy(), &after: &updated} {
		corev1conversion.SetObjectDefaults_Pod(in)
		in.ResourceVersion = "1" // The fake API server gives none.
		must(t, corev1conversion.Convert_v1_Pod_To_core_Pod(in, out, nil))
	}
	for _, e := range validation.ValidatePodStatusUpdate(&after, &before, validation.PodValidationOptions{}) {
		t.Errorf("pod %s: the API server would refuse the status: %v", old.Name, e)
	}
	return &updated
}

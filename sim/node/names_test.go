package node

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"simctl.dev/simctl/sim/wellknown"
)

func TestIdentities(t *testing.T) {
	labels := func(run, pipelineTask, taskRun string) map[string]string {
		return map[string]string{wellknown.PipelineRunLabel: run, wellknown.PipelineTaskLabel: pipelineTask, wellknown.TaskRunLabel: taskRun, wellknown.TaskLabel: "buildah"}
	}
	assistant := func(claim string) corev1.PodSpec {
		return corev1.PodSpec{Volumes: []corev1.Volume{{VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim},
		}}}}
	}
	ids := identities{}
	for _, tc := range []struct {
		pod     string
		labels  map[string]string
		spec    corev1.PodSpec
		key     string
		task    string
		attempt int
	}{
		{"nightly-qncl8-build-pod", labels("nightly-qncl8", "build", "nightly-qncl8-build"), corev1.PodSpec{}, "ns/nightly/build/1", "build", 1},
		{"nightly-qncl8-build-pod-retry2", labels("nightly-qncl8", "build", "nightly-qncl8-build"), corev1.PodSpec{}, "ns/nightly/build/3", "build", 3},
		{"nightly-zzzzz-build-pod", labels("nightly-zzzzz", "build", "nightly-zzzzz-build"), corev1.PodSpec{}, "ns/nightly#2/build/1", "build", 1},
		{"nightly-qncl8-test-1-pod", labels("nightly-qncl8", "test", "nightly-qncl8-test-1"), corev1.PodSpec{}, "ns/nightly/test-1/1", "test", 1},
		{"nightly-qncl8-test-1-pod", labels("nightly-qncl8", "test-1", "nightly-qncl8-test-1"), corev1.PodSpec{}, "ns/nightly/test-1/1", "test-1", 1},
		{"alone-pod", map[string]string{wellknown.TaskRunLabel: "alone"}, corev1.PodSpec{}, "ns/alone/alone/1", "alone", 1},
		{"affinity-assistant-607af64060-0", map[string]string{wellknown.PipelineRunLabel: "nightly-qncl8"}, assistant("shared"), "ns/nightly/affinity-assistant-0/shared", "", 1},
		{"affinity-assistant-1111111111-0", map[string]string{wellknown.PipelineRunLabel: "nightly-qncl8"}, assistant("pvc-0123456789"), "ns/nightly/affinity-assistant-0/pvc", "", 1},
		{"web", nil, corev1.PodSpec{}, "ns/web", "", 1},
	} {
		got := ids.of(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: tc.pod, Labels: tc.labels}, Spec: tc.spec})
		if got.key != tc.key || got.task != tc.task || got.attempt != tc.attempt {
			t.Errorf("%s: key %q, task %q, attempt %d, want %q, %q, %d", tc.pod, got.key, got.task, got.attempt, tc.key, tc.task, tc.attempt)
		}
	}
}

package node

import (
	"reflect"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// TestMountStatuses: a kubelet says how each volume is mounted, and of a read-only
// one how far down.
func TestMountStatuses(t *testing.T) {
	enabled, disabled, possible := corev1.RecursiveReadOnlyEnabled, corev1.RecursiveReadOnlyDisabled, corev1.RecursiveReadOnlyIfPossible
	got := mountStatuses([]corev1.VolumeMount{
		{Name: "a", MountPath: "/a"},
		{Name: "b", MountPath: "/b", ReadOnly: true},
		{Name: "c", MountPath: "/c", ReadOnly: true, RecursiveReadOnly: &possible},
	})
	want := []corev1.VolumeMountStatus{
		{Name: "a", MountPath: "/a"},
		{Name: "b", MountPath: "/b", ReadOnly: true, RecursiveReadOnly: &disabled},
		{Name: "c", MountPath: "/c", ReadOnly: true, RecursiveReadOnly: &enabled},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

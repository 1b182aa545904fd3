package plane

import (
	"slices"
	"testing"
)

func TestForeign(t *testing.T) {
	all := []string{
		"kubernetes.io/pvc-protection", "external-provisioner.volume.kubernetes.io/finalizer", "external-attacher/block-csi-simctl-dev",
		"foregroundDeletion", "orphan", "customresourcecleanup.apiextensions.k8s.io", "backup.example.com/keep", "chains.tekton.dev", "batch.kubernetes.io/job-tracking",
	}
	want := []string{"backup.example.com/keep", "chains.tekton.dev", "batch.kubernetes.io/job-tracking"}
	if got := Foreign(all); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

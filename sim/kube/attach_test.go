package kube

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	attachcache "k8s.io/kubernetes/pkg/controller/volume/attachdetach/cache"
	"k8s.io/kubernetes/pkg/volume"
	"k8s.io/kubernetes/pkg/volume/util/operationexecutor"
)

// shuffled is a desired state whose order is left to chance, as upstream's is.
type shuffled struct {
	attachcache.DesiredStateOfWorld
}

func (shuffled) GetVolumesToAttach() []attachcache.VolumeToAttach {
	var out []attachcache.VolumeToAttach
	for _, n := range rand.Perm(8) {
		pv := &corev1.PersistentVolume{}
		pv.Name = fmt.Sprint("pvc-", rand.Int()) // made up anew in every cell
		pv.Spec.ClaimRef = &corev1.ObjectReference{Namespace: "a", Name: fmt.Sprint("claim-", n%2)}
		out = append(out, attachcache.VolumeToAttach{VolumeToAttach: operationexecutor.VolumeToAttach{
			NodeName:   types.NodeName(fmt.Sprint("worker-", n/2)),
			VolumeName: corev1.UniqueVolumeName(pv.Name),
			VolumeSpec: volume.NewSpecFromPersistentVolume(pv, false),
		}})
	}
	return out
}

// drawnBySeed checks that an order depends on the seed, and on nothing else.
func drawnBySeed(t *testing.T, order func(seed int64) []string) {
	t.Helper()
	first := order(1)
	for range 5 {
		if again := order(1); !slices.Equal(first, again) {
			t.Fatalf("the same seed gives %v and %v", first, again)
		}
	}
	others := 0
	for seed := range int64(10) {
		if !slices.Equal(first, order(seed+2)) {
			others++
		}
	}
	if others < 8 {
		t.Errorf("of ten other seeds, %d give another order", others)
	}
}

// TestDrawnOrder checks that the order depends on the seed, and on nothing else.
func TestDrawnOrder(t *testing.T) {
	order := func(seed int64) []string {
		var out []string
		for _, v := range (drawnOrder{shuffled{}, func() int64 { return seed }}).GetVolumesToAttach() {
			out = append(out, string(v.NodeName)+" "+v.VolumeSpec.PersistentVolume.Spec.ClaimRef.Name)
		}
		return out
	}
	drawnBySeed(t, order)
}

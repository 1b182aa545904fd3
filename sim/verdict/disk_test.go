package verdict

import (
	"testing"

	"simctl.dev/simctl/sim/history"
)

// TestWroteToDisk: a pod that has written nothing is not said to have filled the disk
// over which it was evicted.
func TestWroteToDisk(t *testing.T) {
	const gib = 1 << 30
	full := history.Disk{Node: "w-0", Task: "build", Size: 100 * gib, Reserve: 15 * gib, Before: 40 * gib, Images: gib,
		Pods: []history.DiskUse{{Pod: "ns/other", Bytes: 45 * gib}}}
	writes := full
	writes.Wants = 80 * gib
	for _, test := range []struct {
		disk history.Disk
		want string
	}{
		{full, "The own disk of node w-0 has 14 GiB of 100 GiB left; the kubelet evicts pods below 15 GiB"},
		{writes, "Task build writes 80 GiB to the own disk of node w-0, which has 14 GiB of 100 GiB left; the kubelet evicts pods below 15 GiB"},
	} {
		got := wroteToDisk(test.disk)
		if got.What != test.want || got.Evidence != "on the disk: 40 GiB from before, 1.0 GiB of images, 45 GiB of Pod ns/other" {
			t.Errorf("got %+v, want %s", got, test.want)
		}
	}
}

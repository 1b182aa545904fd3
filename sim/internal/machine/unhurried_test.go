package machine

import (
	"os/exec"
	"runtime"
	"strings"
	"testing"
)

// TestUnhurried looks at what a child of a child is told, and one started afterwards.
func TestUnhurried(t *testing.T) {
	runtime.LockOSThread() // the thread is left as it was
	defer runtime.UnlockOSThread()
	ask := func(out *string) func() error {
		return func() error {
			got, err := exec.Command("sh", "-c", "cat /proc/self/timerslack_ns; true").Output()
			*out = strings.TrimSpace(string(got))
			return err
		}
	}
	var before, during, after string
	for _, err := range []error{ask(&before)(), Unhurried(ask(&during)), ask(&after)()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if during != "1000000" {
		t.Errorf("a process of an unhurried one has a slack of %s ns", during)
	}
	if after != before {
		t.Errorf("one started afterwards has %s ns, before it was %s", after, before)
	}
}

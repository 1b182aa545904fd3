package host

import (
	"os/exec"
	"runtime"
	"strings"
	"testing"
)

// TestUnhurried looks at what a child of a child is told, what one of a thread that is
// in a hurry all the same, and one started afterwards.
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
	var before, during, hurried, after string
	for _, err := range []error{
		ask(&before)(), Unhurried(ask(&during)),
		Unhurried(func() error { return Hurried(ask(&hurried)) }), ask(&after)(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if during != "1000000" {
		t.Errorf("a process of an unhurried one has a slack of %s ns", during)
	}
	if hurried != "50000" {
		t.Errorf("a thread that is in a hurry has a slack of %s ns", hurried)
	}
	if after != before {
		t.Errorf("one started afterwards has %s ns, before it was %s", after, before)
	}
}

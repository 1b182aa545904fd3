package controlplane

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestRunningSelf has a thread of this process busy in the kernel, where Go
// counts no goroutine as running: as one is that waits for a processor with what
// a watch has delivered.
func TestRunningSelf(t *testing.T) {
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		much := make([]byte, 64<<20)
		for {
			select {
			case <-stop:
				return
			default:
				_, _ = unix.Getrandom(much, 0)
			}
		}
	}()
	defer func() {
		close(stop)
		<-stopped
	}()
	for range 1000 {
		if running(nil) == os.Getpid() {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Error("a busy thread of this process was never seen")
}

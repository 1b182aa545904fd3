// Pause is the process of a pod's sandbox: it holds the pod's namespaces, takes
// over orphans, and ends when it is told to.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	c := make(chan os.Signal, 16)
	signal.Notify(c, syscall.SIGINT, syscall.SIGTERM, syscall.SIGCHLD)
	for s := range c {
		if s != syscall.SIGCHLD {
			return
		}
		for {
			if n, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); n <= 0 || err != nil {
				break
			}
		}
	}
}

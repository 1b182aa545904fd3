// Command simctl replays Tekton pipelines against a real control plane in
// virtual time; see package cli for its verbs.
package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"simctl.dev/simctl/cmd/simctl/internal/cli"
	"simctl.dev/simctl/sim"
	"simctl.dev/simctl/sim/tekton"
)

// version is simctl's, set by the linker; empty takes what Go knows of the build.
var version string

func main() {
	// simctl is its own etcd, kube-apiserver and Tekton controller: envtest and
	// the engine start it under their names.
	sim.ChildMain()
	os.Exit(run())
}

func run() int {
	ends := []os.Signal{os.Interrupt, syscall.SIGTERM}
	// The terminal goes away; nohup has that ignored.
	if !signal.Ignored(syscall.SIGHUP) {
		ends = append(ends, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), ends...)
	defer stop()
	// A second signal ends simctl at once.
	context.AfterFunc(ctx, stop)
	app := &cli.App{
		Engine: engine{},
		Versions: cli.Versions{
			Simctl: moduleVersion(""), Kubernetes: moduleVersion("k8s.io/kubernetes"),
			Tekton: tekton.BuiltIn, Go: runtime.Version(),
		},
		Stdout: os.Stdout,
		Stderr: watched{os.Stderr, stop},
	}
	return app.Main(ctx, os.Args[1:])
}

// watched is a writer with a reader who may go away, as `| head` does: that ends a
// run as a Ctrl-C does; see [engine.Run].
type watched struct {
	file *os.File
	end  func()
}

// Fd returns the file's descriptor, by which a terminal is known.
func (w watched) Fd() uintptr { return w.file.Fd() }

// Write implements io.Writer.
func (w watched) Write(p []byte) (int, error) {
	n, err := w.file.Write(p)
	if errors.Is(err, syscall.EPIPE) {
		w.end()
	}
	return n, err
}

// moduleVersion is the version of a module that simctl is built from; an empty
// path is simctl itself.
func moduleVersion(path string) string {
	info, ok := debug.ReadBuildInfo()
	switch {
	case path == "" && version != "":
		return version
	case !ok:
		return "unknown"
	case path == "":
		return info.Main.Version
	}
	for _, m := range info.Deps {
		if m.Path == path {
			return m.Version
		}
	}
	return "unknown"
}

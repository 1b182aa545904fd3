package controlplane

import (
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"
	_ "unsafe" // for linkname

	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	"k8s.io/component-base/version"
)

// KubernetesVersion is the release that is compiled in.
const KubernetesVersion = "v1.37.2"

// Upstream's build sets these with -X. Setting them here makes a plain
// `go build` and `go test` give an API server that knows its version: Tekton
// refuses to run on one that does not.
var (
	//go:linkname gitVersion k8s.io/component-base/version.gitVersion
	gitVersion string
	//go:linkname gitMajor k8s.io/component-base/version.gitMajor
	gitMajor string
	//go:linkname gitMinor k8s.io/component-base/version.gitMinor
	gitMinor string
)

func setVersion() {
	gitVersion, gitMajor, gitMinor = KubernetesVersion, "1", "37"
	if err := version.SetDynamicVersion(KubernetesVersion); err != nil {
		panic("the compiled-in Kubernetes version: " + err.Error())
	}
}

// The names under which the executable is etcd or kube-apiserver.
const (
	etcdName      = "etcd"
	apiServerName = "kube-apiserver"
)

// ChildMain runs etcd or kube-apiserver if argv[0] asks for one of them, and
// then does not return; otherwise it does nothing. A main (and a TestMain of a
// package that starts control planes) calls it first.
func ChildMain() {
	switch filepath.Base(os.Args[0]) {
	case etcdName:
		childSetup()
		etcdmain.Main(os.Args)
		os.Exit(0)
	case apiServerName:
		childSetup()
		setVersion()
		os.Exit(cli.Run(apiServerCommand()))
	}
}

// childSetup has this process end as soon as its parent is gone, however that
// ended, and at once on SIGTERM: a child's state is thrown away with the cell,
// so draining connections would only cost time.
func childSetup() {
	// These processes are short-lived and small: collecting garbage less often
	// costs little memory and saves a good part of their time.
	debug.SetGCPercent(300)
	parent := os.Getppid()
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	// A Ctrl-C or a terminal that goes away reaches the whole process group; the parent
	// decides what it means.
	signal.Ignore(syscall.SIGINT, syscall.SIGHUP)
	go func() {
		tick := time.NewTicker(500 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-term:
				os.Exit(0)
			case <-tick.C:
				if os.Getppid() != parent {
					os.Exit(0)
				}
			}
		}
	}()
}

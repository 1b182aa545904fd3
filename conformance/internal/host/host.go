// Package host says what this host lacks to be a cluster.
package host

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Host is what is asked of a host, so that tests can have others than this.
type Host struct {
	OS, CGO  string
	User     int
	CPUs     int
	LookPath func(program string) (string, error)
	Stat     func(file string) (fs.FileInfo, error)
	ReadFile func(file string) ([]byte, error)
	// Namespaces tries to make namespaces.
	Namespaces func() error
	// Statfs is the type of a folder's file system, and the bytes that are free in it.
	Statfs func(dir string) (kind int64, free uint64, err error)
	// Writable says whether one may make folders in a folder.
	Writable func(dir string) bool
}

// Here is this host; cgo is the value of `go env CGO_ENABLED`.
func Here(cgo string) Host {
	return Host{
		OS: runtime.GOOS, CGO: cgo, User: os.Geteuid(), CPUs: runtime.NumCPU(),
		LookPath: lookPath, Stat: os.Stat, ReadFile: os.ReadFile,
		Namespaces: func() error {
			cmd := exec.Command("true")
			cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS}
			return cmd.Run()
		},
		Statfs: func(dir string) (int64, uint64, error) {
			var s unix.Statfs_t
			err := unix.Statfs(dir, &s)
			return s.Type, s.Bavail * uint64(s.Bsize), err
		},
		Writable: func(dir string) bool {
			d, err := os.MkdirTemp(dir, "simctl-try-")
			if err != nil {
				return false
			}
			return os.Remove(d) == nil
		},
	}
}

// Path is where the cluster's programs find others, whatever the user's own is.
const Path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

func lookPath(program string) (string, error) {
	for _, d := range filepath.SplitList(Path) {
		if p, err := exec.LookPath(filepath.Join(d, program)); err == nil {
			return p, nil
		}
	}
	return "", exec.ErrNotFound
}

// What nodes need, and the Debian package that has it.
var programs = []struct{ name, pkg string }{
	{"containerd", "containerd"}, {"ctr", "containerd"}, {"containerd-shim-runc-v2", "containerd"},
	{"runc", "runc"},
	{"busybox", "busybox-static"},
	{"ip", "iproute2"},
	{"mkfs.ext4", "e2fsprogs"},
	{"mount", "mount"}, {"umount", "mount"}, {"mountpoint", "util-linux"}, {"blkid", "util-linux"},
	{"bash", "bash"},
}

var plugins = []string{"bridge", "host-local", "loopback"}

// PluginDir is where Debian has the CNI plug-ins.
const PluginDir = "/usr/lib/cni"

// Controllers are the cgroup controllers that a kubelet needs.
var Controllers = []string{"cpu", "cpuset", "memory", "pids"}

// A node's own folders are mounted over these.
var hidden = []string{"/var/lib", "/var/log", "/run", "/var/run"}

const (
	minFree = 6 << 30
	minCPUs = 2
	cgroups = "/sys/fs/cgroup"
)

// CgroupV2 says whether the host's cgroups are those of version 2.
func (m Host) CgroupV2() bool {
	_, err := m.Stat(filepath.Join(cgroups, "cgroup.controllers"))
	return err == nil
}

// Missing says, in a line each, what the host lacks; the cluster's state is to
// be in the folder state and its programs in bin.
func (m Host) Missing(state, bin string) []string {
	if m.OS != "linux" {
		return []string{"the operating system is " + m.OS + ": Linux is needed (it was tried on Debian 12)"}
	}
	var r []string
	say := func(format string, args ...any) { r = append(r, fmt.Sprintf(format, args...)) }
	if m.CPUs < minCPUs {
		say("CPUs: %d, and %d are needed: nodes have 2", m.CPUs, minCPUs)
	}
	for _, p := range programs {
		if _, err := m.LookPath(p.name); err != nil {
			say("program %s: not found (apt-get install %s)", p.name, p.pkg)
		}
	}
	for _, p := range plugins {
		if _, err := m.Stat(filepath.Join(PluginDir, p)); err != nil {
			say("CNI plug-in %s: not found in %s (apt-get install containernetworking-plugins)", p, PluginDir)
		}
	}
	if m.CGO == "1" {
		if _, err := m.LookPath("gcc"); err != nil {
			say("program gcc: not found (apt-get install gcc libc6-dev, or set CGO_ENABLED=0)")
		}
	}
	for _, f := range []struct{ dir, what string }{{state, "the temporary folder"}, {bin, "the folder of the programs"}} {
		if slices.ContainsFunc(hidden, func(h string) bool { return f.dir == h || strings.HasPrefix(f.dir, h+"/") }) {
			say("%s %s: is where a node has its own (set TMPDIR, or move the clone)", f.what, f.dir)
		}
	}
	switch kind, free, err := m.Statfs(state); {
	case err != nil:
		say("the temporary folder %s: %v", state, err)
	case kind == unix.OVERLAYFS_SUPER_MAGIC:
		say("the temporary folder %s: is on an overlay file system, on which containerd can make none (set TMPDIR)", state)
	case free < minFree:
		say("the temporary folder %s: %.1f GB are free, and %d are needed (set TMPDIR)", state, float64(free)/(1<<30), minFree>>30)
	}
	if b, err := m.ReadFile("/proc/filesystems"); err == nil && !slices.Contains(strings.Fields(string(b)), "overlay") {
		say("file system overlay: this kernel has none")
	}
	if m.User != 0 {
		// what follows can only be tried as root
		say("root: this is user %d", m.User)
		return r
	}
	if err := m.Namespaces(); err != nil {
		say("namespaces (network, mounts, PIDs): %v", err)
	}
	if _, err := m.Stat("/dev/loop-control"); err != nil {
		say("loop devices: no /dev/loop-control")
	}
	return append(r, m.missingCgroups()...)
}

func (m Host) missingCgroups() []string {
	if m.CgroupV2() {
		b, err := m.ReadFile(filepath.Join(cgroups, "cgroup.controllers"))
		if err != nil {
			return []string{fmt.Sprintf("cgroups: %v", err)}
		}
		var r []string
		for _, c := range Controllers {
			if !slices.Contains(strings.Fields(string(b)), c) {
				r = append(r, "cgroup controller "+c+": not in "+cgroups+"/cgroup.controllers")
			}
		}
		if !m.Writable(cgroups) {
			r = append(r, "cgroups: "+cgroups+" may not be written to")
		}
		return r
	}
	var r []string
	for _, c := range Controllers {
		dir := filepath.Join(cgroups, c)
		switch _, err := m.Stat(dir); {
		case err != nil:
			r = append(r, "cgroup controller "+c+": no "+dir)
		case !m.Writable(dir):
			r = append(r, "cgroup controller "+c+": "+dir+" may not be written to")
		}
	}
	return r
}

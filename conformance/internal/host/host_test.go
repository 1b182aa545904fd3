package host

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func able() Host {
	return Host{
		OS: "linux", CGO: "1", CPUs: 2,
		LookPath:   func(p string) (string, error) { return "/bin/" + p, nil },
		Stat:       func(f string) (fs.FileInfo, error) { return without("cgroup.controllers")(f) },
		ReadFile:   func(string) ([]byte, error) { return []byte("nodev\toverlay\ncpuset cpu io memory pids"), nil },
		Namespaces: func() error { return nil },
		Statfs:     func(string) (int64, uint64, error) { return unix.EXT4_SUPER_MAGIC, 50 << 30, nil },
		Writable:   func(string) bool { return true },
	}
}

func without(parts ...string) func(string) (fs.FileInfo, error) {
	return func(f string) (fs.FileInfo, error) {
		if slices.ContainsFunc(parts, func(p string) bool { return strings.HasSuffix(f, p) }) {
			return nil, fs.ErrNotExist
		}
		return nil, nil
	}
}

func TestMissing(t *testing.T) {
	refuse := errors.New("operation not permitted")
	for _, c := range []struct {
		name   string
		change func(*Host)
		state  string
		want   []string
	}{
		{name: "nothing", change: func(*Host) {}},
		{name: "another system", change: func(m *Host) { m.OS = "darwin" }, want: []string{"operating system is darwin"}},
		{name: "no root", change: func(m *Host) {
			m.User, m.Namespaces = 1000, func() error { return refuse }
		}, want: []string{"root: this is user 1000"}},
		{name: "programs", change: func(m *Host) {
			m.LookPath = func(p string) (string, error) {
				if p == "runc" || p == "busybox" {
					return "", fs.ErrNotExist
				}
				return p, nil
			}
		}, want: []string{"program runc: not found (apt-get install runc)", "apt-get install busybox-static"}},
		{name: "plug-ins", change: func(m *Host) { m.Stat = without("cgroup.controllers", "cni/bridge") }, want: []string{"CNI plug-in bridge"}},
		{name: "gcc", change: func(m *Host) {
			m.LookPath = func(p string) (string, error) {
				if p == "gcc" {
					return "", fs.ErrNotExist
				}
				return p, nil
			}
		}, want: []string{"program gcc"}},
		{name: "gcc without cgo", change: func(m *Host) {
			m.CGO = "0"
			m.LookPath = func(p string) (string, error) {
				if p == "gcc" {
					return "", fs.ErrNotExist
				}
				return p, nil
			}
		}},
		{name: "namespaces", change: func(m *Host) { m.Namespaces = func() error { return refuse } }, want: []string{"namespaces (network, mounts, PIDs): operation not permitted"}},
		{name: "loop devices", change: func(m *Host) { m.Stat = without("cgroup.controllers", "loop-control") }, want: []string{"loop devices"}},
		{name: "overlay", change: func(m *Host) {
			m.Statfs = func(string) (int64, uint64, error) { return unix.OVERLAYFS_SUPER_MAGIC, 50 << 30, nil }
		}, want: []string{"is on an overlay file system"}},
		{name: "room", change: func(m *Host) {
			m.Statfs = func(string) (int64, uint64, error) { return unix.EXT4_SUPER_MAGIC, 1 << 30, nil }
		}, want: []string{"1.0 GB are free, and 6 are needed"}},
		{name: "hidden folder", change: func(*Host) {}, state: "/var/lib/x", want: []string{"the temporary folder /var/lib/x"}},
		{name: "one CPU", change: func(m *Host) { m.CPUs = 1 }, want: []string{"CPUs: 1"}},
		{name: "cgroup v1", change: func(m *Host) { m.Stat = without("cgroup.controllers", "cgroup/pids") }, want: []string{"cgroup controller pids: no /sys/fs/cgroup/pids"}},
		{name: "cgroup v1, read-only", change: func(m *Host) { m.Writable = func(d string) bool { return !strings.HasSuffix(d, "/memory") } },
			want: []string{"cgroup controller memory: /sys/fs/cgroup/memory may not be written to"}},
		{name: "cgroup v2", change: func(m *Host) {
			m.Stat = without()
			m.ReadFile = func(string) ([]byte, error) { return []byte("overlay cpu io memory pids"), nil }
		}, want: []string{"cgroup controller cpuset: not in"}},
		{name: "cgroup v2, read-only", change: func(m *Host) {
			m.Stat = without()
			m.Writable = func(string) bool { return false }
		}, want: []string{"/sys/fs/cgroup may not be written to"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := able()
			c.change(&m)
			if c.state == "" {
				c.state = "/tmp"
			}
			got := m.Missing(c.state, "/home/me/simctl/bin")
			if len(got) != len(c.want) {
				t.Fatalf("got %q, want %d lines: %q", got, len(c.want), c.want)
			}
			for i, w := range c.want {
				if !strings.Contains(got[i], w) {
					t.Errorf("line %d is %q, want it to have %q", i, got[i], w)
				}
			}
		})
	}
}

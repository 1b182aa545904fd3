package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"simctl.dev/simctl/conformance/internal/host"
)

// cgroups are the folders below which the nodes' pods have theirs, one a hierarchy
// (one in all in version 2).
type cgroups struct {
	name  string
	roots []string
	// cleared are the folders in which there may be one to take away: where both
	// versions are mounted, runc makes one in version 2 too.
	cleared []string
	v2      bool
}

const (
	cgroupMount  = "/sys/fs/cgroup"
	cgroupPrefix = "simctl-conformance-"
)

func newCgroups(v2 bool) (*cgroups, error) {
	c := &cgroups{name: cgroupPrefix + strconv.Itoa(os.Getpid()), v2: v2}
	if v2 {
		c.roots = []string{cgroupMount}
		c.cleared = c.roots
	} else {
		entries, err := os.ReadDir(cgroupMount)
		if err != nil {
			return nil, fmt.Errorf("cgroups: %w", err)
		}
		for _, e := range entries {
			// cpu,cpuacct and the like are links to one hierarchy
			if !e.IsDir() {
				continue
			}
			dir := filepath.Join(cgroupMount, e.Name())
			c.cleared = append(c.cleared, dir)
			if e.Name() != "unified" {
				c.roots = append(c.roots, dir)
			}
		}
	}
	removeForgotten(c.cleared)
	for _, r := range c.roots {
		if v2 {
			if err := enable(r); err != nil {
				return nil, err
			}
		}
		if err := c.mkdir(r, c.name); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// add makes the folders of a node and says which the kubelet is to use.
func (c *cgroups) add(node string) (string, error) {
	for _, r := range c.roots {
		if err := c.mkdir(filepath.Join(r, c.name), node); err != nil {
			return "", err
		}
	}
	return "/" + c.name + "/" + node, nil
}

func (c *cgroups) mkdir(parent, name string) error {
	dir := filepath.Join(parent, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("cgroups: %w", err)
	}
	if c.v2 {
		return enable(dir)
	}
	// In version 1 a new cpuset is empty, and nothing can run in it.
	for _, f := range []string{"cpuset.cpus", "cpuset.mems"} {
		b, err := os.ReadFile(filepath.Join(parent, f))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, f), b, 0o644)
		}
		if err != nil {
			return fmt.Errorf("cgroups: %w", err)
		}
	}
	return nil
}

// enable hands the controllers down to a folder's folders (version 2).
func enable(dir string) error {
	for _, ctl := range append(slices.Clone(host.Controllers), "io") {
		err := os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+ctl), 0o644)
		if err != nil && ctl != "io" {
			return fmt.Errorf("cgroups: handing down %s: %w", ctl, err)
		}
	}
	return nil
}

// remove takes a node's folders away, or all with no name. Processes that were
// killed may still be in them for a moment.
func (c *cgroups) remove(node string) error {
	var errs []error
	for _, r := range c.cleared {
		errs = append(errs, removeTree(filepath.Join(r, c.name, node), 10*time.Second))
	}
	return errors.Join(errs...)
}

// removeForgotten takes away what another one left that was killed.
func removeForgotten(roots []string) {
	for _, r := range roots {
		dirs, err := filepath.Glob(filepath.Join(r, cgroupPrefix+"*"))
		if err != nil {
			continue
		}
		for _, d := range dirs {
			pid, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(d), cgroupPrefix))
			if err != nil || syscall.Kill(pid, 0) == nil {
				continue
			}
			// What cannot be taken away now will be the next time.
			_ = removeTree(d, 0)
		}
	}
}

func removeTree(dir string, patience time.Duration) error {
	for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		err := removeOnce(dir)
		if err == nil || time.Now().After(end) {
			return err
		}
	}
}

// removeOnce takes the folders away from the inside out: their files are the kernel's.
func removeOnce(dir string) error {
	var dirs []string
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && e.IsDir() {
			dirs = append(dirs, p)
		}
		return err
	})
	for _, d := range slices.Backward(dirs) {
		if e := syscall.Rmdir(d); e != nil && !errors.Is(e, fs.ErrNotExist) && err == nil {
			err = fmt.Errorf("taking away the cgroup %s: %w", d, e)
		}
	}
	return err
}

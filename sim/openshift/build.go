package openshift

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// engineSources are the engine's module. Its go.mod has another name here because
// files of another module cannot be embedded.
//
//go:embed engine/*.go engine/go.mod.txt engine/go.sum.txt
var engineSources embed.FS

// BuildOptions say where and how the engine is built.
type BuildOptions struct {
	// CacheDir is where built engines are kept; default simctl in the user's
	// cache directory.
	CacheDir string
	// Progress is told what is being done, a line at a time; it may be nil.
	Progress func(line string)
	// Go is the go command; default "go" on the PATH.
	Go string
}

// BuildEngine gives the path of the engine's executable and builds it first if
// this machine has none that was built from these sources. Processes that need
// it at once build it once. It takes some minutes; the context ends it.
func BuildEngine(ctx context.Context, o BuildOptions) (string, error) {
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	if o.Go == "" {
		o.Go = "go"
	}
	if o.CacheDir == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("finding a cache directory for OpenShift's SCC admission: %w", err)
		}
		o.CacheDir = filepath.Join(dir, "simctl")
	}
	sources, key, err := sourcesOfEngine()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(o.CacheDir, "openshift")
	path := filepath.Join(dir, "scc-admission-"+key)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("making the cache directory of OpenShift's SCC admission: %w", err)
	}
	unlock, err := lock(ctx, path+".lock", o.Progress)
	if err != nil {
		return "", fmt.Errorf("waiting for OpenShift's SCC admission to be built: %w", err)
	}
	defer unlock()
	if _, err := os.Stat(path); err == nil {
		return path, nil // built by whoever held the lock
	}

	// What is left of a build that was killed is in the way of no other: the lock
	// is held.
	work := filepath.Join(dir, "build-"+key)
	defer func() { _ = os.RemoveAll(work) }()
	if err := o.build(ctx, sources, work, path); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		} else if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || strings.Contains(err.Error(), syscall.ENOSPC.Error()) {
			err = fmt.Errorf("no space left in %s or the temporary directory: free some, or name another cache directory (%w)", dir, err)
		}
		return "", fmt.Errorf("building OpenShift's SCC admission: %w", err)
	}
	return path, nil
}

// build makes the executable at path in the folder work.
func (o *BuildOptions) build(ctx context.Context, sources map[string][]byte, work, path string) error {
	if err := os.RemoveAll(work); err != nil {
		return err
	}
	if err := os.MkdirAll(work, 0o755); err != nil {
		return err
	}
	for name, text := range sources {
		if err := os.WriteFile(filepath.Join(work, name), text, 0o644); err != nil {
			return err
		}
	}
	o.Progress("building OpenShift's SCC admission")
	start := time.Now()
	if err := o.compile(ctx, work); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(work, "engine"), path); err != nil {
		return err
	}
	o.Progress(fmt.Sprintf("built OpenShift's SCC admission in %s", time.Since(start).Round(time.Second)))
	return nil
}

// sourcesOfEngine gives the engine's files as a module wants them, and a key that
// changes with them and with the compiler.
func sourcesOfEngine() (map[string][]byte, string, error) {
	files := map[string][]byte{}
	sum := sha256.New()
	_, _ = fmt.Fprintln(sum, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	err := fs.WalkDir(engineSources, "engine", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := engineSources.ReadFile(path)
		if err != nil {
			return err
		}
		// Here the files must not be a package of this module.
		text = bytes.Replace(text, []byte("//go:build ignore\n"), nil, 1)
		files[strings.TrimSuffix(d.Name(), ".txt")] = text
		_, _ = fmt.Fprintf(sum, "%s %d\n%s", d.Name(), len(text), text)
		return nil
	})
	if err != nil {
		return nil, "", fmt.Errorf("reading the sources of OpenShift's SCC admission: %w", err)
	}
	return files, hex.EncodeToString(sum.Sum(nil))[:12], nil
}

// compile builds the module in dir into dir/engine.
func (o *BuildOptions) compile(ctx context.Context, dir string) error {
	// A parent's death is told to a child when the thread that started it ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(ctx, o.Go, "build", "-v", "-mod=readonly", "-buildvcs=false", "-trimpath", "-ldflags=-s -w", "-o", "engine", ".")
	cmd.Dir = dir
	// What is set for the module around must not change this one's build.
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off", "CGO_ENABLED=0", "PWD="+dir)
	// The compilers that it starts end with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	out := &compilation{progress: o.Progress, last: time.Now()}
	cmd.Stdout, cmd.Stderr = out, out
	err := cmd.Run()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return fmt.Errorf("%w: install Go, or switch cluster.openshift off", err)
	case err != nil:
		return fmt.Errorf("go build: %w: %s", err, out.text.String())
	}
	return nil
}

// compilation takes what `go build -v` prints: it counts the packages and keeps
// the rest.
type compilation struct {
	progress func(string)
	last     time.Time
	packages int
	part     []byte
	text     tail
}

const progressEvery = 5 * time.Second

func (c *compilation) Write(p []byte) (int, error) {
	c.part = append(c.part, p...)
	for {
		i := bytes.IndexByte(c.part, '\n')
		if i < 0 {
			return len(p), nil
		}
		line := string(c.part[:i+1])
		c.part = c.part[i+1:]
		// A package's name has no space in it; what the compiler says has some,
		// and so has "go: downloading".
		if strings.ContainsAny(strings.TrimSpace(line), " :") {
			_, _ = c.text.Write([]byte(line))
			continue
		}
		c.packages++
		if time.Since(c.last) >= progressEvery {
			c.last = time.Now()
			c.progress(fmt.Sprintf("building OpenShift's SCC admission: %d packages compiled", c.packages))
		}
	}
}

// lock takes the lock file at path; the system gives it back if the process dies.
func lock(ctx context.Context, path string, progress func(string)) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for told := false; ; {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			_ = f.Close()
			return nil, fmt.Errorf("locking %s: %w", path, err)
		}
		if !told {
			progress("waiting for another simctl to build OpenShift's SCC admission")
			told = true
		}
		select {
		case <-ctx.Done():
			_ = f.Close()
			return nil, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// tail keeps the end of what is written to it.
type tail struct{ text []byte }

const tailSize = 4 << 10

var _ io.Writer = (*tail)(nil)

func (t *tail) Write(p []byte) (int, error) {
	t.text = append(t.text, p...)
	if n := len(t.text) - tailSize; n > 0 {
		t.text = append(t.text[:0], t.text[n:]...)
	}
	return len(p), nil
}

func (t *tail) String() string { return strings.TrimSpace(string(t.text)) }

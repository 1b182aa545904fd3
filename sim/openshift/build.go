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

	work, err := os.MkdirTemp(dir, "build-")
	if err != nil {
		return "", fmt.Errorf("building OpenShift's SCC admission: %w", err)
	}
	defer func() { _ = os.RemoveAll(work) }()
	for name, text := range sources {
		if err := os.WriteFile(filepath.Join(work, name), text, 0o644); err != nil {
			return "", fmt.Errorf("building OpenShift's SCC admission: %w", err)
		}
	}
	o.Progress("building OpenShift's SCC admission")
	start := time.Now()
	if err := compile(ctx, o.Go, work); err != nil {
		return "", fmt.Errorf("building OpenShift's SCC admission: %w", err)
	}
	if err := os.Rename(filepath.Join(work, "engine"), path); err != nil {
		return "", fmt.Errorf("building OpenShift's SCC admission: %w", err)
	}
	o.Progress(fmt.Sprintf("built OpenShift's SCC admission in %s", time.Since(start).Round(time.Second)))
	return path, nil
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
func compile(ctx context.Context, gocmd, dir string) error {
	cmd := exec.CommandContext(ctx, gocmd, "build", "-mod=readonly", "-buildvcs=false", "-trimpath", "-ldflags=-s -w", "-o", "engine", ".")
	cmd.Dir = dir
	// What is set for the module around must not change this one's build.
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off", "CGO_ENABLED=0")
	// The compiler's own children end with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	var out tail
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, exec.ErrNotFound) {
			return fmt.Errorf("%w: Go must be installed to build it, or switch cluster.openshift off", err)
		}
		return fmt.Errorf("go build: %w: %s", err, out.String())
	}
	return nil
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

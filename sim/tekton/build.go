package tekton

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Builder makes [Build]s and keeps them in a cache that several processes may
// share.
type Builder struct {
	// CacheDir is the cache; the default is "simctl" in the user's cache
	// directory.
	CacheDir string
	// Progress, unless nil, takes lines about a build: its start, how far it is
	// every few seconds, its end, and waiting for another process.
	Progress func(version, line string)
	// Go is the go command; the default is "go".
	Go string
}

// Build is a release that is ready to run.
type Build struct {
	Version string
	// Path is the executable and Args0 its argv[0].
	Path  string
	Args0 string
	// ModuleDir holds the release's config folder with its manifests.
	ModuleDir string
}

// entry describes a finished cache entry, in its build.json.
type entry struct {
	Version string
	// Size is the executable's, in bytes; zero for the built-in release.
	Size int64
	// Manifests is the size of the config folder.
	Manifests int64
}

const (
	// buildFlags and sourceFormat are part of what names a cache entry; the
	// format is counted up when source.go makes something else of a module.
	buildFlags   = "-trimpath -mod=readonly -buildvcs=false -ldflags=-s -w"
	sourceFormat = "1"

	binaryName = "controller"
	entryName  = "build.json"

	// minimumSpace is what a build needs in the cache at least.
	minimumSpace = 256 << 20

	progressEvery = 5 * time.Second
	lockEvery     = 100 * time.Millisecond
)

// Build gives the release of that version (see [ParseVersion]), building it if
// it is not in the cache. A build takes minutes. Errors wrap one of this
// package's and say what to do.
func (b *Builder) Build(ctx context.Context, version string) (*Build, error) {
	version, err := ParseVersion(version)
	if err != nil {
		return nil, err
	}
	root, err := b.root()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(root, b.entryDir(version))
	if b.check(dir, version) {
		return b.open(dir, version)
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return nil, noSpace(root, fmt.Errorf("making the cache directory: %w", err))
	}
	unlock, err := b.lock(ctx, root, version)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if b.check(dir, version) { // somebody else has built it
		return b.open(dir, version)
	}
	if err := b.fill(ctx, root, dir, version); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, noSpace(root, fmt.Errorf("Tekton %s: %w", version, err)) //nolint:staticcheck // a name
	}
	return b.open(dir, version)
}

// Status says whether a release is ready without a build, where its executable
// is and how many bytes its cache entry has.
func (b *Builder) Status(version string) (built bool, path string, size int64) {
	version, err := ParseVersion(version)
	if err != nil {
		return false, "", 0
	}
	root, err := b.root()
	if err != nil {
		return false, "", 0
	}
	dir := filepath.Join(root, b.entryDir(version))
	e, err := readEntry(dir)
	if version == BuiltIn {
		self, _ := os.Executable()
		return true, self, e.Size + e.Manifests
	}
	if err != nil || !b.check(dir, version) {
		return false, "", 0
	}
	return true, filepath.Join(dir, binaryName), e.Size + e.Manifests
}

func (b *Builder) root() (string, error) {
	dir := b.CacheDir
	if dir == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("finding the user's cache directory (set one for simctl instead): %w", err)
		}
		dir = filepath.Join(user, "simctl")
	}
	return filepath.Abs(filepath.Join(dir, "tekton"))
}

// entryDir names the cache entry after all that its content depends on.
func (b *Builder) entryDir(version string) string {
	if version == BuiltIn {
		return "v" + version + "-built-in"
	}
	h := sha256.New()
	for _, s := range []string{buildFlags, sourceFormat, runtime.Version(), runtime.GOOS, runtime.GOARCH, string(hookSource)} {
		_, _ = io.WriteString(h, s+"\x00")
	}
	return fmt.Sprintf("v%s-%x", version, h.Sum(nil)[:6])
}

func readEntry(dir string) (entry, error) {
	var e entry
	raw, err := os.ReadFile(filepath.Join(dir, entryName))
	if err == nil {
		err = json.Unmarshal(raw, &e)
	}
	return e, err
}

// check says whether the entry in dir is whole.
func (b *Builder) check(dir, version string) bool {
	e, err := readEntry(dir)
	if err != nil || e.Version != version {
		return false
	}
	if size, err := treeSize(filepath.Join(dir, "config")); err != nil || size != e.Manifests {
		return false
	}
	if version == BuiltIn {
		return true
	}
	st, err := os.Stat(filepath.Join(dir, binaryName))
	return err == nil && st.Size() == e.Size && st.Mode()&0o100 != 0
}

func (b *Builder) open(dir, version string) (*Build, error) {
	out := &Build{Version: version, Path: filepath.Join(dir, binaryName), Args0: BuiltInName, ModuleDir: dir}
	if version == BuiltIn {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("finding simctl's own executable: %w", err)
		}
		out.Path = self
	}
	return out, nil
}

// lock takes the lock of a version's builds.
func (b *Builder) lock(ctx context.Context, root, version string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(root, "v"+version+".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, noSpace(root, fmt.Errorf("opening the lock of Tekton %s: %w", version, err))
	}
	waiting := false
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil // closing unlocks
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			_ = f.Close()
			return nil, fmt.Errorf("locking %s: %w", f.Name(), err)
		}
		if !waiting {
			waiting = true
			b.progress(version, "another simctl is building it: waiting for that")
		}
		select {
		case <-ctx.Done():
			_ = f.Close()
			return nil, ctx.Err()
		case <-time.After(lockEvery):
		}
	}
}

func (b *Builder) progress(version, line string) {
	if b.Progress != nil {
		b.Progress(version, line)
	}
}

// fill makes the cache entry dir. The version's lock is held.
func (b *Builder) fill(ctx context.Context, root, dir, version string) error {
	// What an interrupted build has left.
	stale, _ := filepath.Glob(filepath.Join(root, "v"+version+".tmp-*"))
	for _, s := range stale {
		_ = os.RemoveAll(s)
	}
	tmp, err := os.MkdirTemp(root, "v"+version+".tmp-")
	if err != nil {
		return fmt.Errorf("making a folder to build in: %w", err)
	}
	defer func() { _ = os.RemoveAll(tmp) }()

	module, err := b.download(ctx, tmp, version)
	if err != nil {
		return err
	}
	out := filepath.Join(tmp, "entry")
	if err := copyConfig(filepath.Join(out, "config"), filepath.Join(module, "config")); err != nil {
		return fmt.Errorf("copying the release's manifests: %w", err)
	}
	e := entry{Version: version}
	if e.Manifests, err = treeSize(filepath.Join(out, "config")); err != nil {
		return err
	}
	if version != BuiltIn {
		if e.Size, err = b.compile(ctx, tmp, module, filepath.Join(out, binaryName), version); err != nil {
			return err
		}
	}
	raw, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(out, entryName), raw, 0o644); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil { // a broken entry
		return err
	}
	return os.Rename(out, dir)
}

// download has the go command put the release's module in its cache and gives
// its folder.
func (b *Builder) download(ctx context.Context, tmp, version string) (string, error) {
	cmd := b.command(ctx, tmp, "mod", "download", "-json", Module+"@v"+version)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	runErr := cmd.Run()
	if errors.Is(runErr, exec.ErrNotFound) {
		return "", fmt.Errorf("%w: the go command is needed to get it and was not found in PATH: install Go", ErrDownload)
	}
	var got struct{ Dir, Error string }
	if err := json.Unmarshal(stdout.Bytes(), &got); err == nil && runErr == nil && got.Error == "" && got.Dir != "" {
		return got.Dir, nil
	}
	words := got.Error
	if words == "" {
		words = stderr.String()
	}
	if words == "" && runErr != nil {
		words = runErr.Error()
	}
	if full(words) {
		return "", fmt.Errorf("downloading its module: %w", syscall.ENOSPC)
	}
	for _, s := range []string{"unknown revision", "404 Not Found", "410 Gone", "not found:", "invalid version"} {
		if strings.Contains(words, s) {
			return "", fmt.Errorf("%w: `simctl tekton list` shows those known (%s)", ErrNoSuchRelease, lastLine(words))
		}
	}
	return "", fmt.Errorf("%w: check the network and GOPROXY (%s)", ErrDownload, lastLine(words))
}

// compile builds the controller from module with the hook added, and gives the
// executable's size.
func (b *Builder) compile(ctx context.Context, tmp, module, out, version string) (int64, error) {
	var fsys syscall.Statfs_t
	if err := syscall.Statfs(tmp, &fsys); err == nil && fsys.Bavail*uint64(fsys.Bsize) < minimumSpace {
		return 0, fmt.Errorf("building it needs %d MB: %w", minimumSpace>>20, syscall.ENOSPC)
	}
	began := time.Now()
	b.progress(version, "building the controller, which is done once and takes some minutes")
	src := filepath.Join(tmp, "src")
	noProbes, err := b.hasProbes(ctx, module)
	if err != nil {
		return 0, err
	}
	if err := writeSource(src, module, noProbes); err != nil {
		return 0, fmt.Errorf("%w: %w", ErrBuild, err)
	}
	cmd := b.command(ctx, src, "build", "-v", "-trimpath", "-mod=readonly", "-buildvcs=false", "-ldflags=-s -w", "-o", out, "./cmd/controller")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("%w: starting the go command: %w", ErrBuild, err)
	}
	// Cells of other releases run at the same time.
	_ = syscall.Setpriority(syscall.PRIO_PGRP, cmd.Process.Pid, 10)
	words := b.follow(version, stderr)
	if err := cmd.Wait(); err != nil {
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		if full(words) {
			return 0, fmt.Errorf("compiling it: %w", syscall.ENOSPC)
		}
		return 0, fmt.Errorf("%w: %w: %s", ErrBuild, err, summary(words))
	}
	st, err := os.Stat(out)
	if err != nil {
		return 0, err
	}
	b.progress(version, fmt.Sprintf("built in %s, %d MB", time.Since(began).Round(time.Second), st.Size()>>20))
	return st.Size(), nil
}

// hasProbes says whether the release's knative.dev/pkg listens for probes by
// itself, which it can be told not to.
func (b *Builder) hasProbes(ctx context.Context, module string) (bool, error) {
	cmd := b.command(ctx, module, "list", "-mod=readonly", "-f", "{{.Dir}}", "knative.dev/pkg/injection/sharedmain")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	dir, err := cmd.Output()
	if err != nil {
		if full(stderr.String()) {
			err = syscall.ENOSPC
		}
		return false, fmt.Errorf("%w: finding its knative.dev/pkg: %w: %s", ErrBuild, err, summary(stderr.String()))
	}
	src, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "main.go"))
	return bytes.Contains(src, []byte("func WithHealthProbesDisabled(")), err
}

// follow reports how far a build is, and gives what it said apart from that.
func (b *Builder) follow(version string, stderr io.Reader) string {
	var (
		mu                   sync.Mutex
		downloaded, compiled int
		words                []string
		done                 = make(chan struct{})
		reported             sync.WaitGroup
	)
	reported.Add(1)
	go func() {
		defer reported.Done()
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			mu.Lock()
			line := fmt.Sprintf("compiled %d packages", compiled)
			if compiled == 0 && downloaded > 0 {
				line = fmt.Sprintf("downloaded %d modules", downloaded)
			}
			mu.Unlock()
			b.progress(version, line)
		}
	}()
	in := bufio.NewScanner(stderr)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		line := in.Text()
		mu.Lock()
		switch {
		case strings.HasPrefix(line, "go: downloading "):
			downloaded++
		case !strings.ContainsAny(line, " \t:#"): // a package's path
			compiled++
		default:
			words = append(words, line)
		}
		mu.Unlock()
	}
	close(done)
	reported.Wait()
	return strings.Join(words, "\n")
}

// command gives a run of the go command that ends with ctx, and with simctl.
func (b *Builder) command(ctx context.Context, dir string, args ...string) *exec.Cmd {
	name := b.Go
	if name == "" {
		name = "go"
	}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	// Settings of the user's own modules must not reach upstream's.
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=", "CGO_ENABLED=0", "PWD="+dir)
	// The compilers it starts are ended with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	return cmd
}

func full(words string) bool { return strings.Contains(words, syscall.ENOSPC.Error()) }

// noSpace makes a full disk's error say so in one line.
func noSpace(root string, err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w in %s: free some space, or name another cache directory (%w)", ErrNoSpace, root, err)
	}
	return err
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}

// summary makes one line of a compiler's words.
func summary(words string) string {
	var kept []string
	for _, line := range strings.Split(words, "\n") {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			kept = append(kept, line)
		}
	}
	if len(kept) > 3 {
		kept = append(kept[:3], "...")
	}
	return strings.Join(kept, "; ")
}

// copyConfig copies the manifests of a release.
func copyConfig(to, from string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if rel == "resolvers" {
				return filepath.SkipDir
			}
			return os.MkdirAll(filepath.Join(to, rel), 0o755)
		}
		if filepath.Ext(path) != ".yaml" {
			return nil
		}
		return copyFile(filepath.Join(to, rel), path)
	})
}

func treeSize(dir string) (int64, error) {
	var size int64
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	return size, err
}

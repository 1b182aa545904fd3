package tekton

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"simctl.dev/simctl/sim/internal/buildcache"
)

// Builder makes [Build]s and keeps them in a cache that several processes may
// share.
type Builder struct {
	// CacheDir is the cache; the default is "simctl" in the user's cache
	// directory.
	CacheDir string
	// Progress, unless nil, takes lines about a build: its start, how far it is
	// every few seconds, its end, and waiting for another process. Builds side by
	// side call it from several goroutines.
	Progress func(version, line string)
	// Go is the go command; the default is "go".
	Go string

	// compilers is how many a build starts; 0 leaves it to the go command.
	compilers int
}

// Build is a release that is ready to run.
type Build struct {
	Version string
	// Path is the executable: its controller, or under [WebhookName] its webhook.
	Path string
	// ModuleDir holds the release's config folder with its manifests.
	ModuleDir string
}

const (
	// sourceFormat is part of what names a cache entry, as the build's flags are; it
	// is counted up when source.go makes something else of a module.
	sourceFormat = "4"

	binaryName = "controller"
	builtInKey = "builtin"

	// minimumSpace is what a build needs in the cache at least.
	minimumSpace = 256 << 20
)

// Build returns the release of that version (see [ParseVersion]), building it if
// it is not in the cache, or is damaged there. A build takes minutes. Errors wrap
// one of this package's and say what to do.
func (b *Builder) Build(ctx context.Context, version string) (*Build, error) {
	version, err := ParseVersion(version)
	if err != nil {
		return nil, err
	}
	cache, err := b.cache()
	if err != nil {
		return nil, err
	}
	progress := func(line string) { b.progress(version, line) }
	dir, err := cache.Get(ctx, b.entry(version), progress, func(ctx context.Context, out, work string) error {
		return b.fill(ctx, version, out, work)
	})
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("Tekton %s: %w", version, err) //nolint:staticcheck // a name
	}
	out := &Build{Version: version, Path: filepath.Join(dir, binaryName), ModuleDir: dir}
	if version == BuiltIn {
		if out.Path, err = os.Executable(); err != nil {
			return nil, fmt.Errorf("finding simctl's own executable: %w", err)
		}
	}
	return out, nil
}

// BuildAll returns the releases of those versions, each to done as soon as it is
// ready or has failed, one call at a time. Those that need no building come
// first. On a small host one release is built after another, on a large one
// some are built side by side. BuildAll returns when all are done; when ctx ends,
// it returns early with ctx's error, and what is not built by then is not told.
func (b *Builder) BuildAll(ctx context.Context, versions []string, done func(version string, build *Build, err error)) error {
	builds, compilers := buildcache.Lanes()
	var telling sync.Mutex
	tell := func(one *Builder, version string) {
		build, err := one.Build(ctx, version)
		if ctx.Err() != nil {
			return
		}
		telling.Lock()
		defer telling.Unlock()
		done(version, build, err)
	}
	ready, rest := b.Split(versions)
	for _, v := range ready {
		tell(b, v)
	}
	builds = max(min(builds, len(rest)), 1)
	one := &Builder{CacheDir: b.CacheDir, Progress: b.Progress, Go: b.Go}
	if builds > 1 {
		one.compilers = compilers
	}
	queue := make(chan string, len(rest))
	for _, v := range rest {
		queue <- v
	}
	close(queue)
	var wg sync.WaitGroup
	for range builds {
		wg.Go(func() {
			for v := range queue {
				if ctx.Err() != nil {
					return
				}
				tell(one, v)
			}
		})
	}
	wg.Wait()
	return ctx.Err()
}

// Split says which versions need no building and which do, each in their order.
func (b *Builder) Split(versions []string) (ready, rest []string) {
	for _, v := range versions {
		if built, _, _ := b.Status(v); built {
			ready = append(ready, v)
		} else {
			rest = append(rest, v)
		}
	}
	return ready, rest
}

// Status says whether a release is ready without a build, where its executable
// is and how many bytes its cache entry has. It does not read the files: a
// damage that leaves their sizes is found by [Builder.Build].
func (b *Builder) Status(version string) (built bool, path string, size int64) {
	version, err := ParseVersion(version)
	if err != nil {
		return false, "", 0
	}
	cache, err := b.cache()
	if err != nil {
		return false, "", 0
	}
	name := b.entry(version)
	built, size = cache.Has(name)
	switch {
	case version == BuiltIn:
		self, _ := os.Executable()
		return true, self, size
	case !built:
		return false, "", 0
	}
	return true, filepath.Join(cache.Path(name), binaryName), size
}

// GoVersion is the version of the go command, as "1.26.4". The error says what
// to do if there is none.
func (b *Builder) GoVersion(ctx context.Context) (string, error) {
	// A go.mod or go.work in the working folder may choose another one.
	out, err := b.gocmd("").Output(ctx, os.TempDir(), "env", "GOVERSION")
	return strings.TrimPrefix(strings.TrimSpace(out), "go"), err
}

// Dir is the folder of all of simctl's builds.
func (b *Builder) Dir() (string, error) { return buildcache.Root(b.CacheDir) }

// Took is how long the last build of a release took on this host, or such a build
// usually took if it never was built; 0 if that is not known.
func (b *Builder) Took(version string) time.Duration {
	cache, name, err := b.Entry(version)
	if err != nil {
		return 0
	}
	return cache.Took(name.Subject)
}

// PruneOptions say which builds [Builder.Prune] takes away.
type PruneOptions struct {
	// Versions are to go, all of their builds.
	Versions []string
	// All: every build is to go.
	All bool
	// UnusedSince, unless zero: what has not been used since is to go.
	UnusedSince time.Time
}

// Pruned is something that was taken out of the cache, or would have been if
// another process had not been building it.
type Pruned = buildcache.Removed

// Prune takes builds out of the cache: those that the options name, and in any
// case what crashed builds have left, what is damaged, and the builds of another
// simctl, which this one cannot use. A process that runs one of them goes on.
func (b *Builder) Prune(o PruneOptions) ([]Pruned, error) {
	var subjects []string
	for _, v := range o.Versions {
		version, err := ParseVersion(v)
		if err != nil {
			return nil, err
		}
		subjects = append(subjects, b.entry(version).Subject)
	}
	cache, err := b.cache()
	if err != nil {
		return nil, err
	}
	return cache.Prune(buildcache.PruneOptions{
		Wanted: func(n buildcache.Name) bool {
			return n == b.entry(strings.TrimPrefix(n.Subject, "v"))
		},
		Selected:    func(n buildcache.Name) bool { return o.All || slices.Contains(subjects, n.Subject) },
		UnusedSince: o.UnusedSince,
	})
}

func (b *Builder) cache() (*buildcache.Cache, error) {
	root, err := buildcache.Root(b.CacheDir)
	return &buildcache.Cache{Dir: filepath.Join(root, "tekton")}, err
}

// Entry returns where a release is kept, built or not, for packages that carry builds to
// other machines.
func (b *Builder) Entry(version string) (*buildcache.Cache, buildcache.Name, error) {
	version, err := ParseVersion(version)
	if err != nil {
		return nil, buildcache.Name{}, err
	}
	cache, err := b.cache()
	return cache, b.entry(version), err
}

// entry names the cache entry after all that its content depends on.
func (b *Builder) entry(version string) buildcache.Name {
	n := buildcache.Name{Subject: "v" + version, Key: builtInKey}
	if version != BuiltIn {
		h := sha256.New()
		for _, s := range []string{strings.Join(buildcache.Flags(), " "), sourceFormat, runtime.Version(), runtime.GOOS, runtime.GOARCH} {
			_, _ = io.WriteString(h, s+"\x00")
		}
		_ = eachHookFile(func(name string, content []byte) error { // embedded: it can be read
			_, err := fmt.Fprintf(h, "%s\x00%s\x00", name, content)
			return err
		})
		n.Key = fmt.Sprintf("%x", h.Sum(nil)[:6])
	}
	return n
}

func (b *Builder) progress(version, line string) {
	if b.Progress != nil {
		b.Progress(version, line)
	}
}

func (b *Builder) gocmd(version string) *buildcache.Go {
	return &buildcache.Go{Command: b.Go, Compilers: b.compilers, Progress: func(line string) { b.progress(version, line) }}
}

// fill makes a release's cache entry in out.
func (b *Builder) fill(ctx context.Context, version, out, work string) error {
	module, err := b.download(ctx, work, version)
	if err != nil {
		return err
	}
	if err := copyConfig(filepath.Join(out, "config"), filepath.Join(module, "config")); err != nil {
		return fmt.Errorf("copying the release's manifests: %w", err)
	}
	if version == BuiltIn {
		return nil
	}
	return b.compile(ctx, work, module, filepath.Join(out, binaryName), version)
}

// download has the go command put the release's module in its cache and gives
// its folder.
func (b *Builder) download(ctx context.Context, work, version string) (string, error) {
	stdout, err := b.gocmd(version).Output(ctx, work, "mod", "download", "-json", Module+"@v"+version)
	if errors.Is(err, buildcache.ErrNoGo) {
		return "", fmt.Errorf("%w: it is needed to get it: %w", ErrDownload, err)
	}
	var got struct{ Dir, Error string }
	if e := json.Unmarshal([]byte(stdout), &got); e == nil && err == nil && got.Error == "" && got.Dir != "" {
		return got.Dir, nil
	}
	words := got.Error
	if words == "" && err != nil {
		words = err.Error()
	}
	if buildcache.Full(words) {
		return "", fmt.Errorf("downloading its module: %w", err)
	}
	if unknown(words) {
		return "", fmt.Errorf("%w: a version %s does not exist, or GOPROXY does not serve it; `simctl tekton list` shows those known (%s)", ErrNoSuchRelease, version, lastLine(words))
	}
	return "", fmt.Errorf("%w: check the network and GOPROXY (%s)", ErrDownload, lastLine(words))
}

// unknown says whether the go command's words mean that there is no such
// version, rather than that it could not be asked for.
func unknown(words string) bool {
	for _, s := range []string{"unknown revision", "404 Not Found", "410 Gone", "403 Forbidden", "not found:", "invalid version", "no matching versions"} {
		if strings.Contains(words, s) {
			return true
		}
	}
	return false
}

// compile builds the controller from module with the hook added.
func (b *Builder) compile(ctx context.Context, work, module, out, version string) error {
	if err := buildcache.CheckSpace(work, minimumSpace); err != nil {
		return err
	}
	began := time.Now()
	usual := "some minutes"
	if took := b.Took(version); took > 0 {
		usual = fmt.Sprintf("about %s here", took.Round(time.Second))
	}
	b.progress(version, "building the controller, which is done once and takes "+usual)
	b.progress(version, "fetching its modules")
	src, err := b.source(ctx, work, module, version)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBuild, err)
	}
	noProbes, err := b.hasProbes(ctx, src, version)
	if err != nil {
		return fmt.Errorf("%w: finding its knative.dev/pkg: %w", ErrBuild, err)
	}
	if err := addHook(src, noProbes); err != nil {
		return fmt.Errorf("%w: %w", ErrBuild, err)
	}
	if err := b.gocmd(version).Build(ctx, src, out, "./cmd/controller"); err != nil {
		return fmt.Errorf("%w: %w", ErrBuild, err)
	}
	st, err := os.Stat(out)
	if err != nil {
		return err
	}
	b.progress(version, fmt.Sprintf("built in %s, %d MB", time.Since(began).Round(time.Second), st.Size()>>20))
	return nil
}

// source returns a copy, in work, of what the controller is built from, and has the
// go command download the modules that it needs.
func (b *Builder) source(ctx context.Context, work, module, version string) (string, error) {
	src := filepath.Join(work, "src")
	if err := copySource(src, module); err != nil {
		return "", err
	}
	_, err := b.gocmd(version).Output(ctx, src, "list", "-mod=readonly", "-deps", "./cmd/controller", "./cmd/webhook")
	if staleGoMod(err) {
		err = b.raiseGo(ctx, src, module, work, version)
	}
	return src, err
}

// Fetch has the go command download what the builds of those versions need, one
// after the other, while something else is compiled. What does not work is for the
// builds to tell.
func (b *Builder) Fetch(ctx context.Context, versions []string) {
	for _, v := range versions {
		work, err := os.MkdirTemp("", "simctl-fetch-")
		if err != nil {
			return
		}
		if module, err := b.download(ctx, work, v); err == nil {
			_, _ = b.source(ctx, work, module, v)
		}
		_ = os.RemoveAll(work)
	}
}

// hasProbes says whether the release's knative.dev/pkg listens for probes by
// itself, which it can be told not to.
func (b *Builder) hasProbes(ctx context.Context, src, version string) (bool, error) {
	dir, err := b.gocmd(version).Output(ctx, src, "list", "-mod=readonly", "-f", "{{.Dir}}", "knative.dev/pkg/injection/sharedmain")
	if err != nil {
		return false, err
	}
	main, err := os.ReadFile(filepath.Join(strings.TrimSpace(dir), "main.go"))
	return bytes.Contains(main, []byte("func WithHealthProbesDisabled(")), err
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
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

package openshift

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"simctl.dev/simctl/sim/internal/buildcache"
)

// engineSources are the engine's module. Its go.mod has another name here because
// files of another module cannot be embedded.
//
//go:embed engine/*.go engine/wire/*.go engine/go.mod.txt engine/go.sum.txt
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

// The engine's name in the cache, and that of its executable there.
const (
	engineSubject = "scc-engine"
	engineName    = "scc-admission"
	cacheName     = "openshift"
)

// BuildEngine returns the path of the engine's executable and builds it first if
// this host has none that was built from these sources. Processes that need
// it at once build it once. It takes some minutes; the context ends it.
func BuildEngine(ctx context.Context, o BuildOptions) (string, error) {
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	root, err := buildcache.Root(o.CacheDir)
	if err != nil {
		return "", err
	}
	sources, key, err := sourcesOfEngine()
	if err != nil {
		return "", err
	}
	cache := &buildcache.Cache{Dir: filepath.Join(root, cacheName)}
	progress := func(line string) { o.Progress("OpenShift's SCC admission: " + line) }
	dir, err := cache.Get(ctx, buildcache.Name{Subject: engineSubject, Key: key}, progress, func(ctx context.Context, out, work string) error {
		for name, text := range sources {
			to := filepath.Join(work, name)
			if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
				return err
			}
			if err := os.WriteFile(to, text, 0o644); err != nil {
				return err
			}
		}
		progress("building it, which is done once")
		began := time.Now()
		gocmd := buildcache.Go{Command: o.Go, Progress: progress}
		if err := gocmd.Build(ctx, work, filepath.Join(out, engineName), "."); err != nil {
			return err
		}
		progress(fmt.Sprintf("built in %s", time.Since(began).Round(time.Second)))
		return nil
	})
	if errors.Is(err, buildcache.ErrNoGo) {
		err = fmt.Errorf("%w, or switch cluster.openshift off", err)
	}
	if err != nil {
		return "", fmt.Errorf("building OpenShift's SCC admission: %w", err)
	}
	return filepath.Join(dir, engineName), nil
}

// EngineStatus says whether the engine is built, and how long its build took on
// this host, 0 if that is not known.
func EngineStatus(cacheDir string) (built bool, took time.Duration, err error) {
	cache, name, err := EngineEntry(cacheDir)
	if err != nil {
		return false, 0, err
	}
	built, _ = cache.Has(name)
	return built, cache.Took(name.Subject), nil
}

// EngineEntry returns where the engine is kept, built or not.
func EngineEntry(cacheDir string) (*buildcache.Cache, buildcache.Name, error) {
	root, err := buildcache.Root(cacheDir)
	if err != nil {
		return nil, buildcache.Name{}, err
	}
	_, key, err := sourcesOfEngine()
	return &buildcache.Cache{Dir: filepath.Join(root, cacheName)}, buildcache.Name{Subject: engineSubject, Key: key}, err
}

// Pruned is something that was taken out of the cache.
type Pruned = buildcache.Removed

// PruneEngine takes out of the cache what crashed builds have left, damaged
// engines and those of another simctl, with all set this simctl's as well; and,
// unless unusedSince is zero, an engine that was not used since.
func PruneEngine(cacheDir string, all bool, unusedSince time.Time) ([]Pruned, error) {
	cache, name, err := EngineEntry(cacheDir)
	if err != nil {
		return nil, err
	}
	return cache.Prune(buildcache.PruneOptions{
		Wanted:      func(n buildcache.Name) bool { return n == name },
		Selected:    func(buildcache.Name) bool { return all },
		UnusedSince: unusedSince,
	})
}

// sourcesOfEngine returns the engine's files as a module wants them, and a key that
// changes with them and with the compiler.
func sourcesOfEngine() (map[string][]byte, string, error) {
	files := map[string][]byte{}
	sum := sha256.New()
	_, _ = fmt.Fprintln(sum, runtime.Version(), runtime.GOOS, runtime.GOARCH, buildcache.Flags())
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
		name := strings.TrimSuffix(strings.TrimPrefix(path, "engine/"), ".txt")
		files[name] = text
		_, _ = fmt.Fprintf(sum, "%s %d\n%s", name, len(text), text)
		return nil
	})
	if err != nil {
		return nil, "", fmt.Errorf("reading the sources of OpenShift's SCC admission: %w", err)
	}
	return files, hex.EncodeToString(sum.Sum(nil))[:12], nil
}

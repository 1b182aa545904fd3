package pack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"simctl.dev/simctl/sim/internal/buildcache"
	"simctl.dev/simctl/sim/openshift"
	"simctl.dev/simctl/sim/tekton"
)

// ErrOtherSimctl says that a pack has nothing in it that this simctl can use.
var ErrOtherSimctl = errors.New("the pack was made by another simctl: pack anew with this one")

// Options say where builds are kept, and who is told of progress, in lines.
type Options struct {
	// CacheDir is the cache; empty is the user's.
	CacheDir string
	// Progress is called from several goroutines while releases are built.
	Progress func(line string)
}

// The folders of a pack.
const (
	tektonFolder    = "tekton"
	openShiftFolder = "openshift"
)

// Write builds Tekton releases and OpenShift's SCC admission where they are not in the cache,
// and writes them as one archive; what the built-in release needs of its module is in it as
// well. Errors are those of the builds, and w's.
func Write(ctx context.Context, w io.Writer, versions []string, o Options) error {
	b := &tekton.Builder{CacheDir: o.CacheDir, Progress: func(version, line string) { o.Progress("tekton " + version + ": " + line) }}
	var all []string
	for _, v := range append(slices.Clone(versions), tekton.BuiltIn) {
		exact, err := tekton.ParseVersion(v)
		if err != nil {
			return err
		}
		if !slices.Contains(all, exact) {
			all = append(all, exact)
		}
	}
	var errs []error
	err := b.BuildAll(ctx, all, func(_ string, _ *tekton.Build, err error) { errs = append(errs, err) })
	if err = errors.Join(append(errs, err)...); err != nil {
		return err
	}
	if _, err := openshift.BuildEngine(ctx, openshift.BuildOptions{CacheDir: o.CacheDir, Progress: o.Progress}); err != nil {
		return err
	}
	var entries []buildcache.Packed
	for _, v := range all {
		cache, name, err := b.Entry(v)
		if err != nil {
			return err
		}
		entries = append(entries, buildcache.Packed{Cache: cache, Folder: tektonFolder, Name: name})
	}
	cache, name, err := openshift.EngineEntry(o.CacheDir)
	if err != nil {
		return err
	}
	entries = append(entries, buildcache.Packed{Cache: cache, Folder: openShiftFolder, Name: name})
	if err := buildcache.WritePack(w, entries); err != nil {
		return fmt.Errorf("writing the pack: %w", err)
	}
	return nil
}

// Read puts what is in a pack into the cache. What this simctl would not use is left out
// and told; if that is all, the error is [ErrOtherSimctl]. A damaged pack is an error.
func Read(ctx context.Context, r io.Reader, o Options) error {
	b := &tekton.Builder{CacheDir: o.CacheDir}
	useful := false
	where := func(folder, name string) (buildcache.Packed, bool) {
		var cache *buildcache.Cache
		var own buildcache.Name
		var err error
		switch folder {
		case tektonFolder:
			version, _, _ := strings.Cut(strings.TrimPrefix(name, "v"), "-")
			cache, own, err = b.Entry(version)
		case openShiftFolder:
			cache, own, err = openshift.EngineEntry(o.CacheDir)
		default:
			err = errors.New("unknown")
		}
		if err != nil || own.String() != name {
			o.Progress(name + " is of another simctl: left out")
			return buildcache.Packed{}, false
		}
		useful = true
		return buildcache.Packed{Cache: cache, Folder: folder, Name: own}, true
	}
	if err := buildcache.ReadPack(ctx, r, o.Progress, where); err != nil {
		return fmt.Errorf("reading the pack: %w", err)
	}
	if !useful {
		return ErrOtherSimctl
	}
	return nil
}

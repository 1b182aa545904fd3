package tekton

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeGo is a go command that does what the variable FAKE says.
const fakeGo = `#!/bin/sh
echo "$FAKE $*" >> "$FAKE_LOG"
case "$1" in
mod)
	case "$FAKE" in
	no-release) echo '{"Error":"github.com/tektoncd/pipeline@v9.9.9: invalid version: unknown revision v9.9.9"}'; exit 1 ;;
	refused) printf '%s' '{"Error":"github.com/tektoncd/pipeline@v9.9.9: reading https://proxy.example.com/v9.9.9.info: 403 Forbidden\n\tserver response: This module version is not available."}'; exit 1 ;;
	offline) echo '{"Error":"Get \"https://proxy.example.com/\": dial tcp: no route to host"}'; exit 1 ;;
	full-download) echo 'go: write /cache/x.zip: no space left on device' >&2; exit 1 ;;
	esac
	printf '{"Dir":"%s"}' "$FAKE_MODULE" ;;
list)
	file=go.mod
	for a; do case "$a" in -modfile=*) file=${a#-modfile=} ;; -mod=mod) mod=1 ;; esac; done
	case "$FAKE" in
	early-go) [ -n "$mod" ] && echo 'go 1.22.11' > "$file" && cat "$FAKE_MODULE/go.mod" | grep -v '^go ' >> "$file" ;;
	other-requires) [ -n "$mod" ] && echo 'require example.com/b v2.0.0' >> "$file" ;;
	esac
	case "$FAKE" in
	early-go|other-requires) [ -z "$mod" ] && grep -q '^go 1.22.7' "$file" && { echo 'go: updates to go.mod needed, disabled by -mod=readonly' >&2; exit 1; } ;;
	esac
	echo "$FAKE_MODULE/knative" ;;
build)
	echo "go: downloading example.com/a v1.0.0" >&2
	echo "example.com/a" >&2
	case "$FAKE" in
	broken) printf '# example.com/a\na.go:1:2: undefined: x\n' >&2; exit 1 ;;
	full) echo 'link: writing: no space left on device' >&2; exit 1 ;;
	slow) sleep 1 ;;
	hang) sleep 600 ;;
	esac
	while [ "$1" != -o ]; do shift; done
	cat cmd/controller/main.go go.mod > "$2" && chmod +x "$2" ;;
esac
`

// testBuilder returns a builder with a cache and a go command of its own, a
// function for what that was asked to do, and what was said.
func testBuilder(t *testing.T) (b *Builder, calls func(verb string) int, said func() string) {
	t.Helper()
	dir := t.TempDir()
	module := filepath.Join(dir, "module")
	if err := os.CopyFS(module, os.DirFS("testdata/module")); err != nil {
		t.Fatal(err)
	}
	main := filepath.Join(module, "cmd", "controller", "main.go")
	if err := os.Rename(main+".txt", main); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"cmd/webhook/main.go":               "package main\nimport \"knative.dev/pkg/injection/sharedmain\"\nfunc main() { sharedmain.MainWithContext(ctx, \"webhook\") }\n",
		"go.mod":                            "module example.com/m\ngo 1.22.7\nrequire example.com/a v1.0.0\n",
		"go.sum":                            "example.com/a v1.0.0 h1:x\n",
		"knative/main.go":                   "func WithHealthProbesDisabled(ctx context.Context) context.Context {",
		"pkg/a.go":                          "package pkg",
		"pkg/reconciler/taskrun/taskrun.go": "func (c *Reconciler) ReconcileKind(ctx context.Context, tr *v1.TaskRun) pkgreconciler.Event {",
		"pkg/a_test.go":                     "package pkg",
		"vendor/modules.txt":                "#",
		"config/resolvers/cm.yaml":          "kind: ConfigMap",
	} {
		name = filepath.Join(module, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o750), os.WriteFile(name, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	log := filepath.Join(dir, "calls")
	t.Setenv("FAKE_MODULE", module)
	t.Setenv("FAKE_LOG", log)
	t.Setenv("FAKE", "")
	script := filepath.Join(dir, "go")
	if err := os.WriteFile(script, []byte(fakeGo), 0o700); err != nil { //nolint:gosec // it is run
		t.Fatal(err)
	}
	var mu sync.Mutex
	var lines []string
	b = &Builder{CacheDir: filepath.Join(dir, "cache"), Go: script, Progress: func(version, line string) {
		mu.Lock()
		defer mu.Unlock()
		lines = append(lines, version+": "+line)
	}}
	calls = func(verb string) int {
		raw, _ := os.ReadFile(log)
		return strings.Count(string(raw), " "+verb+" ")
	}
	return b, calls, func() string {
		mu.Lock()
		defer mu.Unlock()
		return strings.Join(lines, "\n")
	}
}

// leftovers lists what is in the cache but entries and locks.
func leftovers(t *testing.T, b *Builder) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(b.CacheDir, "tekton", "*.tmp-*"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestBuildOnce(t *testing.T) {
	b, calls, said := testBuilder(t)
	if built, _, _ := b.Status("1.3.1"); built {
		t.Error("built before it was")
	}
	first, err := b.Build(t.Context(), "v1.3.1")
	if err != nil {
		t.Fatal(err)
	}
	second, err := b.Build(t.Context(), "osp-1.20")
	if err != nil {
		t.Fatal(err)
	}
	if *first != *second || first.Version != "1.3.1" || calls("build") != 1 {
		t.Errorf("got %+v and %+v with %d builds, want one build", first, second, calls("build"))
	}
	if main, err := os.ReadFile(first.Path); err != nil || !strings.Contains(string(main), "sharedmain.WithHealthProbesDisabled(ctx)") {
		t.Errorf("not built from the hooked main: %v\n%s", err, main)
	}
	if _, err := os.Stat(filepath.Join(first.ModuleDir, "config", "resolvers")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the resolvers' manifests: %v", err)
	}
	built, path, size := b.Status("1.3.1")
	if !built || path != first.Path || size == 0 {
		t.Errorf("Status gives %v %q %d", built, path, size)
	}
	if !strings.Contains(said(), "1.3.1: building") || !strings.Contains(said(), "1.3.1: built in") {
		t.Errorf("it said %q", said())
	}
	if l := leftovers(t, b); len(l) != 0 {
		t.Errorf("left: %v", l)
	}
}

// TestBuildBroken: an entry that is not whole is built again.
func TestBuildBroken(t *testing.T) {
	for name, damage := range map[string]func(b *Build) error{
		"executable cut short": func(b *Build) error { return os.Truncate(b.Path, 10) },
		"executable gone":      func(b *Build) error { return os.Remove(b.Path) },
		"executable changed": func(b *Build) error { // another checksum, the same size
			return flip(b.Path)
		},
		"manifest changed": func(b *Build) error { return flip(filepath.Join(b.ModuleDir, "config", "controller.yaml")) },
		"not executable":   func(b *Build) error { return os.Chmod(b.Path, 0o600) },
		"manifest gone":    func(b *Build) error { return os.Remove(filepath.Join(b.ModuleDir, "config", "controller.yaml")) },
		"description gone": func(b *Build) error { return os.Remove(filepath.Join(b.ModuleDir, "build.json")) },
		"description damaged": func(b *Build) error {
			return os.WriteFile(filepath.Join(b.ModuleDir, "build.json"), []byte("{"), 0o600)
		},
		"interrupted": func(b *Build) error {
			return errors.Join(os.RemoveAll(b.ModuleDir), os.Mkdir(filepath.Join(filepath.Dir(b.ModuleDir), "v1.3.1.tmp-1"), 0o700))
		},
	} {
		t.Run(name, func(t *testing.T) {
			b, calls, _ := testBuilder(t)
			build, err := b.Build(t.Context(), "1.3.1")
			if err != nil {
				t.Fatal(err)
			}
			if err := damage(build); err != nil {
				t.Fatal(err)
			}
			// Status does not read the files.
			if built, _, _ := b.Status("1.3.1"); built && !strings.HasSuffix(name, "changed") {
				t.Error("Status says it is built")
			}
			if _, err := b.Build(t.Context(), "1.3.1"); err != nil {
				t.Fatal(err)
			}
			if built, _, _ := b.Status("1.3.1"); !built || calls("build") != 2 {
				t.Errorf("built: %v after %d builds, want 2", built, calls("build"))
			}
			if l := leftovers(t, b); len(l) != 0 {
				t.Errorf("left: %v", l)
			}
		})
	}
}

// flip changes one bit of a file.
func flip(path string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	raw[len(raw)/2] ^= 1
	return os.WriteFile(path, raw, 0o600)
}

func TestBuildErrors(t *testing.T) {
	for fake, test := range map[string]struct {
		want  error
		words string
	}{
		"no-release":     {ErrNoSuchRelease, "a version 9.9.9 does not exist"},
		"refused":        {ErrNoSuchRelease, "a version 9.9.9 does not exist"},
		"offline":        {ErrDownload, "no route to host"},
		"full-download":  {ErrNoSpace, "free some space"},
		"broken":         {ErrBuild, "a.go:1:2: undefined: x"},
		"full":           {ErrNoSpace, "free some space"},
		"other-requires": {ErrBuild, "its go.mod is not up to date, and more than the version of Go would change"},
	} {
		t.Run(fake, func(t *testing.T) {
			b, _, _ := testBuilder(t)
			t.Setenv("FAKE", fake)
			_, err := b.Build(t.Context(), "9.9.9")
			if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.words) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one line with %q that is %q", err, test.words, test.want)
			}
			if l := leftovers(t, b); len(l) != 0 {
				t.Errorf("left: %v", l)
			}
		})
	}
}

// TestBuildEarlyGo has a release whose go.mod names an earlier Go than its
// dependencies ask for, as 0.70.0 does.
func TestBuildEarlyGo(t *testing.T) {
	b, _, _ := testBuilder(t)
	t.Setenv("FAKE", "early-go")
	build, err := b.Build(t.Context(), "0.70.0")
	if err != nil {
		t.Fatal(err)
	}
	// The fake go command builds sources into what it makes.
	raw, err := os.ReadFile(build.Path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"go 1.22.11\n", "require example.com/a v1.0.0\n"} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("built without %q", want)
		}
	}
}

func TestBuildWithoutGo(t *testing.T) {
	b, _, _ := testBuilder(t)
	b.Go = "no-such-go"
	if _, err := b.Build(t.Context(), "1.3.1"); !errors.Is(err, ErrDownload) || !strings.Contains(err.Error(), "install Go") {
		t.Errorf("got %v", err)
	}
}

// TestBuildTogether: two that want one build at the same time do it once.
func TestBuildTogether(t *testing.T) {
	b, calls, said := testBuilder(t)
	t.Setenv("FAKE", "slow")
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			if _, err := b.Build(t.Context(), "1.3.1"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if calls("build") != 1 || !strings.Contains(said(), "waiting") {
		t.Errorf("%d builds; it said %q", calls("build"), said())
	}
}

// TestBuildCancelled: a build that is given up ends at once, and leaves no
// process and no file.
func TestBuildCancelled(t *testing.T) {
	b, calls, _ := testBuilder(t)
	t.Setenv("FAKE", "hang")
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for calls("build") == 0 {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	if _, err := b.Build(ctx, "1.3.1"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if l := leftovers(t, b); len(l) != 0 {
		t.Errorf("left: %v", l)
	}
	if out, _ := exec.CommandContext(t.Context(), "pgrep", "-f", b.CacheDir).Output(); len(out) != 0 {
		t.Errorf("still running: %s", out)
	}
}

func TestBuildAll(t *testing.T) {
	b, calls, _ := testBuilder(t)
	if _, err := b.Build(t.Context(), "1.6.0"); err != nil {
		t.Fatal(err)
	}
	var order []string
	err := b.BuildAll(t.Context(), []string{"osp-1.20", "nonsense", "1.6.0"}, func(version string, build *Build, err error) {
		order = append(order, version)
		switch version {
		case "nonsense":
			if !errors.Is(err, ErrVersion) {
				t.Errorf("%s: %v", version, err)
			}
		default:
			if err != nil || build == nil {
				t.Errorf("%s: %v", version, err)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	// What is ready does not wait for a build.
	if len(order) != 3 || order[0] != "1.6.0" || calls("build") != 2 {
		t.Errorf("done in the order %v with %d builds", order, calls("build"))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err = b.BuildAll(ctx, []string{"1.7.0"}, func(version string, _ *Build, _ error) { t.Errorf("%s was done", version) })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestPrune(t *testing.T) {
	b, calls, _ := testBuilder(t)
	build := func(versions ...string) {
		t.Helper()
		for _, v := range versions {
			if _, err := b.Build(t.Context(), v); err != nil {
				t.Fatal(err)
			}
		}
	}
	prune := func(o PruneOptions, want ...string) {
		t.Helper()
		removed, err := b.Prune(o)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range removed {
			subject, _, _ := strings.Cut(filepath.Base(r.Path), "-")
			got = append(got, subject+": "+r.Why)
			if r.Bytes == 0 && r.Why == "named" {
				t.Errorf("%s has no bytes", r.Path)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%+v removed %q, want %q", o, got, want)
		}
	}
	build("1.3.1", "1.6.0", BuiltIn)
	prune(PruneOptions{})
	if err := os.MkdirAll(filepath.Join(b.CacheDir, "tekton", "v1.9.0-000000000000"), 0o750); err != nil {
		t.Fatal(err)
	}
	prune(PruneOptions{}, "v1.9.0: of another simctl")
	prune(PruneOptions{Versions: []string{"osp-1.20"}}, "v1.3.1: named")
	if built, _, _ := b.Status("1.3.1"); built {
		t.Error("1.3.1 is still there")
	}
	prune(PruneOptions{UnusedSince: time.Now().Add(-time.Hour)})
	prune(PruneOptions{All: true}, "v1.15.0: named", "v1.6.0: named")
	build("1.6.0")
	if calls("build") != 3 {
		t.Errorf("%d builds, want 3", calls("build"))
	}
	if _, err := b.Prune(PruneOptions{Versions: []string{"nonsense"}}); !errors.Is(err, ErrVersion) {
		t.Errorf("got %v", err)
	}
}

package openshift

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// goCommand returns a go command that runs a shell script.
func goCommand(t *testing.T, script string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "go")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// leftovers are the files of a cache but for locks.
func leftovers(t *testing.T, cache string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(cache, "openshift"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".lock") {
			names = append(names, e.Name())
		}
	}
	return names
}

func TestBuildEngineOnce(t *testing.T) {
	cache, calls := t.TempDir(), filepath.Join(t.TempDir(), "calls")
	// The sources must be a module of their own, whatever they are called here.
	gocmd := goCommand(t, `test -f go.mod && test -f go.sum && test -f main.go || exit 1
grep -q go:build *.go && exit 1
[ "$1" = list ] && exit 0 # asked how much there is to compile
echo called >> `+calls+`
sleep 0.3
while [ "$1" != -o ]; do shift; done
echo "#!/bin/true" > "$2" && chmod +x "$2"`)
	var (
		mu    sync.Mutex
		lines []string
		paths []string
		wg    sync.WaitGroup
	)
	for range 3 {
		wg.Go(func() {
			path, err := BuildEngine(t.Context(), BuildOptions{CacheDir: cache, Go: gocmd, Progress: func(line string) {
				mu.Lock()
				defer mu.Unlock()
				lines = append(lines, line)
			}})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			paths = append(paths, path)
		})
	}
	wg.Wait()
	if text, _ := os.ReadFile(calls); string(text) != "called\n" {
		t.Errorf("built so often: %q", text)
	}
	if slices.Sort(paths); len(slices.Compact(paths)) != 1 {
		t.Error("different paths:", paths)
	}
	if got := leftovers(t, cache); len(got) != 1 {
		t.Error("left behind:", got)
	}
	for _, want := range []string{"another simctl is building it: waiting", "building it", "built in"} {
		if !strings.Contains(strings.Join(lines, "\n"), want) {
			t.Errorf("no progress with %q: %q", want, lines)
		}
	}
}

func TestBuildEngineFails(t *testing.T) {
	for _, c := range []struct{ name, script, want string }{
		{"the compiler fails", "echo some/package >&2; echo 'main.go:1: does not compile' >&2; exit 1", "exit status 1: main.go:1: does not compile"},
		{"the disk is full", "echo 'write /tmp/x: no space left on device' >&2; exit 1", "free some space"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cache := t.TempDir()
			_, err := BuildEngine(t.Context(), BuildOptions{CacheDir: cache, Go: goCommand(t, c.script)})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if got := leftovers(t, cache); len(got) != 0 {
				t.Error("left behind:", got)
			}
		})
	}
	t.Run("no Go", func(t *testing.T) {
		_, err := BuildEngine(t.Context(), BuildOptions{CacheDir: t.TempDir(), Go: "there-is-no-such-go"})
		if err == nil || !strings.Contains(err.Error(), "install Go") {
			t.Error(err)
		}
	})
	t.Run("no cache", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := BuildEngine(t.Context(), BuildOptions{CacheDir: file}); err == nil {
			t.Error("built in a file")
		}
	})
}

// An interrupt ends the build and whoever waits for one, and leaves nothing.
func TestBuildEngineInterrupted(t *testing.T) {
	cache := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	progress := func(line string) {
		if strings.HasSuffix(line, "waiting for that") {
			cancel()
		}
	}
	gocmd := goCommand(t, "sleep 100")
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			_, err := BuildEngine(ctx, BuildOptions{CacheDir: cache, Go: gocmd, Progress: progress})
			if !errors.Is(err, context.Canceled) {
				t.Error("ended with", err)
			}
		})
	}
	wg.Wait()
	if got := leftovers(t, cache); len(got) != 0 {
		t.Error("left behind:", got)
	}
}

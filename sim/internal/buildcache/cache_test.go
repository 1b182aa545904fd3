package buildcache

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

var one = Name{Subject: "v1.0.0", Key: "abc"}

// filler fills an entry with a program and a text, and counts.
func filler(n *atomic.Int32) func(context.Context, string, string) error {
	return func(_ context.Context, out, work string) error {
		n.Add(1)
		return errors.Join(
			os.WriteFile(filepath.Join(work, "scratch"), nil, 0o600),
			os.Mkdir(filepath.Join(out, "config"), 0o700),
			os.WriteFile(filepath.Join(out, "config", "text"), []byte("text"), 0o600),
			os.WriteFile(filepath.Join(out, "program"), []byte("program"), 0o700)) //nolint:gosec // it is a program
	}
}

func quiet(string) {}

// names lists what is in a cache but its locks.
func names(t *testing.T, c *Cache) []string {
	t.Helper()
	found, err := os.ReadDir(c.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var out []string
	for _, d := range found {
		if !strings.HasSuffix(d.Name(), lockMark) {
			out = append(out, d.Name())
		}
	}
	return out
}

func TestGet(t *testing.T) {
	c := &Cache{Dir: filepath.Join(t.TempDir(), "cache")}
	if ok, _ := c.Has(one); ok {
		t.Error("there before it was made")
	}
	var filled atomic.Int32
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			dir, err := c.Get(t.Context(), one, quiet, filler(&filled))
			if err != nil || dir != c.Path(one) {
				t.Errorf("got %q, %v", dir, err)
			}
		})
	}
	wg.Wait()
	if filled.Load() != 1 {
		t.Errorf("filled %d times", filled.Load())
	}
	if ok, size := c.Has(one); !ok || size != int64(len("programtext")) {
		t.Errorf("Has gives %v, %d", ok, size)
	}
	if got := names(t, c); !slices.Equal(got, []string{"v1.0.0-abc"}) {
		t.Errorf("in the cache: %v", got)
	}
}

// TestGetDamaged: whatever happens to an entry, it is made again and what was
// there is not given.
func TestGetDamaged(t *testing.T) {
	for name, damage := range map[string]func(dir string) error{
		"program cut short":      func(dir string) error { return os.Truncate(filepath.Join(dir, "program"), 3) },
		"program changed":        func(dir string) error { return os.WriteFile(filepath.Join(dir, "program"), []byte("progrbm"), 0o600) },
		"program not executable": func(dir string) error { return os.Chmod(filepath.Join(dir, "program"), 0o600) },
		"text gone":              func(dir string) error { return os.Remove(filepath.Join(dir, "config", "text")) },
		"text changed": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "config", "text"), []byte("tixt"), 0o600)
		},
		"description gone":       func(dir string) error { return os.Remove(filepath.Join(dir, entryName)) },
		"description cut short":  func(dir string) error { return os.Truncate(filepath.Join(dir, entryName), 5) },
		"description of nothing": func(dir string) error { return os.WriteFile(filepath.Join(dir, entryName), []byte("{}"), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			c := &Cache{Dir: t.TempDir()}
			var filled atomic.Int32
			dir, err := c.Get(t.Context(), one, quiet, filler(&filled))
			if err != nil {
				t.Fatal(err)
			}
			if err := damage(dir); err != nil {
				t.Fatal(err)
			}
			if err := c.Verify(one); !errors.Is(err, ErrBroken) {
				t.Errorf("Verify gives %v", err)
			}
			var said []string
			if _, err := c.Get(t.Context(), one, func(s string) { said = append(said, s) }, filler(&filled)); err != nil {
				t.Fatal(err)
			}
			if filled.Load() != 2 || c.Verify(one) != nil {
				t.Errorf("filled %d times, and then %v", filled.Load(), c.Verify(one))
			}
			if len(said) != 1 || !strings.Contains(said[0], "damaged") || !strings.Contains(said[0], "building it again") {
				t.Errorf("it said %q", said)
			}
		})
	}
}

func TestGetFails(t *testing.T) {
	for name, test := range map[string]struct {
		fill func(context.Context, string, string) error
		want error
	}{
		"the build":     {fill: func(context.Context, string, string) error { return fs.ErrInvalid }, want: fs.ErrInvalid},
		"full disk":     {fill: func(context.Context, string, string) error { return syscall.ENOSPC }, want: ErrNoSpace},
		"nothing built": {fill: func(context.Context, string, string) error { return nil }},
	} {
		t.Run(name, func(t *testing.T) {
			c := &Cache{Dir: t.TempDir()}
			_, err := c.Get(t.Context(), one, quiet, test.fill)
			if err == nil || test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			if got := names(t, c); len(got) != 0 {
				t.Errorf("left behind: %v", got)
			}
		})
	}
}

// TestGetWaits: whoever waits for another's build can be stopped.
func TestGetWaits(t *testing.T) {
	c := &Cache{Dir: t.TempDir()}
	unlock, err := c.tryLock(one.Subject)
	if err != nil || unlock == nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithCancel(t.Context())
	var filled atomic.Int32
	_, err = c.Get(ctx, one, func(string) { cancel() }, filler(&filled))
	if !errors.Is(err, context.Canceled) || filled.Load() != 0 {
		t.Errorf("got %v after %d builds", err, filled.Load())
	}
}

// pruneCache has entries a (used long ago), b, c (damaged), d (of another
// simctl), what a crashed build and an earlier simctl have left, and a file of
// somebody else's.
func pruneCache(t *testing.T) *Cache {
	t.Helper()
	c := &Cache{Dir: t.TempDir()}
	var filled atomic.Int32
	for _, s := range []string{"a", "b", "c", "d"} {
		if _, err := c.Get(t.Context(), Name{Subject: s, Key: "k"}, quiet, filler(&filled)); err != nil {
			t.Fatal(err)
		}
	}
	long := time.Now().Add(-100 * time.Hour)
	if err := errors.Join(
		os.Chtimes(filepath.Join(c.Dir, "a-k", entryName), long, long),
		os.Remove(filepath.Join(c.Dir, "c-k", "program")),
		os.Rename(filepath.Join(c.Dir, "d-k"), filepath.Join(c.Dir, "d-old")),
		os.Mkdir(filepath.Join(c.Dir, "a.tmp-1"), 0o700),
		os.WriteFile(filepath.Join(c.Dir, "a.tmp-1", "half"), []byte("12345"), 0o600),
		os.WriteFile(filepath.Join(c.Dir, "scc-old"), nil, 0o600),
		os.WriteFile(filepath.Join(c.Dir, "README"), nil, 0o600),
	); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestPrune(t *testing.T) {
	wanted := func(n Name) bool { return n.Key == "k" }
	for name, test := range map[string]struct {
		o    PruneOptions
		left []string
		why  map[string]string
	}{
		"what is of no use": {o: PruneOptions{Wanted: wanted}, left: []string{"README", "a-k", "b-k"}, why: map[string]string{
			"a.tmp-1": "left by a build", "c-k": "damaged", "d-old": "another simctl", "scc-old": "earlier simctl"}},
		"what is named": {o: PruneOptions{Wanted: wanted, Selected: func(n Name) bool { return n.Subject == "b" }},
			left: []string{"README", "a-k"}, why: map[string]string{"b-k": "named"}},
		"what is not used": {o: PruneOptions{Wanted: wanted, UnusedSince: time.Now().Add(-99 * time.Hour)},
			left: []string{"README", "b-k"}, why: map[string]string{"a-k": "not used since"}},
		"everything": {o: PruneOptions{Selected: func(Name) bool { return true }}, left: []string{"README"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := pruneCache(t)
			removed, err := c.Prune(test.o)
			if err != nil {
				t.Fatal(err)
			}
			if got := names(t, c); !slices.Equal(got, test.left) {
				t.Errorf("left: %v, want %v", got, test.left)
			}
			got := map[string]Removed{}
			for _, r := range removed {
				got[filepath.Base(r.Path)] = r
			}
			for path, why := range test.why {
				if !strings.Contains(got[path].Why, why) {
					t.Errorf("%s: %q, want %q", path, got[path].Why, why)
				}
			}
			if got["a.tmp-1"].Bytes != 5 {
				t.Errorf("a.tmp-1 has %d bytes", got["a.tmp-1"].Bytes)
			}
			// A lock stays only with the entries it is for.
			for _, s := range []string{"a", "b", "c", "d"} {
				_, err := os.Stat(filepath.Join(c.Dir, s+lockMark))
				if stays := slices.Contains(test.left, s+"-k"); stays != (err == nil) {
					t.Errorf("lock of %s: %v", s, err)
				}
			}
		})
	}
}

// TestPruneBusy: what is being built is left alone.
func TestPruneBusy(t *testing.T) {
	c := pruneCache(t)
	unlock, err := c.tryLock("a")
	if err != nil || unlock == nil {
		t.Fatal(err)
	}
	defer unlock()
	removed, err := c.Prune(PruneOptions{Selected: func(n Name) bool { return n.Subject == "a" }})
	if err != nil {
		t.Fatal(err)
	}
	busy := 0
	for _, r := range removed {
		if strings.HasPrefix(filepath.Base(r.Path), "a") != r.Busy {
			t.Errorf("%+v", r)
		}
		if r.Busy {
			busy++
		}
	}
	if got := names(t, c); busy != 2 || !slices.Contains(got, "a-k") || !slices.Contains(got, "a.tmp-1") {
		t.Errorf("%d busy, left: %v", busy, got)
	}
	if removed, err := (&Cache{Dir: filepath.Join(c.Dir, "none")}).Prune(PruneOptions{}); err != nil || removed != nil {
		t.Errorf("a cache that is not there: %v, %v", removed, err)
	}
}

func TestLanes(t *testing.T) {
	builds, compilers := Lanes()
	if cores := runtime.GOMAXPROCS(0); builds < 1 || compilers < 1 || builds*compilers > cores {
		t.Errorf("%d builds of %d compilers on %d cores", builds, compilers, cores)
	}
}

// TestTook: what a build will take is told by the last one of the same, or by the others.
func TestTook(t *testing.T) {
	c := &Cache{Dir: t.TempDir()}
	if got := c.Took("a"); got != 0 {
		t.Errorf("an empty cache took %s", got)
	}
	put := func(subject, key string, seconds float64, mode os.FileMode, built time.Time) {
		t.Helper()
		dir, err := c.Get(t.Context(), Name{Subject: subject, Key: key}, func(string) {}, func(_ context.Context, out, _ string) error {
			return os.WriteFile(filepath.Join(out, "x"), []byte("x"), mode)
		})
		if err != nil {
			t.Fatal(err)
		}
		e, err := readEntry(dir)
		if err != nil || e.Seconds <= 0 {
			t.Fatalf("the time of the build is not noted: %v, %v", e, err)
		}
		e.Seconds = seconds
		raw, _ := json.Marshal(e)
		if err := os.WriteFile(filepath.Join(dir, entryName), raw, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(dir, built, built); err != nil {
			t.Fatal(err)
		}
	}
	day := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	put("copied", "k", 1, 0o600, day)
	if got := c.Took("a"); got != 0 {
		t.Errorf("what was copied is a measure of what is compiled: %s", got)
	}
	put("a", "old", 40, 0o700, day)
	put("a", "new", 10, 0o700, day.Add(time.Hour))
	put("b", "k", 20, 0o700, day)
	put("c", "k", 30, 0o700, day)
	for subject, want := range map[string]time.Duration{
		"a": 10 * time.Second, "b": 20 * time.Second, "copied": time.Second, "none of these": 30 * time.Second,
	} {
		if got := c.Took(subject); got != want {
			t.Errorf("%s took %s, want %s", subject, got, want)
		}
	}
}

func TestHowFar(t *testing.T) {
	for _, c := range []struct {
		downloaded, compiled, total int
		took                        time.Duration
		want                        string
	}{
		{0, 0, 100, time.Second, "looking for what is compiled already"},
		{7, 0, 100, time.Second, "downloaded 7 modules"},
		{7, 3, 0, time.Second, "compiled 3 packages"},
		{7, 4, 100, time.Second, "compiled 4 of 100 packages"},
		{7, 25, 100, 30 * time.Second, "compiled 25 of 100 packages, about 1m30s left"},
		{7, 100, 100, time.Minute, "compiled all of 100 packages, linking"},
		{7, 101, 100, time.Minute, "compiled all of 100 packages, linking"},
	} {
		if got := howFar(c.downloaded, c.compiled, c.total, c.took); got != c.want {
			t.Errorf("%d of %d: %q, want %q", c.compiled, c.total, got, c.want)
		}
	}
}

// TestToCompile: what the go command has compiled before does not count.
func TestToCompile(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":  "module example.com/m\n",
		"main.go": "package main\n\nimport \"example.com/m/a\"\n\nfunc main() { a.A() }\n",
		"a/a.go":  "package a\n\nfunc A() {}\n",
	} {
		name = filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o750), os.WriteFile(name, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	g := &Go{}
	before := g.toCompile(t.Context(), dir, ".")
	if err := g.Build(t.Context(), dir, filepath.Join(dir, "out"), "."); err != nil {
		t.Fatal(err)
	}
	if after := g.toCompile(t.Context(), dir, "."); before < 2 || after >= before || after > 1 {
		t.Errorf("%d packages to compile before a build, %d after it", before, after)
	}
	if n := g.toCompile(t.Context(), dir, "./none"); n != 0 {
		t.Errorf("%d packages of what is not there", n)
	}
}

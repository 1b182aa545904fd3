package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// BuildAll builds all but 9.9.9.
func (f *fakeEngine) BuildAll(ctx context.Context, cacheDir string, versions []string, progress func(version, line string), done func(version, path string, err error)) error {
	for _, v := range versions {
		if v == "9.9.9" {
			done(v, "", errors.New("there is no Tekton 9.9.9: simctl tekton list names the releases that are known"))
			continue
		}
		progress(v, "building")
		if f.cancel != nil {
			f.cancel()
			return ctx.Err()
		}
		done(v, filepath.Join(cacheDir, v, "controller"), nil)
	}
	return nil
}

// Prune says what it was asked for.
func (f *fakeEngine) Prune(cacheDir string, o PruneOptions) ([]Pruned, error) {
	since := ""
	if !o.UnusedSince.IsZero() {
		since = o.UnusedSince.Format(time.RFC3339)
	}
	return []Pruned{
		{Path: filepath.Join(cacheDir, "a"), Bytes: 1000, Why: fmt.Sprintf("asked for %v %v %q", o.Versions, o.All, since)},
		{Path: filepath.Join(cacheDir, "b"), Bytes: 20, Why: "named", Busy: true},
		{Path: filepath.Join(cacheDir, "c"), Bytes: 300, Why: "damaged"},
	}, f.err
}

func TestTektonList(t *testing.T) {
	t.Chdir(t.TempDir())
	got := simctl(t, &fakeEngine{}, "tekton", "list")
	got.want(t, StatusOK)
	want := `TEKTON  OPENSHIFT PIPELINES  STATE
1.3.1   1.20                 to be built
1.6.0   -                    built
1.15.0  1.24                 built in
`
	if got.stdout != want {
		t.Errorf("tekton list:\n%s", got.stdout)
	}
}

func TestTektonBuild(t *testing.T) {
	t.Chdir(t.TempDir())
	got := simctl(t, &fakeEngine{}, "tekton", "build", "1.3.1", "1.6.0", "--cache-dir", "/c")
	got.want(t, StatusOK, "tekton 1.3.1: building")
	if got.stdout != "1.3.1\t/c/1.3.1/controller\n1.6.0\t/c/1.6.0/controller\n" {
		t.Errorf("tekton build:\n%s", got.stdout)
	}
	// One that fails does not keep the others from being built.
	// No release is built if a name is none.
	got = simctl(t, &fakeEngine{}, "tekton", "build", "1.3.1", "newest", "--cache-dir", "/c")
	got.want(t, StatusError, `"newest" names no release`)
	if got.stdout != "" || strings.Contains(got.stderr, "building") {
		t.Errorf("tekton build:\n%s%s", got.stdout, got.stderr)
	}
	got = simctl(t, &fakeEngine{}, "tekton", "build", "9.9.9", "1.6.0", "--cache-dir", "/c")
	got.want(t, StatusError, "there is no Tekton 9.9.9")
	if got.stdout != "1.6.0\t/c/1.6.0/controller\n" {
		t.Errorf("tekton build:\n%s", got.stdout)
	}
	ctx, cancel := context.WithCancel(t.Context())
	simctlContext(ctx, &fakeEngine{cancel: cancel}, "tekton", "build", "1.3.1", "1.6.0").
		want(t, StatusError, "interrupted while building Tekton 1.3.1, 1.6.0: run it again")
}

// TestBuildLines: on a terminal every release has one line, which changes.
func TestBuildLines(t *testing.T) {
	var w bytes.Buffer
	l := newBuildLines(&w, 40)
	l.say("1.3.1", "building")
	l.say("1.6.0", "building")
	l.say("1.3.1", "compiled 100 packages, and so much more that it does not fit")
	l.above(func() { w.WriteString("1.3.1 is done\n") })
	// What a terminal shows in the end.
	var screen []string
	for line := range strings.Lines(w.String()) {
		line = strings.TrimSuffix(line, "\n")
		for strings.HasPrefix(line, "\x1b[") {
			up := 0
			if _, err := fmt.Sscanf(line, "\x1b[%dA\x1b[J", &up); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			screen = screen[:len(screen)-up]
			line = strings.TrimPrefix(line, fmt.Sprintf("\x1b[%dA\x1b[J", up))
		}
		if len([]rune(line)) >= 40 {
			t.Errorf("%q does not fit", line)
		}
		screen = append(screen, line)
	}
	want := []string{"1.3.1 is done", "tekton 1.3.1: compiled 100 packages, a…", "tekton 1.6.0: building"}
	if !slices.Equal(screen, want) {
		t.Errorf("the terminal shows\n%s\nwant\n%s", strings.Join(screen, "\n"), strings.Join(want, "\n"))
	}
}

func TestTektonPrune(t *testing.T) {
	for _, c := range []struct {
		args []string
		// want is in what is printed, or in the error.
		status int
		want   string
	}{
		{args: nil, want: `asked for [] false ""`},
		{args: []string{"1.3.1", "osp-1.18"}, want: `asked for [1.3.1 osp-1.18] false ""`},
		{args: []string{"--all"}, want: `asked for [] true ""`},
		{args: []string{"--older-than", "48h"}, want: `asked for [] false "2025-10-25T10:15:00Z"`},
		{args: []string{"--older-than", "30d"}, want: `asked for [] false "2025-09-27T10:15:00Z"`},
		{args: []string{"--older-than", "month"}, status: StatusError, want: "write how long, as in 720h or 30d"},
		{args: []string{"--older-than=-1h"}, status: StatusError, want: "write how long"},
		{args: []string{"--all", "1.3.1"}, status: StatusError, want: "not both"},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			t.Chdir(t.TempDir())
			got := simctl(t, &fakeEngine{}, append([]string{"tekton", "prune", "--cache-dir", "/c"}, c.args...)...)
			if c.status != StatusOK {
				got.want(t, c.status, c.want)
				return
			}
			got.want(t, c.status)
			want := "removed\t/c/a\t1000 bytes\t" + c.want + "\nkept\t/c/b\tnamed, but it is being built\nremoved\t/c/c\t300 bytes\tdamaged\n1300 bytes freed\n"
			if got.stdout != want {
				t.Errorf("got\n%s\nwant\n%s", got.stdout, want)
			}
		})
	}
	t.Chdir(t.TempDir())
	got := simctl(t, &fakeEngine{err: errors.New("permission denied")}, "tekton", "prune")
	got.want(t, StatusError, "permission denied")
	if !strings.Contains(got.stdout, "1300 bytes freed") {
		t.Errorf("an error hides what was removed: %q", got.stdout)
	}
}

// What is packed can be unpacked, and a pack that could not be written leaves no file.
func TestPack(t *testing.T) {
	place(t)
	got := simctl(t, &fakeEngine{}, "pack", "1.3.1", "osp-1.19", "--output", "bump.tar.gz")
	got.want(t, StatusOK, "packing")
	if got.stdout != "bump.tar.gz\t0.0 MB\n" {
		t.Errorf("said %q", got.stdout)
	}
	simctl(t, &fakeEngine{}, "unpack", "bump.tar.gz").want(t, StatusOK, "unpacked pack of [1.3.1 osp-1.19]")
	simctl(t, &fakeEngine{err: errors.New("no network")}, "pack", "1.3.1").want(t, StatusError, "simctl: no network")
	found, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		if f.Name() != "bump.tar.gz" && f.Name() != "scenarios" {
			t.Errorf("%s is left", f.Name())
		}
	}
}

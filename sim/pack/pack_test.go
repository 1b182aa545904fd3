package pack

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"simctl.dev/simctl/sim/internal/buildcache"
	"simctl.dev/simctl/sim/tekton"
)

// packOf returns a pack of one file in each of some entries.
func packOf(t *testing.T, folder string, names ...buildcache.Name) []byte {
	t.Helper()
	c := &buildcache.Cache{Dir: t.TempDir()}
	var entries []buildcache.Packed
	for _, n := range names {
		_, err := c.Get(t.Context(), n, func(string) {}, func(_ context.Context, out, _ string) error {
			return os.WriteFile(filepath.Join(out, "controller"), []byte("program"), 0o700) //nolint:gosec // it is a program
		})
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, buildcache.Packed{Cache: c, Folder: folder, Name: n})
	}
	var b bytes.Buffer
	if err := buildcache.WritePack(&b, entries); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// What this simctl would have built is taken, and only that.
func TestRead(t *testing.T) {
	dir := t.TempDir()
	b := &tekton.Builder{CacheDir: dir}
	_, own, err := b.Entry("osp-1.20")
	if err != nil {
		t.Fatal(err)
	}
	other := buildcache.Name{Subject: own.Subject, Key: "other"}
	read := func(pack []byte) (said []string, err error) {
		err = Read(t.Context(), bytes.NewReader(pack), Options{CacheDir: dir, Progress: func(line string) { said = append(said, line) }})
		return said, err
	}
	for _, test := range []struct {
		name string
		pack []byte
		said []string
		want error
	}{
		{"another simctl's release", packOf(t, tektonFolder, other), []string{other.String() + " is of another simctl: left out"}, ErrOtherSimctl},
		{"another simctl's engine", packOf(t, openShiftFolder, buildcache.Name{Subject: "scc-engine", Key: "other"}), []string{"scc-engine-other is of another simctl: left out"}, ErrOtherSimctl},
		{"something else", packOf(t, "else", own), []string{own.String() + " is of another simctl: left out"}, ErrOtherSimctl},
		{"no version", packOf(t, tektonFolder, buildcache.Name{Subject: "vX", Key: "k"}), []string{"vX-k is of another simctl: left out"}, ErrOtherSimctl},
		{"no pack", []byte("hello"), nil, buildcache.ErrNotAPack},
	} {
		t.Run(test.name, func(t *testing.T) {
			said, err := read(test.pack)
			if !errors.Is(err, test.want) || !slices.Equal(said, test.said) {
				t.Errorf("said %q and %v, want %q and %v", said, err, test.said, test.want)
			}
		})
	}
	if built, _, _ := b.Status("1.3.1"); built {
		t.Fatal("what is not this simctl's was taken")
	}
	said, err := read(packOf(t, tektonFolder, other, own))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{other.String() + " is of another simctl: left out", own.String() + " unpacked"}; !slices.Equal(said, want) {
		t.Errorf("said %q, want %q", said, want)
	}
	if built, _, _ := b.Status("1.3.1"); !built {
		t.Error("the release is not ready")
	}
}

// A name that is no release is refused before anything is built.
func TestWriteUnknown(t *testing.T) {
	var b bytes.Buffer
	err := Write(t.Context(), &b, []string{"latest-and-greatest"}, Options{CacheDir: t.TempDir(), Progress: func(string) {}})
	if !errors.Is(err, tekton.ErrVersion) || b.Len() > 0 {
		t.Errorf("%d bytes and %v", b.Len(), err)
	}
}

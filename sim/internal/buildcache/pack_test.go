package buildcache

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// packed returns a cache with two entries, and the pack of them.
func packed(t *testing.T) (*Cache, []byte) {
	t.Helper()
	c := &Cache{Dir: filepath.Join(t.TempDir(), "cache")}
	var n atomic.Int32
	var entries []Packed
	for _, name := range []Name{one, {Subject: "engine", Key: "k"}} {
		if _, err := c.Get(t.Context(), name, quiet, filler(&n)); err != nil {
			t.Fatal(err)
		}
		entries = append(entries, Packed{Cache: c, Folder: "f", Name: name})
	}
	var b, again bytes.Buffer
	for _, to := range []*bytes.Buffer{&b, &again} {
		if err := WritePack(to, entries); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(b.Bytes(), again.Bytes()) {
		t.Error("the same entries make different packs")
	}
	return c, b.Bytes()
}

// into has everything go into a cache but the entries of other names.
func into(c *Cache, other ...string) func(folder, name string) (Packed, bool) {
	return func(folder, name string) (Packed, bool) {
		subject, key, _ := strings.Cut(name, "-")
		return Packed{Cache: c, Folder: folder, Name: Name{Subject: subject, Key: key}}, !slices.Contains(other, name)
	}
}

func TestPack(t *testing.T) {
	_, pack := packed(t)
	c := &Cache{Dir: filepath.Join(t.TempDir(), "other")}
	var said []string
	say := func(line string) { said = append(said, line) }
	if err := ReadPack(t.Context(), bytes.NewReader(pack), say, into(c, one.String())); err != nil {
		t.Fatal(err)
	}
	if got := names(t, c); !slices.Equal(got, []string{"engine-k"}) {
		t.Errorf("unpacked %v", got)
	}
	if err := ReadPack(t.Context(), bytes.NewReader(pack), say, into(c)); err != nil {
		t.Fatal(err)
	}
	if err := c.Verify(one); err != nil {
		t.Error(err)
	}
	if st, err := os.Stat(filepath.Join(c.Path(one), "program")); err != nil || st.Mode()&0o100 == 0 {
		t.Errorf("the program: %v, %v", st, err)
	}
	want := []string{"engine-k unpacked", one.String() + " unpacked", "engine-k is there already"}
	if !slices.Equal(said, want) {
		t.Errorf("said %q, want %q", said, want)
	}
	if c.Took("engine") != 0 {
		t.Errorf("another host's build counts as one of %v here", c.Took("engine"))
	}
	// One that is damaged is put right.
	if err := os.WriteFile(filepath.Join(c.Path(one), "program"), []byte("PROGRAM"), 0o700); err != nil { //nolint:gosec // it is a program
		t.Fatal(err)
	}
	if err := ReadPack(t.Context(), bytes.NewReader(pack), quiet, into(c)); err != nil || c.Verify(one) != nil {
		t.Errorf("a damaged entry: %v, %v", err, c.Verify(one))
	}
	// A damaged one is not packed.
	if err := os.Remove(filepath.Join(c.Path(one), "program")); err != nil {
		t.Fatal(err)
	}
	if err := WritePack(&bytes.Buffer{}, []Packed{{Cache: c, Folder: "f", Name: one}}); !errors.Is(err, ErrBroken) {
		t.Errorf("packing a damaged entry: %v", err)
	}
}

// changed returns a pack with the files as change makes them; one without a name is left
// out.
func changed(t *testing.T, pack []byte, change func(h *tar.Header, content []byte) []byte) []byte {
	t.Helper()
	zip, err := gzip.NewReader(bytes.NewReader(pack))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	to := gzip.NewWriter(&out)
	from, w := tar.NewReader(zip), tar.NewWriter(to)
	for {
		h, err := from.Next()
		if err != nil {
			break
		}
		var content bytes.Buffer
		if _, err := content.ReadFrom(from); err != nil {
			t.Fatal(err)
		}
		text := change(h, content.Bytes())
		if h.Name == "" {
			continue
		}
		if h.Size = int64(len(text)); h.Typeflag != tar.TypeReg {
			h.Size, text = 0, nil
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(text); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), to.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// What is no pack, or another than was written, leaves nothing behind.
func TestPackDamaged(t *testing.T) {
	_, pack := packed(t)
	of := func(name string) string { return "f/" + one.String() + "/" + name }
	for _, test := range []struct {
		name string
		pack []byte
		want error
	}{
		{"another file", []byte("hello"), ErrNotAPack},
		{"cut off", pack[:len(pack)/2], ErrNotAPack},
		{"another program", changed(t, pack, func(h *tar.Header, content []byte) []byte {
			if h.Name == of("program") {
				return []byte("PROGRAM")
			}
			return content
		}), ErrBroken},
		{"a file more", changed(t, pack, func(h *tar.Header, content []byte) []byte {
			if h.Name == of("program") {
				h.Name = of("programs")
			}
			return content
		}), ErrBroken},
		{"no description", changed(t, pack, func(h *tar.Header, content []byte) []byte {
			if h.Name == of(entryName) {
				h.Name = ""
			}
			return content
		}), ErrNotAPack},
		{"a file elsewhere", changed(t, pack, func(h *tar.Header, content []byte) []byte {
			if h.Name == of("program") {
				h.Name = of("../../../program")
			}
			return content
		}), ErrNotAPack},
		{"a link", changed(t, pack, func(h *tar.Header, content []byte) []byte {
			if h.Name == of("program") {
				h.Typeflag, h.Linkname = tar.TypeSymlink, "/etc/passwd"
			}
			return content
		}), ErrNotAPack},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := &Cache{Dir: filepath.Join(t.TempDir(), "other")}
			err := ReadPack(t.Context(), bytes.NewReader(test.pack), quiet, into(c))
			if !errors.Is(err, test.want) {
				t.Errorf("the error is %v, want %v", err, test.want)
			}
			if got := names(t, c); len(got) > 0 {
				t.Errorf("%v is left", got)
			}
		})
	}
}

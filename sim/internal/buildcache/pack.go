package buildcache

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Packed is an entry of a cache that goes into a pack, or comes out of one.
type Packed struct {
	Cache *Cache
	// Folder is where the entry stands in the pack; it has no slash in it.
	Folder string
	Name   Name
}

// ErrNotAPack says that what was read is no pack, or a damaged one.
var ErrNotAPack = errors.New("not a pack of simctl, or a damaged one")

// WritePack writes entries as one archive (tar, gzip), each after its description. The
// bytes depend on the entries alone. An entry that is damaged is an error.
func WritePack(w io.Writer, entries []Packed) error {
	zip := gzip.NewWriter(w)
	out := tar.NewWriter(zip)
	for _, p := range entries {
		if err := p.write(out); err != nil {
			return fmt.Errorf("packing %s: %w", p.Name, err)
		}
	}
	if err := out.Close(); err != nil {
		return err
	}
	return zip.Close()
}

func (p Packed) write(out *tar.Writer) error {
	if err := p.Cache.Verify(p.Name); err != nil {
		return err
	}
	dir := p.Cache.Path(p.Name)
	e, err := readEntry(dir)
	if err != nil {
		return err
	}
	e.Seconds = 0 // they were another host's
	raw, err := json.MarshalIndent(e, "", " ")
	if err != nil {
		return err
	}
	folder := path.Join(p.Folder, p.Name.String())
	if err := out.WriteHeader(&tar.Header{Name: path.Join(folder, entryName), Mode: 0o644, Size: int64(len(raw))}); err != nil {
		return err
	}
	if _, err := out.Write(raw); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(e.Files)) {
		mode := int64(0o644)
		if e.Files[name].Executable {
			mode = 0o755
		}
		if err := out.WriteHeader(&tar.Header{Name: path.Join(folder, filepath.ToSlash(name)), Mode: mode, Size: e.Files[name].Size}); err != nil {
			return err
		}
		if err := copyFrom(out, filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

func copyFrom(w io.Writer, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	_, err = io.Copy(w, f)
	return err
}

// ReadPack puts the entries of a pack into caches. For each, by its folder and its name
// there (see [Name.String]), where says into which cache it goes, or false if it is of no
// use. An entry that is in its cache already stays; one whose files are not those of its
// description is an error that wraps [ErrBroken], and nothing of it is kept.
func ReadPack(ctx context.Context, r io.Reader, progress func(line string), where func(folder, name string) (Packed, bool)) error {
	zip, err := gzip.NewReader(r)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotAPack, err)
	}
	in := &packReader{tar: tar.NewReader(zip)}
	if err := in.next(); err != nil {
		return err
	}
	for in.head != nil {
		if err := ctx.Err(); err != nil {
			return err
		}
		folder, name, file := in.place()
		if file != entryName {
			return fmt.Errorf("%w: %s comes before its description", ErrNotAPack, in.head.Name)
		}
		p, wanted := where(folder, name)
		if wanted {
			if err := p.read(ctx, in, progress); err != nil {
				return err
			}
		}
		for at := folder + "/" + name; in.head != nil && strings.HasPrefix(in.head.Name, at+"/"); {
			if err := in.next(); err != nil {
				return err
			}
		}
	}
	return nil
}

// packReader reads a pack file by file.
type packReader struct {
	tar  *tar.Reader
	head *tar.Header // nil at the end
}

// next goes to the next file. One that is no plain file in the folder of an entry is an
// error.
func (r *packReader) next() error {
	head, err := r.tar.Next()
	if errors.Is(err, io.EOF) {
		r.head = nil
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotAPack, err)
	}
	if head.Typeflag != tar.TypeReg || !fs.ValidPath(head.Name) || strings.Count(head.Name, "/") < 2 {
		return fmt.Errorf("%w: there is a file %q in it", ErrNotAPack, head.Name)
	}
	r.head = head
	return nil
}

// place takes the name of the file apart.
func (r *packReader) place() (folder, name, file string) {
	parts := strings.SplitN(r.head.Name, "/", 3)
	return parts[0], parts[1], parts[2]
}

// read takes an entry, at whose description the pack is, into its cache.
func (p Packed) read(ctx context.Context, in *packReader, progress func(string)) error {
	var want entry
	if err := json.NewDecoder(in.tar).Decode(&want); err != nil {
		return fmt.Errorf("%w: the description of %s: %w", ErrNotAPack, p.Name, err)
	}
	made, err := p.Cache.get(ctx, p.Name, progress, "taking that of the pack", func(out, _ string) (entry, error) {
		if err := in.extract(ctx, out); err != nil {
			return want, fmt.Errorf("unpacking %s: %w", p.Name, err)
		}
		got, err := describe(out)
		if err != nil || !maps.Equal(got.Files, want.Files) {
			return want, fmt.Errorf("unpacking %s: %w: its files are not those that were packed", p.Name, ErrBroken)
		}
		return want, nil
	})
	switch {
	case err != nil:
		return err
	case made:
		progress(p.Name.String() + " unpacked")
	default:
		progress(p.Name.String() + " is there already")
	}
	return nil
}

// extract writes the files that follow the description of an entry into dir.
func (r *packReader) extract(ctx context.Context, dir string) error {
	folder, name, _ := r.place()
	at := folder + "/" + name + "/"
	for {
		if err := r.next(); err != nil {
			return err
		}
		if r.head == nil || !strings.HasPrefix(r.head.Name, at) {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		to := filepath.Join(dir, filepath.FromSlash(strings.TrimPrefix(r.head.Name, at)))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		mode := fs.FileMode(0o644)
		if r.head.Mode&0o100 != 0 {
			mode = 0o755
		}
		f, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, r.tar) // no more than the header says
		if cerr := f.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			return err
		}
	}
}

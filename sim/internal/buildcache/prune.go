package buildcache

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// PruneOptions say what [Cache.Prune] takes away besides leftovers.
type PruneOptions struct {
	// Wanted says whether an entry can be used by this simctl. Those that cannot
	// go, and so do those that are damaged.
	Wanted func(Name) bool
	// Selected says whether an entry is to go in any case; nil selects none.
	Selected func(Name) bool
	// UnusedSince, unless zero, selects the entries not used since.
	UnusedSince time.Time
}

// Removed is something that was taken away, or was to be.
type Removed struct {
	// Path is what it was, Bytes its size.
	Path  string
	Bytes int64
	// Why it had to go, in a few words.
	Why string
	// Busy: it stayed, because another process is building it.
	Busy bool
}

// Prune takes away what crashed builds have left, and the entries that the
// options name. What is being built is left alone. The result is in the order of
// the paths; on an error it is what had been removed until then.
func (c *Cache) Prune(o PruneOptions) ([]Removed, error) {
	found, err := os.ReadDir(c.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the cache directory: %w", err)
	}
	var out []Removed
	bySubject := map[string][]Removed{}
	for _, d := range found {
		subject, why := c.condemned(d, o)
		if why == "" {
			continue
		}
		path := filepath.Join(c.Dir, d.Name())
		bytes, err := size(path)
		if err != nil {
			return nil, fmt.Errorf("measuring %s: %w", path, err)
		}
		bySubject[subject] = append(bySubject[subject], Removed{Path: path, Bytes: bytes, Why: why})
	}
	for subject, rs := range bySubject {
		unlock, err := c.tryLock(subject)
		if err != nil {
			return sorted(out), err
		}
		for _, r := range rs {
			r.Busy = unlock == nil
			if !r.Busy {
				if err := os.RemoveAll(r.Path); err != nil {
					unlock()
					return sorted(out), fmt.Errorf("removing a build: %w", err)
				}
			}
			out = append(out, r)
		}
		if unlock != nil {
			if !c.subjectHasEntries(subject) {
				_ = os.Remove(filepath.Join(c.Dir, subject+lockMark))
			}
			unlock()
		}
	}
	return sorted(out), nil
}

func sorted(rs []Removed) []Removed {
	slices.SortFunc(rs, func(a, b Removed) int { return cmp.Compare(a.Path, b.Path) })
	return rs
}

// condemned says why something in the cache directory has to go; an empty why
// means that it stays.
func (c *Cache) condemned(d fs.DirEntry, o PruneOptions) (subject, why string) {
	if strings.HasSuffix(d.Name(), lockMark) {
		return "", ""
	}
	if subject, _, ok := strings.Cut(d.Name(), tmpMark); ok {
		return subject, "left by a build that did not end"
	}
	n, ok := parseName(d.Name())
	if !ok {
		return "", "" // not ours
	}
	if !d.IsDir() {
		return n.Subject, "of an earlier simctl"
	}
	dir := c.Path(n)
	switch {
	case o.Selected != nil && o.Selected(n):
		return n.Subject, "named"
	case o.Wanted != nil && !o.Wanted(n):
		return n.Subject, "of another simctl"
	case errors.Is(c.verify(dir), ErrBroken):
		return n.Subject, "damaged"
	}
	if !o.UnusedSince.IsZero() {
		if st, err := os.Stat(filepath.Join(dir, entryName)); err == nil && st.ModTime().Before(o.UnusedSince) {
			return n.Subject, "not used since " + st.ModTime().Format("2006-01-02 15:04")
		}
	}
	return "", ""
}

// parseName takes a name apart at its last dash.
func parseName(s string) (Name, bool) {
	i := strings.LastIndexByte(s, '-')
	if i <= 0 || i == len(s)-1 {
		return Name{}, false
	}
	return Name{Subject: s[:i], Key: s[i+1:]}, true
}

func (c *Cache) subjectHasEntries(subject string) bool {
	found, _ := filepath.Glob(filepath.Join(c.Dir, subject+"-*"))
	return len(found) > 0
}

// size is that of a file, or of all files under a folder.
func size(path string) (int64, error) {
	var sum int64
	err := filepath.WalkDir(path, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			sum += info.Size()
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) { // somebody else was faster
		err = nil
	}
	return sum, err
}

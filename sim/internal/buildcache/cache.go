package buildcache

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Errors that callers tell apart.
var (
	// ErrNoSpace: the disk with the cache, or that for temporary files, is full.
	ErrNoSpace = errors.New("no space left")
	// ErrBroken: an entry is not what was put there.
	ErrBroken = errors.New("the build is damaged")
)

// Root returns the folder of all caches of this user: dir if it is set, else
// "simctl" in the user's cache directory. The path is absolute.
func Root(dir string) (string, error) {
	if dir == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("finding the user's cache directory (set one for simctl instead): %w", err)
		}
		dir = filepath.Join(user, "simctl")
	}
	return filepath.Abs(dir)
}

// Cache is a folder of builds, which processes may share.
type Cache struct {
	// Dir is where it is; it need not exist.
	Dir string
}

const (
	// entryName is the file that describes an entry, and is written last.
	entryName = "build.json"
	tmpMark   = ".tmp-"
	lockMark  = ".lock"

	lockEvery = 100 * time.Millisecond
)

// entry describes a finished build.
type entry struct {
	// Files are all files of the folder but the description.
	Files map[string]file `json:"files"`
	// Seconds is how long the build took; 0 in entries of old.
	Seconds float64 `json:"seconds,omitempty"`
}

// compiled says whether an executable was made.
func (e entry) compiled() bool {
	for _, f := range e.Files {
		if f.Executable {
			return true
		}
	}
	return false
}

// file is what a file must be.
type file struct {
	Size       int64  `json:"size"`
	SHA256     string `json:"sha256"`
	Executable bool   `json:"executable,omitempty"`
}

// Name names an entry: Subject is what was built, and Key stands for all that
// the build depends on, so that another key is another build of the subject.
// Neither has a slash in it.
type Name struct{ Subject, Key string }

func (n Name) String() string { return n.Subject + "-" + n.Key }

// Path is where the entry is or will be.
func (c *Cache) Path(n Name) string { return filepath.Join(c.Dir, n.String()) }

// Get returns the entry's folder. If there is none, or one that is damaged, fill
// is called with an empty folder for the build's files and one for what it needs
// on the way; the latter goes away with the call. A line for progress says when
// another process is waited for, and when a damaged entry is thrown away.
func (c *Cache) Get(ctx context.Context, n Name, progress func(line string), fill func(ctx context.Context, out, work string) error) (string, error) {
	_, err := c.get(ctx, n, progress, "building it again", func(out, work string) (entry, error) {
		began := time.Now()
		if err := fill(ctx, out, work); err != nil {
			return entry{}, err
		}
		took := time.Since(began)
		if err := ctx.Err(); err != nil {
			return entry{}, err
		}
		e, err := describe(out)
		if err != nil {
			return e, fmt.Errorf("describing the build: %w", err)
		}
		e.Seconds = took.Seconds()
		return e, nil
	})
	if err != nil {
		return "", err
	}
	return c.Path(n), nil
}

// get has an entry made, unless it is there and whole: fill puts its files into a folder
// and returns its description. It says whether fill was called; again are the words for
// what is done about a damaged entry.
func (c *Cache) get(ctx context.Context, n Name, progress func(line string), again string, fill func(out, work string) (entry, error)) (made bool, err error) {
	dir := c.Path(n)
	if c.verify(dir) == nil {
		c.used(dir)
		return false, nil
	}
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return false, NoSpace(c.Dir, fmt.Errorf("making the cache directory: %w", err))
	}
	unlock, err := c.lock(ctx, n.Subject, progress)
	if err != nil {
		return false, err
	}
	defer unlock()
	err = c.verify(dir)
	if err == nil { // somebody else has built it
		c.used(dir)
		return false, nil
	}
	if errors.Is(err, ErrBroken) {
		progress(err.Error() + ": " + again)
	}
	err = c.put(n, fill)
	if err != nil {
		if ctx.Err() != nil {
			return true, ctx.Err()
		}
		return true, NoSpace(c.Dir, err)
	}
	return true, nil
}

// put makes the entry. The subject's lock is held.
func (c *Cache) put(n Name, fill func(out, work string) (entry, error)) error {
	for _, left := range c.leftovers(n.Subject) {
		_ = os.RemoveAll(left)
	}
	// The name is the same each time, since the go command knows again what it has
	// compiled in a folder of that name; the lock says whose it is.
	tmp := filepath.Join(c.Dir, n.Subject+tmpMark+"build")
	if err := os.Mkdir(tmp, 0o755); err != nil {
		return fmt.Errorf("making a folder to build in: %w", err)
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	out, work := filepath.Join(tmp, "out"), filepath.Join(tmp, "work")
	for _, d := range []string{out, work} {
		if err := os.Mkdir(d, 0o755); err != nil {
			return err
		}
	}
	e, err := fill(out, work)
	if err != nil {
		return err
	}
	raw, err := json.MarshalIndent(e, "", " ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(out, entryName), raw, 0o644); err != nil {
		return err
	}
	dir := c.Path(n)
	if err := os.RemoveAll(dir); err != nil { // a damaged one
		return err
	}
	return os.Rename(out, dir)
}

// leftovers are the folders of builds of a subject that did not end.
func (c *Cache) leftovers(subject string) []string {
	found, _ := filepath.Glob(filepath.Join(c.Dir, subject+tmpMark+"*"))
	return found
}

// used notes that an entry was used now, for [PruneOptions.UnusedSince].
func (c *Cache) used(dir string) {
	now := time.Now()
	_ = os.Chtimes(filepath.Join(dir, entryName), now, now) // a cache that cannot be written
}

// Has says whether there is an entry that looks whole, and its size in bytes.
// Unlike [Cache.Get] it does not read the files.
func (c *Cache) Has(n Name) (ok bool, size int64) {
	dir := c.Path(n)
	e, err := readEntry(dir)
	if err != nil {
		return false, 0
	}
	for name, want := range e.Files {
		if err := want.stat(filepath.Join(dir, name)); err != nil {
			return false, 0
		}
		size += want.Size
	}
	return true, size
}

// Took is how long the last build of a subject took on this host; of one that never was
// built, or whose time is not known, what builds of the cache usually took: the median. It
// is 0 if none is known. What was copied rather than compiled is like no other.
func (c *Cache) Took(subject string) time.Duration {
	found, _ := filepath.Glob(filepath.Join(c.Dir, "*", entryName))
	var all []float64
	var last time.Time
	seconds := 0.0
	for _, path := range found {
		dir := filepath.Dir(path)
		e, err := readEntry(dir)
		if err != nil || e.Seconds <= 0 {
			continue
		}
		if e.compiled() {
			all = append(all, e.Seconds)
		}
		// The folder is as old as the build; the description's time is that of its last use.
		st, err := os.Stat(dir)
		if n, ok := parseName(filepath.Base(dir)); err == nil && ok && n.Subject == subject && st.ModTime().After(last) {
			last, seconds = st.ModTime(), e.Seconds
		}
	}
	if len(all) > 0 && seconds == 0 {
		slices.Sort(all)
		seconds = all[len(all)/2]
	}
	return time.Duration(seconds * float64(time.Second))
}

// Verify reads an entry's files and returns an error that wraps [ErrBroken] if
// they are not what was put there, or [fs.ErrNotExist] if there is no entry.
func (c *Cache) Verify(n Name) error { return c.verify(c.Path(n)) }

func (c *Cache) verify(dir string) error {
	if _, err := os.Stat(dir); err != nil {
		return err
	}
	e, err := readEntry(dir)
	if err != nil {
		return err
	}
	for name, want := range e.Files {
		path := filepath.Join(dir, name)
		if err := want.stat(path); err != nil {
			return err
		}
		sum, err := checksum(path)
		if err != nil {
			return err
		}
		if sum != want.SHA256 {
			return broken(path, "has another checksum than the build had")
		}
	}
	return nil
}

func broken(path, how string) error { return fmt.Errorf("%w: %s %s", ErrBroken, path, how) }

func readEntry(dir string) (entry, error) {
	var e entry
	path := filepath.Join(dir, entryName)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(dir); err == nil {
			return e, broken(path, "is missing")
		}
	}
	if err != nil {
		return e, err
	}
	if err := json.Unmarshal(raw, &e); err != nil || len(e.Files) == 0 {
		return e, broken(path, "cannot be read")
	}
	return e, nil
}

// stat checks what can be seen without reading the file.
func (f file) stat(path string) error {
	st, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return broken(path, "is missing")
	case err != nil:
		return err
	case st.Size() != f.Size:
		return broken(path, fmt.Sprintf("has %d bytes instead of %d", st.Size(), f.Size))
	case f.Executable && st.Mode()&0o100 == 0:
		return broken(path, "cannot be executed")
	}
	return nil
}

// describe lists the files under dir.
func describe(dir string) (entry, error) {
	e := entry{Files: map[string]file{}}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		sum, err := checksum(path)
		if err != nil {
			return err
		}
		e.Files[name] = file{Size: info.Size(), SHA256: sum, Executable: info.Mode()&0o100 != 0}
		return nil
	})
	if err == nil && len(e.Files) == 0 {
		err = errors.New("nothing was built")
	}
	return e, err
}

func checksum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// lock takes the lock of a subject's builds. The system gives it back if the
// process dies.
func (c *Cache) lock(ctx context.Context, subject string, progress func(string)) (unlock func(), err error) {
	waiting := false
	for {
		unlock, err := c.tryLock(subject)
		if unlock != nil || err != nil {
			return unlock, err
		}
		if !waiting {
			waiting = true
			progress("another simctl is building it: waiting for that")
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(lockEvery):
		}
	}
}

// tryLock returns nil, and no error, if somebody else has the lock.
func (c *Cache) tryLock(subject string) (unlock func(), err error) {
	path := filepath.Join(c.Dir, subject+lockMark)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, NoSpace(c.Dir, fmt.Errorf("opening a lock of the cache: %w", err))
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		// Whoever prunes takes the file away before giving the lock back.
		mine, err1 := f.Stat()
		there, err2 := os.Stat(path)
		if err1 == nil && err2 == nil && os.SameFile(mine, there) {
			return func() { _ = f.Close() }, nil // closing unlocks
		}
		err = syscall.EWOULDBLOCK
	}
	_ = f.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) || errors.Is(err, syscall.EINTR) {
		return nil, nil
	}
	return nil, fmt.Errorf("locking %s: %w", path, err)
}

// NoSpace makes a full disk's error, if err is one, wrap [ErrNoSpace] and say in
// one line what to do.
func NoSpace(dir string, err error) error {
	if errors.Is(err, ErrNoSpace) {
		return err
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w in %s or the temporary directory: free some space (`simctl tekton prune`), or name another cache directory (%w)", ErrNoSpace, dir, err)
	}
	return err
}

// Full says whether a program's words tell of a full disk.
func Full(words string) bool { return strings.Contains(words, syscall.ENOSPC.Error()) }

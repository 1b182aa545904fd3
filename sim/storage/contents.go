package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
)

// Bits of a mode beyond the nine permission bits, and the masks that the
// kubelet adds for fsGroup (pkg/volume/volume_linux.go).
const (
	setgid   = 0o2000
	rwMask   = 0o660
	roMask   = 0o440
	execMask = 0o110
)

// Process is who touches a volume.
type Process struct {
	UID int64
	GID int64
	// Groups are the supplemental groups, fsGroup among them.
	Groups []int64
}

func (p Process) in(group int64) bool { return p.GID == group || slices.Contains(p.Groups, group) }

// Entry is a file, or a folder with Files files of mode FileMode in it.
type Entry struct {
	Path     string
	Dir      bool
	UID, GID int64
	// Mode holds the permission bits and, for a folder, setgid (02000).
	Mode uint32
	// Files is how many files a folder that one Write made holds, FileMode
	// their mode. Both are zero for other entries.
	Files    int64
	FileMode uint32
	Bytes    int64
}

// Errors of accesses to a volume.
var (
	// ErrReadOnly is given for a change on a volume mounted read-only.
	ErrReadOnly = errors.New("read-only file system")
	// ErrNotExist is given for a path that nobody wrote.
	ErrNotExist = fs.ErrNotExist
)

// DeniedError is a refused access. Entry is the file or folder whose mode
// refused it.
type DeniedError struct {
	Verb  string
	Path  string
	Entry Entry
}

func (e *DeniedError) Error() string {
	return fmt.Sprintf("%s %s: permission denied (%s is %d:%d %s)", e.Verb, e.Path,
		cmpOr(e.Entry.Path, "the volume's root"), e.Entry.UID, e.Entry.GID, ModeString(e.Entry.Mode))
}

// SpaceError is a write past the volume's size. All numbers are bytes: Wants
// is what the write needs beyond Used.
type SpaceError struct {
	Path              string
	Used, Wants, Size int64
}

func (e *SpaceError) Error() string {
	return fmt.Sprintf("write %s: no space left on device (%d of %d bytes used, %d more wanted)", e.Path, e.Used, e.Size, e.Wants)
}

// ModeString writes a mode in octal, four digits.
func ModeString(mode uint32) string { return fmt.Sprintf("%04o", mode) }

// Volume is the contents of one volume. It is not safe for concurrent use: only
// the goroutine that steps the clock touches it.
type Volume struct {
	// Namespace and Claim name the claim the volume was made for.
	Namespace, Claim string
	// Size is the volume's capacity in bytes; 0 is without limit.
	Size int64

	used    int64
	entries map[string]*Entry
	// before stands for all that was there before the run: files whose paths
	// nobody named.
	before *Entry
}

// NewVolume returns an empty volume whose root belongs to root:root.
func NewVolume(namespace, claim string, size int64, rootMode uint32) *Volume {
	return &Volume{
		Namespace: namespace, Claim: claim, Size: size,
		entries: map[string]*Entry{"": {Dir: true, Mode: rootMode}},
	}
}

// Fill puts files of root:root 0644 with together that many bytes on the volume,
// at paths not named: a path that nobody else wrote is found among them.
func (v *Volume) Fill(files, bytes int64) {
	if files <= 0 && bytes <= 0 {
		return
	}
	v.before = &Entry{Files: max(files, 1), Mode: 0o644, FileMode: 0o644, Bytes: bytes}
	v.used += bytes
}

// Used is how many bytes the volume's files take.
func (v *Volume) Used() int64 { return v.used }

// Files is how many files and folders an ownership change visits.
func (v *Volume) Files() int64 {
	n := int64(len(v.entries))
	for _, e := range v.entries {
		n += e.Files
	}
	if v.before != nil {
		n += v.before.Files
	}
	return n
}

// Entries lists what was written, and the root with the empty path, by path.
func (v *Volume) Entries() []Entry {
	out := make([]Entry, 0, len(v.entries))
	for _, p := range slices.Sorted(maps.Keys(v.entries)) {
		out = append(out, *v.entries[p])
	}
	return out
}

func clean(p string) string { return strings.Trim(path.Clean("/"+p), "/") }

func parent(p string) string {
	if i := strings.LastIndexByte(p, '/'); i >= 0 {
		return p[:i]
	}
	return ""
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// allows does the check of path_permission(7) for the three bits in want
// (4 read, 2 write, 1 search).
func allows(p Process, e *Entry, mode, want uint32) bool {
	switch {
	case p.UID == 0:
		return true
	case p.UID == e.UID:
		return mode>>6&want == want
	case p.in(e.GID):
		return mode>>3&want == want
	default:
		return mode&want == want
	}
}

// search walks to the folder of p, which must let the process through, and
// returns the nearest folder that exists.
func (v *Volume) search(proc Process, verb, p string) (*Entry, error) {
	at := v.entries[""]
	var walked string
	for {
		if at.Dir && !allows(proc, at, at.Mode, 1) {
			return nil, &DeniedError{Verb: verb, Path: p, Entry: *at}
		}
		rest := strings.TrimPrefix(strings.TrimPrefix(p, walked), "/")
		i := strings.IndexByte(rest, '/')
		if i < 0 {
			return at, nil
		}
		walked = clean(walked + "/" + rest[:i])
		next, ok := v.entries[walked]
		if !ok {
			return at, nil
		}
		at = next
	}
}

// Read checks whether the process may read the path: a file, or a folder with
// all that stands under it. It returns the entry that was read; the error is a
// [*DeniedError] or wraps [ErrNotExist].
func (v *Volume) Read(proc Process, p string) (Entry, error) {
	p = clean(p)
	if _, err := v.search(proc, "read", p); err != nil {
		return Entry{}, err
	}
	e, ok := v.entries[p]
	if !ok {
		// A file inside a folder that one Write made, or one from before the run.
		for up := p; up != ""; {
			up = parent(up)
			if d := v.entries[up]; d != nil && d.Files > 0 {
				return v.readFile(proc, p, &Entry{Path: p, UID: d.UID, GID: d.GID, Mode: d.FileMode})
			}
		}
		if v.before != nil {
			b := *v.before
			b.Path = p
			return v.readFile(proc, p, &b)
		}
		return Entry{}, fmt.Errorf("read %s: %w", cmpOr(p, "."), ErrNotExist)
	}
	if !e.Dir {
		return v.readFile(proc, p, e)
	}
	for _, q := range v.under(p) {
		sub := v.entries[q]
		want := uint32(4)
		if sub.Dir {
			want = 5
		}
		if !allows(proc, sub, sub.Mode, want) {
			return Entry{}, &DeniedError{Verb: "read", Path: p, Entry: *sub}
		}
		if sub.Files > 0 && !allows(proc, sub, sub.FileMode, 4) {
			return Entry{}, &DeniedError{Verb: "read", Path: p, Entry: sub.file()}
		}
	}
	return *e, nil
}

func (v *Volume) readFile(proc Process, p string, e *Entry) (Entry, error) {
	if !allows(proc, e, e.Mode, 4) {
		return Entry{}, &DeniedError{Verb: "read", Path: p, Entry: *e}
	}
	return *e, nil
}

// file stands for one of the files of a folder that one Write made.
func (e *Entry) file() Entry {
	return Entry{Path: e.Path + "/*", UID: e.UID, GID: e.GID, Mode: e.FileMode}
}

// under lists p and all below it, sorted.
func (v *Volume) under(p string) []string {
	var out []string
	for q := range v.entries {
		if q == p || p == "" || strings.HasPrefix(q, p+"/") {
			out = append(out, q)
		}
	}
	slices.Sort(out)
	return out
}

// Write makes or replaces a path: a file of that many bytes, or for files > 1 a
// folder of mode 0755 with so many files in it. Folders that lack are made with
// mode 0755. New entries belong to the process's uid and gid, or to the
// folder's group where the folder has the setgid bit. The error is a
// [*DeniedError] or a [*SpaceError]; nothing changes then.
func (v *Volume) Write(proc Process, p string, mode uint32, bytes, files int64) (Entry, error) {
	p = clean(p)
	dir, err := v.search(proc, "write", p)
	if err != nil {
		return Entry{}, err
	}
	old := v.entries[p]
	wants := bytes
	if old != nil {
		wants -= old.Bytes
		if !allows(proc, old, old.Mode, 2) {
			return Entry{}, &DeniedError{Verb: "write", Path: p, Entry: *old}
		}
		if old.Files > 0 && !allows(proc, old, old.FileMode, 2) {
			return Entry{}, &DeniedError{Verb: "write", Path: p, Entry: old.file()}
		}
	} else if !allows(proc, dir, dir.Mode, 3) {
		return Entry{}, &DeniedError{Verb: "write", Path: p, Entry: *dir}
	}
	if v.Size > 0 && wants > 0 && v.used+wants > v.Size {
		return Entry{}, &SpaceError{Path: p, Used: v.used, Wants: wants, Size: v.Size}
	}
	v.used += wants
	if old != nil {
		old.Bytes = bytes
		if old.Dir {
			old.Files = max(old.Files, files)
		}
		return *old, nil
	}
	e := v.create(proc, p, files > 1, mode)
	e.Bytes = bytes
	if e.Dir {
		e.Files, e.FileMode = files, mode
	}
	return *e, nil
}

// create makes an entry and the folders above it that lack.
func (v *Volume) create(proc Process, p string, dir bool, mode uint32) *Entry {
	up := v.entries[parent(p)]
	if up == nil {
		up = v.create(proc, parent(p), true, 0)
	}
	e := &Entry{Path: p, Dir: dir, UID: proc.UID, GID: proc.GID, Mode: mode}
	if dir {
		e.Mode = 0o755
	}
	if up.Mode&setgid != 0 {
		e.GID = up.GID
		if dir {
			e.Mode |= setgid
		}
	}
	v.entries[p] = e
	return e
}

// MakeSubPath makes the folder that a subPath mount needs, as the kubelet does
// before it starts a container: as root, with the permissions of the root.
func (v *Volume) MakeSubPath(p string) {
	p = clean(p)
	for i := range len(p) + 1 {
		if i < len(p) && p[i] != '/' {
			continue
		}
		if q := p[:i]; v.entries[q] == nil {
			e := v.create(Process{}, q, true, 0)
			e.Mode = v.entries[""].Mode&0o777 | e.Mode&setgid
		}
	}
}

// Delete removes a path and all below it and frees its bytes. A path that is
// not there is no error. It returns whether anything was there.
func (v *Volume) Delete(proc Process, p string) (bool, error) {
	p = clean(p)
	dir, err := v.search(proc, "write", p)
	if err != nil {
		return false, err
	}
	if v.entries[p] == nil {
		return false, nil
	}
	if p != "" && !allows(proc, dir, dir.Mode, 3) {
		return false, &DeniedError{Verb: "write", Path: p, Entry: *dir}
	}
	below := v.under(p)
	for _, q := range below {
		// Emptying a folder needs its own write permission.
		if e := v.entries[q]; e.Dir && (e.Files > 0 || q != below[len(below)-1]) && !allows(proc, e, e.Mode, 3) {
			return false, &DeniedError{Verb: "write", Path: p, Entry: *e}
		}
	}
	for _, q := range below {
		v.used -= v.entries[q].Bytes
		if q != "" {
			delete(v.entries, q)
		}
	}
	return true, nil
}

// ChangeOwnership does what the kubelet does for fsGroup when it mounts a
// volume (pkg/volume/volume_linux.go): every file and folder gets the group and
// its permissions, folders the setgid bit. With onRootMismatch nothing is done
// if the root has them. It returns how many files and folders were visited.
func (v *Volume) ChangeOwnership(fsGroup int64, onRootMismatch bool) (files int64, skipped bool) {
	root := v.entries[""]
	want := uint32(rwMask | execMask | setgid)
	if onRootMismatch && root.GID == fsGroup && root.Mode&want == want {
		return 0, true
	}
	for _, e := range v.entries {
		e.GID = fsGroup
		e.Mode |= rwMask
		if e.Dir {
			e.Mode |= execMask | setgid
			if e.Files > 0 {
				e.FileMode |= rwMask
			}
		}
	}
	if v.before != nil {
		v.before.GID = fsGroup
		v.before.Mode |= rwMask
	}
	return v.Files(), false
}

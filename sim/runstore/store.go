package runstore

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"simctl.dev/simctl/sim/internal/fileformat"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/verdict"
)

// The files of a run's folder.
const (
	infoFile   = "run.json"
	cellsFile  = "cells.jsonl"
	resultFile = "result.json"
	lockFile   = ".lock"
	cellsDir   = "cells"
	logsDir    = "logs"
	logFile    = "simctl.log"
	latestLink = "latest"
)

// What can be wrong with a run's folder.
var (
	// ErrNoRun: the folder holds no run.
	ErrNoRun = errors.New("there is no run")
	// ErrBusy: another process writes this run.
	ErrBusy = errors.New("another simctl is writing this run")
	// ErrForeign: the folder holds other files than a run's.
	ErrForeign = errors.New("the folder holds files that are no run of simctl")
	// ErrNewer: a file was written by a simctl that came later.
	ErrNewer = fileformat.ErrNewer
)

// What the files of a run say of themselves. Version 0 of each, which is still read,
// did not say it and is otherwise as version 1. A history's is that of package history;
// a result has its apiVersion.
var (
	infoHeader  = fileformat.Header{Format: "simctl.dev/run", Version: 1}
	cellsHeader = fileformat.Header{Format: "simctl.dev/cells", Version: 1}
	cellHeader  = fileformat.Header{Format: "simctl.dev/cell", Version: 1}
)

// Info says what a run was asked to do.
type Info struct {
	ID      string    `json:"id"`
	Started time.Time `json:"started"`
	Simctl  string    `json:"simctl"`
	// Command is the command line, Dir the folder it was given in.
	Command []string `json:"command"`
	Dir     string   `json:"dir"`
	// Paths and Options are what the cells were expanded from, Inputs the
	// scenarios and manifests that were read.
	Paths   []string         `json:"paths"`
	Options Options          `json:"options"`
	Inputs  []scenario.Input `json:"inputs"`
}

// Options are those that decide which cells there are.
type Options struct {
	Tekton  []string `json:"tekton,omitempty"`
	Set     []string `json:"set,omitempty"`
	Seed    *int64   `json:"seed,omitempty"`
	Repeats *int     `json:"repeats,omitempty"`
	// Review is set for a run that is an upgrade review; Tekton is its path.
	Review *Review `json:"review,omitempty"`
}

// Review says what an upgrade review looks into besides the path.
type Review struct {
	MidRun     bool `json:"midRun,omitempty"`
	NoRemedies bool `json:"noRemedies,omitempty"`
	AfterRun   bool `json:"afterRun,omitempty"`
	Rollback   bool `json:"rollback,omitempty"`
}

// Record is a finished cell: a line of cells.jsonl.
type Record struct {
	ID string `json:"id"`
	// Fingerprint is of everything that decides the cell's result.
	Fingerprint string       `json:"fingerprint"`
	Cell        verdict.Cell `json:"cell"`
}

// Run is a run's folder, opened for writing. It is safe for concurrent use.
type Run struct {
	dir  string
	lock *os.File

	mu      sync.Mutex
	info    Info
	records map[string]Record
	cells   *os.File
}

// NewID returns an ID for a run that starts now: the time in UTC and four random
// digits, so that IDs sort by time and two runs of one second differ.
func NewID(now time.Time, random io.Reader) (string, error) {
	raw := make([]byte, 2)
	if _, err := io.ReadFull(random, raw); err != nil {
		return "", fmt.Errorf("making a run's ID: %w", err)
	}
	return now.UTC().Format("20060102-150405") + "-" + hex.EncodeToString(raw), nil
}

// Create makes dir the folder of a new run. An earlier run in it is removed;
// a folder with other files is left alone, and the error is [ErrForeign].
func Create(dir string, info Info) (*Run, error) {
	if err := claim(dir); err != nil {
		return nil, err
	}
	r, err := open(dir)
	if err != nil {
		return nil, err
	}
	// Only what a run consists of is removed, never what else may stand there.
	for _, name := range []string{infoFile, cellsFile, resultFile, cellsDir, logsDir, logFile} {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			r.Close()
			return nil, fmt.Errorf("removing the earlier run in %s: %w", dir, err)
		}
	}
	if err := r.SetInfo(info); err != nil {
		r.Close()
		return nil, err
	}
	if err := r.openCells(); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// claim makes dir, or checks that it is empty or a run's.
func claim(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("making the run's folder: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("reading the run's folder: %w", err)
	}
	if len(entries) == 0 {
		return nil
	}
	for _, e := range entries {
		if e.Name() == infoFile || e.Name() == lockFile {
			return nil
		}
	}
	return fmt.Errorf("%s: %w: give an empty or a new folder", dir, ErrForeign)
}

// Open opens the run in dir to go on with it.
func Open(dir string) (*Run, error) {
	if _, err := ReadInfo(dir); err != nil {
		return nil, err
	}
	r, err := open(dir)
	if err != nil {
		return nil, err
	}
	// Read again, now that nobody else writes it.
	if r.info, err = ReadInfo(dir); err == nil {
		err = r.load()
	}
	if err == nil {
		err = r.openCells()
	}
	if err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

func open(dir string) (*Run, error) {
	lock, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("locking the run's folder: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%s: %w: wait for it, or give another folder by --out", dir, ErrBusy)
		}
		return nil, fmt.Errorf("locking the run's folder %s: %w", dir, err)
	}
	return &Run{dir: dir, lock: lock, records: map[string]Record{}}, nil
}

// load reads the finished cells and cuts off a last line that is incomplete.
func (r *Run) load() error {
	path := filepath.Join(r.dir, cellsFile)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the finished cells: %w", err)
	}
	good := 0
	br := bufio.NewReader(bytes.NewReader(raw))
	for n := 1; ; n++ {
		line, err := br.ReadBytes('\n')
		if err != nil {
			// What follows the last end of line was cut short.
			break
		}
		if got, ok := fileformat.Parse(line); ok && n == 1 {
			if err := cellsHeader.Accepts(got); err != nil {
				return fmt.Errorf("reading %s: %w", path, err)
			}
			good += len(line)
			continue
		}
		var rec Record
		if err := json.Unmarshal(line, &rec); err != nil {
			return fmt.Errorf("%s line %d is damaged: %w", path, n, err)
		}
		r.records[rec.ID] = rec
		good += len(line)
	}
	if good < len(raw) {
		if err := os.Truncate(path, int64(good)); err != nil {
			return fmt.Errorf("cutting off an incomplete line: %w", err)
		}
	}
	return nil
}

func (r *Run) openCells() error {
	f, err := os.OpenFile(filepath.Join(r.dir, cellsFile), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("opening the list of finished cells: %w", err)
	}
	r.cells = f
	switch size, err := f.Seek(0, io.SeekEnd); {
	case err != nil:
		return fmt.Errorf("opening the list of finished cells: %w", err)
	case size > 0:
		return nil
	}
	if _, err := f.Write(cellsHeader.Line()); err != nil {
		return fmt.Errorf("beginning the list of finished cells: %w", err)
	}
	return nil
}

// OpenLog opens simctl's own log of the run for appending.
func (r *Run) OpenLog() (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(r.dir, logFile), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("opening the log: %w", err)
	}
	return f, nil
}

// Dir is the run's folder.
func (r *Run) Dir() string { return r.dir }

// Info is what the run was asked to do.
func (r *Run) Info() Info {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.info
}

// SetInfo replaces what the run was asked to do.
func (r *Run) SetInfo(info Info) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := writeJSON(filepath.Join(r.dir, infoFile), infoDocument{infoHeader, info}); err != nil {
		return err
	}
	r.info = info
	return nil
}

// Append keeps a finished cell. It is on the disk when Append returns nil.
func (r *Run) Append(rec Record) error {
	line, err := json.Marshal(rec)
	if err != nil {
		return fmt.Errorf("keeping cell %s: %w", rec.ID, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, err := r.cells.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("keeping cell %s: %w", rec.ID, err)
	}
	if err := r.cells.Sync(); err != nil {
		return fmt.Errorf("keeping cell %s: %w", rec.ID, err)
	}
	r.records[rec.ID] = rec
	return nil
}

// Finished returns the result of a cell that was finished with this fingerprint.
func (r *Run) Finished(id, fingerprint string) (verdict.Cell, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rec, ok := r.records[id]
	if !ok || rec.Fingerprint != fingerprint {
		return verdict.Cell{}, false
	}
	return rec.Cell, true
}

// WriteResult keeps the run's result, whole or not at all.
func (r *Run) WriteResult(result verdict.RunResult) error {
	return writeJSON(filepath.Join(r.dir, resultFile), result)
}

// Close lets another process open the run.
func (r *Run) Close() error {
	var err error
	if r.cells != nil {
		err = r.cells.Close()
	}
	// The lock goes with its file.
	return errors.Join(err, r.lock.Close())
}

// infoDocument is run.json.
type infoDocument struct {
	fileformat.Header
	Info
}

// ReadInfo returns what the run in dir was asked to do, or an error that wraps
// [ErrNoRun] or [ErrNewer].
func ReadInfo(dir string) (Info, error) {
	var doc infoDocument
	err := readDocument(filepath.Join(dir, infoFile), infoHeader, &doc)
	if errors.Is(err, fs.ErrNotExist) {
		return Info{}, fmt.Errorf("%w in %s", ErrNoRun, dir)
	}
	if err != nil {
		return Info{}, err
	}
	return doc.Info, nil
}

// Latest returns the ID of the run in root that was started last.
func Latest(root string) (string, error) {
	target, err := os.Readlink(filepath.Join(root, latestLink))
	if err != nil {
		return "", fmt.Errorf("%w in %s", ErrNoRun, root)
	}
	return target, nil
}

// MarkLatest makes id the run that [Latest] returns.
func MarkLatest(root, id string) error {
	link := filepath.Join(root, latestLink)
	next := link + "." + id
	if err := os.Symlink(id, next); err != nil {
		return fmt.Errorf("marking the latest run: %w", err)
	}
	// A link that is renamed over the old one is never missing.
	if err := os.Rename(next, link); err != nil {
		return errors.Join(fmt.Errorf("marking the latest run: %w", err), os.Remove(next))
	}
	return nil
}

// writeJSON writes v to a file beside path and renames it, so that a crash
// leaves the old file or the new one.
func writeJSON(path string, v any) error {
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+strings.TrimSuffix(filepath.Base(path), ".json")+"-*")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	_, err = f.Write(append(raw, '\n'))
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("writing %s: %w", path, err), os.Remove(f.Name()))
	}
	return nil
}

package runstore

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/internal/fileformat"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/verdict"
)

// The files of a cell's folder.
const (
	cellFile    = "cell.json"
	historyFile = "history.jsonl"
)

// What can be wrong with a run that is read.
var (
	// ErrNoResult: the run has not come to its end.
	ErrNoResult = errors.New("the run has no result yet")
	// ErrAmbiguous: several runs have IDs that begin so.
	ErrAmbiguous = errors.New("several runs have IDs that begin so")
	// ErrNotKept: the run was made by a simctl that did not keep this file.
	ErrNotKept = errors.New("the run did not keep it")
)

// WriteCell keeps what a cell consists of, its Secrets without their values.
func (r *Run) WriteCell(c scenario.Cell) error {
	dir := filepath.Join(r.dir, cellsDir, c.ID())
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("keeping cell %s: %w", c.ID(), err)
	}
	objects := make([]json.RawMessage, len(c.Objects))
	for i, raw := range c.Objects {
		objects[i] = withoutSecrets(raw)
	}
	c.Objects = objects
	return writeJSON(filepath.Join(dir, cellFile), cellDocument{cellHeader, c})
}

// cellDocument is cell.json.
type cellDocument struct {
	fileformat.Header
	scenario.Cell
}

// withoutSecrets blanks the values of a Secret; other objects stay as they are.
func withoutSecrets(raw json.RawMessage) json.RawMessage {
	var o map[string]any
	if json.Unmarshal(raw, &o) != nil || o["kind"] != "Secret" {
		return raw
	}
	for _, field := range []string{"data", "stringData"} {
		values, _ := o[field].(map[string]any)
		for k := range values {
			values[k] = ""
		}
	}
	out, err := json.Marshal(o)
	if err != nil {
		return raw
	}
	return out
}

// Kept is a run's folder with what it says of itself.
type Kept struct {
	Dir  string
	Info Info
	// Result is nil until the run has come to its end.
	Result *verdict.RunResult
	Bytes  int64
	// Err wraps [ErrNewer] for a run of which this simctl can tell no more than that
	// it is there; Info has its ID alone.
	Err error
}

// List returns the runs in root, the latest first. Folders that are no runs are
// left out; a root that is not there has none.
func List(root string) ([]Kept, error) {
	entries, err := os.ReadDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing the runs: %w", err)
	}
	var out []Kept
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		dir := filepath.Join(root, e.Name())
		info, err := ReadInfo(dir)
		if errors.Is(err, ErrNoRun) {
			continue
		}
		k := Kept{Dir: dir, Info: info}
		if errors.Is(err, ErrNewer) {
			k.Info.ID, k.Err, err = e.Name(), err, nil
		}
		if err != nil {
			return nil, err
		}
		switch r, err := ReadResult(dir); {
		case k.Err != nil:
		case err == nil:
			k.Result = &r
		case !errors.Is(err, ErrNoResult):
			return nil, err
		}
		if k.Bytes, err = size(dir); err != nil {
			return nil, err
		}
		out = append(out, k)
	}
	slices.SortFunc(out, func(a, b Kept) int {
		if c := b.Info.Started.Compare(a.Info.Started); c != 0 {
			return c
		}
		return strings.Compare(b.Dir, a.Dir)
	})
	return out, nil
}

func size(dir string) (int64, error) {
	var n int64
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		n += info.Size()
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("measuring the run in %s: %w", dir, err)
	}
	return n, nil
}

// Find returns the folder of a run that is named by its ID, by the beginning of
// it, by "latest" or by its folder. The error wraps [ErrNoRun] or [ErrAmbiguous].
func Find(root, name string) (string, error) {
	if name == latestLink {
		id, err := Latest(root)
		if err != nil {
			return "", err
		}
		name = id
	}
	// A name with a separator is a folder, whatever stands in root.
	if !strings.ContainsRune(name, filepath.Separator) && name != "." && name != ".." {
		var found []string
		entries, err := os.ReadDir(root)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("finding run %s: %w", name, err)
		}
		for _, e := range entries {
			if !e.IsDir() || !strings.HasPrefix(e.Name(), name) {
				continue
			}
			if e.Name() == name {
				return filepath.Join(root, name), nil
			}
			found = append(found, e.Name())
		}
		switch {
		case len(found) == 1:
			return filepath.Join(root, found[0]), nil
		case len(found) > 1:
			return "", fmt.Errorf("%w as %s: %s", ErrAmbiguous, name, strings.Join(found, ", "))
		}
	}
	if _, err := ReadInfo(name); err != nil {
		if errors.Is(err, ErrNoRun) {
			return "", fmt.Errorf("%w named %s in %s, nor a folder of one", ErrNoRun, name, root)
		}
		return "", err
	}
	return name, nil
}

// ReadResult returns the result of the run in dir, or an error that wraps
// [ErrNoResult].
func ReadResult(dir string) (verdict.RunResult, error) {
	var r verdict.RunResult
	err := readJSON(filepath.Join(dir, resultFile), &r)
	if errors.Is(err, fs.ErrNotExist) {
		return r, fmt.Errorf("%w: %s", ErrNoResult, dir)
	}
	return r, err
}

// CellID is the ID of the cell that a result is of.
func CellID(c verdict.Cell) string {
	return scenario.IDOf(c)
}

// ReadCell returns what a cell consisted of, or an error that wraps [ErrNotKept] or
// [ErrNewer].
func ReadCell(dir, id string) (*scenario.Cell, error) {
	var doc cellDocument
	err := readDocument(filepath.Join(dir, cellsDir, id, cellFile), cellHeader, &doc)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: the specification of cell %s", ErrNotKept, id)
	}
	if err != nil {
		return nil, err
	}
	return &doc.Cell, nil
}

// ReadHistory returns a cell's history, or an error that wraps [ErrNotKept] or
// [ErrNewer].
func ReadHistory(dir, id string) ([]history.Entry, error) {
	f, err := os.Open(filepath.Join(dir, cellsDir, id, historyFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: the history of cell %s", ErrNotKept, id)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the history of cell %s: %w", id, err)
	}
	defer f.Close()
	entries, err := history.Read(f)
	if err != nil {
		return nil, fmt.Errorf("reading the history of cell %s: %w", id, err)
	}
	return entries, nil
}

// readDocument reads a JSON file that says what it is, if it is of a version up to
// want's.
func readDocument(path string, want fileformat.Header, v any) error {
	return readFile(path, func(raw []byte) error {
		var got fileformat.Header
		if err := json.Unmarshal(raw, &got); err != nil {
			return err
		}
		if err := want.Accepts(got); err != nil {
			return err
		}
		return json.Unmarshal(raw, v)
	})
}

func readJSON(path string, v any) error {
	return readFile(path, func(raw []byte) error { return json.Unmarshal(raw, v) })
}

func readFile(path string, take func(raw []byte) error) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading the run: %w", err)
	}
	if err := take(raw); err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	return nil
}

// Prune removes the runs in root that were started by a moment, but never
// the newest keep ones, nor one that is being written or that a newer simctl wrote.
// It returns those removed.
func Prune(root string, before time.Time, keep int) ([]Kept, error) {
	all, err := List(root)
	if err != nil {
		return nil, err
	}
	var gone []Kept
	for i, k := range all {
		if i < keep || k.Err != nil || k.Info.Started.After(before) {
			continue
		}
		r, err := open(k.Dir)
		if errors.Is(err, ErrBusy) {
			continue
		}
		if err != nil {
			return gone, err
		}
		// The lock is held while its folder goes.
		err = os.RemoveAll(k.Dir)
		if err = errors.Join(err, r.Close()); err != nil {
			return gone, fmt.Errorf("removing the run in %s: %w", k.Dir, err)
		}
		gone = append(gone, k)
	}
	if id, err := Latest(root); err == nil {
		if _, err := os.Stat(filepath.Join(root, id)); errors.Is(err, fs.ErrNotExist) {
			if err := os.Remove(filepath.Join(root, latestLink)); err != nil {
				return gone, fmt.Errorf("forgetting the latest run: %w", err)
			}
		}
	}
	return gone, nil
}

package scenario

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"
)

const apiGroup = "simctl.dev/"

// File is a scenario file that was read and checked.
type File struct {
	// Path is the file as it was named to Load.
	Path string
	// Scenario is what the file says, shorthands of axis values read.
	Scenario Scenario

	doc  *document
	base []byte // the scenario without axes, selectors and expectations, as JSON

	mu        sync.Mutex
	manifests map[string]*manifestSet
	// inputs are the files that were read so far.
	inputs inputs
}

// Input is a file that was read, with the SHA-256 of what was in it.
type Input struct {
	Path   string `json:"path"`
	SHA256 string `json:"sha256"`
}

// inputs are in the order in which they were first read.
type inputs []Input

func (in *inputs) add(path string, content []byte) {
	path = filepath.Clean(path)
	if !slices.ContainsFunc(*in, func(i Input) bool { return i.Path == path }) {
		sum := sha256.Sum256(content)
		*in = append(*in, Input{Path: path, SHA256: hex.EncodeToString(sum[:])})
	}
}

// Inputs lists the files that the scenario was read from: its own first, then the
// manifests and kustomizations that its cells so far name, by path.
func (f *File) Inputs() []Input {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := slices.Clone(f.inputs)
	slices.SortFunc(out[1:], func(a, b Input) int { return cmp.Compare(a.Path, b.Path) })
	return out
}

// manifestSet is what one list of manifest paths gave.
type manifestSet struct {
	objects []*object
	issues  []issue
}

// Load reads one scenario file and the manifests it names, and checks all that
// can be checked before anything runs, in every combination of the axes'
// values. The error joins a [Problem] for each thing that is wrong.
func Load(path string) (*File, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		message := "cannot read the scenario: " + plainError(err).Error()
		if errors.Is(err, fs.ErrNotExist) {
			message = "no such file" + suggestFile(path)
		}
		return nil, join([]*Problem{{File: path, Message: message}})
	}
	return loadContent(path, content)
}

// loadContent is Load with what is in the file.
func loadContent(path string, content []byte) (*File, error) {
	s, doc := parseScenario(path, content)
	if s == nil {
		return nil, join(doc.problems)
	}
	f := &File{Path: path, Scenario: *s, doc: doc, manifests: map[string]*manifestSet{}}
	f.inputs.add(path, content)
	f.check()
	if len(doc.problems) > 0 {
		slices.SortStableFunc(doc.problems, func(a, b *Problem) int {
			// The scenario's own problems first, then file by file.
			return cmp.Or(
				-cmp.Compare(boolInt(a.File == path), boolInt(b.File == path)),
				cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
		})
		return nil, &loadError{[]error{join(doc.problems)}, f}
	}
	return f, nil
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// LoadAll finds and loads scenarios. No two may have the same name. The error
// joins a [Problem] for each thing that is wrong in any of them; the files that
// are right are returned with it.
func LoadAll(paths []string) ([]*File, error) {
	names, err := Find(paths)
	if err != nil {
		return nil, err
	}
	var files []*File
	var errs []error
	byName := map[string]string{}
	for _, name := range names {
		f, err := Load(name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if first, ok := byName[f.Scenario.Metadata.Name]; ok {
			at := f.doc.at("metadata.name")
			errs = append(errs, &Problem{File: name, Line: at.line, Column: at.column,
				Message: fmt.Sprintf("scenario %q is in %s already; rename one", f.Scenario.Metadata.Name, first)})
			continue
		}
		byName[f.Scenario.Metadata.Name] = name
		files = append(files, f)
	}
	return files, errors.Join(errs...)
}

// allBelow at the end of a path stands for the folder and all folders below it,
// as in the go command's patterns.
const allBelow = "..."

// Find lists the scenario files among paths, each once: a file as it is named,
// from a folder every YAML file in it that is a scenario, and from FOLDER/... also
// those in the folders below it. It is an error if a path does not exist, a file
// is no scenario, or a folder has none.
func Find(paths []string) ([]string, error) {
	var found []string
	var errs []error
	add := func(name string) {
		if !slices.Contains(found, name) {
			found = append(found, name)
		}
	}
	for _, p := range paths {
		p = filepath.Clean(p)
		deep := filepath.Base(p) == allBelow
		if deep {
			p = filepath.Dir(p)
		}
		info, err := os.Stat(p)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			errs = append(errs, &Problem{File: p, Message: "no such file or folder" + suggestFile(p)})
		case err != nil:
			errs = append(errs, &Problem{File: p, Message: plainError(err).Error()})
		case info.IsDir():
			before := len(found)
			in, err := findIn(p, deep)
			if err != nil {
				errs = append(errs, &Problem{File: p, Message: err.Error()})
				continue
			}
			for _, name := range in {
				add(name)
			}
			if len(found) == before && len(in) == 0 {
				message := "no scenario in this folder: no YAML file with apiVersion " + APIVersion + " and kind " + Kind
				if below, err := findIn(p, true); err == nil && len(below) > 0 {
					message = fmt.Sprintf("no scenario in this folder itself; for the %d in the folders below it, name %s",
						len(below), filepath.Join(p, allBelow))
				}
				errs = append(errs, &Problem{File: p, Message: message})
			}
		default:
			content, err := os.ReadFile(p)
			if err != nil {
				errs = append(errs, &Problem{File: p, Message: plainError(err).Error()})
				continue
			}
			if !isScenario(content) {
				errs = append(errs, &Problem{File: p,
					Message: "not a scenario; it should begin with apiVersion: " + APIVersion + " and kind: " + Kind})
				continue
			}
			add(p)
		}
	}
	return found, errors.Join(errs...)
}

// findIn lists the scenarios in a folder and, if deep, in the folders below it.
func findIn(folder string, deep bool) ([]string, error) {
	var found []string
	// WalkDir does not follow a link, so the folder itself is resolved.
	root := folder
	if target, err := filepath.EvalSymlinks(folder); err == nil {
		root = target
	}
	err := filepath.WalkDir(root, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		hidden := strings.HasPrefix(e.Name(), ".") && name != root
		if e.IsDir() {
			if hidden || name != root && !deep {
				return filepath.SkipDir
			}
			return nil
		}
		if ext := filepath.Ext(name); hidden || (ext != ".yaml" && ext != ".yml") {
			return nil
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if isScenario(content) {
			rel, err := filepath.Rel(root, name)
			if err != nil {
				return err
			}
			found = append(found, filepath.Join(folder, rel))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("looking for scenarios: %w", err)
	}
	return found, nil
}

var (
	groupLine = regexp.MustCompile(`(?m)^apiVersion:\s*["']?simctl\.dev/`)
	kindLine  = regexp.MustCompile(`(?m)^kind:\s*["']?Scenario\b`)
)

// isScenario reports whether a file means to be a scenario. A file that is not
// YAML does if it has the two lines, so that its error is not passed over; so
// does one with a slip in the kind.
func isScenario(content []byte) bool {
	var head struct {
		APIVersion string `yaml:"apiVersion"`
		Kind       string `yaml:"kind"`
	}
	if err := yaml.NewDecoder(bytes.NewReader(content)).Decode(&head); err != nil {
		return groupLine.Match(content) && kindLine.Match(content)
	}
	return strings.HasPrefix(head.APIVersion, apiGroup) && nearest(head.Kind, []string{Kind}) != ""
}

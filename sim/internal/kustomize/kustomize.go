// Package kustomize builds kustomizations by kustomize's own code, from what is on the
// disk alone: the caller sees to it that nothing in them is remote, or kustomize would
// fetch it.
package kustomize

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// Object is an object that a kustomization makes.
type Object struct {
	// File is the file that it was written in, or the kustomization that generates it,
	// with the folder's name as it was given.
	File string
	// JSON is the object.
	JSON []byte
}

// FileNames are the names that a kustomization's file may have.
func FileNames() []string { return konfig.RecognizedKustomizationFileNames() }

// building keeps builds apart: kustomize keeps the schema that one of them uses in a
// variable of its own.
var building sync.Mutex

// Build builds the kustomization of a folder, with the restrictions that `kustomize build`
// has by itself: files are below the folder of the kustomization that names them, and
// nothing is run. The function is told each file that is read.
func Build(folder string, read func(file string, content []byte)) ([]Object, error) {
	building.Lock()
	defer building.Unlock()
	root, err := filepath.Abs(folder)
	if err == nil {
		root, err = filepath.EvalSymlinks(root)
	}
	if err != nil {
		return nil, fmt.Errorf("finding %s: %w", folder, err)
	}
	named := func(file string) string {
		rel, err := filepath.Rel(root, file)
		if err != nil {
			return file
		}
		return filepath.Join(folder, rel)
	}
	disk := disk{FileSystem: filesys.MakeFsOnDisk(), root: root, names: names{},
		read: func(file string, content []byte) { read(named(file), content) }}
	// The objects stay in the order in which they are listed.
	made, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(disk, root)
	if err != nil {
		return nil, inWords(err, named)
	}
	var out []Object
	for _, r := range made.Resources() {
		o := Object{File: folder}
		origin, err := r.GetOrigin()
		if err != nil {
			return nil, fmt.Errorf("reading where %s is from: %w", r.GetName(), err)
		}
		switch {
		case origin == nil:
		case origin.Path != "":
			o.File = filepath.Join(folder, origin.Path)
		case origin.ConfiguredIn != "":
			o.File = filepath.Join(folder, origin.ConfiguredIn)
		}
		if err := r.SetOrigin(nil); err != nil {
			return nil, fmt.Errorf("writing %s: %w", r.GetName(), err)
		}
		if o.JSON, err = r.MarshalJSON(); err == nil {
			o.JSON, err = giveBack(o.JSON)
		}
		if err != nil {
			return nil, fmt.Errorf("writing %s: %w", r.GetName(), err)
		}
		out = append(out, o)
	}
	return out, nil
}

var (
	quotedPath = regexp.MustCompile(`'(/[^']*)'`)
	// A resource that cannot be read as a file is tried as a folder, which says nothing
	// new of a file.
	triedAsFolder = regexp.MustCompile(`accumulation err='(.*)': must build at directory: '[^']*': file is not directory`)
)

// inWords puts an error of kustomize on one line, with the names that the caller knows.
func inWords(err error, named func(string) string) error {
	text := strings.Join(strings.Fields(err.Error()), " ")
	text = triedAsFolder.ReplaceAllString(text, "$1")
	text = quotedPath.ReplaceAllStringFunc(text, func(q string) string { return "'" + named(strings.Trim(q, "'")) + "'" })
	return errors.New("kustomize: " + strings.ReplaceAll(text, "json: ", ""))
}

// disk is the disk as kustomize reads it.
type disk struct {
	filesys.FileSystem
	root  string
	read  func(file string, content []byte)
	names names
}

// ReadFile reads a file. Of the root's kustomization it has the origin of each object kept,
// and fields that kustomize warns of on standard error it gives by their newer names, where
// that makes no difference.
func (d disk) ReadFile(name string) ([]byte, error) {
	content, err := d.FileSystem.ReadFile(name)
	if err != nil {
		return nil, err
	}
	d.read(name, content)
	if !slices.Contains(FileNames(), filepath.Base(name)) {
		return d.names.lend(content), nil
	}
	var k types.Kustomization
	if k.Unmarshal(content) != nil {
		return content, nil //nolint:nilerr // kustomize says why
	}
	k.FixKustomization()
	if len(k.PatchesStrategicMerge)+len(k.PatchesJson6902) == 0 { //nolint:staticcheck // users have them
		if err := k.FixKustomizationPreMarshalling(d); err != nil {
			return content, nil //nolint:nilerr // kustomize says the same
		}
	}
	if filepath.Dir(name) == d.root {
		if k.CheckEmpty() != nil {
			return content, nil //nolint:nilerr // kustomize says the same
		}
		k.BuildMetadata = []string{types.OriginAnnotations}
	}
	return yaml.Marshal(k)
}

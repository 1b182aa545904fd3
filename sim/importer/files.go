package importer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"

	"simctl.dev/simctl/sim/internal/tree"
	"simctl.dev/simctl/sim/scenario"
)

// tooLarge is the size in bytes beyond which a file is no dump of objects.
const tooLarge = 256 << 20

// ReadFiles reads the YAML and JSON files among paths and in the folders below
// them: a must-gather, or what `kubectl get -o yaml` printed, Lists included. A
// file that cannot be read is a gap. The error says which path is not there, or
// that nothing was found.
func ReadFiles(paths []string) (*Dump, error) {
	d := &Dump{}
	for _, p := range paths {
		// WalkDir does not follow a link, so the path itself is resolved.
		root, err := filepath.EvalSymlinks(p)
		if err != nil {
			return nil, fmt.Errorf("reading a dump: %w", err)
		}
		err = filepath.WalkDir(root, func(name string, e fs.DirEntry, err error) error {
			switch {
			case err != nil:
				d.gap(name, err)
				return nil
			case e.IsDir():
				if name != root && strings.HasPrefix(e.Name(), ".") {
					return filepath.SkipDir
				}
				return nil
			case name != root && !slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(name)):
				return nil
			}
			d.file(name)
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("reading a dump: %w", err)
		}
	}
	if len(d.Objects) == 0 {
		return nil, fmt.Errorf("no Kubernetes object in %s: name a must-gather, or files that kubectl get -o yaml has written", strings.Join(paths, ", "))
	}
	return d, nil
}

func (d *Dump) gap(what string, err error) {
	d.Gaps = append(d.Gaps, Gap{What: what, Why: strings.Join(strings.Fields(err.Error()), " ")})
}

// file reads the documents of a file.
func (d *Dump) file(name string) {
	info, err := os.Stat(name)
	if err == nil && info.Size() > tooLarge {
		err = fmt.Errorf("it is larger than %d MiB", tooLarge>>20)
	}
	var raw []byte
	if err == nil {
		raw, err = os.ReadFile(name)
	}
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		d.gap(name, err)
		return
	}
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(raw), 4096)
	for {
		var o map[string]any
		if err := decoder.Decode(&o); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			// must-gathers have other JSON and YAML as well.
			if bytes.Contains(raw, []byte("apiVersion")) {
				d.gap(name, inWords(raw, err))
			}
			return
		}
		d.add(o)
	}
}

// inWords is why a stream cannot be read as the reader of manifests puts it.
func inWords(raw []byte, err error) error {
	_, read := scenario.ReadManifests(nil, map[string][]byte{"": raw})
	if problems := scenario.Problems(read); len(problems) > 0 {
		return fmt.Errorf("line %d: %s", problems[0].Line, problems[0].Message)
	}
	return err
}

// add takes an object or the items of a List.
func (d *Dump) add(o map[string]any) {
	kind, api := tree.Text(o, "kind"), tree.Text(o, "apiVersion")
	if kind == "" || api == "" {
		return
	}
	if items, ok := o["items"].([]any); ok && strings.HasSuffix(kind, "List") {
		for _, item := range items {
			m, ok := item.(map[string]any)
			if !ok {
				continue
			}
			// The items of a typed list say no kind.
			if tree.Text(m, "kind") == "" && kind != "List" {
				m["kind"], m["apiVersion"] = strings.TrimSuffix(kind, "List"), api
			}
			d.add(m)
		}
		return
	}
	u := &unstructured.Unstructured{Object: o}
	if u.GetName() == "" {
		return
	}
	if kind == "Secret" && api == "v1" {
		// Values go no further than this.
		delete(o, "data")
		delete(o, "stringData")
	}
	d.Objects = append(d.Objects, u)
}

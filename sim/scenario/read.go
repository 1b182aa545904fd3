package scenario

import "path/filepath"

// Manifests are manifests that were read by themselves, for no scenario.
type Manifests struct {
	// Objects are the manifests, as decoded JSON.
	Objects []map[string]any
	// In are the files that the objects stand in.
	In []string
	// Files are the files that they were read from.
	Files []string
}

// ReadManifests reads files and folders as workload.manifests names them, and streams of
// manifests by the names that they go by. The error joins a [Problem] for each thing that
// is wrong.
func ReadManifests(paths []string, streams map[string][]byte) (*Manifests, error) {
	read := &inputs{}
	r := &reader{inputs: read}
	for _, p := range paths {
		if err := r.path(filepath.Clean(p)); err != nil {
			r.problems = append(r.problems, &Problem{File: p, Message: err.Error()})
		}
	}
	for _, name := range sortedKeys(streams) {
		if err := r.documents(name, streams[name], true); err != nil {
			return nil, err
		}
	}
	r.pacFiles()
	if len(r.problems) > 0 {
		return nil, join(r.problems)
	}
	out := &Manifests{}
	for _, o := range r.objects {
		out.Objects, out.In = append(out.Objects, o.data), append(out.In, filepath.ToSlash(o.file))
	}
	for _, i := range *read {
		out.Files = append(out.Files, i.Path)
	}
	return out, nil
}

// IsKustomization says whether a folder is read by its kustomization.
func IsKustomization(folder string) bool { return kustomizationOf(folder) != "" }

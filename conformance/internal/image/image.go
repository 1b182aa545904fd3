// Package image makes container images out of static programs, as the archives
// that `ctr images import` reads. So no registry is needed.
package image

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
)

// Image is an image of one layer.
type Image struct {
	// Name with tag.
	Name       string
	Files      []File
	Entrypoint []string
	Cmd        []string
	User       string
}

// File is a file of an image: a copy of a file of this host, a link, or data.
type File struct {
	Path string
	Copy string
	Link string
	Data string
	Mode int64
}

const made = "2026-01-01T00:00:00Z"

// Busybox has a shell, its tools (applets), and the users root and nonroot.
func Busybox(name, program string, applets []string) Image {
	files := []File{{Path: "bin/busybox", Copy: program, Mode: 0o755}}
	for _, a := range applets {
		if a != "busybox" {
			files = append(files, File{Path: "bin/" + a, Link: "busybox", Mode: 0o777})
		}
	}
	return Image{Name: name, Files: append(files, users()...), Cmd: []string{"sh"}}
}

// KoApp has one program in /ko-app, as Tekton's images have.
func KoApp(name, app, program string) Image {
	return Image{Name: name, Files: append(users(), File{Path: "ko-app/" + app, Copy: program, Mode: 0o755}), Entrypoint: []string{"/ko-app/" + app}, User: "65532"}
}

func users() []File {
	return []File{
		{Path: "etc/passwd", Data: "root:x:0:0:root:/root:/bin/sh\nnonroot:x:65532:65532::/home:/bin/sh\n", Mode: 0o644},
		{Path: "etc/group", Data: "root:x:0:\nnonroot:x:65532:\n", Mode: 0o644},
	}
}

// Write writes the image's archive.
func (i Image) Write(file string) error {
	layer, err := i.layer()
	if err != nil {
		return fmt.Errorf("image %s: %w", i.Name, err)
	}
	layerName := digest(layer)
	config, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux", "created": made, "history": []any{map[string]any{"created": made}},
		"config": map[string]any{"Env": []string{"PATH=/bin:/usr/bin:/ko-app"}, "User": i.User, "Entrypoint": i.Entrypoint, "Cmd": i.Cmd},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + layerName}},
	})
	if err != nil {
		return err
	}
	manifest, err := json.Marshal([]any{map[string]any{"Config": digest(config) + ".json", "RepoTags": []string{i.Name}, "Layers": []string{layerName + ".tar"}}})
	if err != nil {
		return err
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range []struct {
		name string
		data []byte
	}{{digest(config) + ".json", config}, {layerName + ".tar", layer}, {"manifest.json", manifest}} {
		if err := add(w, &tar.Header{Name: f.name, Mode: 0o644}, f.data); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	return os.WriteFile(file, b.Bytes(), 0o644)
}

func (i Image) layer() ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, d := range []struct {
		name string
		mode int64
	}{{"tmp", 0o1777}, {"etc", 0o755}, {"bin", 0o755}, {"root", 0o700}, {"var", 0o755}, {"var/tmp", 0o1777}, {"home", 0o755}, {"usr", 0o755}, {"usr/bin", 0o755}, {"ko-app", 0o755}} {
		if err := w.WriteHeader(&tar.Header{Name: d.name, Typeflag: tar.TypeDir, Mode: d.mode}); err != nil {
			return nil, err
		}
	}
	for _, f := range i.Files {
		h := &tar.Header{Name: f.Path, Mode: f.Mode, Linkname: f.Link}
		data := []byte(f.Data)
		switch {
		case f.Link != "":
			h.Typeflag = tar.TypeSymlink
		case f.Copy != "":
			var err error
			if data, err = os.ReadFile(f.Copy); err != nil {
				return nil, err
			}
		}
		if err := add(w, h, data); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return b.Bytes(), err
}

func add(w *tar.Writer, h *tar.Header, data []byte) error {
	h.Size = int64(len(data))
	if err := w.WriteHeader(h); err != nil {
		return err
	}
	_, err := io.Copy(w, bytes.NewReader(data))
	return err
}

func digest(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}
